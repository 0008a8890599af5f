//! Tables: a module's rows by address, and the directory of all modules' tables that hooks read.
//!
//! A module's code is cut into pieces of 64 KiB. A piece is decoded as a whole, at start or when a walk first missed it,
//! and published by one store. Nothing published ever changes or goes away, so a hook that races with the collector
//! reads either "not yet" or complete rows. A directory entry of an unloaded module may be reused: a hook that reads it
//! half way gets an offset that is checked against the table, and at worst a rule of other code, which the walk survives.

use std::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use super::arena::{Arena, Plain};
use super::rows::{Row, Rule};

/// Bytes of code a piece covers.
pub(super) const PIECE_BYTES: usize = 1 << PIECE_SHIFT;
const PIECE_SHIFT: u32 = 16;
/// One index entry for 128 bytes of code: a search among about seven rows.
const BUCKET_SHIFT: u32 = 7;
const BUCKETS: usize = 1 << (PIECE_SHIFT - BUCKET_SHIFT);

/// Modules known at a time. Code of further ones has no tables; the report counts them.
pub(super) const MAX_MODULES: usize = 512;

/// Missed addresses waiting for the collector. Two that share a slot: the later one waits, the other misses again.
const MISSES: usize = 64;

/// A piece's rows, once decoded.
#[derive(Debug)]
pub(super) struct Piece {
    /// Sorted; the first row is at 0. Null until decoded or refused.
    rows: AtomicPtr<Row>,
    /// `BUCKETS + 1` numbers of rows: the last that begins at or before the bucket's start. Set before `rows`.
    index: AtomicPtr<u16>,
}

// SAFETY: two pointers, valid when null; alignment 8, no drop.
unsafe impl Plain for Piece {}

impl Piece {
    /// Publishes rows of which the first is at 0 and none is at `PIECE_BYTES` or later. `None` when the index does not fit.
    pub(super) fn publish(&self, rows: &'static [Row], arena: &mut Arena) -> Option<()> {
        let index: &'static mut [u16] = arena.take(BUCKETS + 1)?;
        let mut row = 0;
        for (bucket, first) in index.iter_mut().enumerate() {
            while rows.get(row + 1).is_some_and(|next| next.at as usize <= bucket << BUCKET_SHIFT) {
                row += 1;
            }
            *first = row as u16;
        }
        self.index.store(index.as_mut_ptr(), Relaxed);
        self.rows.store(rows.as_ptr().cast_mut(), Release);
        Some(())
    }

    /// Publishes that nothing will be known of this piece, so that walks do not go on asking for it.
    pub(super) fn refuse(&self) {
        static NO_ROW: [Row; 1] = [Row { at: 0, rule: Rule::UNKNOWN }];
        static NO_INDEX: [u16; BUCKETS + 1] = [0; BUCKETS + 1];
        self.index.store(NO_INDEX.as_ptr().cast_mut(), Relaxed);
        self.rows.store(NO_ROW.as_ptr().cast_mut(), Release);
    }

    pub(super) fn is_decoded(&self) -> bool {
        !self.rows.load(Relaxed).is_null()
    }

    /// The rule at `offset < PIECE_BYTES`; `None` while the piece is not decoded.
    #[inline(always)]
    fn rule(&self, offset: usize) -> Option<Rule> {
        let rows = self.rows.load(Acquire);
        if rows.is_null() {
            return None;
        }
        let bucket = (offset & (PIECE_BYTES - 1)) >> BUCKET_SHIFT;
        // SAFETY: rows was published after index and after what both point to was written, and none changes again. The
        // index has BUCKETS + 1 entries, bucket < BUCKETS, and each entry is the number of an existing row.
        unsafe {
            let index = self.index.load(Relaxed);
            let (mut low, mut high) = (*index.add(bucket) as usize, *index.add(bucket + 1) as usize + 1);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if (*rows.add(middle)).at as usize <= offset { low = middle } else { high = middle }
            }
            Some((*rows.add(low)).rule)
        }
    }
}

