//! A series grows row by row, in place: rows in order cost no second copy.

use super::{Repairs, Row, Series};

/// Collects rows in any order; [`SeriesBuilder::finish`] sorts once, and only when needed.
#[derive(Debug, Clone)]
pub struct SeriesBuilder {
    series: Series,
    last_load: f64,
    sorted: bool,
}

impl SeriesBuilder {
    /// Empty; `with_load` when rows carry a load.
    pub fn new(with_load: bool) -> SeriesBuilder {
        let series = Series { load: with_load.then(Vec::new), ..Series::default() };
        SeriesBuilder { series, last_load: 0.0, sorted: true }
    }

    /// Takes one row. What is not finite is dropped and counted; of two rows in turn with one time the later stays.
    pub fn push(&mut self, row: Row) {
        let s = &mut self.series;
        if !(row.time_s.is_finite() && row.value.is_finite()) {
            s.repairs.not_finite += 1;
            return;
        }
        self.last_load = row.load.filter(|l| l.is_finite()).unwrap_or(self.last_load);
        if let Some(before) = s.times_s.last().copied() {
            if row.time_s < before {
                s.repairs.out_of_order += 1;
                self.sorted = false;
            } else if row.time_s == before {
                s.repairs.duplicate_times += 1;
                s.times_s.pop();
                s.values.pop();
                s.load.as_mut().map(Vec::pop);
            }
        }
        s.times_s.push(row.time_s);
        s.values.push(row.value);
        if let Some(load) = s.load.as_mut() {
            load.push(self.last_load);
        }
    }

    /// The series.
    pub fn finish(self) -> Series {
        if self.sorted { self.series } else { sorted(&self.series) }
    }
}

fn sorted(s: &Series) -> Series {
    let mut order: Vec<usize> = (0..s.len()).collect();
    order.sort_by(|a, b| s.times_s[*a].total_cmp(&s.times_s[*b]));
    let mut out = SeriesBuilder::new(s.load.is_some());
    for i in order {
        let load = s.load.as_ref().map(|l| l[i]);
        out.push(Row { time_s: s.times_s[i], value: s.values[i], load });
    }
    let duplicate_times = s.repairs.duplicate_times + out.series.repairs.duplicate_times;
    Series { repairs: Repairs { duplicate_times, ..s.repairs }, ..out.series }
}
