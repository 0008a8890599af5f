//! heapwatch wraps a service's allocator, samples allocations with their stacks, and says which code is growing, how
//! sure that is, and when the memory limit will be hit.

pub mod analyze;
pub mod collect;
mod error;
pub mod export;
#[doc(hidden)] // Public for benchmarks and models only; no part of the API.
#[allow(missing_docs)]
pub mod record;
pub mod snapshot;
pub mod source;
pub mod symbolize;

pub use error::{Error, Result};
pub use record::allocator::HeapWatch;
pub use record::scope::{InScope, ScopeGuard, ScopeId, scope, scope_operation};
