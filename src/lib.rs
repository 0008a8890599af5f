//! heapwatch wraps a service's allocator, samples allocations with their stacks, and says which code is growing, how
//! sure that is, and when the memory limit will be hit.

pub mod analyze;
pub mod collect;
mod error;
#[doc(hidden)]
pub mod record;
pub mod snapshot;
pub mod source;

pub use error::{Error, Result};
