//! What if: `load=+20%`, `load=1.5x`, `limit=4GiB`, `replicas=6`, `growth=-50%`, `fix=SITE`, joined by commas.

use super::line::Line;
use crate::analyze::sizing::amount;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Load times this.
    Load(f64),
    /// Another limit of a pod, bytes.
    Limit(f64),
    /// So many pods share the same load.
    Replicas(f64),
    /// Growth times this.
    Growth(f64),
    /// The leak is gone (at that site; empty for any).
    Fix(String),
}

/// Changes that happen together.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// As it was written.
    pub text: String,
    /// The changes.
    pub changes: Vec<Change>,
}

/// What a scenario starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// The line as it is.
    pub line: Line,
    /// What a pod uses when idle, bytes.
    pub idle_bytes: f64,
    /// Pods now.
    pub replicas: f64,
    /// Growth by a leak, bytes a day; 0 without one.
    pub leak_per_day: f64,
    /// What leaked so far, bytes.
    pub leaked_bytes: f64,
}

impl Scenario {
    /// Reads a scenario; the error says which part is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let changes = text.split(',').map(|part| change(part.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(Scenario { text: text.to_owned(), changes })
    }

    /// The limit that holds in it.
    pub fn limit(&self, current: Option<f64>) -> Option<f64> {
        let set = |c: &Change| if let Change::Limit(bytes) = c { Some(*bytes) } else { None };
        self.changes.iter().rev().find_map(set).or(current)
    }

    /// The line of a pod in it.
    pub fn apply(&self, start: &Start) -> Line {
        self.changes.iter().fold(start.line, |line, change| match change {
            Change::Load(factor) => scaled(line, start.idle_bytes, *factor),
            Change::Replicas(n) => scaled(line, start.idle_bytes, start.replicas / n),
            Change::Growth(factor) => Line {
                per_day: line.per_day * factor,
                per_day_lower: line.per_day_lower * factor,
                per_day_upper: line.per_day_upper * factor,
                ..line
            },
            Change::Fix(_) => Line {
                level_bytes: (line.level_bytes - start.leaked_bytes).max(start.idle_bytes.min(line.level_bytes)),
                per_day: line.per_day - start.leak_per_day.min(line.per_day.max(0.0)),
                per_day_lower: line.per_day_lower - start.leak_per_day,
                per_day_upper: (line.per_day_upper - start.leak_per_day).max(0.0),
                ..line
            },
            Change::Limit(_) => line,
        })
    }
}

/// What is above the idle level follows the load.
fn scaled(line: Line, idle: f64, factor: f64) -> Line {
    let idle = idle.min(line.level_bytes);
    Line {
        level_bytes: idle + (line.level_bytes - idle) * factor,
        per_day: line.per_day * factor,
        per_day_lower: line.per_day_lower * factor,
        per_day_upper: line.per_day_upper * factor,
        spread_bytes: line.spread_bytes * factor,
        ..line
    }
}

fn change(part: &str) -> Result<Change, String> {
    let wrong = |what: &str| format!("`{part}`: {what}");
    let (key, value) = part.split_once('=').ok_or_else(|| wrong("give load=, limit=, replicas=, growth= or fix="))?;
    match key {
        "load" => factor(value).map(Change::Load).ok_or_else(|| wrong("give +20%, -20% or 1.5x")),
        "growth" => factor(value).map(Change::Growth).ok_or_else(|| wrong("give +20%, -50% or 1.5x")),
        "limit" => size(value).map(Change::Limit).ok_or_else(|| wrong("give a size such as 4GiB or 512Mi")),
        "replicas" => {
            let count = value.parse().ok().filter(|n: &u32| *n > 0);
            count.map(|n| Change::Replicas(f64::from(n))).ok_or_else(|| wrong("give a whole number above 0"))
        }
        "fix" => Ok(Change::Fix(value.to_owned())),
        _ => Err(wrong("give load=, limit=, replicas=, growth= or fix=")),
    }
}

/// `+20%` is 1.2, `-50%` 0.5, `1.5x` 1.5; never negative.
fn factor(text: &str) -> Option<f64> {
    let factor = match text.strip_suffix('%') {
        Some(percent) => 1.0 + percent.parse::<f64>().ok()? / 100.0,
        None => text.strip_suffix('x')?.parse().ok()?,
    };
    (factor.is_finite() && factor >= 0.0).then_some(factor)
}

fn size(text: &str) -> Option<f64> {
    let short = text.strip_suffix('B').unwrap_or(text);
    amount::parse_quantity(short).filter(|b| *b > 0.0 && b.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start = Start {
        line: Line {
            level_bytes: 1000.0,
            per_day: 10.0,
            per_day_lower: 8.0,
            per_day_upper: 12.0,
            spread_bytes: 50.0,
            confirmed: true,
        },
        idle_bytes: 400.0,
        replicas: 4.0,
        leak_per_day: 10.0,
        leaked_bytes: 300.0,
    };

    fn applied(text: &str) -> (f64, f64) {
        let line = Scenario::parse(text).unwrap().apply(&START);
        (line.level_bytes, line.per_day)
    }

    #[test]
    fn each_change_does_what_it_says() {
        assert_eq!(applied("load=+50%"), (1300.0, 15.0));
        assert_eq!(applied("load=0.5x"), (700.0, 5.0));
        assert_eq!(applied("replicas=8"), (700.0, 5.0));
        assert_eq!(applied("growth=-50%"), (1000.0, 5.0));
        assert_eq!(applied("fix=any"), (700.0, 0.0));
        assert_eq!(applied("limit=4GiB"), (1000.0, 10.0));
        assert_eq!(applied("load=2x,replicas=8"), (1000.0, 10.0));
        assert_eq!(Scenario::parse("limit=4GiB").unwrap().limit(None), Some(4294967296.0));
        assert_eq!(Scenario::parse("load=2x").unwrap().limit(Some(7.0)), Some(7.0));
    }

    #[test]
    fn nonsense_is_named() {
        for text in
            ["", "load", "load=fast", "load=-120%", "limit=0", "limit=big", "replicas=0", "replicas=1.5", "cpu=2"]
        {
            assert!(Scenario::parse(text).unwrap_err().contains("give"), "{text}");
        }
    }
}
