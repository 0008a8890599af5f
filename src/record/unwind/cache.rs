//! Rules of recently walked code: a direct-mapped cache in front of the tables, shared by all threads.
//!
//! An entry is one 64-bit word that holds both the address and its rule, read and written relaxed: a race can lose an
//! entry, it cannot mix two. It spares the search in the table, which is what a hot walk costs. Rules that say
//! "unknown" are not kept, since a table for that code may come.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::machine::{ADDRESS_SHIFT, RULE_BITS};
use super::rows::Rule;

const SLOT_BITS: u32 = 12;

/// 4096 words, 32 KiB: it shares the second-level cache with the application's data, and twice as many slots lose more there
/// than they gain.
const SLOTS: usize = 1 << SLOT_BITS;

// An empty word is that of the lowest addresses, where no code is. Any other word is exact: what is not in the slot's number
// is in the tag, for the 47 (48) bits of a user address.
const _: () = assert!(64 - RULE_BITS + SLOT_BITS + ADDRESS_SHIFT >= if ADDRESS_SHIFT == 0 { 47 } else { 48 });

/// Address to rule.
pub(super) struct Cache([AtomicU64; SLOTS]);

impl Cache {
    pub(super) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; SLOTS])
    }

    #[inline(always)]
    pub(super) fn get(&self, address: usize) -> Option<Rule> {
        let word = self.slot(address).load(Relaxed);
        let rule = Rule(word as u32 & ((1 << RULE_BITS) - 1));
        ((word ^ tag(address)) >> RULE_BITS == 0).then_some(rule)
    }

    #[inline(always)]
    pub(super) fn put(&self, address: usize, rule: Rule) {
        self.slot(address).store(tag(address) | u64::from(rule.0), Relaxed);
    }

    /// Forgets everything: code was unloaded and its addresses may come to mean other code.
    pub(super) fn clear(&self) {
        for slot in &self.0 {
            slot.store(0, Relaxed);
        }
    }

    #[inline(always)]
    fn slot(&self, address: usize) -> &AtomicU64 {
        &self.0[(address >> ADDRESS_SHIFT) & (SLOTS - 1)]
    }
}

#[inline(always)]
fn tag(address: usize) -> u64 {
    ((address >> ADDRESS_SHIFT >> SLOT_BITS) as u64) << RULE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_shares_the_slot_is_not_mistaken() {
        let cache = Cache::new();
        let (one, other) = (0x5555_1234_5678, 0x7555_1234_5678);
        cache.put(one, Rule(5));
        assert_eq!(cache.get(one), Some(Rule(5)));
        assert_eq!(cache.get(other), None);
        cache.put(other, Rule(6));
        assert_eq!((cache.get(one), cache.get(other)), (None, Some(Rule(6))));
        cache.clear();
        assert_eq!(cache.get(other), None);
    }

    #[test]
    fn every_bit_of_a_user_address_tells_entries_apart() {
        let cache = Cache::new();
        let address = 0x2aaa_5555_aaa8;
        cache.put(address, Rule(1));
        for bit in ADDRESS_SHIFT..47 {
            assert_eq!(cache.get(address ^ (1 << bit)), None, "bit {bit}");
        }
    }
}
