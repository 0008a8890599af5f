use super::*;
use crate::analyze::dice::Dice;

/// Uniform in −1…1.
fn noise(dice: &mut Dice) -> f64 {
    2.0 * dice.uniform() - 1.0
}

const HOUR_S: f64 = 3600.0;
const START_S: f64 = 1_760_000_400.0;

fn series(step_s: f64, values: Vec<f64>) -> Series {
    let times = (0..values.len()).map(|i| START_S + i as f64 * step_s).collect();
    Series::repaired(times, values, None)
}

/// Hourly, with a day of `day` around `level`.
fn daily(rows: usize, level: f64, day: f64, seed: u64) -> Vec<f64> {
    let mut dice = Dice(seed);
    (0..rows).map(|i| level + day * (i as f64 / 24.0 * std::f64::consts::TAU).sin() + noise(&mut dice)).collect()
}

fn ask(values: Vec<f64>, options: ForecastOptions) -> Forecast {
    forecast(&series(HOUR_S, values), &options).expect("a forecast")
}

fn horizon(horizon_rows: usize) -> ForecastOptions {
    ForecastOptions { horizon_rows, ..ForecastOptions::default() }
}

fn error(values: Vec<f64>, options: ForecastOptions) -> String {
    forecast(&series(HOUR_S, values), &options).expect_err("an error").to_string()
}

#[test]
fn a_clean_season_is_continued() {
    let clean = |i: usize| 100.0 + 20.0 * (i as f64 / 24.0 * std::f64::consts::TAU).sin();
    let answer = ask((0..600).map(clean).collect(), horizon(48));
    assert_eq!((answer.forecast.len(), answer.model.seasons_rows.as_slice()), (48, &[24, 168][..]));
    for (i, p) in answer.forecast.iter().enumerate() {
        assert!((p.mean - clean(600 + i)).abs() < 0.05, "step {i}: {} for {}", p.mean, clean(600 + i));
        assert_eq!(p.timestamp_s, START_S + (600 + i) as f64 * HOUR_S);
    }
    assert_eq!(answer.forecast[0].timestamp.as_deref(), Some("2025-11-03T09:00:00Z"));
}

#[test]
fn intervals_hold_what_they_promise_at_every_quarter_of_the_horizon() {
    let (mut inside, mut all) = ([0_u32; 4], 0_u32);
    for seed in 1..=60 {
        let values = daily(648, 1000.0, 100.0, seed * 7919);
        let answer = ask(values[..600].to_vec(), horizon(48));
        for (i, (p, y)) in answer.forecast.iter().zip(&values[600..]).enumerate() {
            inside[i / 12] += u32::from(p.lower <= *y && *y <= p.upper);
        }
        all += 12;
    }
    // 720 draws a quarter: 0.9 ± 0.04 is beyond three standard errors of a correct interval.
    for share in inside.map(|n| f64::from(n) / f64::from(all)) {
        assert!((0.86..=0.97).contains(&share), "{inside:?} of {all}");
    }
}

#[test]
fn the_combination_beats_the_naive_forecast_where_both_are_tried() {
    let options = ForecastOptions { backtest: true, ..horizon(24) };
    let tried = ask(daily(600, 1000.0, 100.0, 3), options).backtest.expect("checked");
    assert!(tried.mean_absolute_error < 0.9 * tried.naive_mean_absolute_error, "{tried:?}");
    assert!(tried.origins.len() >= 5 && tried.coverage > 0.75 && tried.level == 0.9);
    assert!(tried.origins.windows(2).all(|o| o[0].at_s < o[1].at_s));
}

#[test]
fn after_a_restart_the_old_level_does_not_come_back() {
    let mut dice = Dice(5);
    let level = |i: usize| if i < 290 { 2000.0 } else { 500.0 };
    let answer = ask((0..300).map(|i| level(i) + 5.0 * noise(&mut dice)).collect(), horizon(24));
    assert!(answer.forecast.iter().all(|p| (480.0..520.0).contains(&p.mean)), "{:?}", answer.forecast.last());
    assert!(answer.model.notes.iter().any(|n| n.contains("level broke")));
}

