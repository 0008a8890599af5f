use super::*;

const MIB: u64 = 1 << 20;

fn region(start: u64, size: u64, resident_bytes: u64, kind: Kind) -> Region {
    Region { start, end: start + size, resident_bytes, kind }
}

fn mappings() -> Mappings {
    let anonymous = vec![
        region(100 * MIB, 40 * MIB, 30 * MIB, Kind::SystemHeap),
        region(200 * MIB, 20 * MIB, 20 * MIB, Kind::Plain),
        region(300 * MIB, 1024 * MIB, 5 * MIB, Kind::Plain),
        region(9000 * MIB, 8 * MIB, 2 * MIB, Kind::Stack),
    ];
    Mappings { resident_bytes: 65 * MIB, file_bytes: 8 * MIB, anonymous, is_partial: false }
}

fn sum(s: &Split) -> u64 {
    s.live_heap + s.allocator_overhead + s.stacks + s.mapped_files + s.own + s.anonymous_other
}

fn block(address: u64, bytes: u64) -> LiveBlock {
    LiveBlock { address, bytes }
}

#[test]
fn regions_with_samples_are_the_allocators_and_the_rest_is_not_explained() {
    let blocks = [block(110 * MIB, MIB), block(101 * MIB, MIB)];
    let heap = HeapView { live_bytes: 12 * MIB, blocks: &blocks, own_mapped_bytes: 3 * MIB, ..HeapView::default() };
    let got = split(&mappings(), &heap);
    let want = Split {
        live_heap: 12 * MIB,
        allocator_overhead: 18 * MIB,
        stacks: 2 * MIB,
        mapped_files: 8 * MIB,
        own: 3 * MIB,
        anonymous_other: 22 * MIB,
    };
    assert_eq!(got, want);
    let ledger = got.ledger(12 * MIB, 65 * MIB);
    assert_eq!(ledger.unseen_ratio, Some(32.0 / 65.0));
}

#[test]
fn memory_asked_for_and_never_touched_is_not_taken_for_resident() {
    let blocks = [block(101 * MIB, MIB), block(301 * MIB, 1000 * MIB), block(5000 * MIB, 7 * MIB)];
    let heap = HeapView { live_bytes: 1010 * MIB, blocks: &blocks, ..HeapView::default() };
    let got = split(&mappings(), &heap);
    // 1010 live − 995 that the second block has beyond its 5 resident − 7 in a mapping without resident pages.
    assert_eq!((got.live_heap, got.allocator_overhead, got.anonymous_other), (8 * MIB, 27 * MIB, 20 * MIB));
    assert_eq!(got.ledger(1010 * MIB, 65 * MIB).live_heap_not_resident, Some(1002 * MIB));
}

#[test]
fn one_sample_in_the_c_library_s_heap_claims_all_of_it_and_none_if_samples_lie_elsewhere() {
    let mut mappings = mappings();
    mappings.anonymous[1].kind = Kind::SystemHeap;
    let overhead = |address: u64| {
        let blocks = [block(address, MIB)];
        split(&mappings, &HeapView { live_bytes: MIB, blocks: &blocks, ..HeapView::default() }).allocator_overhead
    };
    assert_eq!(overhead(110 * MIB), 49 * MIB);
    assert_eq!(overhead(301 * MIB), 4 * MIB, "another allocator is wrapped");
}

#[test]
fn a_stack_with_a_heap_block_in_it_is_heap_that_was_merged_with_it() {
    let blocks = [block(9001 * MIB, MIB)];
    let heap = HeapView { live_bytes: MIB, blocks: &blocks, ..HeapView::default() };
    let got = split(&mappings(), &heap);
    assert_eq!((got.stacks, got.live_heap, got.allocator_overhead), (0, MIB, MIB));
}

