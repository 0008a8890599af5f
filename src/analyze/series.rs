//! A series of values in time, as every analysis takes it.
//!
//! Invariant: times are finite, strictly increasing epoch seconds; values (and the load beside them, when known) are
//! finite; all columns have one length. Spacing may be irregular and have gaps. What had to be repaired to get there is
//! counted in [`Repairs`], so that nothing is dropped in silence. A series that cannot be held whole goes through
//! [`in_order`] row by row instead.

mod build;
mod stream;

use serde::Serialize;

pub use self::build::SeriesBuilder;
pub use self::stream::{InOrder, in_order};

/// One row as it was read, before any repair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Epoch seconds.
    pub time_s: f64,
    /// The value; NaN where the field was empty.
    pub value: f64,
    /// Relative work done, where there is such a column.
    pub load: Option<f64>,
}

/// Times (epoch seconds), values (bytes, where nothing else is said) and, when known, the load beside each value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    times_s: Vec<f64>,
    values: Vec<f64>,
    load: Option<Vec<f64>>,
    repairs: Repairs,
}

/// What had to be changed to get an ordered, finite series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repairs {
    /// Rows dropped because the value or the time was not finite, or the value was empty.
    pub not_finite: usize,
    /// Rows dropped because another row has the same time; the last one is kept.
    pub duplicate_times: usize,
    /// Rows that stood out of order and were sorted into place.
    pub out_of_order: usize,
    /// Rows dropped because they came later than a stream can wait for (never happens to a series that is read whole).
    pub too_late: usize,
}

/// What an answer says of its input: rows used, and what was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InputSummary {
    /// Rows that were used.
    pub rows: usize,
    /// What had to be repaired.
    pub repaired: Repairs,
}

impl std::fmt::Display for InputSummary {
    /// `700 rows`, and what was repaired where anything was.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows", self.rows)?;
        let r = &self.repaired;
        let counts = [
            (r.not_finite, "not finite, dropped"),
            (r.duplicate_times, "with a time that comes again, dropped"),
            (r.out_of_order, "out of order, sorted"),
            (r.too_late, "too late, dropped"),
        ];
        counts.iter().filter(|c| c.0 > 0).try_for_each(|(n, what)| write!(f, "; {n} {what}"))
    }
}

impl Series {
    /// Takes rows in any order. Rows that are not finite are dropped, rows out of order sorted, of rows with one time the
    /// last is kept; each is counted. A load that is not finite is taken as the previous row's (0 at the start).
    pub fn repaired(times_s: Vec<f64>, values: Vec<f64>, load: Option<Vec<f64>>) -> Series {
        let mut builder = SeriesBuilder::new(load.is_some());
        for (i, (time_s, value)) in times_s.into_iter().zip(values).enumerate() {
            builder.push(Row { time_s, value, load: load.as_ref().and_then(|l| l.get(i)).copied() });
        }
        builder.finish()
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.times_s.len()
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.times_s.is_empty()
    }

    /// Epoch seconds, strictly increasing.
    pub fn times_s(&self) -> &[f64] {
        &self.times_s
    }

    /// One value a row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Relative work done in each row, when known.
    pub fn load(&self) -> Option<&[f64]> {
        self.load.as_deref()
    }

    /// What had to be repaired.
    pub fn repairs(&self) -> &Repairs {
        &self.repairs
    }

    /// Rows and repairs, as every answer states them.
    pub fn summary(&self) -> InputSummary {
        InputSummary { rows: self.len(), repaired: self.repairs }
    }

    /// The last `rows` rows (all of them when there are fewer), repairs not counted again.
    pub fn last_rows(&self, rows: usize) -> Series {
        let from = self.len().saturating_sub(rows);
        Series {
            times_s: self.times_s[from..].to_vec(),
            values: self.values[from..].to_vec(),
            load: self.load.as_ref().map(|l| l[from..].to_vec()),
            repairs: Repairs::default(),
        }
    }

    /// Median distance between rows in seconds; `None` under two rows. Of very many rows, evenly chosen ones are asked, so
    /// that the answer takes no memory of the series' size.
    pub fn step_s(&self) -> Option<f64> {
        const ASKED: usize = 1 << 16;
        let every = (self.len() / ASKED).max(1);
        let mut d: Vec<f64> = self.times_s.windows(2).step_by(every).map(|w| w[1] - w[0]).collect();
        let middle = d.len() / 2;
        (!d.is_empty()).then(|| *d.select_nth_unstable_by(middle, f64::total_cmp).1)
    }

    /// Gaps: (row after which it begins, seconds) wherever rows stand more than `factor` median steps apart.
    pub fn gaps(&self, factor: f64) -> Vec<(usize, f64)> {
        let Some(step) = self.step_s() else { return Vec::new() };
        let wide = |(i, w): (usize, &[f64])| (w[1] - w[0] > factor * step).then_some((i, w[1] - w[0]));
        self.times_s.windows(2).enumerate().filter_map(wide).collect()
    }

    /// Rows at which a counter began anew: it stands below the row before. A process's restart shows in all its counters.
    pub fn counter_resets(&self) -> Vec<usize> {
        self.values.windows(2).enumerate().filter(|(_, w)| w[1] < w[0]).map(|(i, _)| i + 1).collect()
    }

    /// A counter's growth across restarts: each fall counts as a start from zero, as `increase` in PromQL does.
    pub fn unrolled_counter(&self) -> Series {
        let mut offset = 0.0;
        let mut before = f64::NEG_INFINITY;
        let values = self.values.iter().map(|v| {
            if *v < before {
                offset += before;
            }
            before = *v;
            v + offset
        });
        Series { values: values.collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_counted_and_the_last_duplicate_is_kept() {
        let s = Series::repaired(vec![3.0, 1.0, 1.0, f64::NAN, 2.0], vec![30.0, 10.0, 11.0, 5.0, f64::INFINITY], None);
        assert_eq!((s.times_s(), s.values()), (&[1.0, 3.0][..], &[11.0, 30.0][..]));
        assert_eq!(s.repairs(), &Repairs { not_finite: 2, duplicate_times: 1, out_of_order: 1, too_late: 0 });
    }

    #[test]
    fn the_summary_says_what_was_repaired_and_nothing_else() {
        let s = Series::repaired(vec![2.0, 1.0, f64::NAN], vec![1.0, 2.0, 3.0], None);
        assert_eq!(s.summary().to_string(), "2 rows; 1 not finite, dropped; 1 out of order, sorted");
        assert_eq!(Series::default().summary().to_string(), "0 rows");
    }

    #[test]
    fn a_load_that_is_missing_is_the_previous_rows() {
        let s = Series::repaired(vec![1.0, 2.0, 3.0], vec![1.0; 3], Some(vec![f64::NAN, 5.0]));
        assert_eq!(s.load(), Some(&[0.0, 5.0, 5.0][..]));
    }

    #[test]
    fn gaps_and_restarts_are_seen() {
        let s = Series::repaired(vec![0.0, 60.0, 120.0, 600.0, 660.0], vec![5.0, 9.0, 2.0, 4.0, 1.0], None);
        assert_eq!(s.gaps(3.0), vec![(2, 480.0)]);
        assert_eq!(s.counter_resets(), vec![2, 4]);
        assert_eq!(s.unrolled_counter().values(), &[5.0, 9.0, 11.0, 13.0, 14.0]);
    }
}
