//! Profiles as their readers see them: `go tool pprof` on heap, delta and text form, our own reader on hostile bytes, flame graphs.

mod go;
mod made;

use heapwatch::export::ProfileKind;
use heapwatch::export::collapsed::{Value, collapsed, collapsed_growth};
use heapwatch::export::pprof::{delta_profile, difference, heap_profile, heap_text, read};
use made::{grown, snapshot};

#[test]
fn pprof_shows_functions_with_exact_totals() {
    let profile = heap_profile(&snapshot(), ProfileKind::Heap);
    let top = go::pprof(&["-top", "-sample_index=inuse_space", "-unit=B"], &[&profile]);
    assert!(top.contains("Type: inuse_space"), "{top}");
    // 1000.4 + 2000.4 + 0.4 rounds to 3001, although each sample alone rounds down.
    assert!(top.contains("of 3001B total"), "{top}");
    assert!(top.contains("app::sessions::Store::insert (inline)"), "{top}");
    let objects = go::pprof(&["-top", "-sample_index=alloc_objects"], &[&profile]);
    assert!(objects.contains("of 31 total"), "{objects}");
}

#[test]
fn the_default_column_follows_the_kind() {
    let of = |kind| go::pprof(&["-top"], &[&heap_profile(&snapshot(), kind)]);
    assert!(of(ProfileKind::Heap).contains("Type: inuse_space"));
    assert!(of(ProfileKind::Allocs).contains("Type: alloc_space"));
}

#[test]
fn traces_have_labels_and_inlined_frames_in_order() {
    let traces = go::pprof(&["-traces"], &[&heap_profile(&snapshot(), ProfileKind::Heap)]);
    for part in ["endpoint:  /login/{id}", "component:  web", "type:  app::Session", "bytes:  100B"] {
        assert!(traces.contains(part), "{part} in {traces}");
    }
    let at = |name: &str| traces.find(name).unwrap();
    assert!(at("alloc::vec::Vec<app::Session>::push") < at("app::sessions::Store::insert"));
    assert!(at("app::sessions::Store::insert") < at("app::login"));
}

#[test]
fn raw_has_mappings_build_ids_and_addresses() {
    let raw = go::pprof(&["-raw"], &[&heap_profile(&snapshot(), ProfileKind::Heap)]);
    assert!(raw.contains("0x1000/0x9000/0x200 /srv/app abcdef01"), "{raw}");
    assert!(raw.contains("PeriodType: space bytes\nPeriod: 524288"), "{raw}");
    assert!(raw.contains("0x1fff M=1 alloc::vec::Vec<app::Session>::push"), "an address of the call itself: {raw}");
    // A frame without a name keeps its address, and its mapping is left for others to name.
    assert!(raw.contains("0x4fff M=1 \n"), "{raw}");
    assert!(!raw.contains("[FN]"), "{raw}");
}

#[test]
fn deltas_subtract_and_agree_with_diff_base() {
    let (old, new) = (snapshot(), grown());
    let delta = go::pprof(&["-top", "-unit=B"], &[&delta_profile(&old, &new, ProfileKind::Heap)]);
    let profiles = [heap_profile(&new, ProfileKind::Heap), heap_profile(&old, ProfileKind::Heap)];
    let diff = go::diff(&["-top", "-unit=B"], &profiles[0], &profiles[1]);
    for text in [&delta, &diff] {
        assert!(text.contains(" 5000B"), "{text}");
        assert!(text.contains("-2000B") || text.contains("-2001B"), "a site that is gone: {text}");
    }
    let duration = go::pprof(&["-raw"], &[&delta_profile(&old, &new, ProfileKind::Heap)]);
    assert!(duration.contains("Duration: 1m0s") || duration.contains("Duration: 60"), "{duration}");
}

#[test]
fn our_reader_reads_what_we_write_and_finds_what_grew() {
    let old = read(&heap_profile(&snapshot(), ProfileKind::Heap), "old").unwrap();
    let new = read(&heap_profile(&grown(), ProfileKind::Heap), "new").unwrap();
    assert_eq!(old.sample_types.last().unwrap(), &("inuse_space".to_owned(), "bytes".to_owned()));
    assert_eq!(old.stacks.iter().map(|s| s.values[3]).sum::<i64>(), 3001);
    assert!(old.stacks[0].labels.contains(&("type".to_owned(), "app::Session".to_owned())));
    let deltas = difference(&old, &new, "inuse_space").unwrap();
    assert_eq!((deltas[0].before, deltas[0].after), (1000, 6000));
    assert_eq!(deltas[0].functions[1], "app::sessions::Store::insert");
    assert_eq!(deltas.last().unwrap().after, 0);
    assert!(difference(&old, &new, "wall").unwrap_err().is_input());
}

