//! What a recommendation promises, on made series.

use heapwatch::analyze::series::Series;
use heapwatch::analyze::sizing::autoscaling::Kind;
use heapwatch::analyze::sizing::process::{Process, recommend_process};
use heapwatch::analyze::sizing::usage::Usage;
use heapwatch::analyze::sizing::workload::{Leak, Pod, Workload};
use heapwatch::analyze::sizing::{Options, Recommendation, Status, Strategy, recommend};

const MIB: f64 = 1024.0 * 1024.0;
const HOUR: f64 = 3600.0;

/// A workload of one pod with a value an hour, in MiB.
fn workload(values_mib: impl IntoIterator<Item = f64>) -> Workload {
    let mut usage = Usage::default();
    values_mib.into_iter().enumerate().for_each(|(hour, v)| usage.add(hour as f64 * HOUR, v * MIB));
    Workload { pods: vec![Pod { name: "web-0".into(), usage }], containers_per_pod: 1, ..Workload::default() }
}

fn with_current(mut w: Workload, request_mib: f64, limit_mib: f64) -> Workload {
    (w.request_bytes, w.limit_bytes) = (Some(request_mib * MIB), Some(limit_mib * MIB));
    w
}

fn ask(mut w: Workload, options: &Options) -> Recommendation {
    w.find_leak();
    let now = w.last_s().unwrap_or(0.0);
    recommend(&w, now, options)
}

fn ours(w: Workload) -> Recommendation {
    ask(w, &Options::default())
}

fn limit_mib(r: &Recommendation) -> f64 {
    r.target.limit_bytes.expect("a limit") as f64 / MIB
}

fn request_mib(r: &Recommendation) -> f64 {
    r.target.request_bytes.expect("a request") as f64 / MIB
}

/// 1000 MiB with a little daily rhythm.
fn steady(days: usize) -> impl Iterator<Item = f64> {
    (0..days * 24).map(|h| 980.0 + 20.0 * (h as f64 * std::f64::consts::TAU / 24.0).sin())
}

#[test]
fn a_steady_service_gets_a_narrow_margin_and_a_price() {
    let options = Options { price_per_gib_month: Some(4.0), ..Options::default() };
    let r = ask(with_current(workload(steady(14)), 2048.0, 2048.0), &options);
    assert_eq!(r.status, Status::OverProvisioned);
    assert!((1030.0..1060.0).contains(&limit_mib(&r)), "{r:?}");
    assert!(request_mib(&r) <= limit_mib(&r));
    assert_eq!(r.savings_bytes, (2048.0 * MIB) as i64 - r.target.request_bytes.unwrap() as i64);
    let money = r.savings_per_month.unwrap();
    assert!((money - r.savings_bytes as f64 / MIB / 1024.0 * 4.0).abs() < 1e-9);
    let score = r.efficiency_score.unwrap();
    assert!((score - request_mib(&r) / 2048.0).abs() < 1e-9);
    assert!(r.target.limit_bytes.unwrap().is_multiple_of(4096));
}

#[test]
fn confidence_grows_and_margins_shrink_with_days() {
    let at: Vec<Recommendation> = [2, 4, 8, 14].map(|d| ours(workload(steady(d)))).into();
    assert!(at.windows(2).all(|w| w[0].confidence < w[1].confidence));
    assert!(at.windows(2).all(|w| limit_mib(&w[0]) >= limit_mib(&w[1])));
}

#[test]
fn a_limit_does_not_grow_with_the_leak() {
    // 40 MiB a day on 1000 MiB.
    let values = |days: usize| steady(days).enumerate().map(|(h, v)| v + h as f64 * 40.0 / 24.0);
    let leaky = |days: usize| with_current(workload(values(days)), 1500.0, 2000.0);
    let (early, late) = (ours(leaky(10)), ours(leaky(20)));
    assert_eq!((early.status, late.status), (Status::Leaking, Status::Leaking));
    assert!((limit_mib(&early) - limit_mib(&late)).abs() <= 32.0, "{} {}", limit_mib(&early), limit_mib(&late));
    assert!(request_mib(&late) < 1150.0, "the request is for the service without its leak: {late:?}");
    let left = (limit_mib(&late) - (1000.0 + 20.0 * 40.0)) / 40.0;
    let note = late.leak.unwrap();
    assert!((note.rate_bytes_per_hour * 24.0 / MIB - 40.0).abs() < 2.0, "{note:?}");
    assert!((note.limit_lasts_days - left).abs() < 1.5, "{note:?} {left}");
    assert_eq!(late.autoscaling.unwrap().kind, Kind::None);
    for strategy in [Strategy::Vpa, Strategy::Krr] {
        let options = Options { strategy, ..Options::default() };
        let grown = limit_mib(&ask(leaky(20), &options)) - limit_mib(&ask(leaky(10), &options));
        assert!(grown > 200.0, "{strategy:?} follows the leak");
    }
}

