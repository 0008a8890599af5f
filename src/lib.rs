//! heapwatch wraps a service's allocator, samples allocations with their stacks, and says which code is growing, how
//! sure that is, and when the memory limit will be hit.

pub mod analyze;
#[doc(hidden)] // Stages of the machine: public for benchmarks and models only, no part of the API.
#[allow(missing_docs)]
pub mod collect;
mod config;
mod error;
pub mod export;
pub mod gc;
#[doc(hidden)]
#[allow(missing_docs)]
pub mod record;
pub mod snapshot;
pub mod source;
pub mod symbolize;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod watch;

pub use analyze::severity::{Severity, Thresholds};
pub use error::{Error, Result};
pub use export::ProfileKind;
pub use export::report::Report;
pub use record::allocator::HeapWatch;
pub use record::scope::{InScope, ScopeGuard, ScopeId, scope, scope_operation};
pub use watch::{Builder, Watch};
