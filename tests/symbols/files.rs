//! Where names are found when the binary on disk is not the whole story: stripped, with a separate debug file, replaced, shortened.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use heapwatch::collect::symbols::{Bounds, Module, Symbolizer, module_of_file};
use heapwatch::export::ProfileKind;
use heapwatch::export::pprof::{heap_profile, read};
use heapwatch::snapshot::{Estimate, Frame, Mapping, Site, Snapshot, Usage};
use heapwatch::symbolize::symbolize;

use crate::sample_program::Sample;

fn sample() -> Sample {
    Sample::build("line-tables-only", "v0", "3")
}

fn tool(name: &str, arguments: &[&str], files: &[&Path]) {
    let status = Command::new(name).args(arguments).args(files).status();
    assert!(status.expect("binutils are needed").success(), "{name} {arguments:?}");
}

fn beside(sample: &Sample, name: &str) -> PathBuf {
    sample.binary.with_file_name(name)
}

fn stripped(sample: &Sample) -> PathBuf {
    let path = beside(sample, "stripped");
    std::fs::copy(&sample.binary, &path).unwrap();
    tool("strip", &[], &[&path]);
    path
}

/// The sample's module as if it had been loaded from another file.
fn module(sample: &Sample, path: &Path) -> Module {
    let build_id = module_of_file(&sample.binary, 0, 0, 0).unwrap().build_id;
    assert_eq!(build_id.len(), 20, "the linker writes build ids");
    Module { path: path.to_owned(), build_id, ..sample.modules[0].clone() }
}

/// The return address in `vec_push`, which is the first frame above the standard library's.
fn address(sample: &Sample) -> u64 {
    let mut symbolizer = Symbolizer::new(Bounds::default());
    let stack = &sample.stacks.iter().find(|(label, _)| label == "vec").unwrap().1;
    let named =
        |address: &&u64| names(&mut symbolizer, **address, &sample.modules[0]).last().unwrap() == "sample::vec_push";
    *stack.iter().find(named).unwrap()
}

fn names(symbolizer: &mut Symbolizer, address: u64, module: &Module) -> Vec<String> {
    let frames = symbolizer.resolve(address, std::slice::from_ref(module));
    frames.iter().map(|frame| frame.function.to_string()).collect()
}

fn last_name(address: u64, module: &Module) -> String {
    names(&mut Symbolizer::new(Bounds::default()), address, module).pop().unwrap()
}

#[test]
fn a_stripped_binary_gives_module_and_offset() {
    let sample = sample();
    let (at, module) = (address(&sample), module(&sample, &stripped(&sample)));
    assert_eq!(last_name(at, &module), format!("stripped+{:#x}", at - module.bias as u64));
}

#[test]
fn a_separate_debug_file_is_found_by_debug_link() {
    let sample = sample();
    let at = address(&sample);
    tool("objcopy", &["--only-keep-debug"], &[&sample.binary, &beside(&sample, "sample.debug")]);
    let path = stripped(&sample);
    let link = format!("--add-gnu-debuglink={}", beside(&sample, "sample.debug").display());
    tool("objcopy", &[&link], &[&path]);
    assert_eq!(last_name(at, &module(&sample, &path)), "sample::vec_push");
    // The debug file of another build is not believed.
    std::fs::copy("/proc/self/exe", beside(&sample, "sample.debug")).unwrap();
    assert!(last_name(at, &module(&sample, &path)).starts_with("stripped+0x"));
}

#[test]
fn a_binary_that_was_replaced_gives_no_names() {
    let sample = sample();
    let at = address(&sample);
    let module = module(&sample, &sample.binary);
    assert_eq!(last_name(at, &module), "sample::vec_push");
    std::fs::remove_file(&sample.binary).unwrap();
    assert!(last_name(at, &module).starts_with("sample+0x"), "gone");
    std::fs::copy("/proc/self/exe", &sample.binary).unwrap();
    assert!(last_name(at, &module).starts_with("sample+0x"), "another build");
}

#[test]
fn the_running_program_is_read_even_after_its_replacement() {
    let here = the_running_program_is_read_even_after_its_replacement as *const () as usize;
    let own = module_of_file(Path::new("/proc/self/exe"), 0, 0, 0).unwrap();
    heapwatch::record::stack::refresh();
    let mut modules = heapwatch::record::stack::modules();
    let main = modules.iter_mut().find(|module| module.is_main).unwrap();
    assert_eq!(main.build_id, own.build_id);
    main.path = "/nowhere/deleted".into();
    let frames = Symbolizer::new(Bounds::default()).resolve(here as u64 + 1, &modules);
    let name = &frames.last().unwrap().function;
    assert!(name.ends_with("the_running_program_is_read_even_after_its_replacement"), "{name}");
}

#[test]
fn a_file_that_shrinks_between_two_look_ups_is_let_go() {
    let sample = sample();
    let (stack, module) = (&sample.stacks[0].1, &sample.modules[0]);
    let mut symbolizer = Symbolizer::new(Bounds::default());
    names(&mut symbolizer, stack[0], module);
    let file = std::fs::File::options().write(true).open(&sample.binary).unwrap();
    file.set_len(4096).unwrap();
    assert!(names(&mut symbolizer, stack[2], module)[0].starts_with("sample+0x"));
}

