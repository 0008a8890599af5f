//! Source lines: one pass over a unit's line program answers many addresses and stores none of its rows.

use gimli::AttributeValue;

use super::{Slice, UnitRef};

/// A place in the source; `file` is an index into the unit's file table.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) file: Option<u64>,
    pub(super) line: Option<u32>,
}

/// Lines of sorted addresses, in their order; as far as the program can be read.
pub(super) fn locate(unit: UnitRef<'_, '_>, addresses: &[u64]) -> Vec<Line> {
    let mut found = vec![Line::default(); addresses.len()];
    let _what_was_read_before_an_error_still_holds = run(unit, addresses, &mut found);
    found
}

fn run(unit: UnitRef<'_, '_>, addresses: &[u64], found: &mut [Line]) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else { return Ok(()) };
    let mut rows = program.rows();
    let mut previous: Option<(u64, Line)> = None;
    let mut removed_code = false;
    while let Some((_, row)) = rows.next_row()? {
        if let Some((begin, line)) = previous {
            if !removed_code {
                fill(addresses, found, begin, row.address(), line);
            }
        } else {
            removed_code = row.address() == 0;
        }
        let line = row.line().and_then(|l| u32::try_from(l.get()).ok());
        previous = (!row.end_sequence()).then_some((row.address(), Line { file: Some(row.file_index()), line }));
    }
    Ok(())
}

fn fill(addresses: &[u64], found: &mut [Line], begin: u64, end: u64, line: Line) {
    let from = addresses.partition_point(|&a| a < begin);
    let hits = addresses.iter().zip(found.iter_mut()).skip(from);
    for (_, slot) in hits.take_while(|(address, _)| **address < end) {
        *slot = line;
    }
}

/// Path of a file of the unit's table: absolute where its directory or the unit's is.
pub(super) fn file(unit: UnitRef<'_, '_>, index: Option<u64>) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let entry = header.file(index?)?;
    let mut path = unit.comp_dir.map(|d| d.to_string_lossy().into_owned()).unwrap_or_default();
    if entry.directory_index() != 0
        && let Some(directory) = entry.directory(header)
    {
        push(&mut path, unit, directory);
    }
    push(&mut path, unit, entry.path_name());
    Some(path)
}

fn push<'a>(path: &mut String, unit: UnitRef<'_, 'a>, part: AttributeValue<Slice<'a>>) {
    let Ok(part) = unit.attr_string(part) else { return };
    let part = part.to_string_lossy();
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(&part);
}
