//! What grows in a process, `heapwatch.growth/1`: plain data that goes out as JSON, CSV or text and comes back from JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::csv::quoted;
use super::{Process, ScopeLine, SiteLine, unreadable};
use crate::analyze::heap::words::{bytes, duration, rate};
use crate::error::{Error, Result};

/// The schema that this version writes and reads.
pub const SCHEMA: &str = "heapwatch.growth/1";

/// The whole document; lists are bounded, fastest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct Growth {
    /// [`SCHEMA`].
    pub schema: String,
    pub taken_at: Option<String>,
    pub taken_at_s: f64,
    /// Seconds that the growth is over.
    pub since_s: f64,
    pub sites: Vec<SiteGrowth>,
    pub types: Vec<TypeGrowth>,
    pub scopes: Vec<ScopeGrowth>,
    pub size_categories: Vec<SizeCategory>,
}

/// A call site.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct SiteGrowth {
    pub growth_bytes: f64,
    pub growth_bytes_per_hour: f64,
    #[serde(flatten)]
    pub site: SiteLine,
}

/// All call sites of an element type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct TypeGrowth {
    #[serde(rename = "type")]
    pub name: String,
    pub live_bytes: f64,
    pub live_objects: f64,
    pub growth_bytes: f64,
    pub growth_bytes_per_hour: f64,
}

/// A component, operation or endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the document's, and say it")]
pub struct ScopeGrowth {
    pub scope: ScopeLine,
    pub live_bytes: f64,
    pub live_objects: f64,
    pub growth_bytes: f64,
    pub growth_bytes_per_hour: f64,
}

/// Exact allocations of a range of sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SizeCategory {
    /// `tiny`, `small`, `medium`, `large`, `huge`.
    #[serde(rename = "size_category")]
    pub name: String,
    /// Allocations so far.
    pub allocations: u64,
}

/// What stands first in a table of sites.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The fastest growing.
    #[default]
    Growth,
    /// The largest.
    Live,
}

impl Growth {
    /// Reads a document. `name` is what errors call it. Errors: it is no JSON, not this schema, or a field is missing.
    pub fn from_json(text: &str, name: &str) -> Result<Growth> {
        let growth: Growth = serde_json::from_str(text).map_err(|e| unreadable(name, SCHEMA, e))?;
        match growth.schema == SCHEMA {
            true => Ok(growth),
            false => Err(Error::input(format!("{name} has another schema than `{SCHEMA}`"))),
        }
    }

    /// The document as JSON, one line a field.
    pub fn to_json(&self) -> String {
        // Numbers, strings and lists of them: it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Puts the sites in this order and keeps the first `top`.
    pub fn keep(&mut self, order: Order, top: usize) {
        let key = |s: &SiteGrowth| if order == Order::Live { s.site.live_bytes } else { s.growth_bytes_per_hour };
        self.sites.sort_by(|a, b| key(b).total_cmp(&key(a)));
        self.sites.truncate(top);
        self.sites.iter_mut().zip(1..).for_each(|(s, rank)| s.site.rank = rank);
    }

    /// The sites as CSV, one a line, with a header.
    pub fn to_csv(&self) -> String {
        let mut out = String::from(
            "rank,site_id,growth_bytes_per_hour,growth_bytes,live_bytes,live_bytes_error,live_objects,type,function\n",
        );
        for s in &self.sites {
            let fields = [
                s.site.rank.to_string(),
                quoted(s.site.site_id.clone()),
                format!("{:.0}", s.growth_bytes_per_hour),
                format!("{:.0}", s.growth_bytes),
                format!("{:.0}", s.site.live_bytes),
                format!("{:.0}", s.site.live_bytes_error),
                format!("{:.0}", s.site.live_objects),
                quoted(s.site.type_name.clone().unwrap_or_default()),
                quoted(s.site.function().to_owned()),
            ];
            out.push_str(&(fields.join(",") + "\n"));
        }
        out
    }

    /// The sites of `process` as a table, the process above it.
    pub fn to_text(&self, process: &Process) -> String {
        let known = |b: Option<u64>| b.map_or("unknown".into(), |b| bytes(b as f64));
        let mut out = format!(
            "{} pid {}, up {}, heap {}, resident {}, limit {}, growth over {}\n",
            process.service,
            process.pid,
            duration(process.uptime_s),
            bytes(process.heap_live_bytes as f64),
            known(process.rss_bytes),
            known(process.limit_bytes),
            duration(self.since_s)
        );
        let _ = writeln!(out, "{:>12} {:>10} {:>10}  SITE", "GROWTH", "LIVE", "OBJECTS");
        for s in &self.sites {
            let what = s.site.type_name.as_ref().map_or(String::new(), |t| format!("  {t}"));
            let (growth, live) = (rate(s.growth_bytes_per_hour), bytes(s.site.live_bytes));
            let _ = writeln!(out, "{growth:>12} {live:>10} {:>10.0}  {}{what}", s.site.live_objects, s.site.function());
        }
        out
    }
}

impl Process {
    /// The process that a `heapwatch.snapshot/1` is of. `name` is what errors call it. Errors: it is no such document.
    pub fn from_snapshot_json(text: &str, name: &str) -> Result<Process> {
        #[derive(Deserialize)]
        struct Document {
            process: Process,
        }
        let document = serde_json::from_str::<Document>(text);
        document.map(|d| d.process).map_err(|e| unreadable(name, "heapwatch.snapshot/1", e))
    }
}

impl SiteLine {
    /// The function that is responsible, as far as it is known.
    pub(super) fn function(&self) -> &str {
        let frame = self.responsible_frame.as_ref().or(self.allocating_frame.as_ref()).or(self.stack.first());
        frame.map_or("code without a name", |f| &f.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(id: &str, live_bytes: f64, growth: f64) -> SiteGrowth {
        let site = SiteLine { site_id: id.into(), live_bytes, ..SiteLine::default() };
        SiteGrowth { site, growth_bytes: growth, growth_bytes_per_hour: growth }
    }

    #[test]
    fn sites_are_ranked_in_either_order_and_come_back_from_json() {
        let mut growth = Growth {
            schema: SCHEMA.into(),
            sites: vec![site("a", 1.0, 5.0), site("b", 9.0, 3.0), site("c", 4.0, 4.0)],
            ..Growth::default()
        };
        let ids = |g: &Growth| g.sites.iter().map(|s| (s.site.rank, s.site.site_id.clone())).collect::<Vec<_>>();
        growth.keep(Order::Growth, 3);
        assert_eq!(ids(&growth), [(1, "a".into()), (2, "c".into()), (3, "b".into())]);
        growth.keep(Order::Live, 2);
        assert_eq!(ids(&growth), [(1, "b".into()), (2, "c".into())]);
        assert_eq!(Growth::from_json(&growth.to_json(), "x").unwrap(), growth);
        assert_eq!(growth.to_csv().lines().count(), 3);
    }

    #[test]
    fn a_document_that_is_cut_off_says_so() {
        let text = Growth { schema: SCHEMA.into(), ..Growth::default() }.to_json();
        let error = Growth::from_json(&text[..text.len() / 2], "http://x").unwrap_err().to_string();
        assert!(error.starts_with("http://x is cut off"), "{error}");
    }
}
