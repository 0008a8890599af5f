//! The report for whoever is on call: the answer first, then the code, then what it rests on.

use std::fmt::Write;

use super::{FrameLine, Leak, Report, SiteLine};
use crate::analyze::heap::words::{bytes, duration, percent, rate};

/// Frames of a leak's stack that are shown.
const FRAMES: usize = 14;
/// Sites that are shown.
const SITES: usize = 10;

pub fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, report);
    out
}

fn write(out: &mut String, r: &Report) -> std::fmt::Result {
    let p = &r.process;
    let version = if p.version.is_empty() { String::new() } else { format!(" {}", p.version) };
    writeln!(out, "{}{version}, pid {}, up {}, at {}", p.service, p.pid, duration(p.uptime_s), r.taken_at)?;
    writeln!(out, "{}: {}\n", if r.verdict.leak { "LEAK" } else { "ok" }, r.verdict.summary)?;
    memory(out, r)?;
    for leak in &r.leaks {
        self::leak(out, leak)?;
    }
    writeln!(out, "\nlargest call sites by live bytes")?;
    for site in r.sites.iter().take(SITES) {
        self::site(out, site)?;
    }
    recorder(out, r)
}

fn memory(out: &mut String, r: &Report) -> std::fmt::Result {
    let p = &r.process;
    let known = |b: Option<u64>| b.map_or("unknown".into(), |b| bytes(b as f64));
    let limit = match (&p.limit_bytes, &p.limit_source) {
        (Some(limit), Some(source)) => format!("{} ({source})", bytes(*limit as f64)),
        _ => "none found".into(),
    };
    writeln!(
        out,
        "heap {} in {} objects, resident {}, limit {limit}",
        bytes(p.heap_live_bytes as f64),
        p.heap_live_objects,
        known(p.rss_bytes)
    )?;
    let l = &r.ledger;
    let terms = [
        ("allocator overhead", l.allocator_overhead),
        ("stacks", l.stacks),
        ("mapped files", l.mapped_files),
        ("other anonymous", l.anonymous_other),
    ];
    let terms: Vec<String> = terms.iter().filter_map(|(n, b)| Some(format!("{n} {}", bytes((*b)? as f64)))).collect();
    if !terms.is_empty() {
        writeln!(out, "beside the live heap: {}", terms.join(", "))?;
    }
    match &l.growing_term {
        Some(term) => writeln!(out, "what grew most of the resident memory: {term}"),
        None => Ok(()),
    }
}

fn leak(out: &mut String, leak: &Leak) -> std::fmt::Result {
    let s = &leak.site;
    let function = s.responsible_frame.as_ref().map_or("code without a name", |f| &f.function);
    writeln!(out, "\n#{} {} {function}", s.rank, leak.severity.to_uppercase())?;
    if let Some(place) = s.responsible_frame.as_ref().and_then(place) {
        writeln!(out, "   at {place}")?;
    }
    let from_to = format!("{} to {}", rate(leak.rate_lower), rate(leak.rate_upper));
    writeln!(
        out,
        "   grows {} ({from_to}), {} sure, {} of the growth, {}",
        rate(leak.rate_bytes_per_hour),
        percent(leak.confidence),
        percent(leak.share_of_growth),
        leak.shape
    )?;
    let what = s.type_name.as_ref().map_or(String::new(), |t| format!(" of {t}"));
    let since = leak.onset.as_ref().map_or(String::new(), |o| format!(", since {o}"));
    writeln!(out, "   holds {}{what} (±{}){since}{}", bytes(s.live_bytes), bytes(s.live_bytes_error), scope(s))?;
    for sentence in &leak.evidence {
        writeln!(out, "   - {sentence}")?;
    }
    writeln!(out, "   refuted by: {}", leak.refuted_by)?;
    writeln!(out, "   do: {}", leak.advice)?;
    for frame in s.stack.iter().take(FRAMES) {
        writeln!(out, "     {}{}", frame.function, place(frame).map_or(String::new(), |p| format!("  {p}")))?;
    }
    match s.stack.len().saturating_sub(FRAMES) {
        0 => Ok(()),
        more => writeln!(out, "     … {more} more"),
    }
}

fn place(frame: &FrameLine) -> Option<String> {
    let file = frame.file.as_ref()?;
    Some(frame.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
}

fn scope(s: &SiteLine) -> String {
    let parts = [&s.scope.component, &s.scope.operation, &s.scope.method, &s.scope.endpoint];
    let named: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if named.is_empty() { String::new() } else { format!(", in {}", named.join(" ")) }
}

fn site(out: &mut String, s: &SiteLine) -> std::fmt::Result {
    let function = s.responsible_frame.as_ref().map_or("code without a name", |f| &f.function);
    let what = s.type_name.as_ref().map_or(String::new(), |t| format!("  {t}"));
    writeln!(out, "{:>10} ±{:<9} {function}{what}", bytes(s.live_bytes), bytes(s.live_bytes_error))
}

fn recorder(out: &mut String, r: &Report) -> std::fmt::Result {
    let h = &r.recorder;
    let d = &h.dropped;
    let lost = d.ring_full + d.table_full + d.page_map + d.no_thread_block;
    writeln!(
        out,
        "\nrecorder: {} samples at {} a sample, {lost} lost ({} of allocations), {} thinned, {} of stacks cut short, own memory {}, cpu {:.2} s",
        h.samples,
        bytes(h.sample_interval_bytes as f64),
        bytes(h.dropped_bytes as f64),
        d.thinned,
        percent(h.truncated_stacks_ratio),
        bytes(h.own_bytes as f64),
        h.cpu_seconds
    )
}
