//! How much memory a container should request and be limited to, and why.
//!
//! Vocabulary: a *workload* is one container of one Deployment (StatefulSet, …) with all its pods; its *usage* is the
//! working set over time, kept in bounded form; a *strategy* turns usage into a request and a limit: [`ours`], or what the
//! Vertical Pod Autoscaler ([`vpa`]) or Robusta KRR ([`krr`]) would say, for comparison. A leak is not a need: ours sizes
//! the service as it is without its leak and says how long that lasts.
//!
//! Everything is a pure function of its arguments; `now_s` is one of them.

pub mod amount;
pub mod autoscaling;
pub mod days;
pub mod efficiency;
pub mod fleet;
pub mod histogram;
pub mod krr;
pub mod leaks;
pub mod ours;
pub mod process;
mod proposal;
pub mod recommendation;
pub mod usage;
pub mod vpa;
pub mod workload;

pub use recommendation::{Recommendation, Status, recommend};

use serde::Serialize;

/// Whose rule makes the recommendation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Quantile forecast of daily peaks, aware of leaks, start-up and level changes.
    #[default]
    Ours,
    /// The Vertical Pod Autoscaler's recommender at its default flags.
    Vpa,
    /// Robusta KRR's strategy `simple`.
    Krr,
}

/// What is asked of a recommendation.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Whose rule. Default ours.
    pub strategy: Strategy,
    /// How long the recommendation has to hold, days. Default 7; longer costs margin.
    pub horizon_days: f64,
    /// Chance that a pod's use passes the limit within the horizon, 0–1. Default 0.01; a tenth of it costs about 2.3
    /// scales of the spread between days.
    pub risk: f64,
    /// Share of days whose steady peak the request covers, 0–1. Default 0.9; more costs request, less lets pods use memory
    /// of the node that they did not ask for.
    pub request_quantile: f64,
    /// Request as much as the limit, but for a leak's allowance. Default false; true keeps the QoS class Guaranteed
    /// possible and costs request.
    pub guaranteed: bool,
    /// Days from the start of a process that the limit leaves for a leak to be fixed. Default 14; the request never pays
    /// for it, and the allowance never more than doubles the limit.
    pub leak_runway_days: f64,
    /// Money for one GiB of request in a month; `None`: no money is named.
    pub price_per_gib_month: Option<f64>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            strategy: Strategy::Ours,
            horizon_days: 7.0,
            risk: 0.01,
            request_quantile: 0.9,
            guaranteed: false,
            leak_runway_days: 14.0,
            price_per_gib_month: None,
        }
    }
}
