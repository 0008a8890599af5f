//! What-if scenarios: `load=+20%`, `load=1.5x`, `limit=4GiB`, `replicas=6`, `growth=-50%`, `fix=SITE_ID`, joined by commas.
//!
//! A scenario is parsed once and applied to a [`Situation`]: how much memory is in use, how much of it moves with load, how
//! fast it grows, and what bounds it. Applying is arithmetic only; what a scenario needs and the situation does not know
//! (the number of replicas, a site) is an error that says so, never a guess.

use std::str::FromStr;

use serde::Serialize;

use super::series::Series;
use crate::error::{Error, Result};

/// One thing that a scenario changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Load, as a factor of the present one: 1.2 for `+20%`.
    Load(f64),
    /// The memory limit in bytes.
    Limit(f64),
    /// The number of replicas that share the load.
    Replicas(u32),
    /// Growth, as a factor of the present one: 0.5 for `-50%`.
    Growth(f64),
    /// A call site is fixed: its growth stops.
    Fix(String),
}

/// Changes that are made together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// As it was written.
    pub name: String,
    /// In the order written; none twice, but for fixes of several sites.
    pub changes: Vec<Change>,
}

/// A call site's part in the growth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowingSite {
    /// The id that reports show.
    pub site_id: String,
    /// Bytes per hour.
    pub growth_bytes_per_hour: f64,
}

/// What one replica is in, before or after a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Situation {
    /// Memory in use, bytes.
    pub used_bytes: f64,
    /// Share of it that moves in proportion to load, 0–1. Where load is unknown, 1 is the cautious choice.
    pub load_share: f64,
    /// Bytes per hour.
    pub growth_bytes_per_hour: f64,
    /// The memory limit, bytes.
    pub limit_bytes: Option<f64>,
    /// Replicas that share the load.
    pub replicas: Option<u32>,
    /// Sites that grow, for `fix`.
    pub sites: Vec<GrowingSite>,
}

impl Situation {
    /// The situation under a scenario. Load moves the part that it moves, and growth with it, as a leak leaks per
    /// request; more replicas are less load each. Errors: `replicas` where their number is unknown, `fix` of an unknown site.
    pub fn under(&self, scenario: &Scenario) -> Result<Situation> {
        scenario.changes.iter().try_fold(self.clone(), |situation, change| situation.with(change, &scenario.name))
    }

    /// Hours until `used_bytes` plus growth reaches the limit; 0 when it is there, `None` when it never does.
    pub fn hours_to_limit(&self) -> Option<f64> {
        let left = self.limit_bytes? - self.used_bytes;
        if left <= 0.0 {
            return Some(0.0);
        }
        (self.growth_bytes_per_hour > 0.0).then(|| left / self.growth_bytes_per_hour)
    }

    fn with(mut self, change: &Change, name: &str) -> Result<Situation> {
        match change {
            Change::Load(factor) => self.scale_load(*factor),
            Change::Limit(bytes) => self.limit_bytes = Some(*bytes),
            Change::Growth(factor) => self.growth_bytes_per_hour *= factor,
            Change::Replicas(wanted) => {
                let present = self.replicas.filter(|n| *n > 0).ok_or_else(|| unknown_replicas(name))?;
                self.scale_load(f64::from(present) / f64::from(*wanted));
                self.replicas = Some(*wanted);
            }
            Change::Fix(site) => {
                let at =
                    self.sites.iter().position(|s| s.site_id == *site).ok_or_else(|| self.unknown_site(name, site))?;
                let fixed = self.sites.remove(at);
                self.growth_bytes_per_hour = (self.growth_bytes_per_hour - fixed.growth_bytes_per_hour).max(0.0);
            }
        }
        Ok(self)
    }

    fn scale_load(&mut self, factor: f64) {
        let moved = self.used_bytes * self.load_share;
        let after = self.used_bytes + moved * (factor - 1.0);
        self.load_share = if after > 0.0 { moved * factor / after } else { 0.0 };
        self.used_bytes = after;
        self.growth_bytes_per_hour *= factor;
        self.sites.iter_mut().for_each(|s| s.growth_bytes_per_hour *= factor);
    }