#[test]
fn hostile_bytes_are_an_error_and_never_a_panic() {
    let good = heap_profile(&snapshot(), ProfileKind::Heap);
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*good), &mut plain).unwrap();
    for length in 0..plain.len() {
        let _ = read(&plain[..length], "cut");
    }
    let mut seed = 7u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut bytes = plain.clone();
        let at = (seed >> 33) as usize % bytes.len();
        bytes[at] ^= 1 << (seed & 7);
        bytes[(seed >> 40) as usize % plain.len()] = seed as u8;
        let _ = read(&bytes, "flipped");
    }
    for bytes in [&b""[..], b"\x1f\x8b", b"text", &good[..good.len() - 9]] {
        assert!(read(bytes, "bad").unwrap_err().is_input());
    }
}

#[test]
fn a_gzip_bomb_is_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0u8; 1 << 20];
    (0..80).for_each(|_| std::io::Write::write_all(&mut gzip, &zeros).unwrap());
    let error = read(&gzip.finish().unwrap(), "bomb").unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn the_text_form_is_for_people_and_for_pprof() {
    let text = heap_text(&snapshot());
    assert!(text.starts_with("heap profile: 21: 3001 [31: 3101] @ heapprofile\n"), "{text}");
    assert!(text.contains("\tapp::sessions::Store::insert\tsrc/sessions.rs:40\n"), "{text}");
    let raw = go::pprof(&["-raw"], &[text.as_bytes()]);
    assert!(raw.contains("10       1000         10       1000: "), "not scaled: {raw}");
}

#[test]
fn collapsed_stacks_run_from_root_to_leaf() {
    let lines = collapsed(&snapshot(), Value::LiveBytes);
    let first = "app::login;app::sessions::Store::insert;alloc::vec::Vec<app::Session>::push 1000\n";
    assert!(lines.contains(first), "{lines}");
    assert!(lines.contains("app::parse<[u8, 32]> 2000\n"), "no semicolon within a name: {lines}");
    let growth = collapsed_growth(&snapshot(), &grown(), Value::LiveBytes);
    assert!(growth.contains("push 1000 6000\n") && growth.contains("app::parse<[u8, 32]> 2000 0\n"), "{growth}");
}

/// Ten thousand sites of sixty frames: the profile shares what stacks share, and no byte is lost.
#[test]
fn a_large_profile_is_whole_and_shares_its_tables() {
    let snapshot = made::large(10_000, 60);
    let exact: f64 = snapshot.sites.iter().map(|site| site.usage.live_bytes.value).sum();
    let bytes = heap_profile(&snapshot, ProfileKind::Heap);
    let profile = read(&bytes, "large").unwrap();
    assert_eq!(profile.stacks.len(), 10_000);
    assert_eq!(profile.stacks.iter().map(|s| s.values[3]).sum::<i64>(), exact.round() as i64);
    let deepest = profile.stacks.iter().map(|s| s.functions.len()).max();
    assert_eq!(deepest, Some(60));
    assert!(bytes.len() < 4 << 20, "{} bytes", bytes.len());
    assert_eq!(collapsed(&snapshot, Value::LiveBytes).lines().count(), 10_000);
}

#[cfg(feature = "flamegraph")]
#[test]
fn flame_graphs_are_drawn_and_growth_is_red() {
    use heapwatch::export::flamegraph::{flame_graph, growth_flame_graph};
    let svg = flame_graph(&snapshot(), Value::LiveBytes).unwrap();
    assert!(svg.contains("app::sessions::Store::insert") && svg.trim_end().ends_with("</svg>"));
    let growth = growth_flame_graph(&made::two_sides().0, &made::two_sides().1, Value::LiveBytes).unwrap();
    let fill = |name: &str| {
        let frame = &growth[growth.find(&format!("<title>{name}")).unwrap()..];
        let color = &frame[frame.find("rgb(").unwrap() + 4..];
        color[..color.find(')').unwrap()].split(',').map(|c| c.parse().unwrap()).collect::<Vec<u8>>()
    };
    let (grew, shrank) = (fill("app::grows"), fill("app::shrinks"));
    assert!(grew[0] > grew[2], "red: {grew:?}");
    assert!(shrank[2] > shrank[0], "blue: {shrank:?}");
    let nothing = flame_graph(&heapwatch::snapshot::Snapshot::default(), Value::LiveBytes);
    assert!(nothing.unwrap_err().to_string().contains("no allocation has been sampled"));
}