#[test]
fn a_leak_has_its_date_and_a_level_has_none() {
    let mut dice = Dice(11);
    let day = |hour: f64| 20e6 * (hour / 24.0 * std::f64::consts::TAU).sin();
    let level = |hour: f64| 300e6 + 1e6 * hour + day(hour);
    let truth = (0..3000).map(|i| f64::from(i) / 10.0).find(|h| level(*h) >= 500e6).expect("it grows");
    let leak: Vec<f64> = (0..120).map(|i| level(f64::from(i)) + 1e6 * noise(&mut dice)).collect();
    let options = ForecastOptions { limit_bytes: Some(500e6), ..horizon(24) };
    let found = ask(leak, options.clone()).exhaustion.expect("foreseen");
    let after = found.at_s.expect("dated") - START_S;
    assert!((after / HOUR_S - truth).abs() < 3.0, "{} h for {truth}", after / HOUR_S);
    assert!(found.earliest_s < found.at_s && found.latest_s.is_none_or(|l| Some(l) > found.at_s));
    assert!(found.probability.windows(2).all(|p| p[0].probability <= p[1].probability));
    let steady: Vec<f64> = (0..120).map(|i| 300e6 + day(f64::from(i)) + 1e6 * noise(&mut dice)).collect();
    assert_eq!(ask(steady, options).exhaustion, None);
}

#[test]
fn steady_and_filling_series_are_rarely_given_a_date() {
    let mut dated = 0;
    for seed in 1..=100_u64 {
        let mut dice = Dice(seed * 104_729);
        let filled = |i: usize| 50e6 * (1.0 - (-(i as f64) / (6.0 + seed as f64 % 30.0)).exp());
        let day = |i: usize| 15e6 * (i as f64 / 24.0 * std::f64::consts::TAU).sin();
        let mut drift = 0.0;
        let values = (0..150).map(|i| {
            drift = 0.8 * drift + 2e6 * noise(&mut dice);
            200e6 + filled(i) + day(i) + drift
        });
        let options = ForecastOptions { limit_bytes: Some(400e6), ..horizon(24) };
        dated += u32::from(ask(values.collect(), options).exhaustion.is_some());
    }
    assert!(dated <= 2, "{dated} of 100");
}

#[test]
fn a_limit_already_passed_is_reached_now() {
    let found = ask(vec![10.0; 100], ForecastOptions { limit_bytes: Some(5.0), ..horizon(3) }).exhaustion;
    assert_eq!(found.and_then(|e| e.at_s), Some(START_S + 99.0 * HOUR_S));
}

#[test]
fn scenarios_move_the_date() {
    let mut dice = Dice(17);
    let leak: Vec<f64> = (0..200).map(|i| 300e6 + 1e6 * f64::from(i) + 1e6 * noise(&mut dice)).collect();
    let scenarios = ["growth=-50%", "limit=1GB", "load=2x", "replicas=4"].map(|s| s.parse().expect(s)).to_vec();
    let options = ForecastOptions { limit_bytes: Some(600e6), scenarios, replicas: Some(2), ..horizon(24) };
    let answer = ask(leak, options.clone());
    let hours = |e: &Option<Exhaustion>| (e.as_ref().and_then(|e| e.at_s).expect("dated") - START_S) / HOUR_S - 199.0;
    let base = hours(&answer.exhaustion);
    let under: Vec<f64> = answer.scenarios.iter().map(|s| hours(&s.exhaustion)).collect();
    assert!((base - 101.0).abs() < 5.0, "{base}");
    assert!((under[0] / base - 2.0).abs() < 0.02, "{under:?}");
    assert!((under[1] - base - 400.0).abs() < 20.0, "{under:?}");
    assert_eq!(under[2], 0.0);
    assert!((under[3] - 700.0).abs() < 40.0, "{under:?}");
    let fix = ForecastOptions { scenarios: vec!["fix=a1".parse().expect("a fix")], ..options };
    assert!(error(vec![1.0; 50], fix).contains("no growing site `a1`"));
}

