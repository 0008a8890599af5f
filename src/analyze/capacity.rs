//! When does memory run out, and what would change that.
//!
//! A line is laid through the daily peaks of a workload's pods (Theil–Sen) and of the whole cluster; it is carried forward with
//! an interval made of the slope's own and of the days' spread around it, and met with each capacity: the pod's limit, what
//! nodes can give, a quota. A trend that a Mann–Kendall test does not confirm is not carried forward. A scenario
//! ([`super::what_if`]) changes the line or the capacity and the meeting is computed again; what a pod uses when idle does not
//! scale with load.
//!
//! Nothing here knows the future: a day like none before is not foreseen.

mod line;
mod report;

pub use line::{Line, Meeting};
pub use report::{
    CapacityOptions, CapacityReport, ClusterCapacity, Exhaustion, ForecastDay, ScenarioOutcome, WorkloadCapacity, plan,
};
