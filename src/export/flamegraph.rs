//! Flame graphs: an SVG of what is alive, and one of what grew (red) and shrank (blue) between two snapshots.

use inferno::flamegraph::{self, Options};

use super::collapsed::{Value, collapsed, collapsed_growth};
use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// SVG of a snapshot. Without a single sample it is an error that says so.
pub fn flame_graph(snapshot: &Snapshot, value: Value) -> Result<String> {
    let mut options = options(snapshot, value);
    render(&mut options, &collapsed(snapshot, value))
}

/// SVG of the change between two snapshots: widths are the newer values, red frames grew, blue ones shrank. Stacks that are gone have
/// no width in it and so are not seen.
pub fn growth_flame_graph(older: &Snapshot, newer: &Snapshot, value: Value) -> Result<String> {
    let mut options = options(newer, value);
    options.title = format!("{}: growth over {:.0} s", title(newer), newer.taken_at_s - older.taken_at_s);
    render(&mut options, &collapsed_growth(older, newer, value))
}

fn options(snapshot: &Snapshot, value: Value) -> Options<'static> {
    let mut options = Options::default();
    options.title = title(snapshot);
    options.count_name = value.unit().to_owned();
    options
}

fn title(snapshot: &Snapshot) -> String {
    match snapshot.process.service.as_str() {
        "" => "heap".to_owned(),
        service => format!("{service} heap"),
    }
}

fn render(options: &mut Options<'_>, lines: &str) -> Result<String> {
    if lines.is_empty() {
        return Err(Error::state("no allocation has been sampled yet, so there is nothing to draw"));
    }
    let mut svg = Vec::new();
    flamegraph::from_lines(options, lines.lines(), &mut svg)
        .map_err(|e| Error::state("the flame graph could not be drawn").because(e))?;
    String::from_utf8(svg).map_err(|e| Error::state("the flame graph is not text").because(e))
}
