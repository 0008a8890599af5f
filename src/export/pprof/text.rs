//! The legacy heap format. The header's `heapprofile` says that values are not to be scaled by a sampling rate.

use std::fmt::Write;

use super::document::values;
use crate::snapshot::{Frame, Site, Snapshot, Usage};

pub(super) fn render(snapshot: &Snapshot) -> String {
    let mut total = values(&snapshot.sites_beyond_bound);
    for site in &snapshot.sites {
        total.iter_mut().zip(values(&site.usage)).for_each(|(sum, value)| *sum += value);
    }
    let mut out = format!("heap profile: {} @ heapprofile\n", counts(total));
    for site in &snapshot.sites {
        render_site(&mut out, site);
    }
    if snapshot.sites_beyond_bound != Usage::default() {
        let _ = writeln!(out, "# beyond the bound on sites: {}", counts(values(&snapshot.sites_beyond_bound)));
    }
    out.push_str("\nMAPPED_LIBRARIES:\n");
    for mapping in &snapshot.mappings[..] {
        let (start, end, offset, path) = (mapping.start, mapping.end, mapping.file_offset, &mapping.path);
        let _ = writeln!(out, "{start:016x}-{end:016x} r-xp {offset:08x} 00:00 0 {path}");
    }
    out
}

fn render_site(out: &mut String, site: &Site) {
    let addresses: Vec<String> =
        site.stack.iter().filter(|frame| !frame.inlined).map(|frame| format!("{:#x}", frame.address)).collect();
    let _ = writeln!(out, "{} @ {}", counts(values(&site.usage)), addresses.join(" "));
    let scope = [&site.scope.component, &site.scope.operation, &site.scope.endpoint, &site.scope.method];
    let scope: Vec<&str> = scope.into_iter().flatten().map(|part| &**part).collect();
    let _ = writeln!(
        out,
        "# site {:016x} {} {}",
        site.id,
        site.type_name.as_deref().unwrap_or("unknown type"),
        scope.join(" ")
    );
    site.stack.iter().for_each(|frame| render_frame(out, frame));
}

fn render_frame(out: &mut String, frame: &Frame) {
    let place = frame.file.as_deref().unwrap_or("?");
    let _ = writeln!(out, "#\t{:#x}\t{}\t{place}:{}", frame.address, frame.function, frame.line.unwrap_or(0));
}

/// `live objects: live bytes [allocated objects: allocated bytes]`.
fn counts([allocated_objects, allocated_bytes, live_objects, live_bytes]: [f64; 4]) -> String {
    format!("{live_objects:.0}: {live_bytes:.0} [{allocated_objects:.0}: {allocated_bytes:.0}]")
}
