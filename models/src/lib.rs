//! The recorder's files that threads meet in, with loom's atomics. Without `--cfg loom` there is nothing here.
//!
//! A package of its own, as `--cfg loom` reaches every dependency, and not all of heapwatch's can be built with it.
#![cfg(loom)]

#[path = "../../src/record"]
pub mod record {
    pub mod index_stack;
    pub mod live;
    pub mod node;
    pub mod page_map;
    pub mod ring;
    pub mod sync;
    pub mod thread {
        pub mod allocated;
        pub mod pool;
    }
}
