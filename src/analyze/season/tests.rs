//! Generated series with known seasons, and none.

use std::f64::consts::TAU;

use super::*;
use crate::analyze::dice::Dice;

fn wave(i: usize, period: f64) -> f64 {
    (TAU * i as f64 / period).sin()
}

fn found(values: &[f64]) -> Vec<f64> {
    find_in(values, &SeasonOptions::default()).iter().map(|s| s.period_rows).collect()
}

fn has(periods: &[f64], want: f64) -> bool {
    periods.iter().any(|p| (p / want - 1.0).abs() < 0.02)
}

#[test]
fn daily_and_weekly_are_both_found_at_any_step() {
    for day in [24usize, 96, 288] {
        let mut dice = Dice(7 + day as u64);
        let n = day * 21;
        let values: Vec<f64> = (0..n)
            .map(|i| {
                let weekend = i / day % 7 >= 5;
                wave(i, day as f64) * 3.0 + if weekend { -4.0 } else { 0.0 } + dice.normal()
            })
            .collect();
        let periods = found(&values);
        assert!(
            has(&periods, day as f64) && has(&periods, day as f64 * 7.0) && periods.len() == 2,
            "{day}: {periods:?}"
        );
    }
}

#[test]
fn a_period_that_is_not_whole_is_met_within_a_percent() {
    let mut dice = Dice(3);
    let values: Vec<f64> = (0..2000).map(|i| wave(i, 37.4) + 0.5 * dice.normal()).collect();
    let periods = found(&values);
    assert!(periods.len() == 1 && (periods[0] / 37.4 - 1.0).abs() < 0.01, "{periods:?}");
}

#[test]
fn two_cycles_are_enough_when_clear() {
    let mut dice = Dice(11);
    let values: Vec<f64> = (0..200).map(|i| wave(i, 100.0) + 0.2 * dice.normal()).collect();
    assert!(has(&found(&values), 100.0), "{:?}", found(&values));
}

#[test]
fn a_pulse_once_a_period_is_one_season_without_its_harmonics() {
    let mut dice = Dice(5);
    let values: Vec<f64> = (0..1440).map(|i| if i % 48 < 3 { 8.0 } else { 0.0 } + dice.normal()).collect();
    let periods = found(&values);
    assert!(periods.len() == 1 && has(&periods, 48.0), "{periods:?}");
}

#[test]
fn trend_steps_spikes_and_gaps_do_not_hide_a_season() {
    let mut dice = Dice(13);
    let values: Vec<f64> = (0..1500)
        .map(|i| {
            let step = if i > 800 { 6.0 } else { 0.0 };
            let spike = if i % 211 == 0 { 60.0 } else { 0.0 };
            let v = 0.02 * i as f64 + step + spike + 2.0 * wave(i, 60.0) + dice.normal();
            if (300..400).contains(&i) || dice.uniform() < 0.05 { f64::NAN } else { v }
        })
        .collect();
    assert!(has(&found(&values), 60.0), "{:?}", found(&values));
}

#[test]
fn strength_is_the_share_of_variance() {
    let mut dice = Dice(17);
    let values: Vec<f64> = (0..5000).map(|i| wave(i, 50.0) * 2.0_f64.sqrt() + dice.normal()).collect();
    let season = find_in(&values, &SeasonOptions::default())[0];
    assert!((season.strength - 0.5).abs() < 0.05, "{season:?}");
}

#[test]
fn irregular_rows_are_gridded_and_the_period_is_in_seconds() {
    let mut dice = Dice(19);
    let times: Vec<f64> =
        (0..3000).filter(|i| i % 17 != 0).map(|i| f64::from(i) * 60.0 + 20.0 * dice.uniform()).collect();
    let values: Vec<f64> = times.iter().map(|t| (TAU * t / 7200.0).sin() + 0.3 * dice.normal()).collect();
    let seasons = find_seasons(&Series::repaired(times, values, None), &SeasonOptions::default());
    assert!(seasons.len() == 1 && (seasons[0].period_s / 7200.0 - 1.0).abs() < 0.01, "{seasons:?}");
}

/// Declared: the default's 1 in 100 holds over noise of all colours together (15 of 1000 leave room for chance), and no
/// colour alone passes 4 in 100; the worst is noise whose memory is about as long as a period.
#[test]
fn noise_and_random_walks_have_no_season() {
    let colours: [(&str, f64); 5] = [("white", 0.0), ("pink", 0.4), ("red", 0.7), ("very red", 0.95), ("walk", 1.0)];
    let mut total = 0;
    for (name, memory) in colours {
        let mut dice = Dice(23);
        let mut alarms = Vec::new();
        for k in 0..200 {
            let n = 100 + 4 * k;
            let mut level = 0.0;
            let values: Vec<f64> = (0..n)
                .map(|_| {
                    level = memory * level + dice.normal();
                    level
                })
                .collect();
            alarms.extend(find_in(&values, &SeasonOptions::default()).first().map(|s| (n, *s)));
        }
        assert!(alarms.len() <= 8, "{name}: {} {alarms:?}", alarms.len());
        total += alarms.len();
    }
    assert!(total <= 15, "{total}");
}

#[test]
fn thin_constant_and_non_finite_values_have_no_season() {
    for values in [vec![], vec![1.0; 7], vec![5.0; 500], vec![f64::NAN; 500], vec![f64::INFINITY; 500]] {
        assert_eq!(found(&values), Vec::<f64>::new());
    }
    assert_eq!(find_seasons(&Series::default(), &SeasonOptions::default()), vec![]);
}

#[test]
fn a_profile_is_centred_and_robust() {
    let values: Vec<f64> = (0..400).map(|i| 10.0 + f64::from(i % 4) + if i == 33 { 1e6 } else { 0.0 }).collect();
    let profile = Profile::of(&values, 4.0).expect("fits");
    let expected = [-1.5, -0.5, 0.5, 1.5];
    assert!(profile.offsets.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{profile:?}");
    assert_eq!(profile.at(401.0), profile.offsets[1]);
    assert_eq!(Profile::of(&values, 1.0), None);
    assert_eq!(Profile::of(&values[..6], 4.0), None);
}
