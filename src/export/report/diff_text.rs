//! A difference as JSON, CSV and text.

use std::fmt::Write;

use super::csv::quoted;
use super::diff::{Diff, SiteDiff};
use crate::analyze::heap::words::{bytes, duration, rate};

const HEADER: &str = "rank,site_id,growth_bytes,growth_bytes_error,growth_bytes_per_hour,growth_bytes_per_load,before_bytes,after_bytes,\
listed_before,listed_after,type,function,file,line\n";

impl Diff {
    /// The document as JSON, one line a field.
    pub fn to_json(&self) -> String {
        // Numbers, strings and lists of them; not-finite numbers become null. It cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// One site a line, with a header.
    pub fn to_csv(&self) -> String {
        self.sites.iter().fold(HEADER.to_owned(), |out, site| out + &line(site) + "\n")
    }

    /// The two sides, then a table of sites.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (before, after) = (&self.before, &self.after);
        writeln!(
            out,
            "{} → {}: heap {} → {}",
            before.name,
            after.name,
            bytes(before.live_bytes),
            bytes(after.live_bytes)
        )?;
        if self.same_run {
            writeln!(out, "one run, {} between them", duration(self.elapsed_s))?;
        }
        let unit = self.load.as_ref().map_or("", |l| l.unit);
        let per = if unit.is_empty() { String::new() } else { format!("per {unit}").replace('_', " ") };
        writeln!(
            out,
            "\n{:>10} {:>9} {:>11} {:>10} {:>10}  SITE  {per}",
            "GROWTH", "±", "PER HOUR", "BEFORE", "AFTER"
        )?;
        self.sites.iter().try_for_each(|site| row(out, site))?;
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }
}

fn row(out: &mut String, s: &SiteDiff) -> std::fmt::Result {
    let error = s.growth_bytes_error.map_or(String::new(), bytes);
    let per_hour = s.growth_bytes_per_hour.map_or(String::new(), rate);
    let of = |b: f64, listed: bool| if listed { bytes(b) } else { "-".to_owned() };
    let (before, after) = (of(s.before_bytes, s.listed_before), of(s.after_bytes, s.listed_after));
    let function = s.responsible_frame.as_ref().map_or("code without a name", |f| &f.function);
    let per = s.growth_bytes_per_load.map_or(String::new(), |b| format!("  {}", bytes(b)));
    writeln!(out, "{:>10} {error:>9} {per_hour:>11} {before:>10} {after:>10}  {function}{per}", bytes(s.growth_bytes))
}

fn line(s: &SiteDiff) -> String {
    let number = |n: Option<f64>| n.map_or(String::new(), |n| format!("{n:.0}"));
    let frame = s.responsible_frame.clone().unwrap_or_default();
    let fields = [
        s.rank.to_string(),
        s.site_id.clone().unwrap_or_default(),
        number(Some(s.growth_bytes)),
        number(s.growth_bytes_error),
        number(s.growth_bytes_per_hour),
        s.growth_bytes_per_load.map_or(String::new(), |n| n.to_string()),
        number(Some(s.before_bytes)),
        number(Some(s.after_bytes)),
        s.listed_before.to_string(),
        s.listed_after.to_string(),
        s.type_name.clone().unwrap_or_default(),
        frame.function,
        frame.file.unwrap_or_default(),
        frame.line.map_or_else(String::new, |l| l.to_string()),
    ];
    fields.map(quoted).join(",")
}
