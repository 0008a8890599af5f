//! The same series under the names of older dashboards and alerts, beside the canonical ones.

use super::family::{Family, Series, Value};

/// One classic name.
struct Alias {
    canonical: &'static str,
    classic: &'static str,
    change: fn(Series) -> Option<Series>,
}

const ALIASES: [Alias; 8] = [
    same("memory_rss_bytes", "process_rss_bytes"),
    same("memory_allocations_total", "memory_allocation_count"),
    same("memory_allocated_bytes_total", "memory_allocation_total_bytes"),
    same("memory_allocation_distribution_total", "memory_allocation_distribution"),
    same("memory_leak_allocations_total", "memory_leak_allocation_count"),
    Alias { canonical: "memory_leaks", classic: "memory_leak_count", change: detected },
    Alias {
        canonical: "memory_leak_growth_bytes_per_hour",
        classic: "memory_leak_growth_rate_mb_h",
        change: in_megabytes,
    },
    Alias { canonical: "gc_duration_seconds", classic: "gc_duration_ms", change: in_milliseconds },
];

const fn same(canonical: &'static str, classic: &'static str) -> Alias {
    Alias { canonical, classic, change: Some }
}

/// A suspect is no leak: `memory_leak_count > 0` is an alert.
fn detected(series: Series) -> Option<Series> {
    series.labels.iter().any(|(name, value)| *name == "status" && value == "detected").then_some(series)
}

/// A megabyte is a million bytes, as in the severities.
fn in_megabytes(mut series: Series) -> Option<Series> {
    series.labels.push(("metric", "growth_rate".to_owned()));
    let Value::Number(bytes) = series.value else { return None };
    Some(Series { value: Value::Number(bytes / 1e6), ..series })
}

fn in_milliseconds(mut series: Series) -> Option<Series> {
    if let Value::Histogram(h) = &mut series.value {
        // The bounds are whole milliseconds, and queries name them: 500, not 500.00000000000006.
        h.upper_bounds.iter_mut().for_each(|b| *b = (*b * 1000.0).round());
        h.sum *= 1000.0;
    }
    Some(series)
}

/// Adds each family that has a classic name under that, behind the canonical one.
pub fn add(families: &mut Vec<Family>) {
    for Alias { canonical, classic, change } in ALIASES {
        let Some(at) = families.iter().position(|f| f.name == canonical) else { continue };
        let Some(family) = families.get(at) else { continue };
        let series: Vec<Series> = family.series.iter().cloned().filter_map(change).collect();
        if !series.is_empty() {
            families.insert(at + 1, Family { name: classic, series, ..*family });
        }
    }
}
