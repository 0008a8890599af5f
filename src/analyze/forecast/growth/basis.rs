//! The shapes that explanations are made of, as functions of the share of the span that has passed (0 at its first block,
//! 1 at its last, above 1 in the future).

use std::f64::consts::TAU;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Term {
    One,
    /// Turns a span.
    Sine(f64),
    Cosine(f64),
    /// A level that begins here.
    Step(f64),
    /// Fills up from an onset with a time constant.
    Filling {
        onset: f64,
        scale: f64,
    },
    /// Fills ever slower without end, as a cache under a long-tailed load does.
    Slowing {
        scale: f64,
    },
    /// Grows steadily from an onset.
    Growing {
        onset: f64,
    },
}

impl Term {
    pub fn at(self, share: f64) -> f64 {
        match self {
            Term::One => 1.0,
            Term::Sine(turns) => (TAU * turns * share).sin(),
            Term::Cosine(turns) => (TAU * turns * share).cos(),
            Term::Step(from) => f64::from(u8::from(share >= from)),
            Term::Filling { onset, scale } => 1.0 - (-(share - onset).max(0.0) / scale).exp(),
            Term::Slowing { scale } => (share.max(0.0) / scale).ln_1p(),
            Term::Growing { onset } => (share - onset).max(0.0),
        }
    }

    pub fn is_season(self) -> bool {
        matches!(self, Term::Sine(_) | Term::Cosine(_))
    }
}

/// What may fill up without being a leak.
pub(super) fn fillings() -> Vec<Term> {
    let mut out: Vec<Term> =
        [0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0].map(|scale| Term::Filling { onset: 0.0, scale }).to_vec();
    out.extend([0.02, 0.1, 0.4].map(|scale| Term::Slowing { scale }));
    out
}

/// What may fill up after something changed: alone only, since beside a growth the two cannot be told apart.
pub(super) fn late_fillings() -> Vec<Term> {
    onsets()
        .skip(1)
        .flat_map(|onset| [0.08, 0.25, 0.6].map(|q| Term::Filling { onset, scale: q * (1.0 - onset) }))
        .collect()
}

pub(super) fn growths() -> Vec<Term> {
    onsets().map(|onset| Term::Growing { onset }).collect()
}

fn onsets() -> impl Iterator<Item = f64> {
    (0..15).map(|i| if i == 0 { 0.0 } else { 0.05 + 0.055 * f64::from(i) })
}
