//! Pieces that expressions share.

use crate::export::subject::Subject;

/// A duration as PromQL writes it, in the largest unit that divides it.
pub fn span(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("m", 60)];
    let fits = units.iter().find(|(_, unit)| seconds > 0 && seconds.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{seconds}s"), |(name, unit)| format!("{}{name}", seconds / unit))
}

/// An amount of bytes as a reader of the expression wants it: `5 * 1024^2`.
pub fn bytes(amount: u64) -> String {
    const MIB: u64 = 1 << 20;
    if amount > 0 && amount.is_multiple_of(MIB) { format!("{} * 1024^2", amount / MIB) } else { amount.to_string() }
}

/// A gate behind an expression on growth over the last `window_s`: the whole window lies behind the warm-up of the process
/// that is running now. It also keeps out the process before, whose series goes on where an instance keeps its name.
pub fn settled(subject: &Subject, warm_up_s: u64, window_s: u64) -> String {
    let start = format!("process_start_time_seconds{}", subject.selector(""));
    format!("and on (job, instance) (time() - {start} > {})", warm_up_s + window_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_amounts_read_well() {
        assert_eq!([0, 90, 600, 7200, 259_200].map(span), ["0s", "90s", "10m", "2h", "3d"]);
        assert_eq!([5 << 20, 1000, 0].map(bytes), ["5 * 1024^2", "1000", "0"]);
    }
}
