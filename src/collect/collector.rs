//! The collector: drains what the hooks left, applies it, ticks, publishes. One thread, sole writer.
//!
//! The order of a drain is what makes it right: first the freed list is taken, then the rings are drained, then the frees are
//! applied. A free that is in the list happened after its allocation's event was in a ring, so a free never comes before its
//! allocation. Frees that arrive during the drain wait for the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::fold;
use super::history::History;
use super::ledger::{HeapView, LedgerKeeper, LiveBlock};
use super::live::{LiveSample, LiveSamples};
use super::process::{self, Cadence, ProcRoot, ProcessReader};
use super::sites::{self, Birth, SiteTable};
use super::stacks::StackTable;
use super::symbols::{self, Symbolizer};
use super::tallies::{Latencies, ScopeTally, Sizes};
use super::weight::Sum;
use crate::record::event::Sample;
use crate::record::stack::{self, Method, StackTotals};
use crate::record::thread::{self, Block, Drop, SHARED};
use crate::record::{allocator, control, map, sampler, scope};
use crate::snapshot::{
    Dropped, Frame, Identity, ProcessHistory, RecorderHealth, ScopeUsage, Site, SiteHistory, Snapshot, Totals,
    TypeUsage, Usage,
};

/// The collector's bounds; see the setters of the watch's builder for what each costs.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub live_samples: usize,
    pub stacks: usize,
    pub sites: usize,
    /// Finest stretch of births told apart, seconds: the tick.
    pub base_s: f64,
}

/// Points of the process's history.
const PROCESS_HISTORY: usize = 1440;
/// New addresses looked up in one tick; the rest waits for the next.
const ADDRESSES_PER_TICK: usize = 4096;
/// Sites whose history a snapshot holds, by live bytes.
const WITH_HISTORY: usize = 1024;
/// Live samples below which the history of a site beyond the largest says nothing yet. The largest may be one block that grows.
const HISTORY_SAMPLES: u64 = 4;
const LARGEST: usize = 128;

/// Everything the collector knows.
pub struct Collector {
    identity: Identity,
    bounds: Bounds,
    started: Instant,
    started_ns: u64,
    live: LiveSamples,
    stacks: StackTable,
    sites: SiteTable,
    scopes: Vec<ScopeTally>,
    all: Sum,
    sizes: Sizes,
    latencies: Latencies,
    symbolizer: Symbolizer,
    modules: Vec<stack::Module>,
    process: ProcessReader,
    ledger: LedgerKeeper,
    history: History<ProcessPoint>,
    peak_live_bytes: u64,
    freed_samples: u64,
    thinned: u64,
    thinnings: u64,
    ticks: u64,
    table_bytes: usize,
    random: u64,
    freed: Vec<u32>,
    words: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct ProcessPoint {
    time_s: f64,
    heap_live_bytes: f64,
    rss_bytes: f64,
    usage_bytes: f64,
    allocated_bytes: f64,
}

impl Collector {
    /// Nothing is read yet. To be made and used on a thread of its own, which becomes an internal one.
    pub fn new(identity: Identity, bounds: Bounds) -> Collector {
        thread::become_internal();
        let root = ProcRoot::default();
        Collector {
            started: Instant::now(),
            started_ns: thread::clock_ns(),
            live: LiveSamples::default(),
            stacks: StackTable::new(bounds.stacks),
            sites: SiteTable::new(bounds.sites, identity.started_at_s, bounds.base_s),
            scopes: Vec::new(),
            all: Sum::default(),
            sizes: Sizes::default(),
            latencies: Latencies::default(),
            symbolizer: Symbolizer::new(symbols::Bounds::default()),
            modules: Vec::new(),
            process: ProcessReader::new(root.clone(), Cadence::default()),
            ledger: LedgerKeeper::new(root),
            history: History::new(PROCESS_HISTORY),
            peak_live_bytes: 0,
            freed_samples: 0,
            thinned: 0,
            thinnings: 0,
            ticks: 0,
            table_bytes: 0,
            random: identity.started_at_s.to_bits(),
            freed: Vec::new(),
            words: Vec::new(),
            identity,
            bounds,
        }
    }

    /// Makes the unwind tables, before samples are switched on.
    pub fn prepare(&mut self) {
        self.refresh_modules();
    }

