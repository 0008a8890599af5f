//! Runs `release` after the thread's last Rust destructor.
//!
//! Rust's own thread-local destructors run before those of pthread keys. Other keys' destructors may still allocate; so ours
//! re-arms itself, and releases in the last round but one of the four that POSIX guarantees.

use super::{AtomicU64, Block, EXITED, Ordering, release};

const ROUNDS: u64 = 3;
/// The key, plus one; 0 until made.
static KEY: AtomicU64 = AtomicU64::new(0);

pub fn arm(block: &'static Block) {
    if let Some(key) = key() {
        // SAFETY: the key exists and is never deleted; the value is only handed back to `on_exit`. Should the C library
        // refuse, the block stays with a dead thread: its counters are kept, it is not reused.
        unsafe { libc::pthread_setspecific(key, core::ptr::from_ref(block).cast()) };
    }
}

fn key() -> Option<libc::pthread_key_t> {
    let known = KEY.load(Ordering::Acquire);
    if known != 0 {
        return Some((known - 1) as libc::pthread_key_t);
    }
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: `key` is valid to write to; `on_exit` is a C function of the right type.
    if unsafe { libc::pthread_key_create(&mut key, Some(on_exit)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(0, key as u64 + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(theirs) => {
            // SAFETY: this thread made the key and nobody else has seen it.
            unsafe { libc::pthread_key_delete(key) };
            Some((theirs - 1) as libc::pthread_key_t)
        }
    }
}

extern "C" fn on_exit(value: *mut libc::c_void) {
    // SAFETY: only `arm` sets the key, and only to blocks, which are never unmapped.
    let Some(block) = (unsafe { value.cast::<Block>().as_ref() }) else { return };
    if !super::current().is_some_and(|mine| core::ptr::eq(mine, block)) {
        // The thread became internal and holds another block by now; that one has armed itself.
        return;
    }
    if block.exit_rounds.add(1) < ROUNDS {
        arm(block);
    } else {
        EXITED.set(true);
        release(block);
    }
}
