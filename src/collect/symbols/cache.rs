//! What stays in memory of the names: frames by address, and each string once.
//!
//! Two generations instead of a list by use: when the young one is full it becomes the old one, and what nobody asked for in
//! a whole generation is dropped. Bounded at twice the half, with no bookkeeping on a hit.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

/// A map that forgets what was not asked for lately.
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Copy, V: Clone> Generations<K, V> {
    /// Holds at most `capacity` entries, at least 2.
    pub(super) fn new(capacity: usize) -> Generations<K, V> {
        Generations { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(*key, value.clone());
        Some(value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// Strings that many frames share.
#[derive(Default)]
pub(super) struct Strings {
    known: HashSet<Arc<str>>,
    bytes: usize,
    sweep_at: usize,
}

/// Unused strings are looked for when the table has grown by this much since the last time.
const SWEEP_STEP_BYTES: usize = 1 << 20;

impl Strings {
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.bytes > self.sweep_at {
            self.sweep();
        }
        let new: Arc<str> = text.into();
        self.bytes += text.len();
        self.known.insert(Arc::clone(&new));
        new
    }

    fn sweep(&mut self) {
        self.known.retain(|text| Arc::strong_count(text) > 1);
        self.bytes = self.known.iter().map(|text| text.len()).sum();
        self.sweep_at = self.bytes + SWEEP_STEP_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut map = Generations::new(8);
        for key in 0..1000u32 {
            map.insert(key, key);
            assert_eq!(map.get(&0), Some(0), "asked for in every round");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(!map.contains(&500));
    }

    #[test]
    fn strings_are_shared_and_unused_ones_are_swept() {
        let mut strings = Strings::default();
        let kept = strings.intern("kept");
        assert!(Arc::ptr_eq(&kept, &strings.intern("kept")));
        let long = "x".repeat(4096);
        (0..2000).for_each(|i| drop(strings.intern(&format!("{long}{i}"))));
        assert!(strings.bytes <= SWEEP_STEP_BYTES + 2 * 4200, "{}", strings.bytes);
        assert!(Arc::ptr_eq(&kept, &strings.intern("kept")));
    }
}
