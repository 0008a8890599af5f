//! A thread's block: exact counters, the mark at which the next sample is due, the ring, the current scope.
//!
//! A block has one writer, the thread that claimed it, so counting is a plain load, add and store. The collector reads all
//! blocks and sums. Blocks are claimed and released, never freed, and their counters run on in the hands of the next thread:
//! nothing is merged, so nothing can be lost or counted twice, and memory is bounded by the peak number of threads.
//!
//! ```text
//! free ──claim──▶ claimed ──thread exit, after the last Rust destructor──▶ free
//! ```
//!
//! A thread that allocates after its release (another library's thread-exit handler), or finds no block, is counted in shared
//! counters, by atomic additions: exact too, only slower, and without samples.

mod allocated;
#[cfg_attr(any(not(unix), miri), path = "thread/exit_by_drop.rs")]
mod exit;
mod pool;

use core::cell::Cell;

use self::allocated::Allocated;
use self::pool::{Place, Pool, Pooled};
use super::control;
use super::node::Zeroed;
use super::ring::{Ring, Words};
use super::sampler;
use super::stack::{StackBounds, StackCounters};
use super::sync::{AtomicBool, AtomicU64, Counter, Ordering, fence};

/// A thread looks at the control word after this many allocated bytes at the latest: how soon a change of the settings is
/// seen. A look costs some nanoseconds, so this could be smaller or larger by a factor of ten without being noticed.
pub const LOOK_BYTES: u64 = 64 << 10;

/// Sizes below this are one class: most allocations are, and finding out more about them costs four instructions each.
const FIRST_CLASS_END: usize = 1024;
/// Size classes: class 0 counts sizes below 1 KiB, class `i` those from 2^(i+9) to 2^(i+10) − 1.
pub const CLASSES: usize = 64 - 9;

impl core::fmt::Debug for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Block").field("index", &self.place.index()).finish_non_exhaustive()
    }
}

/// Why a sample was lost inside the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    RingFull = 0,
    TableFull = 1,
    PageMap = 2,
    NoBlock = 3,
}

/// Causes in [`Drop`].
pub const DROPS: usize = 4;

/// See the module's text. The first two cache lines are the hot path's; the counters of common size classes follow.
#[repr(C, align(128))]
pub struct Block {
    allocated: Allocated,
    freed: Counter,
    frees: Counter,
    allocations: Counter,
    /// Class 0 is what `allocations` counts beyond the others, and stays 0 here.
    classes: [Counter; CLASSES],

    /// Where the next sampled byte lies, drawn with `armed_interval` when the control's epoch was `armed_epoch`.
    armed_due: Counter,
    armed_interval: Counter,
    armed_epoch: Counter,
    random: Counter,
    /// Low and high end of the thread's stack, once `stack_known` is not 0.
    stack: [Counter; 2],
    stack_known: Counter,
    thread_id: Counter,
    scope: Counter,
    tag: Counter,
    /// What scopes nested in the present one have counted; see `scope.rs`.
    nested: [Counter; 3],
    dropped: [Counter; DROPS],
    dropped_bytes: Counter,
    /// Estimated bytes of samples lost since the last one that was kept.
    carried_bytes: Counter,
    stacks: StackCounters,
    /// The recorder's own thread: counted apart, never sampled.
    internal: AtomicBool,
    claimed: AtomicBool,
    exit_rounds: Counter,
    place: Place,

    ring: Ring,
    words: Words,
}

// SAFETY: integers, atomic or in arrays, and structures of them: all zeroes are zeros.
unsafe impl Zeroed for Block {}

impl Pooled for Block {
    fn place(&self) -> &Place {
        &self.place
    }
}

/// Threads alive at once that get a block: this many; more are counted in shared counters.
static BLOCKS: Pool<Block> = Pool::new();

thread_local! {
    static CURRENT: Cell<*const Block> = const { Cell::new(core::ptr::null()) };
    /// This thread has released its block for good.
    static EXITED: Cell<bool> = const { Cell::new(false) };
    /// Slow paths to go without a block before asking again, after none was to be had.
    static RETRY_IN: Cell<u32> = const { Cell::new(0) };
}