    /// Seconds since the epoch, by the monotonic clock: a wall clock that jumps does not bend the history.
    fn now_s(&self) -> f64 {
        self.identity.started_at_s + self.started.elapsed().as_secs_f64()
    }

    fn epoch_s(&self, monotonic_ns: u64) -> f64 {
        let since = monotonic_ns as f64 - self.started_ns as f64;
        self.identity.started_at_s + since / 1e9
    }

    /// Takes in what the hooks left. Answers the share of its ring that the busiest thread had filled.
    pub fn drain(&mut self) -> f64 {
        let mut freed = std::mem::take(&mut self.freed);
        allocator::LIVE.take_freed(&mut freed);
        let mut words = std::mem::take(&mut self.words);
        let mut fullest: f64 = 0.0;
        for block in thread::blocks() {
            let (ring, buffer) = block.ring();
            fullest = fullest.max(ring.drain(buffer, &mut words, |message| {
                if let Some((sample, frames)) = Sample::read(message) {
                    self.born(&sample, frames);
                }
            }));
        }
        let now_s = self.now_s();
        for slot in freed.drain(..) {
            self.died(slot, now_s);
            allocator::LIVE.release(slot);
        }
        (self.freed, self.words) = (freed, words);
        if self.live.count() >= self.bounds.live_samples {
            self.thin();
        }
        fullest
    }

    fn born(&mut self, sample: &Sample, frames: &[u64]) {
        let (stack, new) = self.stacks.number(frames);
        if new {
            self.place_unnamed(stack);
        }
        let born_s = self.epoch_s(sample.time_ns).min(self.now_s());
        let live = LiveSample {
            stack,
            scope: sample.scope,
            size: sample.size,
            interval: sample.interval,
            address: sample.address,
            born_s,
            tag: sample.tag,
            carried_bytes: sample.carried_bytes as f64,
        };
        let weight = live.weight();
        self.live.insert(sample.slot, live);
        let stack = self.stacks.get_mut(stack);
        stack.live_samples += 1;
        self.sites.born(stack.site, Birth { born_s, weight, scope: sample.scope });
        self.all.born(weight);
        self.sizes.add(sample.size, weight);
        let tally = tally(&mut self.scopes, sample.scope);
        tally.sum.born(weight);
        tally.sizes.add(sample.size, weight);
        self.latencies.record(sample.call, sample.latency_ns);
    }

    fn died(&mut self, slot: u32, now_s: f64) {
        let Some(live) = self.live.remove(slot) else { return };
        self.freed_samples += 1;
        self.forget(&live, now_s);
    }

    fn forget(&mut self, live: &LiveSample, now_s: f64) {
        let weight = live.weight();
        let stack = self.stacks.get_mut(live.stack);
        stack.live_samples = stack.live_samples.saturating_sub(1);
        self.sites.died(stack.site, Birth { born_s: live.born_s, weight, scope: live.scope }, now_s);
        self.all.died(weight);
        tally(&mut self.scopes, live.scope).sum.died(weight);
    }

    /// A new stack is a site of its own until it has names.
    fn place_unnamed(&mut self, stack: u32) {
        let now_s = self.now_s();
        if self.sites.is_full() {
            self.make_room();
        }
        let frames = self.stacks.get(stack).frames.clone();
        // Addresses hash into keys that no name's hash is likely to meet; the site is gone once it is named.
        let key = frames.iter().fold(!0u64, |h, a| (h ^ a).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)) | 1;
        let site = self.sites.of_key(key, || nameless(&frames), now_s);
        let stack = self.stacks.get_mut(stack);
        (stack.site, stack.named) = (site, false);
    }

    /// Idle sites go; the stacks that pointed to them begin anew.
    fn make_room(&mut self) {
        let gone = self.sites.evict();
        if gone.is_empty() {
            return;
        }
        let gone: std::collections::HashSet<u32> = gone.into_iter().collect();
        for stack in self.stacks.iter_mut() {
            if gone.contains(&stack.site) {
                (stack.site, stack.named) = (sites::OTHER, false);
            }
        }
    }

