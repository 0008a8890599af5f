//! Sizes, rates and times as an engineer reads them at night.

/// `12.3 MB`, decimal units.
pub fn bytes(value: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 999.5 && unit + 1 < units.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || scaled.abs() >= 99.95 { 0 } else { 1 };
    format!("{scaled:.digits$} {}", units[unit])
}

/// `1.2 MB/s` for fast growth, `35.0 MB/h` for slow.
pub fn rate(bytes_per_hour: f64) -> String {
    if bytes_per_hour.abs() >= 3.6e8 {
        format!("{}/s", bytes(bytes_per_hour / 3600.0))
    } else {
        format!("{}/h", bytes(bytes_per_hour))
    }
}

/// `3 d 4 h`, `2 h 5 min`, `45 s`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "never".into();
    }
    let s = seconds.max(0.0).round() as u64;
    let (d, h, m) = (s / 86_400, s / 3600 % 24, s / 60 % 60);
    match () {
        () if s >= 365 * 86_400 => "more than a year".into(),
        () if d > 0 => format!("{d} d {h} h"),
        () if h > 0 => format!("{h} h {m} min"),
        () if s >= 120 => format!("{m} min {} s", s % 60),
        () => format!("{s} s"),
    }
}

/// RFC 3339 in UTC, to the second. `None` for times out of the calendar.
pub fn time(epoch_s: f64) -> Option<String> {
    if !epoch_s.is_finite() {
        return None;
    }
    jiff::Timestamp::from_second(epoch_s.round() as i64).ok().map(|t| t.to_string())
}

/// `97 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_well() {
        assert_eq!(
            (bytes(12.0).as_str(), bytes(999_600.0).as_str(), bytes(12.34e6).as_str()),
            ("12 B", "1.0 MB", "12.3 MB")
        );
        assert_eq!((rate(36e6).as_str(), rate(3.6e9).as_str()), ("36.0 MB/h", "1.0 MB/s"));
        let d: Vec<String> = [45.0, 125.0, 7500.0, 2e5, 1e9, f64::INFINITY].iter().map(|s| duration(*s)).collect();
        assert_eq!(d, ["45 s", "2 min 5 s", "2 h 5 min", "2 d 7 h", "more than a year", "never"]);
        assert_eq!(time(0.0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(time(f64::MAX), None);
    }
}
