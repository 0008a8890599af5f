//! The catalogue of alerts. One file a kind of evidence; `docs/RUNBOOK.md` has a section for each.
//!
//! Tiers: critical is about to be killed or surely leaks, high pages a person, medium and low are looked at in working hours.
//! Thresholds are interpolated as readable arithmetic, so that the rule file explains itself.

mod allocation;
mod findings;
mod growth;
mod recorder;
mod usage;

use super::limits::Limits;
use crate::analyze::severity::Severity;
use crate::export::subject::Subject;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3600;

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its name, and in lower case the anchor of its section in the runbook.
    pub name: &'static str,
    /// The tier.
    pub severity: Severity,
    /// The condition, in PromQL.
    pub expr: String,
    /// Seconds for which the condition must hold.
    pub hold_s: u64,
    /// One line.
    pub summary: String,
    /// The figure and what it means.
    pub description: String,
    /// What is to be done.
    pub action: Action,
}

/// What an alert asks of whom it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep the service up first, then look.
    RestartOrPage,
    /// Wake somebody.
    Page,
    /// Look in working hours.
    Investigate,
}

impl Action {
    /// The words for it.
    pub fn text(self) -> &'static str {
        match self {
            Action::RestartOrPage => "Take a heap profile, restart, page the on-call engineer",
            Action::Page => "Page the on-call engineer",
            Action::Investigate => "Investigate in working hours",
        }
    }
}

/// All alerts of a service.
pub fn all(subject: &Subject, limits: &Limits) -> Vec<Alert> {
    let kinds = [usage::alerts, findings::alerts, growth::alerts, allocation::alerts, recorder::alerts];
    kinds.iter().flat_map(|kind| kind(subject, limits)).collect()
}
