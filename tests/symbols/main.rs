//! Names of real binaries: built here by the compiler at several debug levels, manglings and optimisation levels, run, and
//! looked up from the return addresses that they print.

mod files;
mod reference;
mod sample_program;

use std::collections::HashMap;

use heapwatch::collect::fold::{Folded, fold};
use heapwatch::collect::symbols::{Bounds, Symbolizer};
use heapwatch::snapshot::{Frame, Origin};
use sample_program::Sample;

/// What each allocation of the sample holds.
const TYPES: [(&str, &str); 19] = [
    ("vec", "sample::Session"),
    ("collect", "sample::Session"),
    ("from_elem", "sample::Session"),
    ("box", "sample::Session"),
    ("rc", "sample::Session"),
    ("arc", "sample::Session"),
    ("hashmap", "(u64, sample::Session)"),
    ("hashset", "sample::Session"),
    ("btreemap", "(u64, sample::Session)"),
    ("btreeset", "sample::Session"),
    ("deque", "sample::Session"),
    ("string", "String"),
    ("format", "String"),
    ("bytes", "Vec<u8>"),
    ("dyn", "u64"),
    ("channel", "sample::Session"),
    ("method", "sample::Session"),
    ("inlined", "sample::Session"),
    ("closure", "[sample::Session; 2]"),
];

struct Named {
    frames: Vec<Frame>,
    folded: Folded,
}

/// All stacks of a sample, named by one symboliser and in one batch.
fn name_all(sample: &Sample) -> HashMap<String, Named> {
    let mut symbolizer = Symbolizer::new(Bounds::default());
    let all: Vec<u64> = sample.stacks.iter().flat_map(|(_, addresses)| addresses.clone()).collect();
    while symbolizer.resolve_budgeted(&all, &sample.modules, 50) > 0 {}
    let named = sample.stacks.iter().map(|(label, addresses)| {
        let frames = addresses.iter().flat_map(|&a| symbolizer.resolve(a, &sample.modules).to_vec());
        let frames: Vec<Frame> = frames.collect();
        (label.clone(), Named { folded: fold(&frames), frames })
    });
    named.collect()
}

fn types(sample: &Sample) -> Vec<(&'static str, String)> {
    let named = name_all(sample);
    let of = |label| named[label].folded.type_name.as_deref().unwrap_or_default().to_owned();
    TYPES.iter().map(|&(label, _)| (label, of(label))).collect()
}

fn expected() -> Vec<(&'static str, String)> {
    TYPES.iter().map(|&(label, name)| (label, name.to_owned())).collect()
}

#[test]
fn types_are_told_at_every_debug_level_and_mangling() {
    for debug in ["line-tables-only", "limited", "2"] {
        for mangling in ["legacy", "v0"] {
            assert_eq!(types(&Sample::build(debug, mangling, "3")), expected(), "{debug} {mangling}");
        }
    }
    assert_eq!(types(&Sample::build("line-tables-only", "legacy", "0")), expected(), "not optimised");
}

#[test]
fn responsible_frames_have_names_files_and_lines() {
    for (debug, mangling) in [("line-tables-only", "legacy"), ("line-tables-only", "v0"), ("2", "legacy"), ("2", "v0")]
    {
        let named = name_all(&Sample::build(debug, mangling, "3"));
        let place = |label: &str| {
            let stack = &named[label];
            let frame = &stack.frames[stack.folded.application_frame.unwrap()];
            assert_eq!(stack.folded.allocating_frame, stack.folded.application_frame, "{label}");
            assert_eq!((frame.origin, frame.krate.as_deref()), (Origin::Application, Some("sample")));
            let line = line_of_sample(frame.line.unwrap());
            (frame.function.to_string(), frame.file.as_deref().unwrap().to_owned(), line)
        };
        let method = "<sample::Store as sample::Keep>::keep";
        assert_eq!(place("method"), (method.into(), "sample.rs".into(), "self.rows.push(session(n));".into()));
        assert_eq!(place("vec").0, "sample::vec_push");
        // An inlined function has its path only where the linkage name is in the debug information.
        let fill = if debug == "2" { "sample::cache::fill<sample::Session>" } else { "sample::fill<sample::Session>" };
        assert_eq!(place("inlined"), (fill.into(), "sample.rs".into(), "into.push(value);".into()));
    }
}

fn line_of_sample(line: u32) -> String {
    include_str!("sample.rs").lines().nth(line as usize - 1).unwrap().trim().to_owned()
}

#[test]
fn symbol_tables_alone_give_names_and_v0_gives_types() {
    let sample = Sample::build("0", "v0", "0");
    let named = name_all(&sample);
    let vec = &named["vec"];
    assert_eq!(vec.folded.type_name.as_deref(), Some("sample::Session"));
    assert_eq!(&*vec.frames[vec.folded.application_frame.unwrap()].function, "sample::vec_push");
    assert_eq!(vec.frames[vec.folded.application_frame.unwrap()].line, None);
}
