//! The works, from the bare pair of calls to a service.

mod blocks;
mod collections;
mod deep;
mod heap;
mod http;
mod threads;

use std::any::Any;

use crate::clock::Stopwatch;

/// What a work leaves alive, so that it is still there when the recorder is asked for its memory.
pub type Kept = Box<dyn Any>;

/// A fixed piece of work.
pub struct Work {
    pub name: &'static str,
    /// What is counted: the unit of the printed time.
    pub unit: &'static str,
    /// How much of it a measurement does, and a mere try.
    pub amount: u64,
    pub brief: u64,
    pub run: fn(u64, &mut Stopwatch) -> Kept,
}

/// All of them, in the order of the table. Amounts take some 100 to 500 ms each over the system's allocator.
pub static WORKS: [Work; 13] = [
    Work { name: "pair", unit: "pair", amount: 15_000_000, brief: 10_000, run: blocks::pair },
    Work { name: "batch", unit: "batch", amount: 300, brief: 1, run: blocks::batch },
    Work { name: "cross_thread", unit: "block", amount: 2_000_000, brief: 2_000, run: threads::cross_thread },
    Work { name: "realloc", unit: "growth", amount: 2_000, brief: 10, run: blocks::realloc },
    Work { name: "zeroed", unit: "block", amount: 300_000, brief: 300, run: blocks::zeroed },
    Work { name: "hash_map", unit: "change", amount: 1_500_000, brief: 1_000, run: collections::hash_map },
    Work { name: "json", unit: "document", amount: 20_000, brief: 20, run: collections::json },
    Work { name: "http", unit: "request", amount: 20_000, brief: 50, run: http::http },
    Work { name: "deep", unit: "pair", amount: 5_000_000, brief: 5_000, run: deep::deep },
    Work { name: "two_threads", unit: "pair", amount: 15_000_000, brief: 10_000, run: threads::two_threads },
    Work { name: "push", unit: "push", amount: 512 << 20, brief: 1 << 20, run: blocks::push },
    Work { name: "big_heap", unit: "free and allocation", amount: 4 << 30, brief: 8 << 20, run: heap::big_heap },
    Work { name: "sample", unit: "sample", amount: 40, brief: 2, run: deep::sample },
];

pub fn find(name: &str) -> Option<&'static Work> {
    WORKS.iter().find(|w| w.name == name)
}

pub fn names() -> String {
    WORKS.iter().map(|w| w.name).collect::<Vec<_>>().join(", ")
}