#[test]
fn traffic_that_grows_is_no_leak_and_is_planned_for() {
    let grows = (0..14 * 24).map(|h| {
        let load = 1.0 + h as f64 / (14.0 * 24.0);
        600.0 * load + 300.0 * load * (1.0 + (h as f64 * std::f64::consts::TAU / 24.0).sin())
    });
    let r = ours(workload(grows));
    assert_ne!(r.status, Status::Leaking, "{r:?}");
    assert!(limit_mib(&r) > 2400.0 * 1.2, "a week's growth is in the limit: {r:?}");
}

#[test]
fn oom_bumps_do_not_run_away_and_end() {
    let mut w = workload(steady(14));
    let mut limit = 900.0 * MIB;
    for kill in 0..20 {
        w.pods[0].usage.add_oom(13.5 * 86_400.0 + f64::from(kill) * 60.0, Some(limit));
        let now = w.last_s().unwrap();
        limit = recommend(&w, now, &Options::default()).target.limit_bytes.unwrap() as f64;
    }
    assert!((1250.0..=2050.0).contains(&(limit / MIB)), "{}", limit / MIB);
    let mut settled = workload(steady(20));
    settled.pods[0].usage.add_oom(13.5 * 86_400.0, Some(1000.0 * MIB));
    assert!(limit_mib(&ours(settled)) < 1060.0, "days without a kill show the need");
}

#[test]
fn a_level_that_fell_for_good_is_forgotten_and_a_weekly_peak_is_not() {
    let fell = (0..20 * 24).map(|h| if h < 8 * 24 { 2000.0 } else { 1000.0 });
    assert!(limit_mib(&ours(workload(fell))) < 1100.0);
    let weekly = (0..21 * 24).map(|h| if (h / 24) % 7 == 0 { 2000.0 } else { 1000.0 });
    assert!(limit_mib(&ours(workload(weekly))) >= 2000.0);
}

#[test]
fn start_up_is_in_the_limit_and_not_in_the_request() {
    let r = ours(workload(steady(14).enumerate().map(|(h, v)| if h == 0 { 1600.0 } else { v })));
    assert!(limit_mib(&r) >= 1600.0 && request_mib(&r) < 1100.0, "{r:?}");
    assert_eq!(r.seen.startup_peak_bytes, Some((1600.0 * MIB) as u64));
}

#[test]
fn the_limit_is_exceeded_as_rarely_as_it_says() {
    // Gumbel daily peaks, 14 days seen, 7 to come, risk 1 %: of 3000 services 30 are expected to pass their limit, 60 with
    // a false-alarm rate under 1e-6 (binomial), and some must, or the margin is waste.
    let mut state = 42u64;
    let mut unit = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut passed = 0;
    for _ in 0..3000 {
        let mut peak = || 1000.0 - 60.0 * (-unit().ln()).ln();
        let seen: Vec<f64> = (0..14).map(|_| peak()).collect();
        let hours = (0..14 * 24).map(|h| if h % 24 == 12 { seen[h / 24] } else { 800.0 });
        let r = recommend(&workload(hours), 14.0 * 86_400.0, &Options::default());
        let worst = (0..7).map(|_| peak()).fold(0.0, f64::max);
        passed += usize::from(worst > limit_mib(&r));
    }
    assert!((3..=60).contains(&passed), "{passed} of 3000");
}

#[test]
fn too_little_is_said_with_what_is_missing() {
    let cases: [(Workload, &str); 4] = [
        (workload(steady(1).take(5)), "4.0 h of history; 24 h are needed"),
        (Workload::default(), "no usable sample"),
        (workload(steady(3).map(|v| v / MIB)), "mixed units"),
        (workload((0..100).map(|_| f64::NAN)), "no usable sample"),
    ];
    for (w, want) in cases {
        let r = ours(w);
        assert_eq!(r.status, Status::InsufficientData);
        assert!(r.missing.iter().any(|m| m.contains(want)), "{want}: {:?}", r.missing);
        assert_eq!((r.target.request_bytes, r.target.limit_bytes), (None, None));
    }
    let gone = recommend(&workload(steady(10)), 14.0 * 86_400.0, &Options::default());
    assert!(gone.missing[0].contains("the workload is gone"), "{:?}", gone.missing);
}

