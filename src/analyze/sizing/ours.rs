//! heapwatch's own estimate of request and limit.
//!
//! The limit is a quantile forecast: the highest use that is expected in the days to come is exceeded with a stated
//! probability. It rests on daily peaks ([`super::days`]): their highest, moved on by their trend, plus a tail. Peaks over a
//! high level have an exponential tail in the Gumbel domain (Gumbel 1958; Coles 2001, ch. 3), so with `n` days seen, one
//! in `n` exceeds the highest; a limit that lies `k` scales above it is exceeded `e^k` times more rarely. A service whose
//! days are alike gets a narrow margin, one whose days differ a wide one; a fixed 15 % is wrong for both.
//!
//! Loss: a level that no day has shown (the first month's end, a feature not yet switched on) is not foreseen.

use super::Options;
use super::days::{self, DAY_S, Day};
use super::usage::{Oom, Usage};
use super::workload::{Pod, Workload};
use crate::analyze::trend;

/// Spread between days that is assumed before any is seen, as a share of the peak, …
const PRIOR_SCALE: f64 = 0.03;
/// … and the number of days it counts for. More: short histories get wider margins for longer.
const PRIOR_DAYS: f64 = 3.0;
/// The narrowest margin over the highest peak: what a change of page cache or of the kernel's own memory takes.
const MIN_MARGIN: f64 = 0.03;
/// The narrowest margin over the peaks of a service that was deployed while it was watched: a new version may need more,
/// at least as much more as versions differed before, and start-up is short, so that scrapes see it in part …
const DEPLOY_MARGIN: f64 = 0.12;
/// … but a single step is not paid for past this.
const MAX_DEPLOY_MARGIN: f64 = 0.25;
/// The widest: past this, one more peak like the worst is a reason to look, not to pay.
const MAX_MARGIN: f64 = 1.0;
/// After an OOM kill the need is unknown but above the limit: this much above.
const OOM_RATIO: f64 = 1.25;
/// The limits of one series of kills never raise the estimate past this multiple of the highest use seen.
const OOM_RUNAWAY: f64 = 2.0;
/// So many days without a kill at a higher limit show the real need, and the bump ends.
const OOM_SETTLED_DAYS: f64 = 3.0;
/// Days that must follow a fall in level before what was before is forgotten: more than a week, so that a weekly peak
/// is not taken for the past.
const REGIME_DAYS: usize = 8;
/// A fall of the level by less is kept as spread.
const REGIME_FALL: f64 = 0.9;
/// Days after which a working week repeats.
const WEEK_DAYS: usize = 7;
/// A week explains the days when its own spread is under this share of theirs.
const WEEK_EXPLAINS: f64 = 0.5;
/// Fewer days have no trend worth paying for.
const TREND_DAYS: usize = 6;
/// The one-sided 1 % point of the normal distribution.
const TREND_Z: f64 = 2.326;

/// Request and limit with the interval around the limit, bytes, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// What to request.
    pub request: f64,
    /// What to limit to.
    pub limit: f64,
    /// The highest use that is expected without any tail.
    pub lower: f64,
    /// The limit at a tenth of the risk.
    pub upper: f64,
    /// Highest use at the start of a process when that is above the steady peak.
    pub startup_peak: Option<f64>,
    /// Days that the estimate rests on.
    pub days: usize,
    /// 0–1: the share of the margin that is seen and not assumed, times the share of time that was seen.
    pub confidence: f64,
    /// What shaped it, for a reader.
    pub reasons: Vec<String>,
}

/// The estimate, unrounded; `None` when no day was seen.
pub fn estimate(workload: &Workload, now_s: f64, options: &Options) -> Option<Estimate> {
    let all = days::of(workload, now_s);
    let (days, forgotten) = current_regime(&all);
    let seen: Vec<&Day> = days.iter().filter(|d| d.seen_s > 0.0).collect();
    let highest = seen.iter().map(|d| d.peak).reduce(f64::max).filter(|p| *p > 0.0)?;
    let covered: Vec<f64> = days.iter().filter(|d| d.is_covered()).map(|d| d.peak).collect();
    let steady: Vec<f64> = seen.iter().map(|d| d.running()).collect();
    let trend = growth_per_day(&covered) * options.horizon_days;
    let scale = shrunk_scale(&covered, highest);
    let margin = |risk: f64| tail(scale, covered.len(), options.horizon_days, risk);
    let level = highest + trend;
    let bounded = |tail: f64| level + tail.clamp(MIN_MARGIN * level, MAX_MARGIN * level);
    let mut out = Estimate {
        request: 0.0,
        limit: bounded(margin(options.risk)),
        lower: level,
        upper: bounded(margin(options.risk / 10.0)),
        startup_peak: None,
        days: seen.len(),
        confidence: confidence(covered.len(), &seen),
        reasons: Vec::new(),
    };
    out.explain(highest, trend, forgotten, options);
    out.take_deploys(workload, &steady, highest);
    out.take_ooms(workload, highest, now_s);
    out.set_request(&steady, highest, trend, options);
    Some(out)
}

