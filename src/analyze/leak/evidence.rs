//! Why a verdict says what it says, in sentences with numbers.

use super::look::{LEAST_GROWN_BYTES, Look};
use super::rate::Rate;

const MB: f64 = 1e6;
const HOUR_S: f64 = 3600.0;

pub(super) fn sentences(look: &Look, rate: Option<&Rate>, leak: bool) -> Vec<String> {
    let mut out = Vec::new();
    match (look.fit.as_ref(), rate) {
        (Some(fit), Some(rate)) => {
            let (grown, per_hour) = (rate.leaked_bytes / MB, rate.per_s * HOUR_S / MB);
            let hours = look.window.span_s() * (1.0 - fit.onset) / HOUR_S;
            out.push(format!("the floor grew by {grown:.2} MB in {hours:.1} h, {per_hour:.3} MB an hour"));
            let against = if fit.late { "growth that slows after a late start" } else { "growth that slows" };
            let word = if fit.gain > 0.0 { "better" } else { "worse" };
            out.push(format!("steady growth explains it {word} than {against}: log-likelihood {:+.1}", fit.gain));
            out.push(format!("growth is {:.1} times what no explanation covers", fit.grown / fit.residual.max(1.0)));
            if fit.grown < LEAST_GROWN_BYTES {
                out.push(format!("growth of less than {:.0} KiB is not called a leak", LEAST_GROWN_BYTES / 1024.0));
            }
            if fit.slowing > 0.0 {
                out.push(format!("{:.2} MB beside it are warm-up or a cache that fills", fit.slowing / MB));
            }
        }
        _ => out.push("nothing grows once level, cycles and steps are accounted for".to_owned()),
    }
    out.extend(circumstances(look));
    if !leak && look.fit.is_some() {
        out.push(format!("taken together this leaks with probability {:.2}", look.probability));
    }
    out
}

fn circumstances(look: &Look) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(cycle_s) = look.design.cycle_s {
        out.push(format!("a cycle of {:.1} h is accounted for", cycle_s / HOUR_S));
    }
    if look.has_days() {
        out.push("days are accounted for".to_owned());
    }
    if !look.window.steps.is_empty() {
        out.push(format!("{} lasting steps (deploys, restarts) are accounted for", look.window.steps.len()));
    }
    out
}

pub(super) fn drowned(leaked_bytes: f64, noise_bytes: f64) -> String {
    let (grown, noise) = (leaked_bytes / MB, noise_bytes / MB);
    format!("the growth of {grown:.2} MB is within the sampling error ({noise:.2} MB a row)")
}

pub(super) fn refuted_by(leak: bool, look: &Look) -> String {
    let floor = look.window.low.last().copied().unwrap_or(0.0) / MB;
    if leak {
        format!("the floor staying at {floor:.1} MB, or falling, through the next cycle of load")
    } else {
        format!("the floor rising past {floor:.1} MB and on, at an even pace, through the next cycle of load")
    }
}