/// The pieces of one module, in the order of its code.
#[derive(Debug)]
pub(super) struct Table {
    pieces: *const Piece,
    count: usize,
}

// SAFETY: a pointer and an integer, valid when zero (no pieces); alignment 8, no drop.
unsafe impl Plain for Table {}

// SAFETY: the pointer is to pieces in the arena, which are shared atomics.
unsafe impl Sync for Table {}

impl Table {
    /// For a module with `code_bytes` of code, nothing decoded yet. `None` when the arena is full.
    pub(super) fn new(code_bytes: usize, arena: &mut Arena) -> Option<&'static Self> {
        let pieces: &'static [Piece] = arena.take(code_bytes.div_ceil(PIECE_BYTES))?;
        let table = arena.take::<Self>(1)?.first_mut()?;
        *table = Self { pieces: pieces.as_ptr(), count: pieces.len() };
        Some(table)
    }

    pub(super) fn pieces(&self) -> &'static [Piece] {
        // SAFETY: both fields come from one slice of the arena, which lives for 'static, and never change.
        unsafe { std::slice::from_raw_parts(self.pieces, self.count) }
    }
}

/// Where a module's code is and its table. `end` is 0 while the entry is free.
#[derive(Debug)]
struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
    table: AtomicPtr<Table>,
}

/// An entry as a walk read it.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: usize,
    pieces: &'static [Piece],
}

impl Span {
    /// Holds no address.
    pub(super) const EMPTY: Self = Self { start: 0, pieces: &[] };
}

/// The number of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(usize);

/// All modules' tables: written by the collector, read by hooks.
#[derive(Debug)]
pub(super) struct Directory {
    entries: [Entry; MAX_MODULES],
    /// Entries from here on were never used.
    used: AtomicUsize,
    misses: [AtomicUsize; MISSES],
}

impl Directory {
    pub(super) const fn new() -> Self {
        Self {
            entries: [const {
                Entry {
                    start: AtomicUsize::new(0),
                    end: AtomicUsize::new(0),
                    table: AtomicPtr::new(std::ptr::null_mut()),
                }
            }; MAX_MODULES],
            used: AtomicUsize::new(0),
            misses: [const { AtomicUsize::new(0) }; MISSES],
        }
    }

    /// The rule for `pc`. `near` is where the last one was found, as callers tend to be in the same module.
    #[inline(always)]
    pub(super) fn rule(&self, pc: usize, near: &mut Span) -> Rule {
        let mut offset = pc.wrapping_sub(near.start);
        if offset >> PIECE_SHIFT >= near.pieces.len() {
            let Some(span) = self.find(pc) else { return Rule::UNKNOWN };
            *near = span;
            offset = pc.wrapping_sub(span.start);
        }
        let piece = near.pieces.get(offset >> PIECE_SHIFT);
        match piece.and_then(|piece| piece.rule(offset & (PIECE_BYTES - 1))) {
            Some(rule) => rule,
            None => self.miss(pc),
        }
    }

    /// Whether `pc` is in the code of a known module.
    #[inline]
    pub(super) fn covers(&self, pc: usize) -> bool {
        self.find(pc).is_some()
    }

    #[inline]
    fn find(&self, pc: usize) -> Option<Span> {
        let used = self.used.load(Acquire);
        let entry = self
            .entries
            .iter()
            .take(used)
            .find(|entry| entry.start.load(Relaxed) <= pc && pc < entry.end.load(Acquire))?;
        let (start, table) = (entry.start.load(Relaxed), entry.table.load(Acquire));
        // SAFETY: an entry below `used` has had a table since before `used` grew past it; a table is written before it is
        // stored here and is never changed or freed.
        let pieces = unsafe { (*table).pieces() };
        Some(Span { start, pieces })
    }

    /// Whether `pc` is in a piece that the collector may yet decode.
    pub(super) fn is_missing(&self, pc: usize) -> bool {
        self.find(pc)
            .and_then(|span| span.pieces.get(pc.wrapping_sub(span.start) >> PIECE_SHIFT))
            .is_some_and(|piece| !piece.is_decoded())
    }