impl Estimate {
    fn explain(&mut self, highest: f64, trend: f64, forgotten: usize, options: &Options) {
        let (days, risk) = (options.horizon_days, options.risk * 100.0);
        let margin = 100.0 * (self.limit / self.lower - 1.0);
        self.reasons.push(format!(
            "highest use {} in {} days; {margin:.0} % above it is exceeded in {days:.0} days with a chance of {risk:.1} %",
            super::amount::text(highest),
            self.days,
        ));
        if trend > 0.0 {
            self.reasons
                .push(format!("daily peaks grow: {} more expected in {days:.0} days", super::amount::text(trend)));
        }
        if forgotten > 0 {
            self.reasons.push(format!("the level fell and stayed: {forgotten} days before that are left out"));
        }
    }

    fn take_deploys(&mut self, workload: &Workload, steady: &[f64], highest: f64) {
        let Some(step) = largest_step_up(workload) else { return };
        let step = step.clamp(DEPLOY_MARGIN, MAX_DEPLOY_MARGIN);
        let running = steady.iter().copied().fold(0.0, f64::max) * (1.0 + step);
        let need = running.max(highest * (1.0 + DEPLOY_MARGIN));
        if need > self.limit {
            self.reasons
                .push(format!("deployed while watched: the limit leaves {:.0} % for the next version", step * 100.0));
            self.limit = need;
            self.upper = self.upper.max(need);
        }
    }

    fn take_ooms(&mut self, workload: &Workload, highest: f64, now_s: f64) {
        let Some(need) = need_after_ooms(&workload.ooms(), workload, highest, now_s) else { return };
        if need > self.limit {
            self.reasons
                .push(format!("OOM-killed: at least {} is tried until the need is seen", super::amount::text(need)));
            self.limit = need;
            self.upper = self.upper.max(need);
        }
    }

    fn set_request(&mut self, steady: &[f64], highest: f64, trend: f64, options: &Options) {
        let top = steady.iter().copied().fold(0.0, f64::max);
        if highest > top * (1.0 + MIN_MARGIN) {
            self.startup_peak = Some(highest);
            self.reasons.push(format!(
                "start-up takes {}, {} after that: the limit covers it, the request does not",
                super::amount::text(highest),
                super::amount::text(top)
            ));
        }
        let usual = quantile(steady, options.request_quantile).unwrap_or(top);
        let request = (usual + trend) * (1.0 + MIN_MARGIN);
        self.request = if options.guaranteed { self.limit } else { request.min(self.limit) };
    }
}

/// The days since the level last fell for good, and how many were before.
fn current_regime(days: &[Day]) -> (&[Day], usize) {
    let fell = |at: &usize| {
        let (before, after) = days.split_at(*at);
        let seen = after.iter().filter(|d| d.is_covered()).count();
        let low = before.iter().filter(|d| d.is_covered()).map(Day::running).fold(f64::INFINITY, f64::min);
        seen >= REGIME_DAYS && after.iter().map(Day::running).fold(0.0, f64::max) < REGIME_FALL * low
    };
    let from = (1..days.len().saturating_sub(REGIME_DAYS - 1)).rev().find(fell).unwrap_or(0);
    (&days[from..], from)
}

/// Growth of the daily peaks in bytes a day: the Theil–Sen slope when the Mann–Kendall test says at the 1 % level (one
/// side) that they grow at all; else, or when they fall, 0.
fn growth_per_day(peaks: &[f64]) -> f64 {
    let grows = peaks.len() >= TREND_DAYS && trend::mann_kendall(peaks).is_some_and(|t| t.z > TREND_Z);
    if !grows {
        return 0.0;
    }
    let days: Vec<f64> = (0..peaks.len()).map(|i| i as f64).collect();
    trend::theil_sen(&days, peaks).map_or(0.0, |line| line.per_s.max(0.0))
}

