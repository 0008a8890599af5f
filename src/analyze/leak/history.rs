//! What a streaming detector remembers of a series: at most [`CAPACITY`] blocks of equally many rows, each with the means
//! of its four quarters by size.
//!
//! A leak lifts the floor under the peaks, so blocks keep their lowest quarter apart. Rows enter one at a time; two blocks
//! of one size merge into one by sorting their eight quarters and averaging neighbours. When the memory is full, all
//! blocks merge in pairs and double in size: old and new history stay equally fine, cost is constant per row amortised.
//! Rows are counted, not seconds: a gap is a jump between block times, not a block.

use serde::{Deserialize, Serialize};

/// The most blocks kept; after merging there are half as many.
pub const CAPACITY: usize = 256;

/// Some neighbouring rows, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Mean time of the rows, epoch seconds.
    pub time_s: f64,
    /// Mean load of the rows; 0 where none is known.
    pub load: f64,
    /// Means of the four quarters of the values, lowest first.
    pub quarters: [f64; 4],
}

impl Block {
    /// The floor of the block: the mean of its lowest quarter.
    pub fn low(&self) -> f64 {
        self.quarters[0]
    }

    /// The middle of the block, between its median quarters.
    pub fn mid(&self) -> f64 {
        (self.quarters[1] + self.quarters[2]) / 2.0
    }

    fn of_row(time_s: f64, value: f64, load: f64) -> Block {
        Block { time_s, load, quarters: [value; 4] }
    }

    fn merged(self, later: Block) -> Block {
        let [a, b, c, d] = self.quarters;
        let [e, f, g, h] = later.quarters;
        let mut all = [a, b, c, d, e, f, g, h];
        all.sort_unstable_by(f64::total_cmp);
        let quarters = [0, 2, 4, 6].map(|i| (all[i] + all[i + 1]) / 2.0);
        Block { time_s: (self.time_s + later.time_s) / 2.0, load: (self.load + later.load) / 2.0, quarters }
    }
}

/// Bounded history of a series. Rows must come in time order and be finite.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct History {
    blocks: Vec<Block>,
    /// Every block stands for 2^level rows.
    level: u32,
    /// Blocks not yet complete, as (level, block), coarsest first.
    partial: Vec<(u32, Block)>,
    rows: u64,
    first_s: Option<f64>,
    last: Option<(f64, f64)>,
}

impl History {
    /// Takes one more row.
    pub fn push(&mut self, time_s: f64, value: f64, load: f64) {
        self.rows += 1;
        self.first_s.get_or_insert(time_s);
        self.last = Some((time_s, value));
        self.carry(0, Block::of_row(time_s, value, load));
        if self.blocks.len() >= CAPACITY {
            self.blocks = in_pairs(&self.blocks);
            self.level += 1;
        }
    }

    /// A binary counter of blocks: equals merge, until a block is as large as those kept.
    fn carry(&mut self, mut level: u32, mut block: Block) {
        while level < self.level {
            match self.partial.last() {
                Some(&(same, earlier)) if same == level => {
                    self.partial.pop();
                    block = earlier.merged(block);
                    level += 1;
                }
                _ => return self.partial.push((level, block)),
            }
        }
        self.blocks.push(block);
    }

    /// Rows taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Seconds from the first row to the last.
    pub fn span_s(&self) -> f64 {
        self.first_s.zip(self.last).map_or(0.0, |(first, last)| last.0 - first)
    }

    /// Time of the first row.
    pub fn first_s(&self) -> Option<f64> {
        self.first_s
    }

    /// Time and value of the last row.
    pub fn last(&self) -> Option<(f64, f64)> {
        self.last
    }

    /// The complete blocks, merged until there are fewer than `most`.
    pub fn blocks(&self, most: usize) -> Vec<Block> {
        let mut blocks = self.blocks.clone();
        while blocks.len() >= most.max(2) {
            blocks = in_pairs(&blocks);
        }
        blocks
    }
}

/// Merges neighbours; an odd last block stays as it is.
fn in_pairs(blocks: &[Block]) -> Vec<Block> {
    blocks.chunks(2).filter_map(|pair| Some(pair.first()?.merged(*pair.get(1).or(pair.first())?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(rows: usize) -> History {
        let mut h = History::default();
        (0..rows).for_each(|i| h.push(60.0 * i as f64, i as f64, 0.0));
        h
    }

    #[test]
    fn memory_is_bounded_and_no_row_is_lost() {
        let h = history(100_000);
        assert!(h.blocks.len() < CAPACITY && h.partial.len() < 20);
        let kept = (h.blocks.len() << h.level) + h.partial.iter().map(|(l, _)| 1usize << l).sum::<usize>();
        assert_eq!((kept, h.rows()), (100_000, 100_000));
    }

    #[test]
    fn a_block_of_four_rows_has_the_rows_as_quarters() {
        let rows = [4.0, 1.0, 3.0, 2.0].map(|v| Block::of_row(0.0, v, 0.0));
        let block = rows[0].merged(rows[1]).merged(rows[2].merged(rows[3]));
        assert_eq!(block.quarters, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_restored_history_goes_on_as_if_it_had_never_stopped() {
        let mut kept = history(777);
        let mut restored: History = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        for h in [&mut kept, &mut restored] {
            (777..2000).for_each(|i| h.push(60.0 * f64::from(i), f64::from(i), 0.0));
        }
        assert_eq!(kept.blocks(usize::MAX), restored.blocks(usize::MAX));
    }
}