    /// Doubles the interval and thins the samples to it, by threshold sampling (Duffield, Lund, Thorup 2007): a sample stays with
    /// the chance of its weight over the weight that its size has at the new interval, and takes that weight if it stays; one that
    /// weighs more already, as it carries lost samples, stays as it is. Every sum stays unbiased.
    fn thin(&mut self) {
        let interval = control::interval();
        if interval == control::OFF {
            return;
        }
        let doubled = interval.saturating_mul(2).max(2);
        control::set_interval(doubled);
        self.thinnings += 1;
        let now_s = self.now_s();
        let candidates: Vec<(u32, LiveSample)> = self.live.iter().map(|(slot, s)| (slot, *s)).collect();
        for (slot, sample) in candidates {
            let thinned = LiveSample { interval: doubled, carried_bytes: 0.0, ..sample };
            let keep = sample.weight().bytes / thinned.weight().bytes;
            if keep >= 1.0 {
                continue;
            }
            let drawn = (sampler::next_random(&mut self.random) >> 11) as f64 / (1u64 << 53) as f64;
            if drawn < keep {
                self.reweigh(slot, &sample, thinned);
            } else if allocator::PAGES.untrack(sample.address as usize, slot) {
                self.live.remove(slot);
                self.forget(&sample, now_s);
                allocator::LIVE.release(slot);
                self.thinned += 1;
            } else {
                // It is being freed at this moment: its free is on the list and takes it away.
            }
        }
    }

    fn reweigh(&mut self, slot: u32, sample: &LiveSample, after: LiveSample) {
        let (old, new) = (sample.weight(), after.weight());
        self.live.insert(slot, after);
        let site = self.stacks.get(sample.stack).site;
        self.sites.reweighed(site, Birth { born_s: sample.born_s, weight: old, scope: sample.scope }, new);
        for sum in [&mut self.all, &mut tally(&mut self.scopes, sample.scope).sum] {
            sum.died(old);
            sum.lives(new);
        }
    }

    /// One tick: names, process figures, a point in every history.
    pub fn tick(&mut self) {
        self.ticks += 1;
        self.refresh_modules();
        self.name_stacks(ADDRESSES_PER_TICK);
        self.symbolizer.tick();
        let now_s = self.now_s();
        self.sites.tick(now_s);
        for tally in &mut self.scopes {
            tally.history.push((now_s, tally.sum.usage().live_bytes.value));
        }
        self.read_process(now_s);
    }

    fn read_process(&mut self, now_s: f64) {
        let now = Instant::now();
        let totals = thread::exact_totals();
        self.peak_live_bytes = self.peak_live_bytes.max(totals.live_bytes());
        let memory = self.process.tick(now).clone();
        let rss_bytes = memory.rss_bytes.map_or(f64::NAN, |b| b as f64);
        let limit = memory.limit.as_ref();
        let usage = limit.and_then(|l| l.working_set_bytes.or(l.usage_bytes)).map_or(rss_bytes, |b| b as f64);
        self.history.push(ProcessPoint {
            time_s: now_s,
            heap_live_bytes: totals.live_bytes() as f64,
            rss_bytes,
            usage_bytes: usage,
            allocated_bytes: totals.allocated_bytes as f64,
        });
        if self.ledger.is_due(now) {
            let blocks: Vec<LiveBlock> =
                self.live.iter().map(|(_, s)| LiveBlock { address: s.address, bytes: s.size }).collect();
            let heap = HeapView {
                live_bytes: totals.live_bytes(),
                blocks: &blocks,
                own_mapped_bytes: map::mapped_bytes(),
                stack_addresses: &[],
            };
            self.ledger.update(now, now_s, &heap, &memory);
        }
    }

    /// The last tick's time and memory in use: what counts against the limit, else the resident set.
    pub fn memory_in_use(&self) -> Option<(f64, f64)> {
        self.history.points().last().map(|p| (p.time_s, p.usage_bytes))
    }

    fn refresh_modules(&mut self) {
        let report = stack::refresh();
        self.table_bytes = report.table_bytes;
        if report.modules_changed || self.modules.is_empty() {
            self.modules = stack::modules();
        }
    }

    /// Gives names to stacks that have none yet, as far as `addresses` new addresses go.
    fn name_stacks(&mut self, addresses: usize) {
        let unnamed = self.stacks.unnamed();
        if unnamed.is_empty() {
            return;
        }
        let wanted: Vec<u64> = unnamed.iter().flat_map(|s| self.stacks.get(*s).frames.iter().copied()).collect();
        let left = self.symbolizer.resolve_budgeted(&wanted, &self.modules, addresses);
        for stack in unnamed {
            if left == 0 || self.symbolizer.knows(&self.stacks.get(stack).frames, &self.modules) {
                self.name(stack);
            }
        }
    }

