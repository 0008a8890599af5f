//! Which stack memory a walk may read: a thread's own stack by its bounds, any other stack page by page.
//!
//! A walk follows words that may be anything, so each read is checked against what is known to be mapped. On the
//! thread's own stack that is everything from the stack pointer to the top. Fibers, coroutines and signal stacks have
//! no known top: there the kernel is asked about each further page once per walk, by a system call that fails cleanly
//! on an unreadable address, up to [`PROBES`] pages. This does not find out where such a stack ends; guard pages do.

use super::machine;
use crate::record::stack::Ended;

/// The smallest page size of both architectures; asking by it is right on larger pages too.
const PAGE: usize = 4096;

/// Set in no address of user memory.
const NOT_USER: usize = 1 << 63;

/// Pages asked about in one walk: 1 MiB of a foreign stack. Beyond it the walk ends and counts as truncated.
const PROBES: u32 = 256;

/// The main thread's stack grows on demand. Mappings stay further below its top than this whatever the limit is set to, so an
/// address this close to the top is on it.
const MAIN_STACK_BYTES: usize = 128 << 20;

/// The stack a thread was started on: `low..high`. Empty when it could not be found out; then every stack is a
/// foreign one, walked more slowly and as rightly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackBounds {
    /// Lowest address that belongs to the stack.
    pub low: usize,
    /// First address above the frames of the thread.
    pub high: usize,
}

impl StackBounds {
    /// Bounds of the calling thread's stack. Call once per thread and keep the answer: it costs about a microsecond.
    ///
    /// Never enters the Rust allocator and reads no file. For threads other than the main one glibc itself allocates
    /// and frees a few bytes with its own `malloc`.
    pub fn of_current_thread() -> Self {
        let main = Self::of_main_thread();
        if main.holds(machine::registers().sp) { main } else { Self::of_spawned_thread().unwrap_or_default() }
    }

    #[inline(always)]
    pub(super) fn holds(self, address: usize) -> bool {
        self.low <= address && address < self.high
    }

    /// The kernel puts 16 random bytes for the process above the first frame and below the top of the stack; what
    /// lies between a frame and them is mapped. (glibc's own answer would read `/proc/self/maps`.)
    fn of_main_thread() -> Self {
        // SAFETY: reads the process's auxiliary vector, which libc keeps for its lifetime; no pointer is passed.
        let random = unsafe { libc::getauxval(libc::AT_RANDOM) } as usize;
        let high = random & !15;
        Self { low: high.saturating_sub(MAIN_STACK_BYTES), high }
    }

    fn of_spawned_thread() -> Option<Self> {
        let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        let (mut low, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: `attributes` is written by the first call before the others read it, is destroyed once, and all
        // pointers are to locals that outlive the calls.
        let found = unsafe {
            let attributes = attributes.as_mut_ptr();
            libc::pthread_getattr_np(libc::pthread_self(), attributes) == 0 && {
                let found = libc::pthread_attr_getstack(attributes, &mut low, &mut size) == 0;
                libc::pthread_attr_destroy(attributes);
                found
            }
        };
        let low = low as usize;
        found.then_some(Self { low, high: low.checked_add(size)? })
    }
}

/// The part of the current stack that may be read, grown as the walk moves up. A value: what is passed by reference to the
/// functions of rare cases would cost a walk its registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackMemory {
    /// The thread's own stack as far as it is in use, if the walk began on it. Below the stack pointer it may be unmapped.
    home: StackBounds,
    /// Everything from the walk's stack pointer, a multiple of 8, up to here is mapped; below 2^63.
    mapped_to: usize,
    foreign: bool,
    probes: u32,
}

impl StackMemory {
    /// For a walk that begins at stack pointer `sp`, on a thread with stack `bounds`; `None` if it is not one.
    #[inline(always)]
    pub(super) fn new(bounds: StackBounds, sp: usize) -> Option<Self> {
        let home = if bounds.holds(sp) { StackBounds { low: sp, ..bounds } } else { StackBounds::default() };
        Self { home, mapped_to: 0, foreign: false, probes: PROBES }.entered(sp)
    }

    /// As the walk continues at `sp`, which may be on another stack than before (a signal's frame says so).
    #[inline(always)]
    pub(super) fn entered(self, sp: usize) -> Option<Self> {
        let foreign = !self.home.holds(sp);
        let mapped_to = if foreign { sp } else { self.home.high };
        (sp & (NOT_USER | 7) == 0).then_some(Self { mapped_to, foreign, ..self })
    }

