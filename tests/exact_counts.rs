//! Every byte is counted: over threads that come and go, frees on other threads, and destructors that run at a thread's exit.
//! A main of its own, as the counters are the process's and a test runner allocates beside the test.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

use heapwatch::HeapWatch;
use heapwatch::record::thread::exact_totals;

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

thread_local! {
    static AT_EXIT: RefCell<Option<AllocatesWhenDropped>> = const { RefCell::new(None) };
}

struct AllocatesWhenDropped(Vec<u8>);

impl Drop for AllocatesWhenDropped {
    fn drop(&mut self) {
        self.0 = vec![1; 12_345];
        std::hint::black_box(&self.0);
    }
}

fn live() -> i64 {
    let t = exact_totals();
    t.allocated_bytes as i64 - t.freed_bytes as i64
}

fn main() {
    live_bytes_are_exact_to_the_byte();
    println!("live bytes are exact to the byte");
}

fn live_bytes_are_exact_to_the_byte() {
    // Warm up what std allocates once.
    thread::spawn(|| ()).join().unwrap();
    let before = live();
    let kept = vec![0u8; 100_003];
    assert_eq!(live() - before, 100_003);
    drop(kept);

    let (send, receive) = mpsc::sync_channel::<Vec<u8>>(64);
    let freer = thread::spawn(move || receive.into_iter().map(|v| v.len()).sum::<usize>());
    let mut sent = 0;
    for round in 0..2_000 {
        let send = send.clone();
        let len = 1 + round * 7 % 5_000;
        sent += len;
        let t = thread::spawn(move || {
            AT_EXIT.with(|e| *e.borrow_mut() = Some(AllocatesWhenDropped(Vec::new())));
            send.send(vec![7; len]).unwrap();
        });
        t.join().unwrap();
    }
    drop(send);
    assert_eq!(freer.join().unwrap(), sent);
    assert_eq!(live(), before, "every free on another thread, every thread gone");

    refused_allocations_change_nothing();
}

fn refused_allocations_change_nothing() {
    let before = live();
    let mut v: Vec<u8> = Vec::with_capacity(10);
    let held = live();
    assert!(v.try_reserve(isize::MAX as usize - 64).is_err());
    assert_eq!(live(), held);
    let layout = Layout::from_size_align(isize::MAX as usize - 4096, 1).unwrap();
    // SAFETY: the layout's size is not 0; the answer is null and is not used.
    assert!(unsafe { HEAP.alloc_zeroed(layout) }.is_null());
    assert_eq!(live(), held);
    drop(v);
    assert_eq!(live(), before);
}