    #[cold]
    #[inline(never)]
    fn miss(&self, pc: usize) -> Rule {
        if let Some(slot) = self.misses.get((pc >> PIECE_SHIFT) % MISSES) {
            slot.store(pc, Relaxed);
        }
        Rule::UNKNOWN
    }

    /// Addresses that walks missed since the last call.
    pub(super) fn take_misses(&self) -> impl Iterator<Item = usize> {
        self.misses.iter().map(|slot| slot.swap(0, Relaxed)).filter(|&pc| pc != 0)
    }

    /// Makes a module's table visible to hooks. Only one thread at a time inserts or removes. `None` when all entries are in use.
    pub(super) fn insert(&self, start: usize, end: usize, table: &'static Table) -> Option<EntryId> {
        let (id, entry) = self.entries.iter().enumerate().find(|(_, entry)| entry.end.load(Relaxed) == 0)?;
        entry.table.store(std::ptr::from_ref(table).cast_mut(), Release);
        entry.start.store(start, Relaxed);
        entry.end.store(end, Release);
        self.used.fetch_max(id + 1, Release);
        Some(EntryId(id))
    }

    /// Takes a module out. Walks that have just read the entry go on with its table, which stays.
    pub(super) fn remove(&self, id: EntryId) {
        if let Some(entry) = self.entries.get(id.0) {
            entry.end.store(0, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_of(rows: &[(u32, u32)], arena: &mut Arena) -> &'static Table {
        let table = Table::new(PIECE_BYTES + 1, arena).unwrap();
        let kept = arena.take::<Row>(rows.len()).unwrap();
        for (to, &(at, rule)) in kept.iter_mut().zip(rows) {
            *to = Row { at, rule: Rule(rule) };
        }
        table.pieces()[0].publish(kept, arena).unwrap();
        table
    }

    #[test]
    fn every_offset_finds_the_last_row_at_or_before_it() {
        let mut arena = Arena::reserve().unwrap();
        let rows = [(0, 1), (3, 2), (127, 3), (128, 4), (129, 5), (1000, 6), (40_000, 7), (65_535, 8)];
        let table = table_of(&rows, &mut arena);
        for offset in 0..PIECE_BYTES {
            let expected = rows.iter().rev().find(|row| row.0 as usize <= offset).unwrap().1;
            assert_eq!(table.pieces()[0].rule(offset), Some(Rule(expected)), "offset {offset}");
        }
    }

    #[test]
    fn a_miss_is_remembered_once_and_code_of_no_module_is_not() {
        let mut arena = Arena::reserve().unwrap();
        let directory = Directory::new();
        let start = 0x10_0000;
        directory.insert(start, start + PIECE_BYTES + 1, table_of(&[(0, 9)], &mut arena)).unwrap();
        let mut near = Span::EMPTY;
        assert_eq!(directory.rule(start + 5, &mut near), Rule(9));
        assert_eq!(directory.rule(start + PIECE_BYTES, &mut near), Rule::UNKNOWN);
        assert_eq!(directory.rule(start - 1, &mut near), Rule::UNKNOWN);
        assert_eq!(directory.take_misses().collect::<Vec<_>>(), [start + PIECE_BYTES]);
        assert_eq!(directory.take_misses().count(), 0);
    }

    #[test]
    fn a_removed_modules_entry_is_free_for_the_next() {
        let mut arena = Arena::reserve().unwrap();
        let directory = Directory::new();
        let table = table_of(&[(0, 9)], &mut arena);
        let ids: Vec<_> = (0..MAX_MODULES).map(|n| directory.insert(n << 20, (n << 20) + 99, table).unwrap()).collect();
        assert_eq!(directory.insert(1, 2, table), None);
        directory.remove(ids[7]);
        assert!(!directory.covers(7 << 20));
        assert_eq!(directory.insert(5 << 30, (5 << 30) + 99, table), Some(ids[7]));
        assert!(directory.covers(5 << 30));
    }
}
