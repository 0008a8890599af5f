//! Counters never fall. Most are exact and only grow; two kinds can dip and are held at their highest value.
//!
//! What belongs to no scope is the total less the scopes, and falls when a scope settles what it used while it was entered. The
//! sum of net bytes over requests falls when a request frees more than it allocates. A scraper takes a fall for a restart and
//! counts the whole value again, so a held value is off by the dip where a falling one is off by everything. The families are
//! bounded and keep their labels for the life of the process, so this is bounded too.

use std::collections::HashMap;

use super::family::{Family, Kind, Labels, Value};
use crate::snapshot::ValueHistogram;

/// The highest value of each series of a counter or a histogram.
#[derive(Debug, Default)]
pub struct Floors(HashMap<&'static str, HashMap<Labels, Value>>);

impl Floors {
    /// Lifts each value that has fallen to where it was.
    pub fn hold(&mut self, families: &mut [Family]) {
        for family in families.iter_mut().filter(|f| f.kind != Kind::Gauge) {
            let floors = self.0.entry(family.name).or_default();
            for series in &mut family.series {
                match floors.get(&series.labels) {
                    Some(floor) => lift(&mut series.value, floor),
                    None => lift_to_zero(&mut series.value),
                }
                floors.insert(series.labels.clone(), series.value.clone());
            }
        }
    }
}

fn lift(value: &mut Value, floor: &Value) {
    match (value, floor) {
        (Value::Number(value), Value::Number(floor)) => *value = value.max(*floor),
        (Value::Histogram(value), Value::Histogram(floor)) => lift_histogram(value, floor),
        // A family is of one kind.
        (Value::Number(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Number(_)) => {}
    }
}

/// The sum of net bytes can be below zero, which no counter is.
fn lift_to_zero(value: &mut Value) {
    match value {
        Value::Number(value) => *value = value.max(0.0),
        Value::Histogram(histogram) => histogram.sum = histogram.sum.max(0.0),
    }
}

fn lift_histogram(value: &mut ValueHistogram, floor: &ValueHistogram) {
    value.cumulative.iter_mut().zip(&floor.cumulative).for_each(|(v, f)| *v = (*v).max(*f));
    value.count = value.count.max(floor.count);
    value.sum = value.sum.max(floor.sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(floors: &mut Floors, value: f64) -> Vec<Value> {
        let mut families = [Family::counter("c_total", "").of(Some(value)), Family::gauge("g", "").of(Some(value))];
        floors.hold(&mut families);
        families.into_iter().flat_map(|f| f.series).map(|s| s.value).collect()
    }

    #[test]
    fn counters_are_held_and_gauges_are_not() {
        let mut floors = Floors::default();
        assert_eq!(held(&mut floors, -2.0), [Value::Number(0.0), Value::Number(-2.0)]);
        assert_eq!(held(&mut floors, 5.0), [Value::Number(5.0), Value::Number(5.0)]);
        assert_eq!(held(&mut floors, 3.0), [Value::Number(5.0), Value::Number(3.0)]);
        assert_eq!(held(&mut floors, 6.0), [Value::Number(6.0), Value::Number(6.0)]);
    }
}
