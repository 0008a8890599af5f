//! On whose behalf memory is allocated: the current component, operation or endpoint.
//!
//! A scope is a small integer in the thread's block, stored in each sample. It costs the hot path nothing: what a scope
//! allocated is the difference of the thread's own exact counters between its entry and its exit, less what scopes nested in it
//! counted. A future is in its scope while it is polled, so the bytes are exact across awaits and thread hops.
//!
//! Scopes are bounded: at [`MAX_SCOPES`] the next new one is counted as [`OTHER`]. What is not measured here: who frees. Bytes
//! freed count for the scope that frees them; what stays alive of a scope is the collector's estimate.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::RwLock;

use super::sync::{AtomicU64, Ordering};
use super::thread::{self, Block};
use crate::snapshot::{self, ValueHistogram};

/// Scopes at most, [`OTHER`] included.
pub const MAX_SCOPES: usize = 1024;

/// What a label of the scope beyond the bound reads.
pub const OTHER: &str = "other";

/// Upper bounds of the histograms of bytes a request.
pub const REQUEST_BOUNDS: [i64; 12] =
    [0, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 10 << 20, 64 << 20, 256 << 20, 1 << 30];

/// A scope that is known by number; cheap to copy, cheap to enter. Make it once, enter it often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeId(u32);

/// What a scope has counted. One for each scope, never freed.
#[derive(Debug, Default)]
struct Account {
    label: snapshot::Scope,
    allocated: AtomicU64,
    freed: AtomicU64,
    allocations: AtomicU64,
    entries: AtomicU64,
    net: RequestHistogram,
    gross: RequestHistogram,
}

#[derive(Debug, Default)]
struct RequestHistogram {
    buckets: [AtomicU64; REQUEST_BOUNDS.len() + 1],
    sum: AtomicU64,
}

#[derive(Default)]
struct Registry {
    ids: HashMap<snapshot::Scope, ScopeId>,
    accounts: Vec<&'static Account>,
}

static REGISTRY: RwLock<Option<Registry>> = RwLock::new(None);

/// Enters the component's scope until the guard is dropped. Costs a look-up of the name (some tens of nanoseconds); see
/// [`ScopeId::component`] to look up once.
pub fn scope(component: &str) -> ScopeGuard {
    ScopeId::component(component).enter()
}

/// As [`scope`], for one operation of the component.
pub fn scope_operation(component: &str, operation: &str) -> ScopeGuard {
    ScopeId::operation(component, operation).enter()
}

impl ScopeId {
    /// No scope.
    pub const NONE: ScopeId = ScopeId(0);

    /// The scope of a component.
    pub fn component(component: &str) -> ScopeId {
        ScopeId::of(snapshot::Scope { component: Some(component.into()), ..Default::default() })
    }

    /// The scope of one operation of a component.
    pub fn operation(component: &str, operation: &str) -> ScopeId {
        let (component, operation) = (Some(component.into()), Some(operation.into()));
        ScopeId::of(snapshot::Scope { component, operation, ..Default::default() })
    }

    /// The scope of requests to a route. `endpoint` is the matched route, never the raw path: the number of scopes is bounded.
    pub fn endpoint(component: Option<&str>, endpoint: &str, method: &str) -> ScopeId {
        let (endpoint, method) = (Some(endpoint.into()), Some(method.into()));
        ScopeId::of(snapshot::Scope { component: component.map(Arc::from), endpoint, method, ..Default::default() })
    }

    /// The scope with these labels, made if it is new.
    pub fn of(label: snapshot::Scope) -> ScopeId {
        if let Some(known) = REGISTRY.read().as_ref().and_then(|r| r.ids.get(&label).copied()) {
            return known;
        }
        REGISTRY.write().get_or_insert_default().add(label)
    }

    /// Enters the scope on this thread until the guard is dropped.
    #[inline]
    pub fn enter(self) -> ScopeGuard {
        ScopeGuard { entered: Entered::now(self), scope: self, not_send: PhantomData }
    }

    /// Notes a finished request's net and allocated bytes in the scope's histograms.
    pub fn observe_request(self, used: Used) {
        if let Some(account) = account(self.0) {
            account.net.observe(used.net_bytes());
            account.gross.observe(i64::try_from(used.allocated_bytes).unwrap_or(i64::MAX));
        }
    }

