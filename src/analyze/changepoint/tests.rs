//! Generated series with known changes, and none.

use super::*;
use crate::analyze::dice::Dice;

fn found(values: &[f64]) -> Vec<usize> {
    find_in(values, &ChangepointOptions::default()).expect("enough rows")
}

fn near(found: &[usize], truth: &[usize], rows: usize) -> bool {
    found.len() == truth.len() && found.iter().zip(truth).all(|(a, b)| a.abs_diff(*b) <= rows)
}

fn whole(values: &[f64]) -> Vec<Changepoint> {
    let times = (0..values.len()).map(|i| 1e9 + 60.0 * i as f64).collect();
    find_changepoints(&Series::repaired(times, values.to_vec(), None), &ChangepointOptions::default()).expect("enough")
}

/// Declared: at most 2 of 100 series of one regime show a change, whatever the memory and tails of their noise.
#[test]
fn one_regime_is_left_silent() {
    let mut alarms = Vec::new();
    for seed in 0..100u64 {
        let mut dice = Dice(seed);
        let n = 200 + 7 * seed as usize;
        let (memory, trend, heavy) = (0.09 * (seed % 10) as f64, 0.02 * (seed % 3) as f64, seed % 4 == 0);
        let mut at = 0.0;
        let values: Vec<f64> = (0..n)
            .map(|i| {
                let shock = dice.normal();
                at = memory * at + if heavy { shock * shock.abs() } else { shock };
                at + trend * i as f64
            })
            .collect();
        alarms.extend((!found(&values).is_empty()).then_some((seed, memory)));
    }
    assert!(alarms.len() <= 2, "{alarms:?}");
}

#[test]
fn levels_are_found_where_they_are_and_described() {
    let mut dice = Dice(1);
    let level = |i: usize| {
        if i < 150 {
            100.0
        } else if i < 320 {
            108.0
        } else {
            104.0
        }
    };
    let values: Vec<f64> = dice.remembering(500, 0.3).iter().enumerate().map(|(i, v)| level(i) + v).collect();
    let changes = whole(&values);
    assert!(near(&changes.iter().map(|c| c.row).collect::<Vec<_>>(), &[150, 320], 2), "{changes:?}");
    let first = changes[0];
    assert_eq!((first.kind, first.at_s), (Kind::Level, 1e9 + 60.0 * first.row as f64));
    assert!((first.before - 100.0).abs() < 0.5 && (first.after - 108.0).abs() < 0.5, "{first:?}");
    assert!((first.deviation_after - 1.0).abs() < 0.25, "{first:?}");
}

#[test]
fn a_bend_is_placed_and_its_slopes_are_per_hour() {
    let mut dice = Dice(2);
    let values: Vec<f64> =
        dice.remembering(600, 0.3).iter().enumerate().map(|(i, v)| v + 0.1 * (i as f64 - 250.0).max(0.0)).collect();
    let changes = whole(&values);
    assert!(changes.len() == 1 && changes[0].row.abs_diff(250) <= 10, "{changes:?}");
    assert_eq!(changes[0].kind, Kind::Slope);
    assert!(changes[0].slope_before_per_hour.abs() < 0.6, "{changes:?}");
    assert!((changes[0].slope_after_per_hour / 6.0 - 1.0).abs() < 0.1, "{changes:?}");
}

#[test]
fn a_change_of_variance_is_one() {
    let mut dice = Dice(3);
    let values: Vec<f64> = (0..600).map(|i| dice.normal() * if i < 300 { 1.0 } else { 4.0 }).collect();
    let changes = whole(&values);
    assert!(changes.len() == 1 && changes[0].row.abs_diff(300) <= 10, "{changes:?}");
    assert_eq!(changes[0].kind, Kind::Variance);
    assert!((changes[0].deviation_after / changes[0].deviation_before - 4.0).abs() < 1.0, "{changes:?}");
}

#[test]
fn seasons_and_spikes_are_not_changes_and_do_not_hide_one() {
    let mut dice = Dice(4);
    let season = |i: usize| 4.0 * (std::f64::consts::TAU * i as f64 / 48.0).sin();
    let mut values: Vec<f64> = (0..800).map(|i| season(i) + dice.normal()).collect();
    for i in [77, 191, 192, 402, 655] {
        values[i] += 40.0;
    }
    assert_eq!(found(&values), Vec::<usize>::new());
    values.iter_mut().skip(500).for_each(|v| *v += 6.0);
    assert!(near(&found(&values), &[500], 5), "{:?}", found(&values));
}

#[test]
fn a_gap_in_a_steady_climb_is_not_a_change() {
    let mut dice = Dice(5);
    let times: Vec<f64> = (0..600).filter(|i| !(200..320).contains(i)).map(|i| f64::from(i) * 30.0).collect();
    let values: Vec<f64> = times.iter().map(|t| t / 100.0 + dice.normal()).collect();
    let changes = find_changepoints(&Series::repaired(times, values, None), &ChangepointOptions::default());
    assert_eq!(changes, Some(vec![]));
}

#[test]
fn a_long_series_is_reduced_and_the_change_still_placed() {
    let mut dice = Dice(6);
    let values: Vec<f64> = (0..30_000).map(|i| dice.normal() + if i >= 17_000 { 3.0 } else { 0.0 }).collect();
    let changes = found(&values);
    assert!(near(&changes, &[17_000], 30), "{changes:?}");
}

#[test]
fn rounded_values_and_exact_steps_are_seen_as_they_are() {
    let exact: Vec<f64> = (0..200).map(|i| if i < 90 { 5.0 } else { 9.0 }).collect();
    assert_eq!(found(&exact), vec![90]);
    let mut dice = Dice(7);
    let rounded: Vec<f64> = (0..500).map(|_| (0.4 * dice.normal()).round()).collect();
    assert_eq!(found(&rounded), Vec::<usize>::new());
}

#[test]
fn thin_and_constant_series_are_answered() {
    assert_eq!(find_in(&[1.0; 19], &ChangepointOptions::default()), None);
    assert_eq!(find_changepoints(&Series::default(), &ChangepointOptions::default()), None);
    assert_eq!(found(&[7.0; 100]), Vec::<usize>::new());
    let extreme: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { f64::MAX } else { -f64::MAX }).collect();
    assert_eq!(found(&extreme), Vec::<usize>::new());
}