/// Counters of threads without a block.
pub struct Shared {
    pub allocated: AtomicU64,
    pub freed: AtomicU64,
    pub allocations: AtomicU64,
    pub frees: AtomicU64,
    pub dropped: AtomicU64,
}

pub static SHARED: Shared = Shared {
    allocated: AtomicU64::new(0),
    freed: AtomicU64::new(0),
    allocations: AtomicU64::new(0),
    frees: AtomicU64::new(0),
    dropped: AtomicU64::new(0),
};

/// The calling thread's block, if it has one.
#[inline(always)]
pub fn current() -> Option<&'static Block> {
    let block = CURRENT.with(Cell::get);
    // SAFETY: null, or set by `claim` to a block, which lives in a mapping that is never unmapped.
    unsafe { block.as_ref() }
}

/// The calling thread's block, claimed now if need be. `None` after the thread's exit or when there is none to be had.
#[cold]
#[inline(never)]
pub fn current_or_claim() -> Option<&'static Block> {
    current().or_else(|| claim(false))
}

/// The calling thread sees changed settings at its next allocation, not some allocations later.
pub fn look_soon() {
    if let Some(block) = current() {
        let allocated = block.allocated.get();
        block.allocated.set(allocated, allocated);
    }
}

/// Makes the calling thread one of the recorder's own: its memory counts as the recorder's, and is never sampled.
pub fn become_internal() {
    if let Some(block) = current() {
        if block.internal.load(Ordering::Relaxed) {
            return;
        }
        release(block);
    }
    EXITED.set(false);
    claim(true);
}

impl Block {
    /// Counts an allocation. True: the slow path must look whether a sample is due.
    #[inline(always)]
    pub fn count_alloc(&self, size: usize) -> bool {
        self.allocations.add(1);
        if size >= FIRST_CLASS_END {
            self.count_class(size);
        }
        self.allocated.count(size)
    }

    #[inline(always)]
    fn count_class(&self, size: usize) {
        self.classes[size.ilog2() as usize - 9].add(1);
    }

    #[inline(always)]
    pub fn count_free(&self, size: usize) {
        self.frees.add_and_release(1);
        self.freed.add_and_release(size as u64);
    }

    /// The allocation counted last was refused: it never was. Its bytes carry the next sampled byte's place away with them, so
    /// that is drawn anew.
    #[cold]
    pub fn uncount_alloc(&self, size: usize) {
        self.allocations.add(1u64.wrapping_neg());
        if size >= FIRST_CLASS_END {
            self.classes[size.ilog2() as usize - 9].add(1u64.wrapping_neg());
        }
        let allocated = self.allocated.get().wrapping_sub(size as u64);
        self.armed_epoch.set(0);
        self.allocated.set(allocated, allocated);
    }

    /// The free counted last did not happen, as the resize it was part of was refused.
    #[cold]
    pub fn uncount_free(&self, size: usize) {
        self.frees.add_and_release(1u64.wrapping_neg());
        self.freed.add_and_release((size as u64).wrapping_neg());
    }

    /// Whether the allocation of `size` bytes that has just been counted is a sample: the interval of its draw. Sets the next
    /// mark either way. A changed setting is seen here at the latest [`LOOK_BYTES`] after it was made: the distance is then
    /// drawn anew from before this allocation, which biases nothing, as the exponential has no memory.
    pub fn due_sample(&self, size: usize) -> Option<u64> {
        let allocated = self.allocated.get();
        let (epoch, interval) = control::read();
        if self.armed_epoch.get() != u64::from(epoch) {
            self.draw(allocated - size as u64, epoch, interval);
        }
        let mut hit = None;
        if self.armed_interval.get() != control::OFF && allocated >= self.armed_due.get() {
            hit = Some(self.armed_interval.get());
            self.draw(allocated, epoch, interval);
        }
        self.allocated.set(allocated, self.armed_due.get().min(allocated + LOOK_BYTES));
        hit
    }

