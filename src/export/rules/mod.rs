//! Prometheus rules for one service: alerts in three tiers and the recording rules that dashboards and alerts share.
//!
//! A gauge grows by `deriv` or by a difference, never by `rate`, which takes every fall for a restart. Growth counts only when
//! its whole window lies behind the warm-up, and forecasts only when much of the limit is in use already, so that a deploy
//! that fills its caches and stays there alerts nobody. Every alert names its section of the runbook. Nothing here is
//! evaluated: the server that loads the file does that.

pub mod alerts;
pub mod expression;
mod limits;
mod recording;

use serde_json::{Map, Value, json};

pub use limits::Limits;

use crate::error::Result;
use crate::export::subject::Subject;

/// Where alerts link to when nothing else is said.
pub const RUNBOOK_URL: &str = "https://docs.rs/crate/heapwatch/latest/source/docs/RUNBOOK.md";

/// What a rule file is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    subject: Subject,
    limits: Limits,
    runbook_url: String,
}

impl Rules {
    /// Rules for a service.
    ///
    /// # Errors
    /// What [`Subject::checked`] and [`Limits::checked`] refuse.
    pub fn new(subject: Subject, limits: Limits, runbook_url: &str) -> Result<Rules> {
        let (subject, limits) = (subject.checked()?, limits.checked()?);
        Ok(Rules { subject, limits, runbook_url: runbook_url.to_owned() })
    }

    /// The alerts, most urgent kinds first.
    pub fn alerts(&self) -> Vec<alerts::Alert> {
        alerts::all(&self.subject, &self.limits)
    }

    /// The whole rule file: two groups, evaluated every minute.
    pub fn document(&self) -> Value {
        let name = &self.subject.service;
        let recording: Vec<Value> = recording::rules(&self.subject).into_iter().map(|r| r.into_value()).collect();
        let alerts: Vec<Value> = self.alerts().iter().map(|a| self.rule(a)).collect();
        json!({ "groups": [
            { "name": format!("heapwatch-{name}-recording"), "interval": "1m", "rules": recording },
            { "name": format!("heapwatch-{name}-alerts"), "interval": "1m", "rules": alerts },
        ] })
    }

    fn rule(&self, alert: &alerts::Alert) -> Value {
        let own = [("severity", alert.severity.name()), ("service", self.subject.service.as_str())];
        let labels: Map<String, Value> = self
            .subject
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(own)
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        json!({
            "alert": alert.name,
            "expr": alert.expr,
            "for": expression::span(alert.hold_s),
            "labels": labels,
            "annotations": {
                "summary": alert.summary,
                "description": alert.description,
                "action": alert.action.text(),
                "runbook_url": format!("{}#{}", self.runbook_url, alert.name.to_lowercase()),
            },
        })
    }
}