    fn name(&mut self, stack: u32) {
        let now_s = self.now_s();
        let frames = self.stacks.get(stack).frames.clone();
        let named: Vec<Frame> =
            frames.iter().flat_map(|a| self.symbolizer.resolve(*a, &self.modules).to_vec()).collect();
        let named = fold::without_hook(&named);
        let mut folded = fold::fold(named);
        if self.sites.is_full() {
            self.make_room();
        }
        let raw = self.stacks.get(stack).site;
        let key = folded.key(named);
        let shown = fold::without_buffers(named, &mut folded);
        let mut new = false;
        let site = self.sites.of_key(
            key,
            || {
                new = true;
                shown
            },
            now_s,
        );
        if new {
            let of = self.sites.get_mut(site);
            of.id = folded.id;
            of.allocating_frame = folded.allocating_frame;
            of.application_frame = folded.application_frame;
            of.type_name = folded.type_name;
        }
        self.sites.merge(raw, site);
        let stack = self.stacks.get_mut(stack);
        (stack.site, stack.named) = (site, true);
    }

    /// What is known now. Names everything first, so that no frame is left without.
    pub fn snapshot(&mut self) -> Snapshot {
        self.name_stacks(usize::MAX);
        let now_s = self.now_s();
        let sites = self.listed_sites(now_s);
        let types = types_of(&sites);
        Snapshot {
            taken_at_s: now_s,
            uptime_s: self.started.elapsed().as_secs_f64(),
            process: self.identity.clone(),
            memory: self.process.latest().clone(),
            totals: Totals { peak_live_bytes: self.peak_live_bytes, ..thread::exact_totals() },
            ledger: self.ledger.ledger().clone(),
            sites,
            sites_beyond_bound: Usage::default(),
            mappings: super::mappings::mappings(&self.modules),
            types,
            scopes: self.listed_scopes(),
            history: Arc::new(self.process_history()),
            size_histogram: self.sizes.buckets(),
            allocator_latency: self.latencies.histograms(),
            recorder: self.health(),
        }
    }

    fn listed_sites(&self, now_s: f64) -> Vec<Arc<Site>> {
        let mut in_use: Vec<&sites::Site> = self.sites.in_use().map(|(_, s)| s).collect();
        in_use.sort_by(|a, b| b.usage().live_bytes.value.total_cmp(&a.usage().live_bytes.value));
        let scopes = scope::accounts();
        let ids = public_ids(in_use.iter().copied());
        let none = Arc::new(SiteHistory::default());
        let listed = in_use.iter().enumerate().map(|(rank, s)| {
            let scope = (s.main_scope() as usize).checked_sub(1).and_then(|i| scopes.get(i));
            let tells = rank < LARGEST || (rank < WITH_HISTORY && s.usage().live_samples >= HISTORY_SAMPLES);
            Arc::new(Site {
                id: ids.get(&s.key).copied().unwrap_or(s.id),
                stack: s.stack.clone(),
                allocating_frame: s.allocating_frame,
                application_frame: s.application_frame,
                type_name: s.type_name.clone(),
                scope: scope.map(|s| s.scope.clone()).unwrap_or_default(),
                usage: s.usage(),
                history: if tells { Arc::new(self.sites.history(s, now_s)) } else { none.clone() },
            })
        });
        listed.collect()
    }

    fn listed_scopes(&self) -> Vec<ScopeUsage> {
        let none = ScopeUsage::default();
        let mut scopes: Vec<ScopeUsage> = std::iter::once(none).chain(scope::accounts()).collect();
        for (scope, tally) in scopes.iter_mut().zip(&self.scopes) {
            scope.usage = tally.sum.usage();
            scope.size_histogram = tally.sizes.buckets();
            let (times, values): (Vec<f64>, Vec<f64>) = tally.history.points().iter().copied().unzip();
            scope.live_history = (times, values);
        }
        scopes
    }

    fn process_history(&self) -> ProcessHistory {
        let points = self.history.points();
        let column = |f: fn(&ProcessPoint) -> f64| points.iter().map(f).collect::<Vec<f64>>();
        ProcessHistory {
            times_s: column(|p| p.time_s),
            heap_live_bytes: column(|p| p.heap_live_bytes),
            rss_bytes: column(|p| p.rss_bytes),
            usage_bytes: column(|p| p.usage_bytes),
            allocated_bytes: column(|p| p.allocated_bytes),
        }
    }

