//! Even grids from uneven series.
//!
//! Method: a cell of the grid holds the mean of the rows that fall into it; a cell without rows holds NaN, so a gap stays
//! visible until somebody fills it on purpose with [`Grid::filled`]. Nothing is invented silently.

use super::series::Series;

/// Values at `start_s + i·step_s`; NaN where no row fell.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Time of the first cell's middle, epoch seconds.
    pub start_s: f64,
    /// Distance between cells in seconds.
    pub step_s: f64,
    /// One value a cell, NaN where there was no row.
    pub values: Vec<f64>,
}

/// Means of the rows in cells of `step_s`. `None` when the step is not positive and finite, the series is empty, or the
/// grid would exceed `most_cells`.
pub fn resample(series: &Series, step_s: f64, most_cells: usize) -> Option<Grid> {
    let (first, last) = (*series.times_s().first()?, *series.times_s().last()?);
    if !(step_s.is_finite() && step_s > 0.0) || (last - first) / step_s >= most_cells as f64 {
        return None;
    }
    let cells = ((last - first) / step_s).round() as usize + 1;
    let (mut sums, mut counts) = (vec![0.0; cells], vec![0u32; cells]);
    for (t, v) in series.times_s().iter().zip(series.values()) {
        let cell = (((t - first) / step_s).round() as usize).min(cells - 1);
        sums[cell] += v;
        counts[cell] += 1;
    }
    let values = sums.iter().zip(&counts).map(|(s, n)| if *n > 0 { s / f64::from(*n) } else { f64::NAN }).collect();
    Some(Grid { start_s: first, step_s, values })
}

/// The finest grid of at most `most_cells`: the series' own median step, or the smallest multiple of it that fits.
pub fn resample_within(series: &Series, most_cells: usize) -> Option<Grid> {
    let step = series.step_s()?;
    let span = series.times_s().last()? - series.times_s().first()?;
    let factor = (span / step / most_cells.max(2) as f64 * (1.0 + 1e-9) + 1e-9).ceil().max(1.0);
    resample(series, step * factor, most_cells.max(2) + 1)
}

impl Grid {
    /// The same grid with straight lines across gaps; a gap at an end takes the nearest value.
    pub fn filled(&self) -> Vec<f64> {
        filled(&self.values)
    }

    /// Cells without a row.
    pub fn missing(&self) -> usize {
        self.values.iter().filter(|v| !v.is_finite()).count()
    }
}

/// Straight lines across what is not finite; ends take the nearest value; all zero when nothing is finite.
pub(crate) fn filled(values: &[f64]) -> Vec<f64> {
    let mut out = values.to_vec();
    let mut before: Option<usize> = None;
    for i in 0..out.len() {
        if !values[i].is_finite() {
            continue;
        }
        let from = before.map_or(0, |b| b + 1);
        for (j, slot) in out.iter_mut().enumerate().take(i).skip(from) {
            *slot = match before {
                Some(b) => values[b] + (values[i] - values[b]) * (j - b) as f64 / (i - b) as f64,
                None => values[i],
            };
        }
        before = Some(i);
    }
    let (from, last) = before.map_or((0, 0.0), |b| (b + 1, values[b]));
    out.iter_mut().skip(from).for_each(|v| *v = last);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rows: &[(f64, f64)]) -> Series {
        Series::repaired(rows.iter().map(|r| r.0).collect(), rows.iter().map(|r| r.1).collect(), None)
    }

    #[test]
    fn cells_are_means_and_gaps_stay_visible() {
        let s = series(&[(100.0, 1.0), (101.0, 3.0), (110.0, 5.0), (141.0, 8.0)]);
        let grid = resample(&s, 10.0, 100).expect("fits");
        assert_eq!(&grid.values[..2], &[2.0, 5.0]);
        assert_eq!((grid.values.len(), grid.missing()), (5, 2));
        assert_eq!(grid.filled(), vec![2.0, 5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn a_grid_that_cannot_be_is_none() {
        let s = series(&[(0.0, 1.0), (1.0, 1.0), (1e9, 1.0)]);
        assert_eq!(resample(&s, 1.0, 1000), None);
        assert_eq!(resample(&s, 0.0, 1000), None);
        assert_eq!(resample(&s, f64::NAN, 1000), None);
        assert_eq!(resample_within(&Series::default(), 10), None);
    }

    #[test]
    fn the_finest_grid_within_a_bound_keeps_the_median_step_where_it_fits() {
        let s = series(&(0..100).map(|i| (f64::from(i) * 60.0, f64::from(i))).collect::<Vec<_>>());
        assert_eq!(resample_within(&s, 1000).expect("fits").step_s, 60.0);
        let coarse = resample_within(&s, 25).expect("fits");
        assert_eq!((coarse.step_s, coarse.values.len()), (240.0, 26));
    }

    #[test]
    fn filling_extends_the_ends_and_survives_no_value_at_all() {
        let nan = f64::NAN;
        assert_eq!(filled(&[nan, 2.0, nan, 4.0, nan]), vec![2.0, 2.0, 3.0, 4.0, 4.0]);
        assert_eq!(filled(&[nan, nan]), vec![0.0, 0.0]);
    }
}
