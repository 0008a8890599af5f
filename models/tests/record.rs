//! Models of what threads share in `record/`: every order in which the threads' steps can interleave, within what the memory
//! model allows, and within so many preemptions where a model says so.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --manifest-path models/Cargo.toml`. The files are the library's own; only sizes are
//! smaller (a ring of 8 words, 3 slots, 2 blocks, 8 pages) and nodes are boxed instead of mapped.
#![cfg(loom)]

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use heapwatch_models::record::index_stack::IndexStack;
use heapwatch_models::record::live::{CAPACITY, LiveTable};
use heapwatch_models::record::node::Zeroed;
use heapwatch_models::record::page_map::{Entry, PAGE, PageMap};
use heapwatch_models::record::ring::{RING_WORDS, Ring, Words};
use heapwatch_models::record::sync::{AtomicU32, AtomicU64, Counter, Ordering, fence};
use heapwatch_models::record::thread::allocated::Allocated;
use heapwatch_models::record::thread::pool::{self, Place, Pool, Pooled};

/// All interleavings with at most so many preemptions.
fn with_preemptions(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

/// A ring with its words.
struct Channel {
    ring: Ring,
    words: Words,
}

impl Channel {
    fn new() -> Channel {
        Channel { ring: Ring::new(), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    fn push(&self, message: &[u64]) -> bool {
        self.ring.push(&self.words, &message[..1], message[1..].iter().copied())
    }

    fn drain(&self, mut each: impl FnMut(&[u64])) {
        self.ring.drain(&self.words, &mut Vec::new(), &mut each);
    }
}

#[test]
fn ring_messages_arrive_whole_and_in_order_around_its_end() {
    loom::model(|| {
        let channel = Arc::new(Channel::new());
        let producer = thread::spawn({
            let channel = channel.clone();
            move || (1..=4).filter(|&n| channel.push(&[n, n])).collect::<Vec<u64>>()
        });
        let mut seen = Vec::new();
        for _ in 0..2 {
            channel.drain(|message| seen.push(message.to_vec()));
        }
        let pushed = producer.join().unwrap();
        channel.drain(|message| seen.push(message.to_vec()));
        assert!(pushed.starts_with(&[1]), "an empty ring has room");
        assert_eq!(seen, pushed.iter().map(|&n| vec![n; 2]).collect::<Vec<_>>());
    });
}

#[test]
fn ring_room_that_was_seen_stays() {
    loom::model(|| {
        let channel = Arc::new(Channel::new());
        assert!(channel.push(&[1, 1, 1]));
        let producer = thread::spawn({
            let channel = channel.clone();
            move || {
                let room = channel.ring.has_room(RING_WORDS - 2);
                room == channel.push(&[2; RING_WORDS - 3]) || !room
            }
        });
        channel.drain(|message| assert_eq!(message, [1, 1, 1]));
        assert!(producer.join().unwrap());
        channel.drain(|message| assert_eq!(message, [2; RING_WORDS - 3]));
    });
}

/// An index stack with links for indices 1 to 3.
struct Indices {
    stack: IndexStack,
    links: [AtomicU32; 4],
}

impl Indices {
    fn full() -> Arc<Indices> {
        let own = Indices { stack: IndexStack::new(), links: std::array::from_fn(|_| AtomicU32::new(0)) };
        (1..=3).for_each(|index| own.push(index));
        Arc::new(own)
    }

    fn push(&self, index: u32) {
        self.stack.push(index, &self.links[index as usize]);
    }

    fn pop(&self) -> Option<u32> {
        self.stack.pop(|index| &self.links[index as usize])
    }
}

/// What the threads hold and what is left on the stack: each index once.
fn assert_each_once(stack: &Indices, mut held: Vec<u32>) {
    while let Some(index) = stack.pop() {
        held.push(index);
    }
    held.sort_unstable();
    assert_eq!(held, [1, 2, 3]);
}

#[test]
fn index_stack_is_not_fooled_by_a_head_that_comes_back() {
    loom::model(|| {
        let indices = Indices::full();
        let slow = thread::spawn({
            let indices = indices.clone();
            move || indices.pop()
        });
        // The head comes back with another index below it.
        let (top, below) = (indices.pop(), indices.pop());
        top.into_iter().for_each(|index| indices.push(index));
        let held = slow.join().unwrap().into_iter().chain(below).collect();
        assert_each_once(&indices, held);
    });
}

#[test]
fn index_stack_pushes_and_pops_lose_nothing() {
    with_preemptions(3, || {
        let indices = Indices::full();
        let threads = [(); 2].map(|()| {
            let indices = indices.clone();
            thread::spawn(move || {
                let first = indices.pop();
                let second = indices.pop();
                first.into_iter().for_each(|index| indices.push(index));
                second
            })
        });
        let held = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
        assert_each_once(&indices, held);
    });
}

#[test]
fn page_map_nodes_that_two_threads_grow_at_once_hold_both_entries() {
    with_preemptions(3, || {
        let map = Arc::new(PageMap::new());
        let threads = [1, 2].map(|n| {
            let map = map.clone();
            thread::spawn(move || {
                let entry = Entry { slot: n, offset: n };
                assert!(map.insert(n as usize * PAGE, entry));
                assert_eq!(map.take(n as usize * PAGE), Some(entry));
                assert!(map.insert(n as usize * PAGE, entry));
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for n in [1, 2] {
            assert_eq!(map.take(n as usize * PAGE), Some(Entry { slot: n, offset: n }));
        }
    });
}

#[test]
fn page_map_entry_is_taken_or_untracked_first_and_never_both() {
    loom::model(|| {
        let map = Arc::new(PageMap::new());
        assert!(map.insert(PAGE, Entry { slot: 1, offset: 16 }));
        let owner = thread::spawn({
            let map = map.clone();
            move || {
                let taken = map.take(PAGE);
                // The page goes to another sample at once.
                assert!(map.insert(PAGE, Entry { slot: 2, offset: 0 }));
                taken
            }
        });
        let untracked = map.untrack(PAGE, 1);
        let slot = if untracked { Entry::UNTRACKED } else { 1 };
        assert_eq!(owner.join().unwrap(), Some(Entry { slot, offset: 16 }));
        assert_eq!(map.take(PAGE), Some(Entry { slot: 2, offset: 0 }));
    });
}

/// What a sampled allocation and its free do to the recorder, and what the collector makes of it.
struct Recorder {
    table: LiveTable,
    pages: PageMap,
    rings: [Channel; 2],
}

impl Recorder {
    fn new() -> Arc<Recorder> {
        let rings = [Channel::new(), Channel::new()];
        Arc::new(Recorder { table: LiveTable::new(), pages: PageMap::new(), rings })
    }

    /// A sample at `page`, on the thread of that ring. False: lost, as it may be.
    fn allocate(&self, ring: usize, page: usize) -> bool {
        let Some(slot) = self.table.reserve() else { return false };
        if !self.rings[ring].ring.has_room(3) {
            self.table.release(slot);
            return false;
        }
        assert!(self.pages.insert(page * PAGE, Entry { slot, offset: 0 }));
        assert!(self.rings[ring].push(&[u64::from(slot), page as u64]));
        true
    }

    fn free(&self, page: usize) {
        if let Some(entry) = self.pages.take(page * PAGE)
            && entry.slot != Entry::UNTRACKED
        {
            self.table.push_freed(entry.slot);
        }
    }
}

/// The page of the live sample in each slot.
#[derive(Default)]
struct Collector([Option<u64>; CAPACITY as usize + 1]);

impl Collector {
    /// The collector's order: take what was freed, drain, apply. Answers the frees of slots it knows nothing of.
    fn drain(&mut self, recorder: &Recorder) -> usize {
        let mut freed = Vec::new();
        recorder.table.take_freed(&mut freed);
        for ring in &recorder.rings {
            ring.drain(|message| {
                let before = self.0[message[0] as usize].replace(message[1]);
                assert_eq!(before, None, "an event met a later life of its slot");
            });
        }
        let mut unknown = 0;
        for slot in freed {
            unknown += usize::from(self.0[slot as usize].take().is_none());
            recorder.table.release(slot);
        }
        unknown
    }

    fn thin(&mut self, recorder: &Recorder) {
        for (slot, live) in self.0.iter_mut().enumerate() {
            if let Some(page) = *live
                && recorder.pages.untrack(page as usize * PAGE, slot as u32)
            {
                *live = None;
                recorder.table.release(slot as u32);
            }
        }
    }

    fn live(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

/// Every slot can be had once again.
fn assert_all_free(recorder: &Recorder) {
    let mut slots: Vec<u32> = std::iter::from_fn(|| recorder.table.reserve()).collect();
    slots.sort_unstable();
    assert_eq!(slots, (1..=CAPACITY).collect::<Vec<_>>());
}

#[test]
fn a_free_is_never_applied_before_its_allocation() {
    with_preemptions(3, || {
        let recorder = Recorder::new();
        let allocating = thread::spawn({
            let recorder = recorder.clone();
            move || {
                recorder.allocate(0, 1);
                let other = recorder.clone();
                let freeing = thread::spawn(move || other.free(1));
                recorder.allocate(0, 2);
                recorder.free(2);
                freeing.join().unwrap();
            }
        });
        let mut collector = Collector::default();
        assert_eq!(collector.drain(&recorder), 0);
        assert_eq!(collector.drain(&recorder), 0);
        allocating.join().unwrap();
        assert_eq!((collector.drain(&recorder), collector.live()), (0, 0));
        assert_all_free(&recorder);
    });
}

#[test]
fn a_slot_that_goes_round_on_another_thread_keeps_the_order() {
    with_preemptions(2, || {
        let recorder = Recorder::new();
        let threads = [0, 1].map(|ring| {
            let recorder = recorder.clone();
            thread::spawn(move || {
                recorder.allocate(ring, 1 + ring);
                recorder.free(1 + ring);
            })
        });
        let mut collector = Collector::default();
        assert_eq!(collector.drain(&recorder), 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((collector.drain(&recorder), collector.live()), (0, 0));
        assert_all_free(&recorder);
    });
}

#[test]
fn thinning_and_a_free_end_a_sample_once() {
    with_preemptions(3, || {
        let recorder = Recorder::new();
        let mut collector = Collector::default();
        assert!(recorder.allocate(0, 1));
        collector.drain(&recorder);
        let freeing = thread::spawn({
            let recorder = recorder.clone();
            move || {
                recorder.free(1);
                // The page and perhaps the slot begin another life, which the thinning must leave alone or end properly.
                recorder.allocate(0, 1);
                recorder.free(1);
            }
        });
        collector.thin(&recorder);
        assert_eq!(collector.drain(&recorder), 0);
        freeing.join().unwrap();
        assert_eq!((collector.drain(&recorder), collector.live()), (0, 0));
        assert_all_free(&recorder);
    });
}

#[test]
fn a_collector_that_stops_leaves_all_to_the_next() {
    with_preemptions(3, || {
        let recorder = Recorder::new();
        let going_on = thread::spawn({
            let recorder = recorder.clone();
            move || {
                recorder.allocate(0, 1);
                recorder.allocate(0, 2);
                recorder.free(1);
            }
        });
        let mut first = Collector::default();
        assert_eq!(first.drain(&recorder), 0);
        let mut next = Collector::default();
        // What the first saw born, the next sees die without having known it.
        assert!(next.drain(&recorder) <= first.live());
        going_on.join().unwrap();
        recorder.free(2);
        next.drain(&recorder);
        assert_eq!(next.live(), 0);
        assert_all_free(&recorder);
    });
}

/// A thread's block as far as its hand-over goes.
struct Block {
    place: Place,
    allocated: Allocated,
    frees: Counter,
    channel: Channel,
}

// SAFETY: as the library's own; models never make it of zeroes.
unsafe impl Zeroed for Block {
    fn zeroed() -> Block {
        let (allocated, frees) = (Allocated::new(), Counter::new());
        Block { place: Place::new(), allocated, frees, channel: Channel::new() }
    }
}

impl Pooled for Block {
    fn place(&self) -> &Place {
        &self.place
    }
}

#[test]
fn a_block_that_changes_hands_keeps_its_counts_and_its_ring() {
    with_preemptions(2, || {
        let pool = Arc::new(Pool::<Block>::new());
        let threads = [(); 2].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || {
                let mut pushed = 0;
                for _ in 0..2 {
                    let block = pool.claim(false).expect("as many blocks as threads");
                    block.allocated.set(block.allocated.get(), block.allocated.get());
                    block.allocated.count(10);
                    block.frees.add_and_release(1);
                    pushed += u64::from(block.channel.push(&[1]));
                    pool.release(false, block);
                }
                pushed
            })
        });
        let seen: u64 = pool.iter().map(|block| block.allocated.seen_from_outside()).sum();
        assert!(seen <= 40 && seen % 10 == 0);
        let pushed: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let (mut allocated, mut frees, mut events) = (0, 0, 0);
        for block in pool.iter() {
            allocated += block.allocated.seen_from_outside();
            frees += block.frees.get();
            block.channel.drain(|message| events += message[0]);
        }
        assert_eq!((allocated, frees, events), (40, 4, pushed));
    });
}

#[test]
fn a_pool_at_its_end_refuses_and_recovers() {
    with_preemptions(3, || {
        let pool = Arc::new(Pool::<Block>::new());
        let threads = [(); pool::CAPACITY].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || pool.claim(false).map(|block| pool.release(false, block)).is_some())
        });
        let own = pool.claim(false);
        let others = threads.map(|thread| thread.join().unwrap());
        let got = usize::from(own.is_some()) + others.iter().filter(|&&got| got).count();
        assert!(got >= pool::CAPACITY, "{got}");
        own.into_iter().for_each(|block| pool.release(false, block));
        assert!(pool.iter().count() <= pool::CAPACITY);
        assert!(pool.claim(false).is_some());
    });
}

#[test]
fn a_total_seen_from_outside_is_one_that_there_was() {
    with_preemptions(3, || {
        let allocated = Arc::new(Allocated::new());
        let owner = thread::spawn({
            let allocated = allocated.clone();
            move || {
                allocated.count(3);
                allocated.set(3, 10);
                allocated.count(8);
                allocated.set(11, 100);
            }
        });
        let (first, second) = (allocated.seen_from_outside(), allocated.seen_from_outside());
        assert!([0, 3, 11].contains(&first) && [0, 3, 11].contains(&second) && first <= second, "{first} {second}");
        owner.join().unwrap();
        assert_eq!(allocated.seen_from_outside(), 11);
    });
}

#[test]
fn a_free_that_is_seen_implies_its_allocation() {
    loom::model(|| {
        let counters = Arc::new((Allocated::new(), Counter::new()));
        let owner = thread::spawn({
            let counters = counters.clone();
            move || {
                counters.0.count(5);
                counters.1.add_and_release(5);
            }
        });
        // As `exact_totals` reads: all frees, a fence, then all allocations.
        let freed = counters.1.get();
        fence(Ordering::Acquire);
        assert!(freed <= counters.0.seen_from_outside());
        owner.join().unwrap();
    });
}
