//! Rows repaired one at a time, in bounded memory, for what must not hold a whole series.
//!
//! Rows wait in a window that is kept sorted; a row leaves when the window is full. So a row may be late by a window's length and
//! still find its place. Later ones are dropped and counted, which is where a stream differs from a series read whole.

use std::collections::VecDeque;

use super::{Repairs, Row};

/// Yields rows with strictly increasing times and finite values; passes errors through. `window` rows are held back at most:
/// 1 suffices for duplicates, more repairs disorder at 32 bytes a row and an answer that much later.
pub fn in_order<I, E>(rows: I, window: usize) -> InOrder<I>
where
    I: Iterator<Item = Result<Row, E>>,
{
    InOrder {
        rows,
        window: window.max(1),
        waiting: VecDeque::new(),
        passed: f64::NEG_INFINITY,
        used: 0,
        repairs: Repairs::default(),
    }
}

/// The iterator behind [`in_order`].
#[derive(Debug)]
pub struct InOrder<I> {
    rows: I,
    window: usize,
    waiting: VecDeque<Row>,
    passed: f64,
    used: usize,
    repairs: Repairs,
}

impl<I> InOrder<I> {
    /// Rows passed on, and repairs, so far.
    pub fn summary(&self) -> super::InputSummary {
        super::InputSummary { rows: self.used, repaired: self.repairs }
    }

    fn admit(&mut self, row: Row) {
        if !(row.time_s.is_finite() && row.value.is_finite()) {
            self.repairs.not_finite += 1;
            return;
        }
        if row.time_s == self.passed {
            self.repairs.duplicate_times += 1;
        } else if row.time_s < self.passed {
            self.repairs.too_late += 1;
        } else {
            self.place(row);
        }
    }

    fn place(&mut self, row: Row) {
        let at = self.waiting.iter().rposition(|w| w.time_s <= row.time_s);
        match at.and_then(|i| self.waiting.get_mut(i)) {
            Some(same) if same.time_s == row.time_s => {
                *same = row;
                self.repairs.duplicate_times += 1;
            }
            _ => {
                let to = at.map_or(0, |i| i + 1);
                self.repairs.out_of_order += usize::from(to < self.waiting.len());
                self.waiting.insert(to, row);
            }
        }
    }

    fn pass(&mut self) -> Option<Row> {
        let row = self.waiting.pop_front()?;
        self.passed = row.time_s;
        self.used += 1;
        Some(row)
    }
}

impl<I, E> Iterator for InOrder<I>
where
    I: Iterator<Item = Result<Row, E>>,
{
    type Item = Result<Row, E>;

    fn next(&mut self) -> Option<Result<Row, E>> {
        while self.waiting.len() <= self.window {
            match self.rows.next() {
                Some(Ok(row)) => self.admit(row),
                Some(Err(e)) => return Some(Err(e)),
                None => break,
            }
        }
        self.pass().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(times: &[f64]) -> Vec<Result<Row, ()>> {
        times.iter().enumerate().map(|(i, t)| Ok(Row { time_s: *t, value: i as f64, load: None })).collect()
    }

    fn passed(times: &[f64], window: usize) -> (Vec<(f64, f64)>, Repairs) {
        let mut stream = in_order(rows(times).into_iter(), window);
        let out = stream.by_ref().map(|r| r.map(|r| (r.time_s, r.value)).expect("no error")).collect();
        (out, stream.summary().repaired)
    }

    #[test]
    fn disorder_within_the_window_is_sorted_and_the_last_duplicate_stays() {
        let (out, repairs) = passed(&[1.0, 3.0, 2.0, 3.0, f64::NAN, 4.0], 3);
        assert_eq!(out, vec![(1.0, 0.0), (2.0, 2.0), (3.0, 3.0), (4.0, 5.0)]);
        assert_eq!(repairs, Repairs { not_finite: 1, duplicate_times: 1, out_of_order: 1, too_late: 0 });
    }

    #[test]
    fn what_comes_after_its_place_has_passed_is_dropped_and_counted() {
        let (out, repairs) = passed(&[1.0, 5.0, 6.0, 7.0, 2.0, 8.0], 1);
        assert_eq!(out.iter().map(|r| r.0).collect::<Vec<_>>(), vec![1.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(repairs.too_late, 1);
    }

    #[test]
    fn an_error_is_passed_through() {
        let mut stream = in_order(vec![Err("line 3")].into_iter(), 4);
        assert_eq!(stream.next(), Some(Err("line 3")));
        assert_eq!(stream.next(), None);
    }
}
