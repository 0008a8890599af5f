//! Epoch seconds as RFC 3339 text, as every document shows them.

/// The time in UTC, to the second; `None` for what no calendar holds.
pub fn rfc3339(epoch_s: f64) -> Option<String> {
    let whole = epoch_s.is_finite().then(|| epoch_s.round())?;
    jiff::Timestamp::from_second(whole as i64).ok().map(|t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_impossible_ones_are_none() {
        assert_eq!(rfc3339(1_700_000_000.4).as_deref(), Some("2023-11-14T22:13:20Z"));
        assert_eq!((rfc3339(f64::NAN), rfc3339(1e18)), (None, None));
    }
}
