use super::*;

/// A deterministic stream of normal variates (splitmix64 and Box–Muller).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

const DAY_ROWS: usize = 1440;

/// Minutes of a service's memory: a daily swing of 10 %, noise of 0.2 %.
fn daily(days: usize, seed: u64) -> Vec<f64> {
    let mut noise = Noise(seed);
    let swing = |i: usize| (std::f64::consts::TAU * i as f64 / DAY_ROWS as f64).sin();
    (0..days * DAY_ROWS).map(|i| 1e9 * (1.0 + 0.1 * swing(i) + 0.002 * noise.normal())).collect()
}

fn run(values: &[f64]) -> (Vec<Point>, Vec<Anomaly>, AnomalyDetector) {
    let mut detector = AnomalyDetector::new(Config::default());
    let (mut points, mut ended) = (Vec::new(), Vec::new());
    for (i, v) in values.iter().enumerate() {
        let (point, anomaly) = detector.push(60.0 * i as f64, *v);
        points.push(point);
        ended.extend(anomaly);
    }
    ended.extend(detector.open_anomaly());
    (points, ended, detector)
}

/// The only anomaly that overlaps rows `from..to`; there must be none elsewhere.
fn only(values: &[f64], from: usize, to: usize) -> Anomaly {
    let (_, found, _) = run(values);
    let hit = |a: &&Anomaly| a.start_s < 60.0 * to as f64 && a.end_s >= 60.0 * from as f64;
    assert_eq!(found.len(), 1, "{found:?}");
    *found.iter().find(hit).unwrap_or_else(|| panic!("elsewhere: {found:?}"))
}

const AT: usize = 7 * DAY_ROWS + 300;

#[test]
fn a_quiet_week_raises_no_alarm_and_the_day_is_found() {
    let (points, found, detector) = run(&daily(8, 1));
    assert_eq!(found, []);
    assert!(points.iter().all(|p| (0.0..=1.0).contains(&p.score)));
    let day = detector.seasonality()[0];
    assert!((day.period_s / 86_400.0 - 1.0).abs() < 0.01 && day.strength > 0.9, "{day:?}");
}

#[test]
fn a_spike_and_a_dip_are_told_apart_and_start_at_their_row() {
    for (factor, kind) in [(1.5, Kind::Spike), (0.5, Kind::Dip)] {
        let mut values = daily(8, 2);
        values[AT..AT + 4].iter_mut().for_each(|v| *v *= factor);
        let found = only(&values, AT, AT + 4);
        assert_eq!((found.kind, found.start_s), (kind, 60.0 * AT as f64));
        assert!(found.end_s < 60.0 * (AT + 40) as f64);
    }
}

#[test]
fn a_step_that_stays_is_a_level_shift() {
    let mut values = daily(9, 3);
    values[AT..].iter_mut().for_each(|v| *v += 4e8);
    let (_, found, _) = run(&values);
    assert_eq!(found.first().map(|a| (a.kind, a.start_s)), Some((Kind::LevelShift, 60.0 * AT as f64)));
}

#[test]
fn movement_around_the_level_is_variance() {
    let mut values = daily(8, 4);
    let mut noise = Noise(5);
    values[AT..AT + 200].iter_mut().for_each(|v| *v *= 1.0 + 0.05 * noise.normal());
    assert_eq!(only(&values, AT, AT + 260).kind, Kind::Variance);
}

#[test]
fn a_value_that_stands_still_is_a_flat_line() {
    let mut values = daily(8, 6);
    let stuck = values[AT];
    values[AT..AT + 120].fill(stuck);
    assert_eq!(only(&values, AT, AT + 160).kind, Kind::FlatLine);
}

#[test]
fn a_score_means_the_same_in_any_unit() {
    let mut values = daily(8, 7);
    values[AT] *= 1.3;
    let scaled: Vec<f64> = values.iter().map(|v| v / 1024.0).collect();
    let (a, _, _) = run(&values);
    let (b, _, _) = run(&scaled);
    assert!(a.iter().zip(&b).all(|(a, b)| (a.score - b.score).abs() < 1e-6));
}

