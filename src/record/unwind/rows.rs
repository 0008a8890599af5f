//! Rows: what `.eh_frame` says, decoded once into 8 bytes a row.
//!
//! `.eh_frame` is a program a function, to be run for each frame of each walk. Here it is run once for all functions of a
//! piece of code, and of each state it passes through only what a walk needs is kept: a [`Rule`]. What a rule cannot
//! express stays visible as [`Rule::UNSUPPORTED`], never approximated.

use std::ops::Range;

use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice, FrameDescriptionEntry, NativeEndian,
    ParsedEhFrameHdr, UnwindContext, UnwindSection,
};

use super::machine;
use crate::record::stack::Ended;

/// How to get from a frame to its caller, for a range of code. The bits are the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule(pub(super) u32);

impl Rule {
    /// No table says anything: a gap between functions, or code without tables.
    pub(super) const UNKNOWN: Self = Self(0);
    /// A table says something that a rule cannot express.
    pub(super) const UNSUPPORTED: Self = Self(1 << 2);
    /// The outermost frame.
    pub(super) const END: Self = Self(2 << 2);
    /// The kernel's frame between a signal handler and what it interrupted.
    pub(super) const SIGNAL: Self = Self(3 << 2);

    /// Why a walk does not go on from here, for a rule that leads nowhere.
    pub(super) fn why_not(self) -> Ended {
        match self {
            Self::END => Ended::Complete,
            Self::UNKNOWN => Ended::NoTable,
            _ => Ended::Unsupported,
        }
    }
}

/// What a rule says about its function's frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The frame pointer leads to the caller.
    Framed,
    /// Nothing is on the stack but what the caller left.
    Bare,
    /// On the way from bare to framed or back.
    Prologue,
    /// There is no caller to be found.
    NoCaller,
    /// The frame pointer is used for something else, or not at all in a function that has a frame.
    Other,
}

/// A rule and where it begins to apply, in bytes from the start of its piece of code.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) at: u32,
    pub(super) rule: Rule,
}

const _: () = assert!(size_of::<Row>() == 8);

// SAFETY: two integers of alignment 4, valid when zero.
unsafe impl super::arena::Plain for Row {}

type Slice<'a> = EndianSlice<'a, NativeEndian>;

/// The unwind sections of a loaded module.
pub(super) struct Sections<'a> {
    header: ParsedEhFrameHdr<Slice<'a>>,
    frames: EhFrame<Slice<'a>>,
    bases: BaseAddresses,
    frames_at: u64,
}

impl<'a> Sections<'a> {
    /// From the bytes in memory that begin with `.eh_frame_hdr` and hold `.eh_frame` after it, as linkers place
    /// them. `None` where they do not, or there is no search table.
    pub(super) fn new(memory: &'a [u8]) -> Option<Self> {
        let address = memory.as_ptr() as u64;
        let bases = BaseAddresses::default().set_eh_frame_hdr(address);
        let header = EhFrameHdr::new(memory, NativeEndian).parse(&bases, size_of::<usize>() as u8).ok()?;
        header.table()?;
        let frames_at = header.eh_frame_ptr().direct().ok()?;
        let offset = usize::try_from(frames_at.checked_sub(address)?).ok()?;
        let mut frames = EhFrame::new(memory.get(offset..)?, NativeEndian);
        frames.set_address_size(size_of::<usize>() as u8);
        frames.set_vendor(machine::VENDOR);
        Some(Self { header, frames, bases: bases.set_eh_frame(frames_at), frames_at })
    }

