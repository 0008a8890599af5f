//! The leak detector on generated series: false alarms and finds at declared rates, and answers that must hold exactly.

use heapwatch::analyze::leak::{AlarmChange, LeakOptions, LeakVerdict, StreamingLeak, detect, rank_sites};
use heapwatch::analyze::series::Series;
use heapwatch::analyze::severity::Severity;

#[path = "support/leak_series.rs"]
#[allow(dead_code, reason = "the fit of the judge reads fields that no test does")]
mod leak_series;

const HOUR: f64 = 3600.0;
const MB: f64 = 1e6;
const START: f64 = 1.7e9;

fn minutes(hours: f64, value: impl Fn(f64) -> f64) -> Series {
    let rows = (hours * 60.0) as usize;
    let t: Vec<f64> = (0..rows).map(|i| START + 60.0 * i as f64).collect();
    let v = (0..rows).map(|i| value(i as f64 / 60.0)).collect();
    Series::repaired(t, v, None)
}

fn verdict(series: &Series) -> LeakVerdict {
    detect(series, &LeakOptions::default())
}

/// A small deterministic ripple, so that no series is too clean to be true.
fn ripple(hour: f64) -> f64 {
    0.3 * MB * ((hour * 7919.0).sin() + (hour * 104.7).cos())
}

fn day(hour: f64) -> f64 {
    40.0 * MB * (std::f64::consts::TAU * hour / 24.0).sin()
}

#[test]
fn a_steady_leak_under_days_is_found_with_its_rate_and_limit() {
    let series = minutes(120.0, |h| 300.0 * MB + day(h) + 2.0 * MB * h + ripple(h));
    let v = detect(&series, &LeakOptions { limit_bytes: Some(1000.0 * MB), ..LeakOptions::default() });
    assert!(v.leak && v.confidence > 0.9, "{v:?}");
    assert!((v.rate_bytes_per_hour / (2.0 * MB) - 1.0).abs() < 0.05, "{}", v.rate_bytes_per_hour);
    assert!(v.rate_lower <= v.rate_bytes_per_hour && v.rate_bytes_per_hour <= v.rate_upper);
    assert_eq!(v.severity, Severity::Critical);
    // At 120 h the days' peaks stand near 580 MB; the remaining 420 MB last some 210 h.
    let left = (v.exhaustion_s.expect("a limit is given") - START) / HOUR - 120.0;
    assert!((180.0..240.0).contains(&left), "{left}");
    assert!(v.exhaustion_earliest_s <= v.exhaustion_s);
}

#[test]
fn a_late_leak_has_its_onset() {
    let v = verdict(&minutes(100.0, |h| 200.0 * MB + 3.0 * MB * (h - 60.0f64).max(0.0) + ripple(h)));
    let onset = (v.onset_s.expect("a leak") - START) / HOUR;
    assert!((onset - 60.0).abs() < 5.0, "{onset}");
    assert!(v.alarms.iter().all(|a| a.at_s > START + 60.0 * HOUR), "{:?}", v.alarms);
}

#[test]
fn days_warm_up_and_a_cache_that_fills_are_no_leaks() {
    for (name, series) in [
        ("days", minutes(150.0, |h| 300.0 * MB + day(h) + ripple(h))),
        ("warm-up", minutes(100.0, |h| 300.0 * MB - 100.0 * MB * (-h / 2.0).exp() + ripple(h))),
        ("cache", minutes(150.0, |h| 100.0 * MB + 400.0 * MB * (1.0 - (-h / 15.0).exp()) + ripple(h))),
        ("flat", minutes(50.0, |_| 300.0 * MB)),
    ] {
        let v = verdict(&series);
        assert!(!v.leak && v.rate_bytes_per_hour == 0.0 && v.severity == Severity::None, "{name}: {v:?}");
    }
}

#[test]
fn a_fixed_leak_is_cleared() {
    let v = verdict(&minutes(300.0, |h| 200.0 * MB + 4.0 * MB * h.min(80.0) + ripple(h)));
    assert!(!v.leak, "{v:?}");
    assert!(!v.alarms.is_empty() && v.alarms.iter().all(|a| a.cleared_at_s.is_some()), "{:?}", v.alarms);
}

#[test]
fn growth_within_the_sampling_error_is_not_called_a_leak() {
    let series = minutes(60.0, |h| 300.0 * MB + 1.0 * MB * h + ripple(h));
    assert!(verdict(&series).leak);
    let v = detect(&series, &LeakOptions { noise_bytes: Some(50.0 * MB), ..LeakOptions::default() });
    assert!(!v.leak && v.evidence.iter().any(|e| e.contains("sampling error")), "{v:?}");
}

#[test]
fn thin_data_says_what_is_missing() {
    for series in [Series::default(), minutes(0.02, |_| 1.0), minutes(0.3, |h| h), minutes(0.45, |h| h)] {
        let v = verdict(&series);
        assert!(!v.leak && v.confidence == 0.0 && v.insufficient.is_some() && v.alarms.is_empty(), "{v:?}");
    }
    assert_eq!(verdict(&minutes(60.0, |_| 5.0)).insufficient, None);
}

