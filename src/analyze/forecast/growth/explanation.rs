//! The fits that compete.

use super::super::super::trend::median;
use super::super::linear::Factored;
use super::basis::{self, Term};

/// A straight line from an onset, its season, and how probable it is.
#[derive(Debug, Clone)]
pub(in super::super) struct Explanation {
    pub weight: f64,
    /// Values' units per span; 0 where nothing grows. With its standard error.
    pub slope: f64,
    pub slope_error: f64,
    /// Share of the span at which the growth began.
    pub onset: f64,
    terms: Vec<(Term, f64)>,
}

pub(super) struct Fitted {
    pub explanations: Vec<Explanation>,
    pub noise: f64,
}

/// Least worth relative to the best that is kept.
const WORTH: f64 = 1e-3;
/// Prior of a filling that begins late, against one from the start: little starts to fill up and stop in the middle of a run.
const LATE_FILLING: f64 = 0.02;
const MOST_AUTOCORRELATION: f64 = 0.95;
/// Errors above so many typical ones are cut to it before the next fit.
const OUTLYING: f64 = 5.0;

impl Explanation {
    /// The level without its season at a share of the span.
    pub fn trend(&self, share: f64) -> f64 {
        self.terms.iter().filter(|(t, _)| !t.is_season()).map(|(t, c)| c * t.at(share)).sum()
    }

    /// What the season adds to it.
    pub fn season(&self, share: f64) -> f64 {
        self.terms.iter().filter(|(t, _)| t.is_season()).map(|(t, c)| c * t.at(share)).sum()
    }
}

/// Two passes: the first finds the autocorrelation and what lies far out, the second fits without both. A third would cut
/// the peaks of a season that the first fit missed.
pub(super) fn compete(shares: &[f64], values: &[f64], base: &[Term]) -> Option<Fitted> {
    let first = Competition::of(shares, values, base, 0.0)?.best()?;
    let fit: Vec<f64> = shares.iter().map(|u| first.trend(*u) + first.season(*u)).collect();
    let mut rest: Vec<f64> = values.iter().zip(&fit).map(|(v, f)| v - f).collect();
    let typical = median(&mut rest.iter().map(|r| r.abs()).collect::<Vec<f64>>())?;
    let bound = OUTLYING * 1.4826 * typical;
    rest.iter_mut().for_each(|r| *r = r.clamp(-bound, bound));
    let cut: Vec<f64> = fit.iter().zip(&rest).map(|(f, r)| f + r).collect();
    let explanations = Competition::of(shares, &cut, base, autocorrelation(&rest))?.all();
    let noise = (rest.iter().map(|r| r * r).sum::<f64>() / rest.len().max(1) as f64).sqrt();
    (!explanations.is_empty()).then_some(Fitted { explanations, noise })
}

fn autocorrelation(residuals: &[f64]) -> f64 {
    let both: f64 = residuals.windows(2).map(|w| w[0] * w[1]).sum();
    let all: f64 = residuals.iter().map(|r| r * r).sum();
    if all > 0.0 { (both / all).clamp(0.0, MOST_AUTOCORRELATION) } else { 0.0 }
}

/// Blocks where the level steps: the median of five after against five before, far above what is usual and sudden.
pub(super) fn steps(values: &[f64]) -> Vec<usize> {
    const SIDE: usize = 5;
    const MOST: usize = 3;
    let differences: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let size = |i: usize| {
        let (Some(before), Some(after)) = (i.checked_sub(SIDE).map(|from| &values[from..i]), values.get(i..i + SIDE))
        else {
            return 0.0;
        };
        let middles = median(&mut before.to_vec()).zip(median(&mut after.to_vec()));
        middles.map_or(0.0, |(b, a)| (a - b).abs())
    };
    let mut sizes: Vec<f64> = (0..values.len()).map(size).collect();
    let mut sorted = sizes.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() * 4 / 5).copied().unwrap_or_default();
    let noise = 1.4826 * median(&mut differences.clone()).unwrap_or_default();
    let level = median(&mut values.to_vec()).unwrap_or_default().abs();
    let least = (10.0 * noise).max(4.0 * usual).max(0.02 * level);
    let mut out = Vec::new();
    while out.len() < MOST {
        let Some((i, size)) = sizes.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        if size <= least {
            break;
        }
        let around = i.saturating_sub(3)..(i + 3).min(differences.len());
        if let Some(j) =
            around.max_by(|a, b| differences[*a].total_cmp(&differences[*b])).filter(|j| differences[*j] > 0.5 * size)
        {
            out.push(j + 1);
        }
        sizes[i.saturating_sub(8)..(i + 9).min(values.len())].fill(0.0);
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// A column of the regression with the base taken out.
struct Column {
    term: Term,
    rest: Vec<f64>,
    in_base: Vec<f64>,
    size: f64,
}

struct Competition<'a> {
    base: &'a [Term],
    rows: usize,
    target: Vec<f64>,
    target_in_base: Vec<f64>,
    fillings: Vec<Column>,
    late: Vec<Column>,
    growths: Vec<Column>,
}

/// One fit, by the columns beside the base and their coefficients.
struct Candidate<'a> {
    parts: Vec<(&'a Column, f64)>,
    squares: f64,
    slope_variance: f64,
    /// Logarithm of the share of the prior that it has.
    prior: f64,
}