    /// Writes the rows of `code`, a piece of the module whose code begins at `module`, into `into`, adds its functions to
    /// `census`, and returns how many rows there are. `None` when they do not fit. Does not allocate.
    pub(super) fn decode(
        &self,
        module: u64,
        code: Range<u64>,
        context: &mut UnwindContext<usize>,
        into: &mut [Row],
        census: &mut Census,
    ) -> Option<usize> {
        let mut rows = Rows { rows: into, len: 0 };
        rows.put(0, Rule::UNKNOWN)?;
        for entry in self.first_at_or_before(code.start).. {
            let Some((start, offset)) = self.entry(entry).filter(|&(start, _)| start < code.end) else { break };
            let Ok(function) = self.frames.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset) else {
                continue;
            };
            if function.initial_address() == start {
                self.decode_function(&function, module, &code, context, &mut rows, census)?;
            }
        }
        Some(rows.len)
    }

    fn decode_function(
        &self,
        function: &FrameDescriptionEntry<Slice<'a>>,
        module: u64,
        code: &Range<u64>,
        context: &mut UnwindContext<usize>,
        rows: &mut Rows,
        census: &mut Census,
    ) -> Option<()> {
        let mut shapes = Shapes::default();
        let signal = function.is_signal_trampoline();
        if let Ok(mut table) = function.rows(&self.frames, &self.bases, context) {
            while let Ok(Some(row)) = table.next_row() {
                let rule = if signal { Rule::SIGNAL } else { machine::encode(row, &self.frames) };
                shapes.add(rule);
                if row.end_address() > code.start && row.start_address() < code.end {
                    rows.put((row.start_address().max(code.start) - code.start) as u32, rule)?;
                }
            }
        }
        let end = function.end_address();
        census.add(&shapes, function.initial_address().saturating_sub(module)..end.saturating_sub(module));
        if end > code.start && end < code.end {
            rows.put((end - code.start) as u32, Rule::UNKNOWN)?;
        }
        Some(())
    }

    /// The entry that may hold `address`: the last that does not begin after it, or the first of all.
    fn first_at_or_before(&self, address: u64) -> usize {
        let (mut low, mut high) = (0, self.header.table().map_or(0, |table| table.iter(&self.bases).size_hint().0));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.entry(middle) {
                Some((start, _)) if start <= address => low = middle,
                _ => high = middle,
            }
        }
        low
    }

    /// Start address and place of the n-th function, by address.
    fn entry(&self, n: usize) -> Option<(u64, EhFrameOffset)> {
        let table = self.header.table()?;
        let (start, place) = table.iter(&self.bases).nth(n).ok()??;
        let offset = usize::try_from(place.direct().ok()?.checked_sub(self.frames_at)?).ok()?;
        Some((start.direct().ok()?, offset.into()))
    }
}

/// Rows being written: ascending, no two of one address, no two neighbours alike.
struct Rows<'a> {
    rows: &'a mut [Row],
    len: usize,
}

impl Rows<'_> {
    fn put(&mut self, at: u32, rule: Rule) -> Option<()> {
        while self.last().is_some_and(|last| last.at >= at) {
            self.len -= 1;
        }
        if self.last().is_none_or(|last| last.rule != rule) {
            *self.rows.get_mut(self.len)? = Row { at, rule };
            self.len += 1;
        }
        Some(())
    }

    fn last(&self) -> Option<Row> {
        self.rows.get(self.len.checked_sub(1)?).copied()
    }
}

/// Where a walk by frame pointers is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Census {
    /// Functions in which it is right wherever they make a call.
    pub(super) framed: usize,
    /// Functions in which it may not be. (Many of them call nothing, but tables do not tell.)
    pub(super) unframed: usize,
    /// A bit for each page of the module's code that holds a part of the latter.
    pub(super) unframed_pages: PageSet,
}

/// A bit a page, for as much code as is ever walked by frame pointers.
pub(super) type PageSet = [u64; 64];
/// Bytes of code a bit stands for, as a power of two.
pub(super) const PAGE_SHIFT: u32 = 12;
/// The code that a set covers.
pub(super) const PAGE_SET_BYTES: usize = (64 * 64) << PAGE_SHIFT;

impl Default for Census {
    fn default() -> Self {
        Self { framed: 0, unframed: 0, unframed_pages: [0; 64] }
    }
}

impl Census {
    /// Adds a function at these offsets in its module.
    fn add(&mut self, shapes: &Shapes, offsets: Range<u64>) {
        if !shapes.other && (shapes.framed || !shapes.prologue) {
            self.framed += 1;
            return;
        }
        self.unframed += 1;
        for page in offsets.start >> PAGE_SHIFT..=offsets.end >> PAGE_SHIFT {
            if let Some(word) = self.unframed_pages.get_mut((page / 64) as usize) {
                *word |= 1 << (page % 64);
            }
        }
    }
}

/// What was seen in one function.
#[derive(Default)]
struct Shapes {
    framed: bool,
    prologue: bool,
    other: bool,
}

impl Shapes {
    fn add(&mut self, rule: Rule) {
        match machine::shape(rule) {
            Shape::Framed => self.framed = true,
            Shape::Prologue => self.prologue = true,
            Shape::Other => self.other = true,
            Shape::Bare | Shape::NoCaller => {}
        }
    }
}
