//! Additive Holt–Winters smoothing with a damped trend, in the error-correction form (Hyndman et al., Forecasting with
//! Exponential Smoothing, 2008). The gains are those of a small grid that forecast best from the origins, not those that
//! fit best one step ahead.

use super::{Paths, Task};

const LEVEL: [f64; 3] = [0.01, 0.1, 0.4];
const TREND: [f64; 3] = [0.0, 0.01, 0.05];
const SEASON: [f64; 4] = [0.05, 0.2, 0.5, 0.9];
const DAMPING: f64 = 0.98;

#[derive(Clone, Copy)]
struct Gains {
    level: f64,
    trend: f64,
    season: f64,
}

pub(in super::super) fn holt_winters(task: &Task<'_>, season: usize) -> Paths {
    let gains = LEVEL.iter().flat_map(|&level| {
        TREND.iter().flat_map(move |&trend| SEASON.iter().map(move |&season| Gains { level, trend, season }))
    });
    task.best(gains.map(|g| smoothed(task, season, g)))
}

/// One pass over the rows; a path is read off at each origin on the way.
fn smoothed(task: &Task<'_>, season: usize, gains: Gains) -> Paths {
    let values = task.values;
    if values.len() < 2 * season {
        return vec![None; task.origins.len()];
    }
    let mut state = State::start(&values[..season]);
    let mut row = season;
    let paths = task.origins.iter().map(|&origin| {
        while row < origin {
            state.update(values[row], gains);
            row += 1;
        }
        (origin >= 2 * season).then(|| state.path(task.steps(origin)))
    });
    paths.collect()
}

struct State {
    level: f64,
    trend: f64,
    offsets: Vec<f64>,
    phase: usize,
}

impl State {
    fn start(cycle: &[f64]) -> State {
        let level = cycle.iter().sum::<f64>() / cycle.len() as f64;
        State { level, trend: 0.0, offsets: cycle.iter().map(|v| v - level).collect(), phase: 0 }
    }

    fn update(&mut self, value: f64, gains: Gains) {
        let offset = &mut self.offsets[self.phase];
        let trend = DAMPING * self.trend;
        let error = value - (self.level + trend + *offset);
        self.level += trend + gains.level * error;
        self.trend = trend + gains.level * gains.trend * error;
        *offset += gains.season * (1.0 - gains.level) * error;
        self.phase = if self.phase + 1 == self.offsets.len() { 0 } else { self.phase + 1 };
    }

    fn path(&self, steps: usize) -> Vec<f64> {
        let (mut step, mut level) = (self.trend, self.level);
        let offsets = self.offsets.iter().cycle().skip(self.phase);
        let one = |offset: &f64| {
            step *= DAMPING;
            level += step;
            level + offset
        };
        offsets.take(steps).map(one).collect()
    }
}