    fn settle(self, own: Used, entries: u64) {
        let Some(account) = account(self.0) else { return };
        account.allocated.fetch_add(own.allocated_bytes, Ordering::Relaxed);
        account.freed.fetch_add(own.freed_bytes, Ordering::Relaxed);
        account.allocations.fetch_add(own.allocations, Ordering::Relaxed);
        account.entries.fetch_add(entries, Ordering::Relaxed);
    }
}

impl Registry {
    fn add(&mut self, label: snapshot::Scope) -> ScopeId {
        if let Some(known) = self.ids.get(&label) {
            return *known;
        }
        if self.accounts.len() + 1 < MAX_SCOPES {
            return self.insert(label);
        }
        // At the bound: one more scope for all that comes later, with `other` wherever this label says something.
        let other = |part: &Option<Arc<str>>| part.as_ref().map(|_| Arc::from(OTHER));
        let label = snapshot::Scope {
            component: other(&label.component),
            operation: other(&label.operation),
            endpoint: other(&label.endpoint),
            method: other(&label.method),
        };
        match self.ids.get(&label) {
            Some(known) => *known,
            // At most one for each of the 16 ways in which a label can be filled in.
            None => self.insert(label),
        }
    }

    fn insert(&mut self, label: snapshot::Scope) -> ScopeId {
        self.accounts.push(Box::leak(Box::new(Account { label: label.clone(), ..Account::default() })));
        let id = ScopeId(self.accounts.len() as u32);
        self.ids.insert(label, id);
        id
    }
}

fn account(number: u32) -> Option<&'static Account> {
    let registry = REGISTRY.read();
    registry.as_ref()?.accounts.get((number as usize).checked_sub(1)?).copied()
}

/// Bytes and allocations, from a thread's exact counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes allocated.
    pub allocated_bytes: u64,
    /// Bytes freed, whoever allocated them.
    pub freed_bytes: u64,
    /// Allocations.
    pub allocations: u64,
}

impl Used {
    /// Allocated less freed; negative when more was freed.
    pub fn net_bytes(self) -> i64 {
        self.allocated_bytes.wrapping_sub(self.freed_bytes) as i64
    }

    fn of(counters: [u64; 3]) -> Used {
        Used { allocated_bytes: counters[0], freed_bytes: counters[1], allocations: counters[2] }
    }

    fn minus(self, other: Used) -> Used {
        Used {
            allocated_bytes: self.allocated_bytes.wrapping_sub(other.allocated_bytes),
            freed_bytes: self.freed_bytes.wrapping_sub(other.freed_bytes),
            allocations: self.allocations.wrapping_sub(other.allocations),
        }
    }

    /// The sum of both.
    pub fn plus(self, other: Used) -> Used {
        Used {
            allocated_bytes: self.allocated_bytes.wrapping_add(other.allocated_bytes),
            freed_bytes: self.freed_bytes.wrapping_add(other.freed_bytes),
            allocations: self.allocations.wrapping_add(other.allocations),
        }
    }
}

/// A scope entered on this thread: what has to be put back at the exit.
#[derive(Debug)]
struct Entered {
    block: Option<&'static Block>,
    outer_scope: u32,
    outer_nested: Used,
    at_entry: Used,
}

impl Entered {
    #[inline]
    fn now(scope: ScopeId) -> Entered {
        let Some(block) = thread::current().or_else(thread::current_or_claim) else {
            return Entered { block: None, outer_scope: 0, outer_nested: Used::default(), at_entry: Used::default() };
        };
        let entered = Entered {
            block: Some(block),
            outer_scope: block.scope(),
            outer_nested: nested(block),
            at_entry: Used::of(block.exact()),
        };
        block.set_scope(scope.0);
        set_nested(block, Used::default());
        entered
    }

    /// Leaves the scope. All that was used inside, and the part of it that no nested scope counted.
    #[inline]
    fn leave(&self) -> (Used, Used) {
        let Some(block) = self.block else { return Default::default() };
        let all = Used::of(block.exact()).minus(self.at_entry);
        let own = all.minus(nested(block));
        block.set_scope(self.outer_scope);
        set_nested(block, self.outer_nested.plus(all));
        (all, own)
    }
}

fn nested(block: &Block) -> Used {
    Used::of(block.nested().each_ref().map(|n| n.get()))
}

fn set_nested(block: &Block, used: Used) {
    for (counter, n) in block.nested().iter().zip([used.allocated_bytes, used.freed_bytes, used.allocations]) {
        counter.set(n);
    }
}