#[test]
fn scores_do_not_depend_on_the_future() {
    let mut values = daily(8, 8);
    values[AT..].iter_mut().for_each(|v| *v *= 1.2);
    let (all, _, _) = run(&values);
    let (prefix, _, _) = run(&values[..AT + 1]);
    assert_eq!(all[..=AT], prefix[..]);
}

#[test]
fn a_saved_detector_continues_exactly() {
    let mut values = daily(5, 9);
    values[4 * DAY_ROWS + 700] *= 2.0;
    let (whole, _, _) = run(&values);
    for cut in [3, 9, 40, 2 * DAY_ROWS + 17, 4 * DAY_ROWS + 702] {
        let (_, _, detector) = run(&values[..cut]);
        let saved = serde_json::to_string(&detector).unwrap();
        let mut restored: AnomalyDetector = serde_json::from_str(&saved).unwrap();
        let rest = values.iter().enumerate().skip(cut).map(|(i, v)| restored.push(60.0 * i as f64, *v).0);
        assert_eq!(rest.collect::<Vec<_>>(), whole[cut..], "cut at {cut}");
    }
}

#[test]
fn the_state_is_bounded() {
    let mut detector = AnomalyDetector::new(Config::default());
    let mut noise = Noise(10);
    for i in 0..200_000 {
        detector.push(300.0 * i as f64, 100.0 + noise.normal());
    }
    assert!(serde_json::to_vec(&detector).unwrap().len() < 256 * 1024);
}

/// Noise of light and heavy tails raises at most one false alarm in twenty days.
#[test]
fn noise_raises_alarms_at_the_declared_rate() {
    let days = 60;
    for (name, heavy) in [("normal", false), ("log-normal", true)] {
        let mut alarms = 0;
        for seed in 0..20 {
            let mut noise = Noise(100 + seed);
            let draw = |_| if heavy { noise.normal().exp() } else { 50.0 + noise.normal() };
            let values: Vec<f64> = (0..days * 288).map(draw).collect();
            let mut detector = AnomalyDetector::new(Config::default());
            alarms += (0..values.len()).filter(|i| detector.push(300.0 * *i as f64, values[*i]).1.is_some()).count();
        }
        assert!(alarms <= 20 * days / 20, "{name}: {alarms} false alarms in {} days", 20 * days);
    }
}

#[test]
fn rows_that_cannot_be_used_are_answered_and_said_so() {
    let mut detector = AnomalyDetector::new(Config::default());
    for i in 0..100 {
        detector.push(60.0 * f64::from(i), f64::from(i % 7));
    }
    for bad in [f64::NAN, f64::INFINITY, f64::MAX] {
        let (point, _) = detector.push(6000.0, bad);
        assert_eq!((point.score, point.anomaly, point.treatment), (0.0, false, Some(Treatment::NotFinite)));
    }
    assert_eq!(detector.push(f64::NAN, 1.0).0.treatment, Some(Treatment::NotFinite));
    assert_eq!(detector.push(5940.0, 1.0).0.treatment, Some(Treatment::TimeNotAfterPrevious));
    assert_eq!(detector.push(6000.0, 1.0).0.treatment, None);
}

#[test]
fn no_series_breaks_it() {
    let mut noise = Noise(11);
    let wild: Vec<f64> = (0..6000).map(|_| (noise.normal() * 100.0).exp().min(1e149)).collect();
    let constant = vec![5.0; 6000];
    let zeros = vec![0.0; 6000];
    let tiny: Vec<f64> = (0..6000).map(|i| f64::from(i % 3) * 1e-300).collect();
    let alternating: Vec<f64> = (0..6000).map(|i| if i % 2 == 0 { 1e149 } else { -1e149 }).collect();
    for values in [wild, constant, zeros, tiny, alternating] {
        let (points, _, detector) = run(&values);
        assert!(points.iter().all(|p| (0.0..=1.0).contains(&p.score)));
        assert!(serde_json::from_str::<AnomalyDetector>(&serde_json::to_string(&detector).unwrap()).is_ok());
    }
}

