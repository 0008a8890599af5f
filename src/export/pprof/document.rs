//! From sites to samples: values, labels, what lies beyond the bound.

use std::collections::HashMap;

use super::SAMPLE_TYPES;
use super::messages::{Label, Profile, Sample, ValueType};
use super::tables::{Strings, Tables};
use crate::export::ProfileKind;
use crate::snapshot::{Frame, Scope, Site, Snapshot, Usage};

/// Values in the order of [`SAMPLE_TYPES`].
type Values = [f64; 4];

/// Name of the sample that holds the sites beyond the snapshot's bound.
const OTHER: &str = "[other sites]";

pub(super) fn of_snapshot(snapshot: &Snapshot, kind: ProfileKind) -> Profile {
    let mut document = Document::new(snapshot);
    for site in &snapshot.sites {
        document.site(site, values(&site.usage));
    }
    document.other(values(&snapshot.sites_beyond_bound));
    document.finish(snapshot, snapshot.uptime_s, kind)
}

pub(super) fn of_difference(older: &Snapshot, newer: &Snapshot, kind: ProfileKind) -> Profile {
    let mut before: HashMap<u64, &Site> = older.sites.iter().map(|site| (site.id, &**site)).collect();
    let mut document = Document::new(newer);
    for site in &newer.sites {
        let old = before.remove(&site.id).map(|old| values(&old.usage)).unwrap_or_default();
        document.site(site, minus(values(&site.usage), old));
    }
    // Sites that fell below the bound; what is left of them is in the sum beyond it.
    for gone in older.sites.iter().filter(|site| before.contains_key(&site.id)) {
        document.site(gone, minus(Values::default(), values(&gone.usage)));
    }
    document.other(minus(values(&newer.sites_beyond_bound), values(&older.sites_beyond_bound)));
    document.finish(newer, newer.taken_at_s - older.taken_at_s, kind)
}

pub(super) fn values(usage: &Usage) -> Values {
    [usage.allocated_objects, usage.allocated_bytes, usage.live_objects.value, usage.live_bytes.value]
}

fn minus(a: Values, b: Values) -> Values {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
}

struct Document {
    tables: Tables,
    samples: Vec<Sample>,
    rounding: Rounding,
}

impl Document {
    fn new(snapshot: &Snapshot) -> Document {
        Document { tables: Tables::new(&snapshot.mappings), samples: Vec::new(), rounding: Rounding::default() }
    }

    fn site(&mut self, site: &Site, values: Values) {
        let mut label = labels(&site.scope, &mut self.tables.strings);
        label.extend(type_label(site, &mut self.tables.strings));
        label.extend(size_label(&site.usage, &mut self.tables.strings));
        self.sample(&site.stack, values, label);
    }

    fn other(&mut self, values: Values) {
        if values.iter().any(|&value| value != 0.0) {
            self.sample(&[Frame { function: OTHER.into(), ..Frame::default() }], values, Vec::new());
        }
    }

    fn sample(&mut self, stack: &[Frame], values: Values, label: Vec<Label>) {
        let value = self.rounding.round(values);
        if value.iter().any(|&value| value != 0) {
            self.samples.push(Sample { location_id: self.tables.stack(stack), value, label });
        }
    }

    fn finish(self, snapshot: &Snapshot, duration_s: f64, kind: ProfileKind) -> Profile {
        let Document { mut tables, samples, .. } = self;
        let strings = &mut tables.strings;
        let mut value_type =
            |name: &str, unit: &str| ValueType { r#type: strings.index(name), unit: strings.index(unit) };
        let sample_type = SAMPLE_TYPES.iter().map(|(name, unit)| value_type(name, unit)).collect();
        let period_type = Some(value_type("space", "bytes"));
        let default_sample_type = strings.index(default_sample_type(kind));
        let comment = comments(snapshot, strings);
        Profile {
            sample_type,
            sample: samples,
            time_nanos: nanoseconds(snapshot.taken_at_s),
            duration_nanos: nanoseconds(duration_s),
            period_type,
            period: i64::try_from(snapshot.recorder.sample_interval_bytes).unwrap_or(i64::MAX),
            comment,
            default_sample_type,
            ..tables.into_profile()
        }
    }
}

/// The column that a reader shows first, as Go's profiles have it. All kinds hold all four.
fn default_sample_type(kind: ProfileKind) -> &'static str {
    match kind {
        ProfileKind::Heap => "inuse_space",
        ProfileKind::Allocs => "alloc_space",
    }
}

fn labels(scope: &Scope, strings: &mut Strings) -> Vec<Label> {
    let parts = [
        ("component", &scope.component),
        ("operation", &scope.operation),
        ("endpoint", &scope.endpoint),
        ("method", &scope.method),
    ];
    let set = parts.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    set.map(|(key, value)| Label { key: strings.index(key), str: strings.index(value), ..Label::default() }).collect()
}

fn type_label(site: &Site, strings: &mut Strings) -> Option<Label> {
    let name = site.type_name.as_deref()?;
    Some(Label { key: strings.index("type"), str: strings.index(name), ..Label::default() })
}

/// Mean size of the site's allocations, under the key and with the unit that Go uses.
fn size_label(usage: &Usage, strings: &mut Strings) -> Option<Label> {
    let mean = usage.allocated_bytes / usage.allocated_objects;
    let num = (mean.is_finite() && mean >= 1.0).then_some(mean.round() as i64)?;
    Some(Label { key: strings.index("bytes"), num, num_unit: strings.index("bytes"), ..Label::default() })
}

fn comments(snapshot: &Snapshot, strings: &mut Strings) -> Vec<i64> {
    let process = &snapshot.process;
    let own = [("service", &process.service), ("version", &process.version), ("session_id", &process.session_id)];
    let given = process.labels.iter().map(|(key, value)| (key.as_str(), value));
    let all = own.into_iter().chain(given).filter(|(_, value)| !value.is_empty());
    all.map(|(key, value)| strings.index(&format!("{key}={value}"))).collect()
}

fn nanoseconds(seconds: f64) -> i64 {
    // Saturates at the ends, and NaN is 0.
    (seconds * 1e9) as i64
}

/// Rounds each column so that the rounded values add up to the rounded sum.
#[derive(Default)]
struct Rounding {
    exact: Values,
    given: [i64; 4],
}

impl Rounding {
    fn round(&mut self, values: Values) -> Vec<i64> {
        let columns = self.exact.iter_mut().zip(&mut self.given).zip(values);
        let round = |((exact, given), value): ((&mut f64, &mut i64), f64)| {
            *exact += if value.is_finite() { value } else { 0.0 };
            let next = (exact.round() as i64).saturating_sub(*given);
            *given = given.saturating_add(next);
            next
        };
        columns.map(round).collect()
    }
}
