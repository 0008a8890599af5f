//! The collector's side: which modules are there, and tables for their code.
//!
//! Small modules are decoded when they are first seen; of large ones only the pieces that a walk missed, so that a program
//! with hundreds of megabytes of code pays for what allocates. A module that is unloaded leaves the directory; its table is
//! kept for when it comes back, as plug-ins do. Hooks never wait for any of this, nor does it wait for them.

use std::ops::Range;

use gimli::UnwindContext;
use parking_lot::Mutex;

use super::arena::Arena;
use super::modules::{self, Generation, Listing, Loaded};
use super::rows::{Census, PAGE_SET_BYTES, Sections};
use super::table::{EntryId, PIECE_BYTES, Table};
use super::{UNWINDER, Unwinder};
use crate::record::stack::{Module, RefreshReport};

/// A module with more code than this is decoded as it is needed: decoding takes about 10 ms and 0.4 MB for 1 MB of code.
const EAGER_CODE_BYTES: usize = 16 << 20;
/// When tables have grown to this, every further module is decoded as it is needed.
pub(super) const EAGER_BYTES: usize = 8 << 20;
/// Framed functions to one that is not, above which an executable is walked by frame pointers where it keeps them. The standard
/// library as it comes has 30; a program built without frame pointers has fewer than one.
const UNFRAMED_SHARE: usize = 8;
/// Pieces decoded before the dynamic linker's lock is given back: about a millisecond's work.
const PIECES_AT_A_TIME: usize = 8;

static COLLECTOR: Mutex<Option<Collector>> = Mutex::new(None);

/// Brings tables up to date. See [`stack::refresh`](crate::record::stack::refresh).
pub(in crate::record) fn refresh() -> RefreshReport {
    // A fork may have copied the lock while it was held; waiting for it would be for ever.
    let Some(mut collector) = COLLECTOR.try_lock() else { return RefreshReport::default() };
    collector.get_or_insert_with(Collector::new).refresh(&UNWINDER)
}

/// The modules of the last refresh. See [`stack::modules`](crate::record::stack::modules).
pub(in crate::record) fn modules() -> Vec<Module> {
    let Some(collector) = COLLECTOR.try_lock() else { return Vec::new() };
    collector.iter().flat_map(|collector| &collector.known).map(|known| known.loaded.module.clone()).collect()
}

/// What the collector knows about tables.
struct Collector {
    builder: Builder,
    generation: Option<Generation>,
    known: Vec<Known>,
    /// Tables of modules that are not loaded now.
    spare: Vec<Known>,
    /// Whether the cache may still hold a rule of a module that has gone: a walk under way may put one back.
    clear_again: bool,
}

/// What tables are made with.
struct Builder {
    /// `None` if the system refused the address range: then there are no tables.
    arena: Option<Arena>,
    report: RefreshReport,
}

/// A module and its table.
struct Known {
    loaded: Loaded,
    table: Option<&'static Table>,
    entry: Option<EntryId>,
    census: Census,
}

impl Collector {
    fn new() -> Self {
        Self {
            builder: Builder { arena: Arena::reserve(), report: RefreshReport::default() },
            generation: None,
            known: Vec::new(),
            spare: Vec::new(),
            clear_again: false,
        }
    }

    fn refresh(&mut self, unwinder: &Unwinder) -> RefreshReport {
        if std::mem::take(&mut self.clear_again) {
            unwinder.cache.clear();
        }
        self.builder.report.modules_changed = self.generation != Some(modules::generation());
        if self.builder.report.modules_changed {
            self.follow(modules::list(), unwinder);
        }
        for pc in unwinder.directory.take_misses() {
            self.decode_missed(pc);
        }
        self.builder.report.table_bytes = self.builder.used_bytes();
        self.builder.report
    }

    /// Takes over a new list of modules.
    fn follow(&mut self, listing: Listing, unwinder: &Unwinder) {
        self.generation = Some(listing.generation);
        self.forget_unloaded(&listing.modules, unwinder);
        for loaded in listing.modules {
            if !self.known.iter().any(|known| known.is(&loaded)) {
                self.learn(loaded, unwinder);
            }
        }
        let without_table = self.known.iter().filter(|known| known.entry.is_none()).count();
        self.builder.report.modules = self.known.len() + listing.left_out;
        self.builder.report.modules_without_table = without_table + listing.left_out;
    }

    fn forget_unloaded(&mut self, listed: &[Loaded], unwinder: &Unwinder) {
        let gone = |known: &mut Known| !listed.iter().any(|loaded| known.is(loaded));
        let gone: Vec<Known> = self.known.extract_if(.., gone).collect();
        for known in gone {
            if let Some(entry) = known.entry {
                unwinder.directory.remove(entry);
                unwinder.cache.clear();
                self.clear_again = true;
            }
            if known.table.is_some() && !known.loaded.module.build_id.is_empty() {
                self.spare.push(Known { entry: None, ..known });
            }
        }
    }

