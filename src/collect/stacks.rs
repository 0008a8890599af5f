//! Raw stacks by number: each distinct list of return addresses once, bounded.
//!
//! At the bound the stacks without a live sample that were seen longest ago make room; if none can, a new stack is cut to its
//! innermost frames, which programs with unbounded recursion share; if that does not help either it is [`OTHER`], and counted.

use std::collections::HashMap;
use std::sync::Arc;

/// The stack of samples whose own stack could not be kept. It has no frames.
pub const OTHER: u32 = 0;
/// Innermost frames that a stack is cut to at the bound.
const CUT: usize = 16;

/// A distinct stack.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Return addresses, leaf first.
    pub frames: Arc<[u64]>,
    /// The site it belongs to.
    pub site: u32,
    /// Whether that site is named by symbols, or still by addresses.
    pub named: bool,
    /// Samples of it that are alive.
    pub live_samples: u32,
    last_seen: u64,
}

/// All stacks.
#[derive(Debug)]
pub struct StackTable {
    numbers: HashMap<Arc<[u64]>, u32>,
    stacks: Vec<Stack>,
    vacant: Vec<u32>,
    capacity: usize,
    clock: u64,
    /// Samples whose stack became [`OTHER`].
    pub overflowed: u64,
}

impl StackTable {
    /// Room for `capacity` stacks, [`OTHER`] included.
    pub fn new(capacity: usize) -> StackTable {
        let other = Stack { frames: Arc::default(), site: 0, named: true, live_samples: 0, last_seen: 0 };
        let (numbers, vacant) = (HashMap::new(), Vec::new());
        StackTable { numbers, stacks: vec![other], vacant, capacity: capacity.max(2), clock: 0, overflowed: 0 }
    }

    /// The number of this stack, and whether it is new. A new one belongs to site 0 until told otherwise.
    pub fn number(&mut self, frames: &[u64]) -> (u32, bool) {
        self.clock += 1;
        if let Some(number) = self.known(frames) {
            return (number, false);
        }
        if self.vacant.is_empty() && self.stacks.len() >= self.capacity {
            self.evict();
        }
        if self.vacant.is_empty() && self.stacks.len() >= self.capacity {
            let number = self.known(&frames[..frames.len().min(CUT)]).unwrap_or(OTHER);
            self.overflowed += u64::from(number == OTHER);
            return (number, false);
        }
        // The last tenth is for stacks cut short: with that many stacks, their outer frames are what differs.
        let crowded = self.vacant.is_empty() && self.stacks.len() >= self.capacity - self.capacity / 10;
        let frames = if crowded { &frames[..frames.len().min(CUT)] } else { frames };
        match self.known(frames) {
            Some(number) => (number, false),
            None => (self.insert(frames), true),
        }
    }

    fn known(&mut self, frames: &[u64]) -> Option<u32> {
        let number = *self.numbers.get(frames)?;
        self.stacks[number as usize].last_seen = self.clock;
        Some(number)
    }

    fn insert(&mut self, frames: &[u64]) -> u32 {
        let frames: Arc<[u64]> = frames.into();
        let stack = Stack { frames: frames.clone(), site: 0, named: false, live_samples: 0, last_seen: self.clock };
        let number = match self.vacant.pop() {
            Some(number) => {
                self.stacks[number as usize] = stack;
                number
            }
            None => {
                self.stacks.push(stack);
                (self.stacks.len() - 1) as u32
            }
        };
        self.numbers.insert(frames, number);
        number
    }

    /// Frees the older half of the stacks that nothing alive refers to.
    fn evict(&mut self) {
        let mut idle: Vec<(u64, u32)> = (1..self.stacks.len())
            .map(|i| (self.stacks[i].last_seen, i as u32))
            .filter(|(_, i)| self.stacks[*i as usize].live_samples == 0)
            .collect();
        idle.sort_unstable();
        idle.truncate(idle.len().div_ceil(2));
        for (_, number) in idle {
            self.numbers.remove(&self.stacks[number as usize].frames);
            self.vacant.push(number);
        }
    }

    pub fn get(&self, number: u32) -> &Stack {
        &self.stacks[number as usize]
    }

    pub fn get_mut(&mut self, number: u32) -> &mut Stack {
        &mut self.stacks[number as usize]
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stack> {
        self.stacks.iter_mut()
    }

    /// Stacks in use whose site has no names yet.
    pub fn unnamed(&self) -> Vec<u32> {
        let in_use = |i: &u32| self.numbers.get(&self.stacks[*i as usize].frames) == Some(i);
        (1..self.stacks.len() as u32).filter(|i| !self.stacks[*i as usize].named).filter(in_use).collect()
    }

    /// Stacks in use.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Heap bytes, nearly.
    pub fn bytes(&self) -> usize {
        let frames: usize = self.stacks.iter().map(|s| s.frames.len() * 8 + 16).sum();
        frames + self.stacks.capacity() * size_of::<Stack>() + self.numbers.capacity() * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_distinct_stacks_stay_within_the_bound() {
        let mut t = StackTable::new(1000);
        for i in 0..1_000_000u64 {
            let (n, _) = t.number(&[i % 3, i, i + 1]);
            assert!((n as usize) < 1000);
        }
        assert!(t.count() < 1000);
    }

    #[test]
    fn stacks_with_live_samples_stay_and_deep_ones_are_cut_at_the_bound() {
        let mut t = StackTable::new(100);
        for i in 0..99u64 {
            let (n, new) = t.number(&[i]);
            assert!(new);
            t.get_mut(n).live_samples = 1;
        }
        assert!(!t.number(&[5]).1);
        assert_eq!(t.number(&[1000]), (OTHER, false));
        assert_eq!(t.overflowed, 1);
        let mut t = StackTable::new(100);
        for depth in 0..10_000u64 {
            let frames: Vec<u64> = (0..20).chain([depth]).collect();
            let (n, _) = t.number(&frames);
            t.get_mut(n).live_samples += 1;
        }
        assert_eq!(t.overflowed, 0, "recursion shares its innermost frames");
    }
}