    fn draw(&self, from: u64, epoch: u32, interval: u64) {
        let interval = if self.internal.load(Ordering::Relaxed) { control::OFF } else { interval };
        self.armed_epoch.set(u64::from(epoch));
        self.armed_interval.set(interval);
        self.armed_due.set(if interval == control::OFF {
            u64::MAX
        } else {
            let mut state = self.random.get();
            let ahead = sampler::distance(sampler::next_random(&mut state), interval);
            self.random.set(state);
            from.saturating_add(ahead)
        });
    }

    /// A sample that could not be kept. What it stands for is counted, and given to the thread's next sample, so that sums stay
    /// right under overload, if at the cost of a larger error.
    #[cold]
    pub fn count_drop(&self, cause: Drop, size: u64, interval: u64) {
        let stands_for = (size as f64 / sampler::probability(size, interval)) as u64;
        self.dropped[cause as usize].add(1);
        self.dropped_bytes.add(stands_for);
        self.carried_bytes.add(stands_for);
    }

    /// What lost samples have left for the one that is being taken.
    pub fn take_carried(&self) -> u64 {
        let carried = self.carried_bytes.get();
        self.carried_bytes.set(0);
        carried
    }

    pub fn stacks(&self) -> &StackCounters {
        &self.stacks
    }

    pub fn ring(&self) -> (&Ring, &Words) {
        (&self.ring, &self.words)
    }

    /// The owning thread's stack; found out at its first sample.
    pub fn stack_bounds(&self) -> StackBounds {
        if self.stack_known.get() == 0 {
            let found = StackBounds::of_current_thread();
            self.stack[0].set(found.low as u64);
            self.stack[1].set(found.high as u64);
            self.stack_known.set(1);
        }
        StackBounds { low: self.stack[0].get() as usize, high: self.stack[1].get() as usize }
    }

    pub fn scope(&self) -> u32 {
        self.scope.get() as u32
    }

    pub fn set_scope(&self, scope: u32) {
        self.scope.set(u64::from(scope));
    }

    pub fn tag(&self) -> u64 {
        self.tag.get()
    }

    pub fn set_tag(&self, tag: u64) {
        self.tag.set(tag);
    }

    /// Allocated bytes, freed bytes, allocations: of this block, ever.
    #[inline]
    pub fn exact(&self) -> [u64; 3] {
        [self.allocated.get(), self.freed.get(), self.allocations.get()]
    }

    pub fn nested(&self) -> &[Counter; 3] {
        &self.nested
    }

    /// The kernel's id of the owning thread; asked for once.
    pub fn thread_id(&self) -> u32 {
        if self.thread_id.get() == 0 {
            self.thread_id.set(u64::from(kernel_thread_id()));
        }
        self.thread_id.get() as u32
    }
}

/// What the collector reads of a block.
pub struct Reading {
    pub internal: bool,
    pub allocated: u64,
    pub freed: u64,
    pub allocations: u64,
    pub frees: u64,
    pub dropped: [u64; DROPS],
    pub dropped_bytes: u64,
}

impl Block {
    /// Frees are read first: a free that is seen implies that its allocation is seen too, whichever thread made it. (The store
    /// of a free releases, the fence acquires, and whoever freed had synchronised with whoever allocated.)
    pub fn read(&self) -> Reading {
        let (frees, freed) = (self.frees.get(), self.freed.get());
        fence(Ordering::Acquire);
        Reading {
            internal: self.internal.load(Ordering::Relaxed),
            allocated: self.allocated.seen_from_outside(),
            freed,
            allocations: self.allocations.get(),
            frees,
            dropped: core::array::from_fn(|i| self.dropped[i].get()),
            dropped_bytes: self.dropped_bytes.get(),
        }
    }
}

/// Every block that was ever claimed.
pub fn blocks() -> impl Iterator<Item = &'static Block> {
    BLOCKS.iter()
}

/// Of the mapped blocks, what no thread has touched and so is not resident. A ring is touched once it has carried samples.
pub fn untouched_bytes() -> u64 {
    let unclaimed = BLOCKS.mapped() - blocks().count();
    let idle_rings = blocks().filter(|b| b.ring.is_untouched()).count();
    (unclaimed * size_of::<Block>() + idle_rings * size_of::<Words>()) as u64
}

