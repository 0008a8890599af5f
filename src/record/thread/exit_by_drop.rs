//! Runs `release` among the thread's Rust destructors, where there are no pthread keys (and under Miri).

use super::{Block, EXITED, release};

struct OnExit(&'static Block);

impl Drop for OnExit {
    fn drop(&mut self) {
        EXITED.set(true);
        release(self.0);
    }
}

std::thread_local!(static ON_EXIT: core::cell::RefCell<Option<OnExit>> = const { core::cell::RefCell::new(None) });

pub fn arm(block: &'static Block) {
    let _ = ON_EXIT.try_with(|e| {
        if let Ok(mut e) = e.try_borrow_mut() {
            core::mem::forget(e.replace(OnExit(block)));
        }
    });
}