#[test]
fn hostile_values_do_not_panic() {
    for value in [0.0, -1e300, 1e300, f64::MIN_POSITIVE] {
        let v = verdict(&minutes(20.0, |h| if (h as u64).is_multiple_of(3) { value } else { h }));
        assert!((0.0..=1.0).contains(&v.confidence));
    }
    let mut detector = StreamingLeak::default();
    for (t, v) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (5.0, 1.0), (4.0, 1.0), (5.0, 2.0)] {
        assert_eq!(detector.push(t, v, None), None);
    }
    assert_eq!(detector.skipped(), 4);
}

#[test]
fn an_alarm_uses_no_row_after_it_and_a_restored_detector_raises_the_same() {
    let series = minutes(90.0, |h| 300.0 * MB + 3.0 * MB * (h - 20.0f64).max(0.0) + ripple(h));
    let raised = |restore: bool| {
        let mut detector = StreamingLeak::new(LeakOptions::default());
        let mut changes: Vec<AlarmChange> = Vec::new();
        for (i, (t, v)) in series.times_s().iter().zip(series.values()).enumerate() {
            if restore && i == 1000 {
                let saved = serde_json::to_string(&detector).expect("state is plain data");
                detector = serde_json::from_str(&saved).expect("what was saved is read");
            }
            changes.extend(detector.push(*t, *v, None));
        }
        changes
    };
    let changes = raised(false);
    let at_s = verdict(&series).alarms.first().expect("an alarm").at_s;
    assert!(matches!(changes.first(), Some(AlarmChange::Raised { at_s: t, .. }) if *t == at_s));
    let rows = series.times_s().iter().filter(|t| **t <= at_s).count();
    let prefix = Series::repaired(series.times_s()[..rows].to_vec(), series.values()[..rows].to_vec(), None);
    assert_eq!(verdict(&prefix).alarms.first().map(|a| a.at_s), Some(at_s));
    assert_eq!(raised(true).len(), changes.len());
}

#[test]
fn the_leaking_site_stands_first_and_alone() {
    let sites = [
        ("constant", minutes(30.0, |h| 2.0 * MB + 0.01 * ripple(h))),
        ("leaking", minutes(30.0, |h| 1.0 * MB * h + 0.01 * ripple(h))),
        ("cache", minutes(30.0, |h| 50.0 * MB * (1.0 - (-h / 3.0).exp()) + 0.01 * ripple(h))),
        ("queue", minutes(30.0, |h| 5.0 * MB * (1.0 + (h * 3.0).sin()))),
        ("empty", minutes(30.0, |_| 0.0)),
    ];
    let ranked = rank_sites(sites.iter().map(|(name, s)| (*name, s)), &LeakOptions::default());
    assert_eq!((ranked[0].site, ranked[0].rank, ranked[0].verdict.leak), ("leaking", 1, true));
    assert_eq!(ranked[0].share_of_growth, 1.0);
    assert!(ranked.iter().skip(1).all(|s| !s.verdict.leak));
}

/// 40 healthy and 40 leaking generated series of seeds the judge was not fitted on. Declared: 6 % of healthy ones ever page,
/// 4 % are named at the end; of leaks ten times as strong as the noise 85 % are named at the end; of findings with a confidence
/// from 0.9 on, 95 % are right. Each bound leaves room for three standard deviations.
#[test]
fn rates_on_unseen_series_are_as_declared() {
    let made = |seed, leaking| {
        let made = leak_series::make(seed, Some(leaking));
        (verdict(&Series::repaired(made.times_s, made.values, None)), made.leak)
    };
    let (healthy, leaking) = std::thread::scope(|threads| {
        let healthy = threads.spawn(|| (900_000..900_040).map(|s| made(s, false).0).collect::<Vec<_>>());
        let leaking = (910_000..910_040).map(|s| made(s, true)).collect::<Vec<_>>();
        (healthy.join().expect("no panic"), leaking)
    });
    let paged = healthy.iter().filter(|v| !v.alarms.is_empty()).count();
    let named = healthy.iter().filter(|v| v.leak).count();
    assert!(paged <= 6 && named <= 5, "{paged} paged, {named} named of 40");
    let strong = leaking.iter().filter(|(_, l)| l.is_some_and(|l| l.strength > 10.0 && l.stop_s.is_none()));
    let (found, all) = strong.fold((0, 0), |(f, n), (v, _)| (f + usize::from(v.leak), n + 1));
    assert!(all > 8 && found * 100 >= all * 60, "{found} of {all}");
    let sure = |v: &LeakVerdict| usize::from(v.confidence >= 0.9);
    let right: usize = leaking.iter().map(|(v, _)| sure(v)).sum();
    let wrong: usize = healthy.iter().map(sure).sum();
    assert!(right > 6 && right * 100 >= (right + wrong) * 85, "{right} right, {wrong} wrong");
}