fn claim(internal: bool) -> Option<&'static Block> {
    if EXITED.get() || RETRY_IN.replace(RETRY_IN.get().saturating_sub(1)) > 0 {
        return None;
    }
    let Some(block) = BLOCKS.claim(internal) else {
        RETRY_IN.set(RETRY_AFTER);
        return None;
    };
    if block.random.get() == 0 {
        block.random.set(core::ptr::from_ref(block) as u64 ^ clock_ns().rotate_left(32));
    }
    block.internal.store(internal, Ordering::Relaxed);
    block.claimed.store(true, Ordering::Relaxed);
    for counter in [
        &block.armed_epoch,
        &block.thread_id,
        &block.scope,
        &block.tag,
        &block.stack_known,
        &block.carried_bytes,
        &block.exit_rounds,
    ] {
        counter.set(0);
    }
    block.nested.iter().for_each(|n| n.set(0));
    // Whatever is left of the last owner's distance, look at the first allocation.
    block.allocated.set(block.allocated.get(), block.allocated.get());
    CURRENT.set(block);
    exit::arm(block);
    Some(block)
}

/// Without this pause every allocation of a thread without a block would be a refused system call.
const RETRY_AFTER: u32 = 10_000;

fn release(block: &'static Block) {
    CURRENT.set(core::ptr::null());
    block.scope.set(0);
    block.claimed.store(false, Ordering::Relaxed);
    BLOCKS.release(block.internal.load(Ordering::Relaxed), block);
}

/// In a forked child: only this thread exists. The other threads' blocks are free, and no event of the parent's is ours.
pub fn after_fork_in_child() {
    let own = CURRENT.get();
    for block in blocks() {
        block.ring.clear();
        block.allocated.settle();
        if !core::ptr::eq(block, own) && block.claimed.swap(false, Ordering::Relaxed) {
            BLOCKS.release(block.internal.load(Ordering::Relaxed), block);
        }
    }
    if let Some(block) = current() {
        block.thread_id.set(0);
    }
}

/// Makes a forked child begin anew: no sampling, no claim of the parent's other threads. Installed once a process.
pub fn install_fork_handler() {
    #[cfg(all(unix, not(miri)))]
    {
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        extern "C" fn in_child() {
            control::set_interval(control::OFF);
            after_fork_in_child();
        }
        if !INSTALLED.swap(true, Ordering::AcqRel) {
            // SAFETY: `in_child` touches atomics of blocks that are never unmapped, and neither locks nor allocates.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        }
    }
}

/// Nanoseconds of the monotonic clock; a vDSO call, no lock, no system call where the clock source allows.
#[cfg(all(unix, not(miri)))]
pub fn clock_ns() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[cfg(any(not(unix), miri))]
pub fn clock_ns() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

#[cfg(all(target_os = "linux", not(miri)))]
fn kernel_thread_id() -> u32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn kernel_thread_id() -> u32 {
    0
}

/// The exact counters of the whole process, summed over all blocks.
pub fn exact_totals() -> crate::snapshot::Totals {
    let mut totals = crate::snapshot::Totals {
        frees: SHARED.frees.load(Ordering::Relaxed),
        freed_bytes: SHARED.freed.load(Ordering::Relaxed),
        ..Default::default()
    };
    // All frees before all allocations: what is freed in between is not missed among the allocations.
    for reading in blocks().map(Block::read) {
        totals.frees += reading.frees;
        totals.freed_bytes += reading.freed;
    }
    fence(Ordering::Acquire);
    totals.allocations = SHARED.allocations.load(Ordering::Relaxed);
    totals.allocated_bytes = SHARED.allocated.load(Ordering::Relaxed);
    totals.allocations_by_class = vec![0; CLASSES];
    for block in blocks() {
        totals.allocations += block.allocations.get();
        totals.allocated_bytes += block.allocated.seen_from_outside();
        for (class, sum) in totals.allocations_by_class.iter_mut().enumerate() {
            *sum += block.classes[class].get();
        }
    }
    let larger: u64 = totals.allocations_by_class.iter().sum();
    totals.allocations_by_class[0] = totals.allocations.saturating_sub(larger);
    totals
}
