//! A series of values in time, as every analysis takes it.
//!
//! Invariant: times are finite, strictly increasing epoch seconds; values (and the load beside them, when known) are
//! finite; all columns have one length. Spacing may be irregular and have gaps. What had to be repaired to get there is
//! counted in [`Repairs`], so that nothing is dropped in silence.

use serde::Serialize;

/// Times (epoch seconds), values (bytes, where nothing else is said) and, when known, the load beside each value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    times_s: Vec<f64>,
    values: Vec<f64>,
    load: Option<Vec<f64>>,
    repairs: Repairs,
}

/// What [`Series::repaired`] had to change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repairs {
    /// Rows dropped because the value or the time was not finite.
    pub not_finite: usize,
    /// Rows dropped because an earlier row has the same time; the last one is kept.
    pub duplicate_times: usize,
    /// Rows that stood out of order and were sorted into place.
    pub out_of_order: usize,
}

impl Series {
    /// Takes rows in any order. Rows that are not finite are dropped, rows out of order sorted, of rows with one time the
    /// last is kept; each is counted. A load that is not finite is taken as the previous row's (0 at the start).
    pub fn repaired(times_s: Vec<f64>, values: Vec<f64>, load: Option<Vec<f64>>) -> Series {
        let mut repairs = Repairs::default();
        let n = times_s.len().min(values.len());
        let mut rows: Vec<(f64, f64, f64)> = Vec::with_capacity(n);
        let mut last_load = 0.0;
        for i in 0..n {
            if !times_s[i].is_finite() || !values[i].is_finite() {
                repairs.not_finite += 1;
                continue;
            }
            if let Some(l) = load.as_ref().and_then(|l| l.get(i)).filter(|l| l.is_finite()) {
                last_load = *l;
            }
            rows.push((times_s[i], values[i], last_load));
        }
        repairs.out_of_order = rows.windows(2).filter(|w| w[1].0 < w[0].0).count();
        if repairs.out_of_order > 0 {
            rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let mut out = Series { load: load.is_some().then(Vec::new), ..Series::default() };
        for (t, v, l) in rows {
            if out.times_s.last() == Some(&t) {
                repairs.duplicate_times += 1;
                out.times_s.pop();
                out.values.pop();
                if let Some(x) = out.load.as_mut() {
                    x.pop();
                }
            }
            out.times_s.push(t);
            out.values.push(v);
            if let Some(x) = out.load.as_mut() {
                x.push(l);
            }
        }
        out.repairs = repairs;
        out
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

    /// Median distance between rows in seconds; `None` under two rows.
    pub fn step_s(&self) -> Option<f64> {
        let mut d: Vec<f64> = self.times_s.windows(2).map(|w| w[1] - w[0]).collect();
        if d.is_empty() {
            return None;
        }
        let mid = d.len() / 2;
        Some(*d.select_nth_unstable_by(mid, f64::total_cmp).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_are_counted_and_the_last_duplicate_is_kept() {
        let s = Series::repaired(vec![3.0, 1.0, 1.0, f64::NAN, 2.0], vec![30.0, 10.0, 11.0, 5.0, f64::INFINITY], None);
        assert_eq!((s.times_s(), s.values()), (&[1.0, 3.0][..], &[11.0, 30.0][..]));
        assert_eq!(s.repairs(), &Repairs { not_finite: 2, duplicate_times: 1, out_of_order: 1 });
    }
}