#[test]
fn what_is_out_of_range_or_too_thin_is_an_error_that_says_so() {
    assert!(error(vec![1.0], horizon(1)).contains("at least 2 rows"));
    assert!(error(vec![1.0; 9], horizon(0)).contains("horizon"));
    assert!(error(vec![1.0; 9], ForecastOptions { level: 1.0, ..horizon(1) }).contains("level"));
    assert!(error(vec![1.0; 9], ForecastOptions { season_rows: Some(1), ..horizon(1) }).contains("season"));
    assert!(error(vec![1.0; 9], ForecastOptions { limit_bytes: Some(f64::NAN), ..horizon(1) }).contains("limit"));
    assert!(error(vec![1.0; 9], ForecastOptions { load_share: Some(2.0), ..horizon(1) }).contains("load share"));
}

#[test]
fn a_few_rows_give_the_last_value_widely_and_say_so() {
    let answer = ask(vec![100.0, 110.0, 105.0], horizon(4));
    assert!(answer.forecast.iter().all(|p| p.mean == 105.0 && p.lower < 95.0 && p.upper > 115.0));
    assert!(answer.forecast.windows(2).all(|p| p[0].upper < p[1].upper));
    assert!(answer.model.notes[0].contains("only 3 rows"));
}

#[test]
fn every_shape_of_input_gives_finite_numbers_that_are_not_negative() {
    let mut dice = Dice(23);
    let shapes: Vec<Vec<f64>> = vec![
        vec![0.0; 500],
        vec![7.0; 2],
        (0..500).map(|i| if i % 50 == 0 { 1e12 } else { 1.0 }).collect(),
        (0..500).map(|i| (f64::from(i) / 20.0).exp()).collect(),
        (0..500).map(|i| 1e6 - 2e3 * f64::from(i)).map(|v: f64| v.max(0.0)).collect(),
        (0..500).map(|_| noise(&mut dice).abs() * 1e300).collect(),
        (0..40).map(f64::from).collect(),
    ];
    for (i, values) in shapes.into_iter().enumerate() {
        for steps in [1, 30, 2000] {
            let options = ForecastOptions { limit_bytes: Some(1e9), backtest: true, ..horizon(steps) };
            let answer = ask(values.clone(), options);
            let fine = |p: &ForecastPoint| {
                p.lower.is_finite() && p.upper.is_finite() && p.lower >= 0.0 && p.lower <= p.mean && p.mean <= p.upper
            };
            assert!(answer.forecast.len() == steps && answer.forecast.iter().all(fine), "shape {i}, {steps} steps");
        }
    }
}

#[test]
fn gaps_are_bridged_and_counted() {
    let rows: Vec<(f64, f64)> =
        (0..400).filter(|i| !(200..220).contains(i)).map(|i| (START_S + 300.0 * f64::from(i), 50.0)).collect();
    let gappy = Series::repaired(rows.iter().map(|r| r.0).collect(), rows.iter().map(|r| r.1).collect(), None);
    let answer = forecast(&gappy, &horizon(3)).expect("a forecast");
    assert_eq!((answer.model.rows, answer.model.bridged_rows), (400, 20));
    assert!((answer.forecast[2].mean - 50.0).abs() < 1e-9);
}

#[test]
fn a_told_season_is_used_if_it_fits() {
    let values = daily(200, 100.0, 10.0, 9);
    let told = |m| ForecastOptions { season_rows: Some(m), ..horizon(5) };
    assert_eq!(ask(values.clone(), told(12)).model.seasons_rows, vec![12]);
    let too_long = ask(values, told(150)).model;
    assert!(too_long.seasons_rows.is_empty() && too_long.notes.iter().any(|n| n.contains("150")));
}