#[test]
fn a_constant_series_has_no_anomaly_until_it_moves() {
    let mut values = vec![1e8; 3 * DAY_ROWS];
    values[2 * DAY_ROWS + 5] = 2e8;
    let (points, found, _) = run(&values);
    assert!(points[..2 * DAY_ROWS + 5].iter().all(|p| !p.anomaly));
    assert_eq!(found.first().map(|a| a.start_s), Some(60.0 * (2 * DAY_ROWS + 5) as f64));
}

#[test]
fn times_that_jump_by_years_cost_no_more_than_a_row() {
    let mut detector = AnomalyDetector::new(Config::default());
    let mut time_s = 0.0;
    for i in 0..5000 {
        time_s += if i % 500 == 499 { 1e9 } else { 1.0 };
        let (point, _) = detector.push(time_s, f64::from(i % 10));
        assert!(point.score.is_finite());
    }
}

#[test]
fn the_alarm_level_is_checked() {
    assert!(Config::default().alarm_surprise(0.5).is_err_and(|e| e.is_config()));
    assert!(Config::default().alarm_surprise(f64::NAN).is_err());
    assert!(Config::default().alarm_surprise(4.0).is_ok());
}

/// Every number of a document in turn; of a list the first and the last.
fn numbers(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Number(_) => found.push(at.to_string()),
        serde_json::Value::Object(fields) => fields.iter().for_each(|(k, v)| numbers(v, &format!("{at}/{k}"), found)),
        serde_json::Value::Array(list) => {
            let mut ends = vec![0, list.len().saturating_sub(1)];
            ends.dedup();
            ends.into_iter().filter_map(|i| Some((i, list.get(i)?))).for_each(|(i, v)| {
                numbers(v, &format!("{at}/{i}"), found);
            });
        }
        _ => {}
    }
}

fn lists(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(k, v)| lists(v, &format!("{at}/{k}"), found)),
        serde_json::Value::Array(list) => {
            found.push(at.to_string());
            list.first().into_iter().for_each(|v| lists(v, &format!("{at}/0"), found));
        }
        _ => {}
    }
}

/// Whether it was taken for a state; if so, it answers rows without a panic.
fn survives(state: serde_json::Value) -> bool {
    let Ok(mut detector) = serde_json::from_value::<AnomalyDetector>(state) else { return false };
    for i in 0..60u32 {
        detector.push(400_000.0 + 900.0 * f64::from(i), f64::from(i % 7));
    }
    detector.push(4e8, 1.0);
    detector.push(4e8 + 900.0, 2.0);
    let _seen = (detector.seasonality(), detector.baseline(), detector.open_anomaly());
    true
}

#[test]
fn an_edited_state_is_refused_or_survived() {
    let mut detector = AnomalyDetector::new(Config::default());
    for (i, v) in daily(5, 12).iter().enumerate().filter(|(i, _)| i % 15 == 0) {
        detector.push(60.0 * i as f64, if i == 6900 { 3e9 } else { *v });
    }
    let sound = serde_json::to_value(&detector).unwrap();
    assert!(survives(sound.clone()));
    let (mut paths, mut arrays) = (Vec::new(), Vec::new());
    numbers(&sound, "", &mut paths);
    lists(&sound, "", &mut arrays);
    assert!(paths.len() > 60 && arrays.len() > 10, "{paths:?} {arrays:?}");
    let nasty = ["0", "-1", "-1e300", "1e300", "5e-324", "18446744073709551615", "4294967295"];
    let mut refused = 0;
    let mut edit = |path: &str, to: serde_json::Value| {
        let mut edited = sound.clone();
        *edited.pointer_mut(path).unwrap() = to;
        refused += usize::from(!survives(edited));
    };
    for path in &paths {
        nasty.iter().for_each(|text| edit(path, serde_json::from_str(text).unwrap()));
    }
    arrays.iter().for_each(|path| edit(path, serde_json::json!([])));
    arrays.iter().for_each(|path| edit(path, vec![1.0; 5000].into()));
    assert!(refused > 60, "{refused}");
}