    fn health(&self) -> RecorderHealth {
        let mut health = RecorderHealth {
            samples: self.all.usage().samples,
            live_samples: self.live.count() as u64,
            freed_samples: self.freed_samples,
            own_bytes: self.own_bytes(),
            cpu_seconds: process::thread_cpu_time().map_or(0.0, |t| t.as_secs_f64()),
            sample_interval_bytes: control::interval(),
            stack_method: method_name(),
            thinnings: self.thinnings,
            ticks: self.ticks,
            ..RecorderHealth::default()
        };
        let mut stacks = StackTotals::default();
        let mut dropped = [0u64; thread::DROPS];
        for block in thread::blocks() {
            block.stacks().add_to(&mut stacks);
            let reading = block.read();
            dropped.iter_mut().zip(reading.dropped).for_each(|(sum, n)| *sum += n);
            health.dropped_bytes += reading.dropped_bytes;
        }
        health.truncated_stacks_ratio = stacks.truncated() as f64 / stacks.captures().max(1) as f64;
        health.dropped = Dropped {
            ring_full: dropped[Drop::RingFull as usize],
            table_full: dropped[Drop::TableFull as usize],
            page_map: dropped[Drop::PageMap as usize],
            no_thread_block: dropped[Drop::NoBlock as usize]
                + SHARED.dropped.load(std::sync::atomic::Ordering::Relaxed),
            thinned: self.thinned,
            stack_table_full: self.stacks.overflowed,
        };
        health
    }

    /// Resident memory of the recorder, nearly: what its threads hold on the heap, its tables, its mappings as far as touched.
    fn own_bytes(&self) -> u64 {
        let internal = thread::blocks().map(Block::read).filter(|r| r.internal);
        let heap: u64 = internal.map(|r| r.allocated.wrapping_sub(r.freed) as i64).sum::<i64>().max(0) as u64;
        let untouched = allocator::LIVE.untouched_bytes() + thread::untouched_bytes();
        heap + map::mapped_bytes().saturating_sub(untouched) + self.table_bytes as u64
    }
}

/// Ids by key. Sites that only their lines tell apart (two pushes in one function) are numbered in the order of their lines.
fn public_ids<'a>(sites: impl Iterator<Item = &'a sites::Site>) -> HashMap<u64, u64> {
    let line = |s: &sites::Site| s.application_frame.or(s.allocating_frame).and_then(|i| s.stack.get(i)?.line);
    let mut sites: Vec<(u64, Option<u32>, u64)> = sites.map(|s| (s.id, line(s), s.key)).collect();
    sites.sort_unstable();
    let numbered = sites.chunk_by(|a, b| a.0 == b.0).flat_map(|same| (0u64..).zip(same));
    numbered.map(|(n, (id, _, key))| (*key, id ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect()
}

fn tally(scopes: &mut Vec<ScopeTally>, scope: u32) -> &mut ScopeTally {
    let scope = scope as usize;
    if scope >= scopes.len() {
        scopes.resize_with(scope + 1, ScopeTally::default);
    }
    &mut scopes[scope]
}

fn nameless(addresses: &[u64]) -> Arc<[Frame]> {
    addresses.iter().map(|a| Frame { function: format!("{a:#x}").into(), address: *a, ..Frame::default() }).collect()
}

fn types_of(sites: &[Arc<Site>]) -> Vec<TypeUsage> {
    let mut by_name: HashMap<&Arc<str>, Usage> = HashMap::new();
    for (name, site) in sites.iter().filter_map(|s| Some((s.type_name.as_ref()?, s))) {
        super::weight::add_usage(by_name.entry(name).or_default(), &site.usage);
    }
    let types = by_name.into_iter().map(|(name, usage)| TypeUsage { name: name.clone(), usage });
    let mut types: Vec<TypeUsage> = types.collect();
    types.sort_by(|a, b| b.usage.live_bytes.value.total_cmp(&a.usage.live_bytes.value).then(a.name.cmp(&b.name)));
    types
}

fn method_name() -> &'static str {
    match stack::method() {
        Method::Tables => "unwind_tables",
        Method::FramePointers => "frame_pointers",
        Method::Platform => "backtrace",
    }
}