#[test]
fn a_real_mapping_is_unexplained_until_a_block_lies_in_it() {
    let mut mapping = memmap2::MmapMut::map_anon(64 << 20).unwrap();
    mapping.fill(1);
    let address = mapping.as_ptr() as u64 + 4096;
    let ledger = |blocks: &[LiveBlock]| {
        let heap = HeapView { live_bytes: MIB, blocks, ..HeapView::default() };
        LedgerKeeper::new(ProcRoot::default()).update(Instant::now(), 0.0, &heap, &ProcessMemory::default()).clone()
    };
    assert!(ledger(&[block(0x1000, 1)]).anonymous_other.unwrap() >= 63 * MIB);
    assert!(ledger(&[block(address, 4096)]).allocator_overhead.unwrap() >= 63 * MIB);
}

#[test]
fn without_samples_the_kernels_heap_is_the_allocators() {
    let heap = HeapView { live_bytes: 10 * MIB, ..HeapView::default() };
    let got = split(&mappings(), &heap);
    assert_eq!((got.live_heap, got.allocator_overhead, got.anonymous_other), (10 * MIB, 20 * MIB, 25 * MIB));
}

#[test]
fn the_terms_add_up_whatever_the_heap_says() {
    let blocks = [block(0, u64::MAX), block(u64::MAX, u64::MAX), block(301 * MIB, u64::MAX)];
    for live_bytes in [0, MIB, 60 * MIB, u64::MAX] {
        for own_mapped_bytes in [0, MIB, u64::MAX] {
            for n in 0..=blocks.len() {
                let heap = HeapView { live_bytes, blocks: &blocks[..n], own_mapped_bytes, stack_addresses: &[] };
                let got = split(&mappings(), &heap);
                assert_eq!(sum(&got), 65 * MIB, "{heap:?}");
                let ledger = got.ledger(live_bytes, 65 * MIB);
                assert_eq!(live_bytes - ledger.live_heap_not_resident.unwrap(), got.live_heap);
            }
        }
    }
}

#[test]
fn unreadable_mappings_leave_what_the_kernel_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = LedgerKeeper::new(ProcRoot::new(dir.path()));
    let memory =
        ProcessMemory { file_bytes: Some(7), shared_bytes: Some(2), rss_bytes: Some(90), ..ProcessMemory::default() };
    let heap = HeapView { live_bytes: 50, ..HeapView::default() };
    let got = keeper.update(Instant::now(), 0.0, &heap, &memory).clone();
    assert_eq!(got, Ledger { live_heap: 50, mapped_files: Some(9), ..Ledger::default() });
}

#[test]
fn readings_rest_and_name_the_growing_term() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
    let mut keeper = LedgerKeeper::new(ProcRoot::new(dir.path()));
    let start = Instant::now();
    assert!(keeper.is_due(start));
    for i in 0..10u64 {
        let smaps = format!("1000-90000000 rw-p 0 00:00 0 \nRss: {} kB\n", 10_000 + 1000 * i);
        std::fs::write(dir.path().join("proc/self/smaps"), smaps).unwrap();
        let blocks = [block(0x2000, 4096)];
        let heap = HeapView { live_bytes: MIB, blocks: &blocks, ..HeapView::default() };
        keeper.update(start, 10.0 * i as f64, &heap, &ProcessMemory::default());
    }
    assert!(!keeper.is_due(start + PERIOD / 2));
    assert_eq!(keeper.ledger().growing_term, Some("allocator_overhead"));
    assert_eq!(keeper.ledger().allocator_overhead, Some(19_000 * 1024 - MIB));
}

#[test]
fn the_ledger_of_this_process_is_whole() {
    let mut keeper = LedgerKeeper::new(ProcRoot::default());
    let heap = HeapView { live_bytes: 1000, ..HeapView::default() };
    let ledger = keeper.update(Instant::now(), 0.0, &heap, &ProcessMemory::default());
    assert!(ledger.mapped_files.unwrap() > 0 && ledger.stacks.unwrap() > 0, "{ledger:?}");
    assert!((0.0..=1.0).contains(&ledger.unseen_ratio.unwrap()));
}