/// The calling thread is in a scope until this is dropped. Stays on its thread.
///
/// ```compile_fail
/// fn send<T: Send>(_: T) {}
/// send(heapwatch::scope("parser"));
/// ```
#[derive(Debug)]
#[must_use = "the scope ends when the guard is dropped"]
pub struct ScopeGuard {
    entered: Entered,
    scope: ScopeId,
    not_send: PhantomData<*const ()>,
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        let (_, own) = self.entered.leave();
        self.scope.settle(own, 1);
    }
}

/// Puts futures into scopes: `fetch().in_scope(ScopeId::component("fetcher"))`.
pub trait InScope: Future + Sized {
    /// The future in this scope: each poll runs inside it.
    fn in_scope(self, scope: impl Into<ScopeId>) -> Scoped<Self> {
        Scoped { inner: self, meter: Meter::new(scope.into()) }
    }
}

impl<F: Future> InScope for F {}

impl From<&str> for ScopeId {
    /// The component of that name.
    fn from(component: &str) -> ScopeId {
        ScopeId::component(component)
    }
}

pin_project_lite::pin_project! {
    /// A future whose polls run in a scope; see [`InScope`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        #[pin]
        inner: F,
        meter: Meter,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.meter.measure(|| this.inner.poll(cx))
    }
}

/// Adds up what a piece of work uses over its polls, on whatever threads they run. Settled with the scope when dropped, so a
/// cancelled future counts too.
#[derive(Debug)]
pub struct Meter {
    scope: ScopeId,
    /// All that was used, by nested scopes too.
    total: Used,
    /// The scope's own part that the scope has not been told yet.
    unsettled: Used,
}

/// Long-running futures tell their scope about this many allocated bytes at the latest.
const SETTLE_BYTES: u64 = 64 << 10;

impl Meter {
    /// Nothing used yet.
    pub fn new(scope: ScopeId) -> Meter {
        Meter { scope, total: Used::default(), unsettled: Used::default() }
    }

    /// Runs `work` inside the scope and adds what it used.
    #[inline]
    pub fn measure<R>(&mut self, work: impl FnOnce() -> R) -> R {
        /// Leaves the scope also when `work` unwinds.
        struct Leave<'a>(&'a mut Meter, Entered);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                let (all, own) = self.1.leave();
                self.0.total = self.0.total.plus(all);
                self.0.unsettled = self.0.unsettled.plus(own);
            }
        }
        let entered = Entered::now(self.scope);
        let result = {
            let _leave = Leave(self, entered);
            work()
        };
        if self.unsettled.allocated_bytes.max(self.unsettled.freed_bytes) >= SETTLE_BYTES {
            self.scope.settle(std::mem::take(&mut self.unsettled), 0);
        }
        result
    }

    /// All that was used so far.
    pub fn used(&self) -> Used {
        self.total
    }

    /// The scope that is charged.
    pub fn scope(&self) -> ScopeId {
        self.scope
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.scope.settle(self.unsettled, 1);
    }
}

impl RequestHistogram {
    fn observe(&self, bytes: i64) {
        let bucket = REQUEST_BOUNDS.iter().position(|b| bytes <= *b).unwrap_or(REQUEST_BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        // Two's complement: the sum of signed values is right in wrapping arithmetic.
        self.sum.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Option<ValueHistogram> {
        let sum = self.sum.load(Ordering::Relaxed) as i64 as f64;
        let mut below = 0;
        let cumulative = self.buckets.iter().map(|b| {
            below += b.load(Ordering::Relaxed);
            below
        });
        let mut cumulative: Vec<u64> = cumulative.collect();
        let count = cumulative.pop().filter(|n| *n > 0)?;
        Some(ValueHistogram { upper_bounds: REQUEST_BOUNDS.map(|b| b as f64).to_vec(), cumulative, count, sum })
    }
}

/// What the collector reads of all scopes; the first is number 1.
pub fn accounts() -> Vec<snapshot::ScopeUsage> {
    let registry = REGISTRY.read();
    let accounts = registry.as_ref().map_or(&[][..], |r| &r.accounts);
    accounts
        .iter()
        .map(|a| snapshot::ScopeUsage {
            scope: a.label.clone(),
            allocated_bytes: a.allocated.load(Ordering::Relaxed),
            freed_bytes: a.freed.load(Ordering::Relaxed),
            allocations: a.allocations.load(Ordering::Relaxed),
            entries: a.entries.load(Ordering::Relaxed),
            request_net_bytes: a.net.read(),
            request_allocated_bytes: a.gross.read(),
            ..Default::default()
        })
        .collect()
}
