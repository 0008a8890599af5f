//! Metric families as plain data. No label set stands in a family twice: what is added under the same labels is summed, so a
//! family can always be exposed.

use crate::snapshot::{SizeBucket, ValueHistogram};

/// One metric with all its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Canonical or classic name.
    pub name: &'static str,
    /// What it tells, a sentence.
    pub help: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// One for each label set.
    pub series: Vec<Series>,
}

/// How a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Never falls.
    Counter,
    /// Counts by value, none of which falls.
    Histogram,
}

/// One label set with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Names and values, in a fixed order for each family.
    pub labels: Labels,
    /// The value.
    pub value: Value,
}

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

/// What a series holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a gauge or a counter.
    Number(f64),
    /// Of a histogram.
    Histogram(ValueHistogram),
}

impl Family {
    /// A gauge without series yet.
    pub fn gauge(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: Kind::Gauge, series: Vec::new() }
    }

    /// A counter without series yet.
    pub fn counter(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: Kind::Counter, series: Vec::new() }
    }

    /// A histogram without series yet. All its series have the same bounds.
    pub fn histogram(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: Kind::Histogram, series: Vec::new() }
    }

    /// With the one value that it has without labels; what is not known has no series.
    pub fn of(mut self, value: Option<f64>) -> Family {
        if let Some(value) = value {
            self.add(Labels::new(), Value::Number(value));
        }
        self
    }

    /// With a value for each of these values of one label.
    pub fn by<'a>(mut self, label: &'static str, values: impl IntoIterator<Item = (&'a str, f64)>) -> Family {
        values.into_iter().for_each(|(of, value)| self.add_number(vec![(label, of.to_owned())], value));
        self
    }

    /// Adds a number, to what is there under the same labels.
    pub fn add_number(&mut self, labels: Labels, value: f64) {
        self.add(labels, Value::Number(value));
    }

    /// Adds a histogram, to what is there under the same labels.
    pub fn add_histogram(&mut self, labels: Labels, value: ValueHistogram) {
        self.add(labels, Value::Histogram(value));
    }

    fn add(&mut self, labels: Labels, value: Value) {
        match self.series.iter_mut().find(|s| s.labels == labels) {
            Some(same) => same.value.plus(&value),
            None => self.series.push(Series { labels, value }),
        }
    }

    /// Sum of its numbers.
    pub fn sum(&self) -> f64 {
        let number = |s: &Series| if let Value::Number(v) = s.value { v } else { 0.0 };
        self.series.iter().map(number).sum()
    }

    /// The unit that the name ends in, as OpenMetrics wants it; empty if it has none.
    pub fn unit(&self) -> &'static str {
        let base = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["bytes", "seconds", "ratio"]
            .into_iter()
            .find(|unit| base.strip_suffix(unit).is_some_and(|b| b.ends_with('_')))
            .unwrap_or_default()
    }
}

impl Value {
    fn plus(&mut self, other: &Value) {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => *a += b,
            (Value::Histogram(a), Value::Histogram(b)) => add_histogram(a, b),
            // A family is of one kind.
            (Value::Number(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Number(_)) => {}
        }
    }
}

fn add_histogram(to: &mut ValueHistogram, other: &ValueHistogram) {
    to.cumulative.iter_mut().zip(&other.cumulative).for_each(|(a, b)| *a += b);
    to.count += other.count;
    to.sum += other.sum;
}

/// Sizes with their estimated counts as a histogram. Counts are rounded after they are summed up, so they grow with the bounds,
/// and each grows over time as its estimate does.
pub fn histogram_of_sizes(buckets: &[SizeBucket]) -> ValueHistogram {
    let mut histogram = ValueHistogram::default();
    let mut below = 0.0;
    for bucket in buckets {
        below += if bucket.count > 0.0 { bucket.count } else { 0.0 };
        histogram.count = below.round() as u64;
        histogram.sum += bucket.sum_bytes;
        if bucket.upper_bytes < u64::MAX {
            histogram.upper_bounds.push(bucket.upper_bytes as f64);
            histogram.cumulative.push(histogram.count);
        }
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_labels_are_summed() {
        let mut f = Family::gauge("x", "").by("type", [("a", 1.0), ("b", 2.0), ("a", 4.0)]);
        let h = |count| ValueHistogram { upper_bounds: vec![1.0], cumulative: vec![count], count, sum: 0.5 };
        assert_eq!(f.series.iter().map(|s| &s.value).collect::<Vec<_>>(), [&Value::Number(5.0), &Value::Number(2.0)]);
        f = Family::histogram("y", "");
        f.add_histogram(vec![], h(2));
        f.add_histogram(vec![], h(3));
        assert_eq!(f.series[0].value, Value::Histogram(ValueHistogram { sum: 1.0, ..h(5) }));
    }

    #[test]
    fn the_unit_is_the_end_of_the_name() {
        let unit = |name| Family::gauge(name, "").unit();
        assert_eq!(["a_bytes_total", "a_seconds", "memory_x_ratio"].map(unit), ["bytes", "seconds", "ratio"]);
        assert_eq!(["gigabytes", "memory_growth_bytes_per_hour", "heap_objects"].map(unit), ["", "", ""]);
    }

    #[test]
    fn rounded_counts_grow_with_the_bounds() {
        let bucket = |upper_bytes, count| SizeBucket { upper_bytes, count, sum_bytes: 10.0 };
        let h = histogram_of_sizes(&[bucket(64, 0.4), bucket(256, 0.2), bucket(1024, f64::NAN), bucket(u64::MAX, 0.9)]);
        assert_eq!((h.upper_bounds.len(), h.cumulative, h.count, h.sum), (3, vec![0, 1, 1], 2, 40.0));
    }
}
