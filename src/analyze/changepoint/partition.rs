//! The cheapest way to cut a series into segments.
//!
//! Optimal partitioning by dynamic programming (Jackson et al. 2005) with the pruning of PELT (Killick, Fearnhead, Eckley
//! 2012): a start that is worse than the best by more than the penalty cannot win again. The cost has a prior, so a merge can
//! gain a little, and half a penalty of slack keeps the pruning harmless.

use super::cost::Cost;

/// Rows at which segments begin, without 0, in order. Each costs `penalty`; none is shorter than `least` rows.
pub(super) fn partition(cost: &Cost, rows: usize, penalty: f64, least: usize) -> Vec<usize> {
    let mut best = vec![f64::INFINITY; rows + 1];
    let mut previous = vec![0usize; rows + 1];
    let mut starts: Vec<(usize, f64)> = vec![(0, 0.0)];
    best[0] = -penalty;
    for end in least..=rows {
        for (start, total) in &mut starts {
            *total = best[*start] + cost.of(*start, end);
            if *total + penalty < best[end] {
                (best[end], previous[end]) = (*total + penalty, *start);
            }
        }
        starts.retain(|(_, total)| *total <= best[end] + 0.5 * penalty);
        if end + 1 >= 2 * least {
            starts.push((end + 1 - least, 0.0));
        }
    }
    walk_back(&previous)
}

fn walk_back(previous: &[usize]) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut at = previous.last().copied().unwrap_or(0);
    while at > 0 {
        cuts.push(at);
        at = previous[at];
    }
    cuts.reverse();
    cuts
}

/// Segments as (from, to).
pub(super) fn spans(cuts: &[usize], rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(rows));
    starts.zip(ends)
}
