//! Our look-ups against addr2line's, frame by frame.

use heapwatch::collect::symbols::{Bounds, Symbolizer};
use heapwatch::snapshot::Frame;
use object::{Object, ObjectSymbol, SymbolKind};

use crate::sample_program::Sample;

/// An address within each of many functions.
fn addresses(sample: &Sample) -> Vec<u64> {
    let data = std::fs::read(&sample.binary).unwrap();
    let file = object::File::parse(&*data).unwrap();
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 16);
    let mut addresses: Vec<u64> = functions.map(|symbol| symbol.address() + symbol.size() / 2).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Lines and the ends of file paths, innermost first.
fn reference(loader: &addr2line::Loader, address: u64) -> Vec<(Option<u32>, Option<String>)> {
    let mut found = Vec::new();
    let mut frames = loader.find_frames(address).unwrap();
    while let Some(frame) = frames.next().unwrap() {
        let location = frame.location.as_ref();
        let line = location.and_then(|location| location.line).filter(|&line| line != 0);
        found.push((line, location.and_then(|location| location.file).map(str::to_owned)));
    }
    found
}

fn agrees(ours: &[Frame], theirs: &[(Option<u32>, Option<String>)]) -> bool {
    let same = |(ours, (line, file)): (&Frame, &(Option<u32>, Option<String>))| {
        let ends = |file: &str| ours.file.as_deref().is_some_and(|own| file.ends_with(own));
        ours.line == *line && file.as_deref().is_none_or(ends)
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

#[test]
fn inlined_frames_files_and_lines_are_those_of_addr2line() {
    for debug in ["line-tables-only", "2"] {
        let sample = Sample::build(debug, "v0", "3");
        let loader = addr2line::Loader::new(&sample.binary).unwrap();
        let mut module = sample.modules[0].clone();
        (module.end, module.start, module.bias) = (module.end - module.bias, 1, 0);
        let modules = [module];
        let addresses = addresses(&sample);
        let returns: Vec<u64> = addresses.iter().map(|address| address + 1).collect();
        let mut symbolizer = Symbolizer::new(Bounds::default());
        while symbolizer.resolve_budgeted(&returns, &modules, usize::MAX) > 0 {}
        let mut compared = 0;
        for (&address, &at) in addresses.iter().zip(&returns) {
            let theirs = reference(&loader, address);
            if theirs.iter().any(|(line, _)| line.is_some()) {
                let ours = symbolizer.resolve(at, &modules);
                assert!(agrees(&ours, &theirs), "{debug} {address:#x}: {ours:#?} and {theirs:#?}");
                compared += 1;
            }
        }
        assert!(compared > 400, "{compared} addresses compared");
    }
}
