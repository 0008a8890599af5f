//! OpenMetrics 1.0 text: units, `_total` on every counter, `# EOF`.
//!
//! A classic counter's name does not end in `_total`, which OpenMetrics asks of a counter, so it is of unknown type here; so is a
//! counter whose name without `_total` is a classic one. Bounds are written as in text 0.0.4 (`500`), so that a scraper that changes
//! its mind has the same series, and a query that names a bound finds it.

use std::collections::HashSet;
use std::fmt::Write;

use super::family::{Family, Kind, Series, Value};
use super::labels;
use crate::snapshot::ValueHistogram;

/// All families, each series with the constant labels.
pub fn render(families: &[Family], constant: &[(String, String)]) -> String {
    let names = families.iter().map(|f| f.name).collect();
    let mut page = Page { text: String::new(), constant, names };
    families.iter().for_each(|f| page.family(f));
    page.text.push_str("# EOF\n");
    page.text
}

// Writing to a string does not fail, so the results below are dropped.
struct Page<'a> {
    text: String,
    constant: &'a [(String, String)],
    names: HashSet<&'static str>,
}

impl Page<'_> {
    fn family(&mut self, family: &Family) {
        let (name, kind) = self.name_and_kind(family);
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if name.ends_with(family.unit()) && !family.unit().is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {}", family.unit());
        }
        let _ = writeln!(self.text, "# HELP {name} {}", escaped(family.help));
        for series in &family.series {
            match &series.value {
                Value::Number(value) => self.sample(family.name, series, None, *value),
                Value::Histogram(histogram) => self.histogram(family.name, series, histogram),
            }
        }
    }

    /// The name of the family, a counter's without `_total`, and the word for its kind.
    fn name_and_kind(&self, family: &Family) -> (&'static str, &'static str) {
        let base = family.name.strip_suffix("_total").filter(|base| !self.names.contains(base));
        match (family.kind, base) {
            (Kind::Gauge, _) => (family.name, "gauge"),
            (Kind::Histogram, _) => (family.name, "histogram"),
            (Kind::Counter, Some(base)) => (base, "counter"),
            (Kind::Counter, None) => (family.name, "unknown"),
        }
    }

    fn histogram(&mut self, name: &str, series: &Series, h: &ValueHistogram) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in h.upper_bounds.iter().zip(&h.cumulative) {
            self.sample(&bucket, series, Some(*bound), *count as f64);
        }
        self.sample(&bucket, series, Some(f64::INFINITY), h.count as f64);
        self.sample(&format!("{name}_count"), series, None, h.count as f64);
        self.sample(&format!("{name}_sum"), series, None, h.sum);
    }

    fn sample(&mut self, name: &str, series: &Series, bound: Option<f64>, value: f64) {
        self.text.push_str(name);
        let own = series.labels.iter().map(|(name, value)| (*name, value.into()));
        let bound = bound.map(|b| ("le", number(b).into()));
        let all = own.chain(labels::constant(&series.labels, self.constant)).chain(bound);
        let mut before = '{';
        for (name, value) in all {
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(&value));
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {}", number(value));
    }
}

fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        v => v.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_escaped_and_counters_end_in_total() {
        let families = [Family::counter("a_bytes_total", "Said \"so\".").by("x", [("q\"\\\nü", 1.5)])];
        let text = render(&families, &[("region".into(), "eu".into())]);
        let wanted = "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes Said \\\"so\\\".\n\
                      a_bytes_total{x=\"q\\\"\\\\\\nü\",region=\"eu\"} 1.5\n# EOF\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_name_that_is_taken_by_a_classic_one_is_no_counter() {
        let text = render(&["x", "x_total"].map(|name| Family::counter(name, "").of(Some(1.0))), &[]);
        assert!(text.contains("# TYPE x unknown\n") && text.contains("# TYPE x_total unknown\n"), "{text}");
    }

    #[test]
    fn a_classic_counter_is_unknown_and_infinity_is_written() {
        let families = [Family::counter("memory_allocation_count", "x").of(Some(f64::INFINITY))];
        let text = render(&families, &[]);
        assert!(text.contains("# TYPE memory_allocation_count unknown\n"), "{text}");
        assert!(text.contains("\nmemory_allocation_count +Inf\n"), "{text}");
    }
}