/// The largest rise of the mean from one pod to the one that followed it, as a share; `None` when no pod followed another.
fn largest_step_up(workload: &Workload) -> Option<f64> {
    let mean = |u: &Usage| {
        let (sum, count) = u.buckets().fold((0.0, 0.0), |(s, c), (_, b)| (s + b.sum, c + f64::from(b.count)));
        (count > 0.0).then_some(sum / count)
    };
    let life = |p: &Pod| Some((p.usage.first_s()?, p.usage.last_s()?, mean(&p.usage)?));
    let mut lives: Vec<(f64, f64, f64)> = workload.pods.iter().filter_map(life).collect();
    lives.sort_by(|a, b| a.0.total_cmp(&b.0));
    let follows = |w: &&[(f64, f64, f64)]| w[1].0 > w[0].1;
    lives.windows(2).filter(follows).map(|w| w[1].2 / w[0].2.max(1.0) - 1.0).reduce(f64::max)
}

/// Gumbel scale of the daily peaks, drawn towards the prior while days are few. Where the same day of the week repeats
/// itself much better than days do among each other, a weekly season explains the rest and only the repetition's spread
/// counts: the difference of two Gumbel variables is logistic with the same scale.
fn shrunk_scale(peaks: &[f64], highest: f64) -> f64 {
    let n = peaks.len() as f64;
    let level = without_trend(peaks);
    let among_days = second_l_moment(&level).unwrap_or(0.0) / std::f64::consts::LN_2;
    let of_weeks: Vec<f64> = level.iter().zip(level.iter().skip(WEEK_DAYS)).map(|(a, b)| b - a).collect();
    let among_weeks = second_l_moment(&of_weeks).filter(|_| of_weeks.len() >= WEEK_DAYS);
    let own = among_weeks.filter(|w| *w < WEEK_EXPLAINS * among_days).unwrap_or(among_days);
    (PRIOR_DAYS * PRIOR_SCALE * highest + n * own) / (PRIOR_DAYS + n)
}

/// Half Gini's mean difference (Hosking, J. R. Stat. Soc. B 52, 1990); `None` under two values.
fn second_l_moment(values: &[f64]) -> Option<f64> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let weighted = |(i, v): (usize, &f64)| (2.0 * i as f64 + 1.0 - n as f64) * v;
    Some(sorted.iter().enumerate().map(weighted).sum::<f64>() / (n * (n - 1)) as f64)
}

fn without_trend(peaks: &[f64]) -> Vec<f64> {
    let slope = growth_per_day(peaks);
    peaks.iter().enumerate().map(|(i, p)| p - slope * i as f64).collect()
}

/// How far above the highest of `days` peaks a level lies that is exceeded within `horizon` days with probability `risk`.
/// A day exceeds the highest with 1/(n+1). A level `k` scales above it would be exceeded e^k times more rarely if the
/// scale were known; estimated from n days it is (1 + k/n)^n times (the predictive distribution of an exponential excess).
fn tail(scale: f64, days: usize, horizon: f64, risk: f64) -> f64 {
    let n = days as f64;
    let rarer = horizon / ((n + 1.0) * risk);
    let known = n + PRIOR_DAYS;
    scale * known * (rarer.max(1.0).powf(1.0 / known) - 1.0)
}

/// What the OOM kills say is needed: [`OOM_RATIO`] above the highest limit that was not enough, unless days at a higher
/// limit without a kill have shown the need since; never past [`OOM_RUNAWAY`] times what was seen. A leaking service is
/// killed now and then whatever its limit; only kills within a day of each other say that a fresh process needs more.
fn need_after_ooms(ooms: &[Oom], workload: &Workload, highest: f64, now_s: f64) -> Option<f64> {
    let within = |days: f64| ooms.iter().filter(move |o| now_s - o.at_s <= days * DAY_S);
    let (days, kills) = if workload.leak.is_some() { (1.0, 2) } else { (OOM_SETTLED_DAYS, 1) };
    if within(days).count() < kills {
        return None;
    }
    let limit = within(days).filter_map(|o| o.limit_bytes).fold(highest, f64::max);
    Some((limit * OOM_RATIO).min(highest * OOM_RUNAWAY))
}

fn confidence(covered: usize, seen: &[&Day]) -> f64 {
    let whole = seen.iter().map(|d| d.seen_s).sum::<f64>() / (seen.len().max(1) as f64 * DAY_S);
    covered as f64 / (covered as f64 + PRIOR_DAYS) * whole.min(1.0)
}

/// The `q` quantile, linear between order statistics; `None` of nothing.
pub(super) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(at.floor() as usize)?, sorted.get(at.ceil() as usize)?);
    Some(low + (high - low) * at.fract())
}
