//! When an operator is paged: judgements over time become alarms.
//!
//! One look is noisy, and a page is expensive, so the log-odds are smoothed from look to look. An alarm is raised when they
//! pass [`RAISE`] and cleared once they have stayed under [`CLEAR`] for a while; between the two nothing changes, so a
//! verdict that hovers does not page twice.
//!
//! ```text
//! quiet ──smoothed > RAISE──▶ raised ──smoothed < CLEAR for CLEAR_AFTER of the history──▶ quiet
//! ```

use serde::{Deserialize, Serialize};

/// Smoothed log-odds above which an alarm is raised. Higher: fewer false pages, later true ones.
const RAISE: f64 = 1.5;
/// Below a day of history more is asked, by so much for each factor of e: a rise that a day of load explains is no page.
const YOUNG: f64 = 1.0;
const DAY_S: f64 = 86_400.0;
/// No history counts as younger than this.
const YOUNGEST_S: f64 = 600.0;
/// Smoothed log-odds below which it is on its way to being cleared.
const CLEAR: f64 = -1.0;
/// It is cleared after this share of the history spent below.
const CLEAR_AFTER: f64 = 0.02;
/// Weight of the past in the smoothing.
const KEEP: f64 = 0.4;
/// No single look speaks louder than this many log-odds.
const LOUDEST: f64 = 8.0;

/// A change that an operator is told of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum AlarmChange {
    /// A leak is believed in from now on.
    Raised {
        /// Epoch seconds of the row that raised it.
        at_s: f64,
        /// Probability of a leak at that look.
        probability: f64,
    },
    /// The growth has stopped: fixed, restarted, or it was none.
    Cleared {
        /// Epoch seconds of the row that cleared it.
        at_s: f64,
    },
}

/// The state between looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pager {
    smoothed: Option<f64>,
    raised: bool,
    below_since_s: Option<f64>,
}

impl Pager {
    /// Takes the judgement of a look at `now_s`, with `span_s` of history behind it.
    pub fn hear(&mut self, now_s: f64, span_s: f64, probability: f64) -> Option<AlarmChange> {
        let odds = (probability / (1.0 - probability)).ln().clamp(-LOUDEST, LOUDEST);
        let smoothed = self.smoothed.map_or(odds, |s| KEEP * s + (1.0 - KEEP) * odds);
        self.smoothed = Some(smoothed);
        if !self.raised {
            self.raised = smoothed > RAISE + YOUNG * (DAY_S / span_s.max(YOUNGEST_S)).ln().max(0.0);
            return self.raised.then_some(AlarmChange::Raised { at_s: now_s, probability });
        }
        if smoothed >= CLEAR {
            self.below_since_s = None;
            return None;
        }
        let since = *self.below_since_s.get_or_insert(now_s);
        if now_s - since < CLEAR_AFTER * span_s {
            return None;
        }
        *self = Pager { smoothed: self.smoothed, ..Pager::default() };
        Some(AlarmChange::Cleared { at_s: now_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(probabilities: &[f64]) -> Vec<usize> {
        let mut pager = Pager::default();
        let heard = probabilities.iter().enumerate();
        heard.filter_map(|(i, p)| pager.hear(2000.0 * i as f64, 2.0 * DAY_S, *p).map(|_| i)).collect()
    }

    #[test]
    fn one_wild_look_pages_nobody_and_hovering_pages_once() {
        assert!(changes(&[0.01, 0.01, 0.9, 0.01, 0.01]).is_empty());
        assert_eq!(changes(&[0.1, 0.99, 0.99, 0.99, 0.5, 0.9, 0.5, 0.9]).len(), 1);
    }

    #[test]
    fn a_fix_clears_and_a_new_leak_pages_again() {
        let (up, down) = (vec![0.99; 10], vec![0.01; 10]);
        assert_eq!(changes(&[up.clone(), down.clone(), up].concat()).len(), 3);
        assert_eq!(changes(&down).len(), 0);
    }

    #[test]
    fn certainty_does_not_break_the_smoothing() {
        assert_eq!(changes(&[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).len(), 2);
    }
}