    fn unknown_site(&self, name: &str, site: &str) -> Error {
        let known: Vec<&str> = self.sites.iter().take(5).map(|s| s.site_id.as_str()).collect();
        let known = if known.is_empty() {
            "no call sites are known here; take them from a live process or a report".to_owned()
        } else {
            format!("known sites: {}", known.join(", "))
        };
        Error::config(format!("scenario `{name}`: no growing site `{site}`; {known}"))
    }
}

/// Share of a series' values that moves in proportion to its load: the slope of values on load, growth over time taken out
/// of both, at the mean load. `None` without a load that varies.
pub fn load_share(series: &Series) -> Option<f64> {
    let load = without_line(series.times_s(), series.load()?);
    let values = without_line(series.times_s(), series.values());
    let (both, own) = load.iter().zip(&values).fold((0.0, 0.0), |(b, o), (l, v)| (b + l * v, o + l * l));
    let per_load = if own > 0.0 { both / own } else { return None };
    let mean = |column: &[f64]| column.iter().sum::<f64>() / column.len().max(1) as f64;
    let share = per_load * mean(series.load()?) / mean(series.values());
    share.is_finite().then(|| share.clamp(0.0, 1.0))
}

fn without_line(times_s: &[f64], column: &[f64]) -> Vec<f64> {
    let n = column.len().max(1) as f64;
    let (middle, mean) = (times_s.iter().sum::<f64>() / n, column.iter().sum::<f64>() / n);
    let pairs = || times_s.iter().zip(column);
    let spread: f64 = times_s.iter().map(|t| (t - middle).powi(2)).sum();
    let slope = pairs().map(|(t, v)| (t - middle) * (v - mean)).sum::<f64>() / spread.max(f64::MIN_POSITIVE);
    pairs().map(|(t, v)| v - mean - slope * (t - middle)).collect()
}

fn unknown_replicas(name: &str) -> Error {
    Error::config(format!("scenario `{name}`: the present number of replicas is unknown; give it with `--replicas`"))
}

impl FromStr for Scenario {
    type Err = Error;

    /// Errors name the part that cannot be read and what would be.
    fn from_str(text: &str) -> Result<Scenario> {
        let changes: Vec<Change> = text.split(',').map(|part| change(text, part.trim())).collect::<Result<_>>()?;
        for (i, change) in changes.iter().enumerate() {
            let again = |c: &Change| std::mem::discriminant(c) == std::mem::discriminant(change);
            let twice = if let Change::Fix(_) = change {
                changes[..i].contains(change)
            } else {
                changes[..i].iter().any(again)
            };
            if twice {
                return Err(Error::config(format!("scenario `{text}`: one thing is changed twice")));
            }
        }
        Ok(Scenario { name: text.to_owned(), changes })
    }
}

fn change(text: &str, part: &str) -> Result<Change> {
    let wrong = |expected: &str| Error::config(format!("scenario `{text}`: cannot read `{part}`; expected {expected}"));
    let Some((key, value)) = part.split_once('=') else {
        return Err(wrong("`load=`, `limit=`, `replicas=`, `growth=` or `fix=`"));
    };
    let value = value.trim();
    match key.trim() {
        "load" => factor(value).map(Change::Load).ok_or_else(|| wrong("`load=+20%` or `load=1.5x`")),
        "growth" => factor(value).map(Change::Growth).ok_or_else(|| wrong("`growth=-50%` or `growth=2x`")),
        "limit" => {
            bytes(value).map(Change::Limit).ok_or_else(|| wrong("`limit=4GiB`, `limit=512M` or a number of bytes"))
        }
        "replicas" => {
            let count = value.parse().ok().filter(|n| *n > 0);
            count.map(Change::Replicas).ok_or_else(|| wrong("`replicas=6`, a whole number from 1"))
        }
        "fix" if !value.is_empty() => Ok(Change::Fix(value.to_owned())),
        "fix" => Err(wrong("`fix=SITE_ID`")),
        _ => Err(wrong("`load=`, `limit=`, `replicas=`, `growth=` or `fix=`")),
    }
}

/// `+20%`, `-50%` or `20%` change by that much; `1.5x` is the factor itself. Not negative.
fn factor(text: &str) -> Option<f64> {
    let factor = match text.strip_suffix('%') {
        Some(percent) => 1.0 + percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.strip_suffix(['x', 'X'])?.trim().parse().ok()?,
    };
    (factor.is_finite() && factor >= 0.0).then_some(factor)
}