#[test]
fn gaps_and_bad_samples_are_stated() {
    let mut w = workload(steady(14));
    for (t, v) in [(1e6, f64::NAN), (1e6, -5.0), (1e6, 1e19)] {
        w.pods[0].usage.add(t, v);
    }
    let holed = steady(14).enumerate().map(|(h, v)| if (100..200).contains(&h) { f64::NAN } else { v });
    let said = ours(w).missing.join("; ");
    assert!(said.contains("not a number") && said.contains("negative") && said.contains("absurdly large"), "{said}");
    assert!(ours(workload(holed)).missing.iter().any(|m| m.contains("30 % of the time")));
}

#[test]
fn the_other_strategies_are_their_rules() {
    let krr = ask(workload(steady(14)), &Options { strategy: Strategy::Krr, ..Options::default() });
    assert_eq!((request_mib(&krr), limit_mib(&krr)), (1150.0, 1150.0));
    let vpa = ask(workload(steady(14)), &Options { strategy: Strategy::Vpa, ..Options::default() });
    // The end of the recommender's bucket that holds 1000 MiB, plus 15 %.
    let ends = (0..176).map(|i| 1e7 * (1.05f64.powi(i) - 1.0) / 0.05);
    let end = ends.filter(|end| *end > 1000.0 * MIB).fold(f64::INFINITY, f64::min).trunc();
    assert_eq!(vpa.target.request_bytes, Some((end + (end * 0.15).trunc()) as u64));
}

#[test]
fn memory_that_follows_load_may_drive_an_hpa_and_other_memory_must_not() {
    let day = |h: usize| (h as f64 * std::f64::consts::TAU / 24.0).sin();
    let replicas = |w: Workload| {
        let usage = w.pods[0].usage.clone();
        Workload { pods: (0..3).map(|i| Pod { name: format!("web-{i}"), usage: usage.clone() }).collect(), ..w }
    };
    let follows = ours(replicas(workload((0..14 * 24).map(|h| 1000.0 + 500.0 * day(h)))));
    let a = follows.autoscaling.unwrap();
    let hpa = a.hpa.expect("an HPA");
    assert!(a.kind == Kind::Hpa && hpa.min_replicas >= 2 && hpa.max_replicas > 3 && a.vpa.is_none());
    let stays = ours(replicas(workload((0..14 * 24).map(|h| 1000.0 + 50.0 * day(h))))).autoscaling.unwrap();
    assert!(stays.kind == Kind::Vpa && stays.hpa.is_none() && stays.why.contains("never down"), "{stays:?}");
    let alone = ours(workload((0..14 * 24).map(|h| 1000.0 + 500.0 * day(h)))).autoscaling.unwrap();
    assert!(alone.kind == Kind::Vpa && alone.warnings.iter().any(|w| w.contains("PodDisruptionBudget")));
}

#[test]
fn a_process_is_sized_from_what_it_knows_of_itself() {
    let times: Vec<f64> = (0..48 * 12).map(|i| f64::from(i) * 300.0).collect();
    let rss = Series::repaired(times.clone(), vec![1000.0 * MIB; times.len()], None);
    let leak = Leak { rate_bytes_per_hour: MIB, onset_s: None, confidence: 0.99, site: Some("cache.rs:42".into()) };
    let known = Process {
        service: "checkout",
        rss: &rss,
        peak_bytes: Some(1400.0 * MIB),
        heap_live_bytes: Some(500.0 * MIB),
        request_bytes: None,
        limit_bytes: Some(2048.0 * MIB),
        leak: None,
    };
    let r = recommend_process(&known, &Options::default());
    assert!(limit_mib(&r) >= 1400.0, "the peak that no scrape saw counts: {r:?}");
    assert!(r.reasons.iter().any(|s| s.contains("50 % of resident memory")), "{:?}", r.reasons);
    let r = recommend_process(&Process { leak: Some(leak), ..known }, &Options::default());
    assert!(r.status == Status::Leaking && r.reasons.iter().any(|s| s.contains("fix cache.rs:42")), "{:?}", r.reasons);
}
