//! `heapwatch::testing` passes work that gives everything back, and names what does not. One test, as a watch is the process's.

use std::sync::Mutex;

use heapwatch::HeapWatch;
use heapwatch::testing::{assert_no_leak, growing_sites};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[inline(never)]
fn remember(n: usize) {
    KEPT.lock().unwrap().push(format!("visitor number {n}"));
}

#[test]
fn a_leak_is_named_and_clean_work_passes() {
    let mut cache: Option<Vec<u8>> = None;
    assert_no_leak(100, || {
        // Kept once, and then the same.
        cache.get_or_insert_with(|| vec![1; 1000]);
        drop("some text".repeat(20));
    });

    let mut n = 0;
    let grown = growing_sites(100, || {
        n += 1;
        remember(n);
        drop(vec![0u8; 500]);
    });
    let grown = grown.unwrap();
    let text = grown[0].to_string();
    assert!(text.contains("remember keeps 75 objects of String"), "{text}");
    assert_eq!(grown.len(), 1, "{grown:?}");

    assert!(growing_sites(3, || ()).is_err_and(|e| e.is_config()));
    let panicked = std::panic::catch_unwind(|| assert_no_leak(40, || remember(1)));
    assert!(panicked.unwrap_err().downcast_ref::<String>().unwrap().contains("remember"));
}