/// A positive number of bytes, alone or with a unit: `k`, `M`, `G`, `T` in thousands, `Ki`, `Mi`, `Gi`, `Ti` in 1024s, as
/// Kubernetes writes them; a `B` at the end is allowed.
pub fn bytes(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let (thousand, prefix) = match unit.strip_suffix('i') {
        Some(prefix) => (1024.0_f64, prefix),
        None => (1000.0, unit),
    };
    let power = match prefix.to_ascii_lowercase().as_str() {
        "" if thousand == 1000.0 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * thousand.powi(power);
    (bytes.is_finite() && bytes > 0.0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation() -> Situation {
        Situation {
            used_bytes: 1000.0,
            load_share: 0.5,
            growth_bytes_per_hour: 10.0,
            limit_bytes: Some(1200.0),
            replicas: Some(3),
            sites: vec![GrowingSite { site_id: "a1".into(), growth_bytes_per_hour: 8.0 }],
        }
    }

    fn under(text: &str) -> Situation {
        situation().under(&text.parse().expect(text)).expect(text)
    }

    #[test]
    fn load_moves_its_share_of_the_memory_and_the_growth() {
        let s = under("load=+20%");
        assert_eq!((s.used_bytes, s.growth_bytes_per_hour), (1100.0, 12.0));
        assert!((s.load_share - 600.0 / 1100.0).abs() < 1e-12);
        assert_eq!(under("load=1.2x"), Situation { ..s });
    }

    #[test]
    fn more_replicas_are_less_load_each() {
        let s = under("replicas=6");
        assert_eq!((s.used_bytes, s.growth_bytes_per_hour, s.replicas), (750.0, 5.0, Some(6)));
    }

    #[test]
    fn a_fixed_site_grows_no_more() {
        let s = under("fix=a1");
        assert_eq!((s.growth_bytes_per_hour, s.sites.len()), (2.0, 0));
        assert_eq!(situation().hours_to_limit(), Some(20.0));
        assert_eq!(s.hours_to_limit(), Some(100.0));
    }

    #[test]
    fn changes_are_joined_by_commas() {
        let s = under("growth=-50%, limit=4KiB");
        assert_eq!((s.growth_bytes_per_hour, s.limit_bytes), (5.0, Some(4096.0)));
    }

    #[test]
    fn what_cannot_be_read_or_applied_says_why() {
        for (text, said) in [
            ("", "expected `load=`"),
            ("load", "expected `load=`"),
            ("speed=2x", "expected `load=`"),
            ("load=fast", "`load=+20%`"),
            ("load=-150%", "`load=+20%`"),
            ("load=nanx", "`load=+20%`"),
            ("limit=4XB", "`limit=4GiB`"),
            ("limit=-1", "`limit=4GiB`"),
            ("replicas=0", "whole number"),
            ("fix=", "`fix=SITE_ID`"),
            ("load=2x,load=3x", "twice"),
        ] {
            let error = text.parse::<Scenario>().expect_err(text);
            assert!(error.is_config() && error.to_string().contains(said), "{text}: {error}");
        }
        let alone = Situation { replicas: None, sites: Vec::new(), ..situation() };
        let error = |text: &str| alone.under(&text.parse().expect(text)).expect_err(text).to_string();
        assert!(error("replicas=6").contains("unknown"));
        assert!(error("fix=a1").contains("no growing site `a1`"));
    }

    #[test]
    fn the_share_of_load_is_found_under_growth() {
        let times: Vec<f64> = (0..200).map(|i| f64::from(i) * 60.0).collect();
        let load: Vec<f64> = (0..200).map(|i| 2.0 + f64::from(i % 10) / 9.0).collect();
        let values = times.iter().zip(&load).map(|(t, l)| 300.0 + 100.0 * l + 0.001 * t).collect();
        let share = load_share(&Series::repaired(times, values, Some(load))).expect("load varies");
        assert!((share - 250.0 / 555.97).abs() < 1e-3, "{share}");
    }

    #[test]
    fn sizes_take_both_kinds_of_units() {
        let sizes = [("4GiB", 4294967296.0), ("1.5Gi", 1610612736.0), ("512M", 512e6), ("10kB", 10e3), ("7", 7.0)];
        for (text, size) in sizes {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        assert_eq!((bytes("0"), bytes("i"), bytes("5 i")), (None, None, None));
    }
}
