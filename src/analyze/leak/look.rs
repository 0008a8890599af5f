//! One look at the history: the window, its explanations, and the judgement.

use super::design::Design;
use super::features::{self, NAMES};
use super::fit::{self, Fit};
use super::history::History;
use super::judge;
use super::rate::{self, Rate};
use super::window::Window;

/// A look needs this much time; anything shorter is start-up.
pub const LEAST_SPAN_S: f64 = 1800.0;

/// Growth of fewer bytes is not called a leak, however even: a few pages that an allocator or a small table took.
pub const LEAST_GROWN_BYTES: f64 = 65_536.0;

/// What one look saw.
#[derive(Debug, Clone)]
pub struct Look {
    /// Probability that the series leaks at its end.
    pub probability: f64,
    /// The best explanation with a leak, when one grows.
    pub fit: Option<Fit>,
    /// What the judge was shown, named by [`features::NAMES`].
    pub features: [f64; NAMES.len()],
    pub(super) window: Window,
    pub(super) design: Design,
}

impl Look {
    /// Looks at what is there; `None` while there is too little.
    pub fn at(history: &History) -> Option<Look> {
        if history.span_s() < LEAST_SPAN_S {
            return None;
        }
        let window = Window::of(history)?;
        let design = Design::of(&window);
        let fit = fit::fit(&window, &design);
        let features = features::features(&window, &design, fit.as_ref());
        let grows = fit.as_ref().is_some_and(|f| f.grown >= LEAST_GROWN_BYTES);
        let probability = if grows { judge::probability(&features) } else { 0.0 };
        Some(Look { probability, fit, features, window, design })
    }

    /// What is missing for a look; `None` when nothing is.
    pub fn missing(history: &History) -> Option<String> {
        let rows = history.rows();
        let least = super::window::MIN_POINTS as u64;
        if rows < least {
            return Some(format!("{rows} rows; a verdict needs at least {least}"));
        }
        let span = history.span_s();
        (span < LEAST_SPAN_S).then(|| format!("{span:.0} s of history; a verdict needs at least {LEAST_SPAN_S:.0} s"))
    }
}

/// Days are accounted for once so many of them are there.
const DAYS_NEEDED_S: f64 = 1.5 * 86_400.0;

impl Look {
    /// How fast it grows, if it does; an answer even where no leak is believed in.
    pub fn rate(&self) -> Option<Rate> {
        self.fit.as_ref().map(|fit| rate::estimate(self, fit))
    }

    /// Whether daily waves are part of the explanation.
    pub(super) fn has_days(&self) -> bool {
        self.window.span_s() > DAYS_NEEDED_S
    }

    /// The highest level of the last day, or of the last cycle if that is known: what meets a limit first.
    pub(super) fn high_level(&self) -> f64 {
        let back = self.design.cycle_s.filter(|_| !self.has_days()).unwrap_or(86_400.0);
        let from = self.window.times_s.last().map_or(0.0, |t| t - back);
        let recent = self.window.times_s.iter().zip(&self.window.mid).filter(|(t, _)| **t >= from);
        recent.map(|(_, x)| *x).fold(0.0, f64::max)
    }
}