#[test]
fn files_that_are_no_binaries_are_named_in_the_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\x7fELF and nothing more").unwrap();
    let error = module_of_file(file.path(), 0, 0, 0).unwrap_err();
    assert!(error.is_input() && error.to_string().contains(file.path().to_str().unwrap()));
}

#[test]
fn idle_ticks_drop_the_indexes_and_names_stay() {
    let sample = sample();
    let mut symbolizer = Symbolizer::new(Bounds { idle_ticks: 2, ..Bounds::default() });
    let (at, module) = (address(&sample), &sample.modules[0]);
    let before = names(&mut symbolizer, at, module);
    assert!(symbolizer.index_bytes() > 0);
    (0..3).for_each(|_| symbolizer.tick());
    assert_eq!(symbolizer.index_bytes(), 0);
    assert_eq!(names(&mut symbolizer, at, module), before);
}

#[test]
fn indexes_stay_within_their_budget_and_answers_do_not_change() {
    let sample = sample();
    let all: Vec<u64> = sample.stacks.iter().flat_map(|(_, addresses)| addresses.clone()).collect();
    let named = |bounds: Bounds| {
        let mut symbolizer = Symbolizer::new(bounds);
        while symbolizer.resolve_budgeted(&all, &sample.modules, 7) > 0 {}
        let names: Vec<_> = all.iter().map(|&at| names(&mut symbolizer, at, &sample.modules[0])).collect();
        (names, symbolizer.index_bytes())
    };
    let (generous, much) = named(Bounds::default());
    let (tight, little) = named(Bounds { index_bytes: 0, work_bytes: 1, ..Bounds::default() });
    assert_eq!(generous, tight);
    assert!(little < much, "{little} < {much}");
}

#[test]
fn a_profile_of_a_stripped_binary_is_named_by_its_twin() {
    let sample = sample();
    let (at, module) = (address(&sample), module(&sample, &stripped(&sample)));
    let segment = Command::new("readelf").args(["-lW", sample.binary.to_str().unwrap()]).output().unwrap();
    let segments = String::from_utf8(segment.stdout).unwrap();
    let code = segments.lines().find(|line| line.contains("LOAD") && line.contains("R E")).unwrap();
    let hex = |word: usize| {
        let text = code.split_whitespace().nth(word).unwrap();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    };
    let frame = Frame { function: last_name(at, &module).into(), address: at, ..Frame::default() };
    let bytes = Estimate { value: 640.0, variance: 1.0 };
    let usage = Usage { live_bytes: bytes, allocated_bytes: 640.0, ..Usage::default() };
    let mapping = Mapping {
        start: module.bias as u64 + hex(2),
        end: module.end as u64,
        file_offset: hex(1),
        path: "/srv/stripped".to_owned(),
        build_id: module.build_id.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let site = Site { id: 1, stack: Arc::from([frame]), usage, ..Site::default() };
    let snapshot = Snapshot { sites: vec![Arc::new(site)], mappings: [mapping].into(), ..Snapshot::default() };
    let profile = heap_profile(&snapshot, ProfileKind::Heap);
    assert!(read(&profile, "before").unwrap().stacks[0].functions[0].starts_with("0x"));

    let done = symbolize(&profile, "profile", &sample.binary).unwrap();
    assert_eq!((done.named, done.nameless), (1, 0));
    let functions = read(&done.profile, "after").unwrap().stacks[0].functions.clone();
    assert_eq!(functions.last().unwrap(), "sample::vec_push");
    assert_eq!(functions.len(), names(&mut Symbolizer::new(Bounds::default()), at, &sample.modules[0]).len());

    let debug = beside(&sample, "only.debug");
    tool("objcopy", &["--only-keep-debug"], &[&sample.binary, &debug]);
    assert_eq!(symbolize(&profile, "profile", &debug).unwrap().named, 1, "a debug file will do");
    let other = symbolize(&profile, "profile", Path::new("/proc/self/exe")).unwrap_err().to_string();
    assert!(other.contains("is not in profile, which has /srv/stripped"), "{other}");
}

#[test]
fn damaged_debug_information_is_no_panic() {
    let sample = sample();
    let whole = std::fs::read(&sample.binary).unwrap();
    let damaged = beside(&sample, "damaged");
    let mut seed = 3u64;
    for round in 0..12 {
        let mut bytes = whole.clone();
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // The headers are spared, so that damage reaches what they lead to.
            let at = 4096 + (seed >> 24) as usize % (bytes.len() - 4096);
            bytes[at] = seed as u8;
        }
        bytes.truncate(if round % 3 == 2 { bytes.len() / 2 } else { bytes.len() });
        std::fs::write(&damaged, &bytes).unwrap();
        let module = Module { path: damaged.clone(), ..sample.modules[0].clone() };
        let mut symbolizer = Symbolizer::new(Bounds::default());
        for (_, stack) in &sample.stacks {
            assert!(stack.iter().all(|&at| !names(&mut symbolizer, at, &module).is_empty()));
        }
    }
}