    fn learn(&mut self, loaded: Loaded, unwinder: &Unwinder) {
        let mut known = self.known_before(loaded);
        let Module { start, end, is_main, .. } = known.loaded.module;
        self.builder.begin(&mut known);
        known.entry = known.table.and_then(|table| unwinder.directory.insert(start, end, table));
        if is_main && known.keeps_frame_pointers() {
            unwinder.frame_pointers.adopt(start, end, &known.census.unframed_pages);
        }
        self.known.push(known);
    }

    /// With its table of before, if the same file was loaded and unloaded before.
    fn known_before(&mut self, loaded: Loaded) -> Known {
        match self.spare.iter().position(|spare| spare.is_same_file(&loaded)) {
            Some(at) => Known { loaded, ..self.spare.swap_remove(at) },
            None => Known { loaded, table: None, entry: None, census: Census::default() },
        }
    }

    fn decode_missed(&mut self, pc: usize) {
        if let Some(known) = self.known.iter_mut().find(|known| known.holds(pc)) {
            let piece = (pc - known.loaded.module.start) / PIECE_BYTES;
            self.builder.decode(known, piece..piece + 1);
        }
    }
}

impl Builder {
    fn used_bytes(&self) -> usize {
        self.arena.as_ref().map_or(0, Arena::used_bytes)
    }

    /// Gives a module its table, and rows unless they can wait.
    fn begin(&mut self, known: &mut Known) {
        let code_bytes = known.loaded.module.end - known.loaded.module.start;
        if known.table.is_none() && known.loaded.unwind.0 != 0 {
            known.table = self.arena.as_mut().and_then(|arena| Table::new(code_bytes, arena));
        }
        if code_bytes <= EAGER_CODE_BYTES && self.used_bytes() < EAGER_BYTES {
            self.decode(known, 0..code_bytes.div_ceil(PIECE_BYTES));
        }
    }

    /// Decodes `pieces` that are not decoded yet, a few at a time.
    fn decode(&mut self, known: &mut Known, pieces: Range<usize>) {
        let Some(arena) = &mut self.arena else { return };
        let mut context = Box::new(UnwindContext::new());
        for first in pieces.clone().step_by(PIECES_AT_A_TIME) {
            let few = first..pieces.end.min(first + PIECES_AT_A_TIME);
            let Known { loaded, table, census, .. } = known;
            let Some(table) = *table else { return };
            let mut decoded = 0;
            modules::with_unwind_sections(loaded, &mut |memory| {
                let Some(sections) = Sections::new(memory) else { return };
                let decoder = PieceDecoder { sections, table, start: loaded.module.start as u64 };
                decoded += few.clone().filter_map(|piece| decoder.decode(piece, &mut context, arena, census)).count();
            });
            self.report.pieces_decoded += decoded;
            self.report.pieces_refused += few.len() - decoded;
        }
    }
}

/// Decodes pieces of one module while it is kept loaded.
struct PieceDecoder<'a> {
    sections: Sections<'a>,
    table: &'static Table,
    start: u64,
}

impl PieceDecoder<'_> {
    /// `None` when the arena is full or there is no such piece.
    fn decode(
        &self,
        number: usize,
        context: &mut UnwindContext<usize>,
        arena: &mut Arena,
        census: &mut Census,
    ) -> Option<()> {
        let piece = self.table.pieces().get(number)?;
        if piece.is_decoded() {
            return Some(());
        }
        let start = self.start + (number * PIECE_BYTES) as u64;
        let rows = self.sections.decode(self.start, start..start + PIECE_BYTES as u64, context, arena.rest(), census);
        let published = rows.and_then(|rows| piece.publish(arena.take(rows)?, arena));
        if published.is_none() {
            piece.refuse();
        }
        published
    }
}

impl Known {
    /// Loaded at the same place from, as far as can be seen, the same file.
    fn is(&self, loaded: &Loaded) -> bool {
        let (own, other) = (&self.loaded.module, &loaded.module);
        (own.bias, own.start, own.end) == (other.bias, other.start, other.end)
            && own.build_id == other.build_id
            && own.path == other.path
    }

    fn is_same_file(&self, loaded: &Loaded) -> bool {
        let (own, other) = (&self.loaded.module, &loaded.module);
        own.build_id == other.build_id && own.end - own.start == other.end - other.start
    }

    fn holds(&self, pc: usize) -> bool {
        self.loaded.module.start <= pc && pc < self.loaded.module.end
    }

    fn code_bytes(&self) -> usize {
        self.loaded.module.end - self.loaded.module.start
    }

    fn keeps_frame_pointers(&self) -> bool {
        let whole = self.table.is_some_and(|table| table.pieces().iter().all(|piece| piece.is_decoded()));
        whole && self.census.framed > UNFRAMED_SHARE * self.census.unframed && self.code_bytes() <= PAGE_SET_BYTES
    }
}
