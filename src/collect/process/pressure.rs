//! Pressure stall information: `memory.pressure` of the own control group, else the machine's.

use super::text;
use crate::snapshot::Pressure;

#[derive(Default)]
struct Line {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total_s: f64,
}

/// Reads a pressure file. The `full` line may be absent; a `some` line must be there.
pub fn pressure(content: &[u8], source: &str) -> Option<Pressure> {
    let some = line(content, b"some")?;
    let full = line(content, b"full").unwrap_or_default();
    Some(Pressure {
        some_avg10: some.avg10,
        some_avg60: some.avg60,
        some_avg300: some.avg300,
        some_seconds: some.total_s,
        full_avg10: full.avg10,
        full_avg60: full.avg60,
        full_avg300: full.avg300,
        full_seconds: full.total_s,
        source: source.to_owned(),
    })
}

fn line(content: &[u8], kind: &[u8]) -> Option<Line> {
    let mut words =
        text::lines(content).map(text::words).find_map(|mut words| (words.next()? == kind).then_some(words))?;
    let mut line = Line::default();
    for word in words.by_ref() {
        let (name, value) = std::str::from_utf8(word).ok()?.split_once('=')?;
        let value: f64 = value.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0)?;
        match name {
            "avg10" => line.avg10 = share(value),
            "avg60" => line.avg60 = share(value),
            "avg300" => line.avg300 = share(value),
            "total" => line.total_s = value / 1e6,
            _ => {}
        }
    }
    Some(line)
}

fn share(percent: f64) -> f64 {
    (percent / 100.0).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_become_shares_and_microseconds_seconds() {
        let text =
            b"some avg10=12.50 avg60=1.00 avg300=0.25 total=2500000\nfull avg10=2.00 avg60=0.00 avg300=0.00 total=1\n";
        let p = pressure(text, "f").unwrap();
        assert_eq!((p.some_avg10, p.some_avg60, p.some_avg300, p.some_seconds), (0.125, 0.01, 0.0025, 2.5));
        assert_eq!((p.full_avg10, p.full_seconds, p.source.as_str()), (0.02, 1e-6, "f"));
    }

    #[test]
    fn hostile_pressure_is_none_or_bounded() {
        for bad in [&b""[..], b"full avg10=1.0", b"some avg10=NaN", b"some avg10=-1", b"some avg10", b"some \xff=1"] {
            assert_eq!(pressure(bad, "f"), None, "{bad:?}");
        }
        assert_eq!(pressure(b"some avg10=900.0", "f").unwrap().some_avg10, 1.0);
    }
}
