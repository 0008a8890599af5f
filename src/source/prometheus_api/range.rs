//! Long ranges in chunks: asked ahead, handed on in order.
//!
//! Worker `w` of `n` asks chunks w, w + n, … and waits until its last one was taken before it asks the next, so at most `n`
//! chunks exist besides the one being used.

use std::sync::mpsc;

use super::answer::Answer;
use super::client::{Client, Refused};
use crate::analyze::series::Series;
use crate::error::{Error, Result};

/// Points of all series together that one chunk aims at: some 9 MB of JSON.
const CHUNK_POINTS: f64 = 300_000.0;
/// Prometheus refuses more points than this for one series.
const MAX_POINTS_A_SERIES: f64 = 10_000.0;

/// A stretch of time, both ends included, epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// First point.
    pub start_s: f64,
    /// No point after this.
    pub end_s: f64,
    /// Distance of points.
    pub step_s: f64,
}

impl Range {
    /// Points in it.
    pub fn points(&self) -> f64 {
        ((self.end_s - self.start_s) / self.step_s).floor() + 1.0
    }

    fn check(&self) -> Result<()> {
        let sane =
            self.step_s >= 0.001 && self.end_s >= self.start_s && self.start_s.is_finite() && self.end_s.is_finite();
        if sane {
            Ok(())
        } else {
            Err(Error::config("the range must not end before it starts, the step must be positive"))
        }
    }

    /// Pieces of at most `points` points that leave none out and have none twice.
    fn chunks(&self, points: f64) -> Vec<Range> {
        let points = points.max(1.0);
        let count = (self.points() / points).ceil() as usize;
        let start = |i: usize| self.start_s + i as f64 * points * self.step_s;
        let last = |i: usize| (start(i) + (points - 1.0) * self.step_s).min(self.end_s);
        (0..count).map(|i| Range { start_s: start(i), end_s: last(i), step_s: self.step_s }).collect()
    }

    fn halves(&self) -> [Range; 2] {
        let half = (self.points() / 2.0).floor().max(1.0);
        let middle = self.start_s + half * self.step_s;
        [Range { end_s: middle - self.step_s, ..*self }, Range { start_s: middle, ..*self }]
    }
}

/// Asks `promql` over `range` and gives each chunk to `take` in order of time; `progress` hears chunks done and in all.
/// `expected_series` sizes the chunks. Errors: the first chunk that failed for good, or what `take` says.
pub fn read_range(
    client: &Client,
    promql: &str,
    range: Range,
    expected_series: usize,
    progress: &mut dyn FnMut(usize, usize),
    mut take: impl FnMut(Answer) -> Result<()>,
) -> Result<()> {
    range.check()?;
    let points = (CHUNK_POINTS / expected_series.max(1) as f64).clamp(1.0, MAX_POINTS_A_SERIES).floor();
    let chunks = range.chunks(points);
    let workers = client.concurrency.min(chunks.len());
    std::thread::scope(|scope| {
        let ends: Vec<mpsc::Receiver<Result<Vec<Answer>>>> = (0..workers)
            .map(|worker| {
                let (send, receive) = mpsc::sync_channel(0);
                let mine = chunks.iter().skip(worker).step_by(workers);
                scope.spawn(move || {
                    // A send fails when the reader gave up.
                    let _ = mine.into_iter().try_for_each(|chunk| send.send(ask(client, promql, *chunk)));
                });
                receive
            })
            .collect();
        for (i, end) in (0..chunks.len()).zip(ends.iter().cycle()) {
            let answers = end.recv().map_err(|_| Error::io("a query thread ended early"))??;
            answers.into_iter().try_for_each(&mut take)?;
            progress(i + 1, chunks.len());
        }
        Ok(())
    })
}

/// One chunk; halved while the server finds it too large.
fn ask(client: &Client, promql: &str, range: Range) -> Result<Vec<Answer>> {
    let form = [
        ("query", promql.to_owned()),
        ("start", range.start_s.to_string()),
        ("end", range.end_s.to_string()),
        ("step", range.step_s.to_string()),
    ];
    match client.ask("query_range", &form) {
        Ok(answer) => Ok(vec![answer]),
        Err(Refused { too_large: true, .. }) if range.points() > 1.0 => {
            let [first, second] = range.halves();
            let mut answers = ask(client, promql, first)?;
            answers.extend(ask(client, promql, second)?);
            Ok(answers)
        }
        Err(refused) => Err(refused.error),
    }
}

/// One series: what a verb over series reads with `--prometheus --query`. With it come the server's warnings. Errors: no
/// series, or more than one, named by their labels.
pub fn read_series(client: &Client, promql: &str, range: Range) -> Result<(Series, Vec<String>)> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let mut labels = None;
    let mut warnings = Vec::new();
    read_range(client, promql, range, 1, &mut |_, _| {}, |answer| {
        warnings.extend(answer.warnings);
        for series in answer.series {
            let known = labels.get_or_insert_with(|| series.labels.clone());
            if *known != series.labels {
                return Err(Error::input(format!(
                    "`{promql}` gives more than one series ({known} and {}); aggregate or select one",
                    series.labels
                )));
            }
            times.extend(series.points.iter().map(|p| p.0));
            values.extend(series.points.iter().map(|p| p.1));
        }
        Ok(())
    })?;
    if labels.is_none() {
        return Err(Error::input(format!("`{promql}` gives no series in this range")));
    }
    warnings.dedup();
    Ok((Series::repaired(times, values, None), warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_leave_nothing_out_and_repeat_nothing() {
        for (start, end, step, points) in [(0.0, 100.0, 10.0, 3.0), (5.0, 5.0, 60.0, 10.0), (0.0, 99.0, 10.0, 10.0)] {
            let range = Range { start_s: start, end_s: end, step_s: step };
            let times =
                |r: &Range| (0..r.points() as usize).map(|i| r.start_s + i as f64 * r.step_s).collect::<Vec<_>>();
            let chunked: Vec<f64> = range.chunks(points).iter().flat_map(times).collect();
            assert_eq!(chunked, times(&range));
            if range.points() > 1.0 {
                assert_eq!(range.halves().iter().flat_map(times).collect::<Vec<_>>(), times(&range));
            }
        }
    }
}
