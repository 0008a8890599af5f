//! Prometheus text 0.0.4, through the `prometheus` crate's encoder.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::family::{Family, Kind, Series, Value};
use super::labels;
use crate::snapshot::ValueHistogram;

/// All families, each series with the constant labels.
pub fn render(families: &[Family], constant: &[(String, String)]) -> String {
    let messages: Vec<MetricFamily> = families.iter().map(|f| message(f, constant)).collect();
    let mut text = String::new();
    // It fails for a family without name or series, and such are not made.
    let _ = TextEncoder::new().encode_utf8(&messages, &mut text);
    text
}

fn message(family: &Family, constant: &[(String, String)]) -> MetricFamily {
    let mut message = MetricFamily::default();
    message.set_name(family.name.to_owned());
    message.set_help(family.help.to_owned());
    message.set_field_type(match family.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    message.set_metric(family.series.iter().map(|s| metric(s, family.kind, constant)).collect());
    message
}

fn metric(series: &Series, kind: Kind, constant: &[(String, String)]) -> Metric {
    let own = series.labels.iter().map(|(name, value)| pair(name, value));
    let given = labels::constant(&series.labels, constant).map(|(name, value)| pair(name, &value));
    let mut metric = Metric::from_label(own.chain(given).collect());
    match (&series.value, kind) {
        (Value::Histogram(h), _) => metric.set_histogram(histogram(h)),
        (Value::Number(v), Kind::Counter) => {
            let mut counter = Counter::default();
            counter.set_value(*v);
            metric.set_counter(counter);
        }
        (Value::Number(v), _) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*v);
            metric.set_gauge(gauge);
        }
    }
    metric
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn histogram(of: &ValueHistogram) -> Histogram {
    let bucket = |(bound, count): (&f64, &u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(of.upper_bounds.iter().zip(&of.cumulative).map(bucket).collect());
    histogram.set_sample_count(of.count);
    histogram.set_sample_sum(of.sum);
    histogram
}
