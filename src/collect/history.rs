//! A bounded series: recent points fine, old ones coarser.
//!
//! When it is full, every second point of its older half goes. So it always reaches back to the start, resolution falls with
//! age, and a push is O(1) on average. What is dropped are points of a level, never sums, so nothing has to be merged.

/// Rows of time and whatever is known at that time.
#[derive(Debug, Clone)]
pub struct History<P> {
    capacity: usize,
    points: Vec<P>,
}

impl<P: Copy> History<P> {
    /// Empty. `capacity` is at least 8.
    pub fn new(capacity: usize) -> History<P> {
        History { capacity: capacity.max(8), points: Vec::new() }
    }

    /// Adds the newest point.
    pub fn push(&mut self, point: P) {
        if self.points.len() >= self.capacity {
            self.thin();
        }
        self.points.push(point);
    }

    fn thin(&mut self) {
        let half = self.points.len() / 2;
        let mut index = 0;
        self.points.retain(|_| {
            let keep = index >= half || index % 2 == 0;
            index += 1;
            keep
        });
    }

    /// Oldest first.
    pub fn points(&self) -> &[P] {
        &self.points
    }

    /// Heap bytes.
    pub fn bytes(&self) -> usize {
        self.points.capacity() * size_of::<P>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_keeps_its_ends_and_is_finer_near_the_end() {
        let mut h = History::new(64);
        (0..100_000).for_each(|i| h.push(i));
        let p = h.points();
        assert!(p.len() <= 64);
        assert_eq!((p[0], p[p.len() - 1]), (0, 99_999));
        assert!(p.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(p[p.len() - 1] - p[p.len() - 2], 1);
    }
}
