//! Does this series leak: since when, how fast, how sure, and when is the limit met?
//!
//! ```text
//! rows → history (bounded) → window (floors, steps) → design + fit (healthy against leaking) → features → judge → alarm
//!                                                                                   └→ rate, shape, evidence → verdict
//! ```
//! A leak is growth that goes on: more than warm-up, caches, load, cycles, deploys and noise explain. Two explanations are
//! fitted and compared, the comparison and what the points themselves show become numbers without units, and a fitted judge
//! turns them into a calibrated probability. [`StreamingLeak`] does it live, [`detect`] for a whole series, [`rank_sites`] for
//! many short ones. It does not see ages of objects; what survives is judged elsewhere.

mod alarm;
mod basis;
mod design;
mod detector;
mod evidence;
pub mod features;
mod fit;
mod history;
mod judge;
mod look;
mod options;
mod period;
mod rate;
pub mod rules;
mod shape;
mod sites;
mod verdict;
mod window;

pub use self::alarm::AlarmChange;
pub use self::detector::{MOST_ALARMS, StreamingLeak, detect};
pub use self::fit::Fit;
pub use self::history::{Block, CAPACITY, History};
pub use self::look::{LEAST_GROWN_BYTES, LEAST_SPAN_S, Look};
pub use self::options::LeakOptions;
pub use self::rate::Rate;
pub use self::shape::Shape;
pub use self::sites::{RankedSite, rank_sites};
pub use self::verdict::{Alarm, LeakVerdict};
