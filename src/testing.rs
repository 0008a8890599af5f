//! In tests: run a piece of work many times and assert that no call site grows; the failure names the site and its stack.
//!
//! ```
//! use heapwatch::HeapWatch;
//!
//! #[global_allocator]
//! static HEAP: HeapWatch = HeapWatch::system();
//!
//! # fn main() {
//! heapwatch::testing::assert_no_leak(200, || {
//!     let text = "work that gives back what it takes".to_uppercase();
//!     assert!(text.len() > 10);
//! });
//! # }
//! ```
//!
//! Every allocation is recorded while it runs, so it is slow and exact, not sampled. The test must have its process to itself: what
//! other threads keep meanwhile counts as well.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::analyze::heap::site::responsible;
use crate::analyze::heap::words;
use crate::error::{Error, Result};
use crate::snapshot::{Site, Snapshot};
use crate::watch::Watch;

/// Parts that the runs are divided into. The first warms up; a site that grows in each of the others leaks.
const PARTS: usize = 4;

/// A call site that grew.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Which.
    pub site: Arc<Site>,
    /// Objects that it held more at the end than after the warm-up.
    pub objects: f64,
    /// Bytes of them.
    pub bytes: f64,
    /// Runs in which they came.
    pub runs: usize,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = responsible(&self.site).and_then(|i| self.site.stack.get(i));
        let function = frame.map_or("code without a name", |frame| &frame.function);
        let what = self.site.type_name.as_ref().map_or(String::new(), |t| format!(" of {t}"));
        let bytes = words::bytes(self.bytes);
        writeln!(f, "{function} keeps {:.0} objects{what} ({bytes}) after {} runs", self.objects, self.runs)?;
        for frame in self.site.stack.iter().take(20) {
            let place =
                frame.file.as_ref().zip(frame.line).map_or(String::new(), |(file, line)| format!("  {file}:{line}"));
            writeln!(f, "    {}{place}", frame.function)?;
        }
        Ok(())
    }
}

/// Panics if a call site grows while `work` runs `runs` times; the message names it. Also panics where
/// [`growing_sites`] has an error.
#[track_caller]
pub fn assert_no_leak(runs: usize, work: impl FnMut()) {
    match growing_sites(runs, work) {
        Err(e) => panic!("{e}"),
        Ok(grown) if grown.is_empty() => (),
        Ok(grown) => {
            let sites: String = grown.iter().map(ToString::to_string).collect();
            panic!("{} call sites grow with every run:\n{sites}", grown.len());
        }
    }
}

/// The call sites that grow while `work` runs `runs` times, most bytes first. Errors: fewer than 8 runs, a watch that is running,
/// or no [`HeapWatch`](crate::HeapWatch) as global allocator.
pub fn growing_sites(runs: usize, mut work: impl FnMut()) -> Result<Vec<Growth>> {
    if runs < 2 * PARTS {
        return Err(Error::config(format!("runs is {runs}; growth shows from {} runs on", 2 * PARTS)));
    }
    let watch = Watch::builder().service("test").sample_interval_bytes(1).start()?;
    let mut levels = Vec::with_capacity(PARTS);
    for part in 0..PARTS {
        let (from, to) = (runs * part / PARTS, runs * (part + 1) / PARTS);
        (from..to).for_each(|_| work());
        levels.push(watch.snapshot());
    }
    drop(watch);
    Ok(grown(&levels, runs - runs / PARTS))
}

fn grown(levels: &[Arc<Snapshot>], runs: usize) -> Vec<Growth> {
    let by_site = |s: &Snapshot| -> HashMap<u64, f64> {
        s.sites.iter().map(|site| (site.id, site.usage.live_objects.value)).collect()
    };
    let objects: Vec<HashMap<u64, f64>> = levels.iter().map(|s| by_site(s)).collect();
    let Some((last, first)) = levels.last().zip(levels.first()) else { return Vec::new() };
    let bytes_at_first: HashMap<u64, f64> = first.sites.iter().map(|s| (s.id, s.usage.live_bytes.value)).collect();
    let grows = |site: &&Arc<Site>| {
        let level = |part: &HashMap<u64, f64>| part.get(&site.id).copied().unwrap_or(0.0);
        objects.windows(2).all(|w| level(&w[1]) >= level(&w[0]) + 0.5)
    };
    let growth = |site: &Arc<Site>| Growth {
        site: site.clone(),
        objects: site.usage.live_objects.value - objects[0].get(&site.id).copied().unwrap_or(0.0),
        bytes: site.usage.live_bytes.value - bytes_at_first.get(&site.id).copied().unwrap_or(0.0),
        runs,
    };
    let mut found: Vec<Growth> = last.sites.iter().filter(grows).map(growth).collect();
    found.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    found
}