    /// Whether all between the walk's stack pointer and `end` may be read.
    fn reaches(&mut self, end: usize) -> bool {
        if end > self.mapped_to && self.foreign {
            self.extend(end);
        }
        end <= self.mapped_to
    }

    /// The end of what is known to be mapped, without asking.
    #[inline(always)]
    pub(super) fn mapped_to(&self) -> usize {
        self.mapped_to
    }

    /// The word at `address`, if it may be read, for a walk whose stack pointer is `sp`.
    pub(super) fn checked_word(&mut self, address: usize, sp: usize) -> Result<usize, Ended> {
        let end = address.checked_add(8).ok_or(Ended::LeftStack)?;
        if address < sp || address & 7 != 0 || !self.reaches(end) {
            return Err(Ended::LeftStack);
        }
        // SAFETY: a multiple of 8, not below the walk's stack pointer, and all from there to its end is mapped.
        Ok(unsafe { word(address) })
    }

    /// As far towards `end` as the kernel says that it can be read; not at all if it is out of reach anyway.
    fn extend(&mut self, end: usize) {
        if end.saturating_sub(self.mapped_to) > self.probes as usize * PAGE {
            return;
        }
        while self.mapped_to < end && self.probes > 0 && is_readable(self.mapped_to) {
            self.probes -= 1;
            self.mapped_to = (self.mapped_to | (PAGE - 1)) + 1;
        }
    }
}

/// The word at `address`.
///
/// # Safety
/// `address` is a multiple of 8 and its eight bytes are mapped.
#[inline(always)]
pub(super) unsafe fn word(address: usize) -> usize {
    // SAFETY: by the caller's promise. Volatile, because the word is whatever the application keeps there: nothing may
    // be assumed of it, not even that it stays.
    unsafe { std::ptr::with_exposed_provenance::<usize>(address).read_volatile() }
}

/// Whether the page of `address` can be read, asked of the kernel. Changing the signal mask with an operation that does not
/// exist has no effect; the kernel copies the new mask from the address before it looks at the operation.
fn is_readable(address: usize) -> bool {
    const NO_OPERATION: libc::c_int = -1;
    const MASK_BYTES: usize = 8;
    // SAFETY: the kernel checks the address itself and writes nothing, as the old mask is not asked for; `errno` belongs to this
    // thread and is put back, since the application may be about to read it.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        let nothing = std::ptr::null_mut::<libc::c_void>();
        let answer = libc::syscall(libc::SYS_rt_sigprocmask, NO_OPERATION, address, nothing, MASK_BYTES);
        let readable = answer == -1 && *errno == libc::EINVAL;
        *errno = saved;
        readable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local_is_within(bounds: StackBounds) -> bool {
        let local = 0_u8;
        bounds.holds(&raw const local as usize)
    }

    #[test]
    fn a_spawned_thread_finds_its_own_stack() {
        let inside = std::thread::spawn(|| {
            let bounds = StackBounds::of_current_thread();
            assert!(bounds.high - bounds.low < MAIN_STACK_BYTES);
            local_is_within(bounds)
        });
        assert!(inside.join().unwrap());
    }

    #[test]
    fn the_kernel_tells_readable_pages_from_others_and_errno_stays() {
        let page = crate::record::unwind::tests::guarded_pages(1);
        // SAFETY: the thread's own errno.
        unsafe { *libc::__errno_location() = 77 };
        assert!(is_readable(page as usize));
        assert!(!is_readable(page as usize + PAGE));
        assert!(!is_readable(8));
        // SAFETY: the thread's own errno.
        assert_eq!(unsafe { *libc::__errno_location() }, 77);
    }

    #[test]
    fn a_foreign_stack_is_read_up_to_its_guard_and_no_further() {
        let pages = crate::record::unwind::tests::guarded_pages(3) as usize;
        let mut memory = StackMemory::new(StackBounds::default(), pages + 64).unwrap();
        assert!(memory.reaches(pages + 3 * PAGE));
        assert!(!memory.reaches(pages + 3 * PAGE + 8));
    }

    #[test]
    fn the_own_stack_ends_at_its_top() {
        let bounds = StackBounds { low: 0x1000, high: 0x9000 };
        let mut memory = StackMemory::new(bounds, 0x2000).unwrap();
        assert!(memory.reaches(0x9000));
        assert!(!memory.reaches(0x9008));
    }
}