impl<'a> Competition<'a> {
    fn of(shares: &[f64], values: &[f64], base: &'a [Term], rho: f64) -> Option<Competition<'a>> {
        let whiten = |column: Vec<f64>| -> Vec<f64> { column.windows(2).map(|w| w[1] - rho * w[0]).collect() };
        let column = |term: &Term| whiten(shares.iter().map(|u| term.at(*u)).collect());
        let columns: Vec<Vec<f64>> = base.iter().map(column).collect();
        let factored = Factored::of(&columns)?;
        let without = |term: Term| {
            let (rest, in_base) = factored.residual(&columns, &column(&term));
            let size = rest.iter().map(|v| v * v).sum();
            Column { term, rest, in_base, size }
        };
        let keep = |terms: Vec<Term>| -> Vec<Column> {
            let all = terms.into_iter().map(without);
            all.filter(|c| c.size > 1e-7 * shares.len() as f64 * (1.0 - rho).powi(2)).collect()
        };
        let (target, target_in_base) = factored.residual(&columns, &whiten(values.to_vec()));
        Some(Competition {
            base,
            rows: target.len(),
            target,
            target_in_base,
            fillings: keep(basis::fillings()),
            late: keep(basis::late_fillings()),
            growths: keep(basis::growths()),
        })
    }

    fn best(&self) -> Option<Explanation> {
        self.all().into_iter().max_by(|a, b| a.weight.total_cmp(&b.weight))
    }

    /// What is worth keeping, weights summing to one.
    fn all(&self) -> Vec<Explanation> {
        let candidates = self.candidates();
        let floor = 1e-12 * self.target_in_base.iter().map(|v| v * v).sum::<f64>() + f64::MIN_POSITIVE;
        let worth = |c: &Candidate<'_>| {
            let n = self.rows as f64;
            c.prior - 0.5 * n * c.squares.max(floor).ln() - 0.5 * c.parts.len() as f64 * n.ln()
        };
        let best = candidates.iter().map(worth).fold(f64::NEG_INFINITY, f64::max);
        let mut out: Vec<Explanation> = candidates
            .iter()
            .map(|c| (c, (worth(c) - best).exp()))
            .filter(|(_, weight)| *weight > WORTH)
            .map(|(c, weight)| self.explanation(c, weight))
            .collect();
        let total: f64 = out.iter().map(|e| e.weight).sum();
        out.iter_mut().for_each(|e| e.weight /= total);
        out
    }

    /// Nothing, a filling, a growth, or a growth beside a filling; only what adds memory.
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let all = dot(&self.target, &self.target);
        let share = |n: usize| -(n.max(1) as f64).ln();
        let mut out = vec![Candidate { parts: Vec::new(), squares: all, slope_variance: 0.0, prior: 0.0 }];
        out.extend(self.fillings.iter().filter_map(|c| self.single(c, all, share(self.fillings.len()))));
        out.extend(self.late.iter().filter_map(|c| self.single(c, all, share(self.late.len()) + LATE_FILLING.ln())));
        for growth in &self.growths {
            let prior = share(self.growths.len());
            out.extend(self.single(growth, all, prior));
            let beside =
                self.fillings.iter().filter_map(|f| self.pair(growth, f, all, prior + share(self.fillings.len())));
            out.extend(beside);
        }
        out
    }

    fn single<'b>(&'b self, column: &'b Column, all: f64, prior: f64) -> Option<Candidate<'b>> {
        let along = dot(&column.rest, &self.target);
        let squares = all - along * along / column.size;
        let slope_variance = squares.max(0.0) / self.rows as f64 / column.size;
        (along > 0.0).then(|| Candidate { parts: vec![(column, along / column.size)], squares, slope_variance, prior })
    }

    fn pair<'b>(&'b self, growth: &'b Column, filling: &'b Column, all: f64, prior: f64) -> Option<Candidate<'b>> {
        let both = dot(&growth.rest, &filling.rest);
        let (g, f) = (dot(&growth.rest, &self.target), dot(&filling.rest, &self.target));
        let determinant = growth.size * filling.size - both * both;
        if determinant < 1e-3 * growth.size * filling.size {
            return None;
        }
        let a = (g * filling.size - f * both) / determinant;
        let b = (f * growth.size - g * both) / determinant;
        let squares = all - a * g - b * f;
        let slope_variance = squares.max(0.0) / self.rows as f64 * filling.size / determinant;
        let parts = vec![(growth, a), (filling, b)];
        (a > 0.0 && b > 0.0).then_some(Candidate { parts, squares, slope_variance, prior })
    }

    fn explanation(&self, candidate: &Candidate<'_>, weight: f64) -> Explanation {
        let mut coefficients = self.target_in_base.clone();
        for (column, c) in &candidate.parts {
            coefficients.iter_mut().zip(&column.in_base).for_each(|(b, x)| *b -= c * x);
        }
        let mut terms: Vec<(Term, f64)> = self.base.iter().copied().zip(coefficients).collect();
        terms.extend(candidate.parts.iter().map(|(column, c)| (column.term, *c)));
        let growth = candidate.parts.iter().find_map(|(column, c)| match column.term {
            Term::Growing { onset } => Some((onset, *c)),
            _ => None,
        });
        let (onset, slope) = growth.unwrap_or((0.0, 0.0));
        let slope_error = if growth.is_some() { candidate.slope_variance.sqrt() } else { 0.0 };
        Explanation { weight, slope, slope_error, onset, terms }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
