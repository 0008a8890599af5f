//! Label values from outside: names of scopes, endpoints and types can be anything and of any length.

use std::borrow::Cow;

/// Where memory belongs to no scope, a label reads this: an empty value would be no label at all.
pub const NONE: &str = "none";
/// Where a bound cuts a list, the rest is summed here.
pub const OTHER: &str = "other";

/// Longest label value in bytes. Longer ones are cut and end in a hash of the whole, so that two stay two.
const LONGEST: usize = 256;

/// The value for a label, bounded.
pub fn bounded(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let hash = format!("…{:08x}", hash(text) as u32);
    let fits = text.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| end + hash.len() <= LONGEST);
    let end = fits.last().unwrap_or(0);
    format!("{}{hash}", text.get(..end).unwrap_or_default())
}

/// The value for a label that may not be set.
pub fn or_none(text: Option<&str>) -> String {
    text.filter(|t| !t.is_empty()).map_or_else(|| NONE.to_owned(), bounded)
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The constant labels of a series: those that it does not have itself.
pub fn constant<'a>(
    own: &'a [(&'static str, String)],
    constant: &'a [(String, String)],
) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    let new = constant.iter().filter(|(name, _)| own.iter().all(|(o, _)| o != name));
    new.map(|(name, value)| (name.as_str(), Cow::Owned(bounded(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_stay_apart() {
        let long = |end: &str| bounded(&format!("{}{end}", "ü€".repeat(200)));
        assert!(long("a").len() <= LONGEST && long("a").len() > LONGEST - 4);
        assert_ne!(long("a"), long("b"));
        assert_eq!(bounded("short \"\n\\ ü"), "short \"\n\\ ü");
    }

    #[test]
    fn a_constant_label_gives_way() {
        let own = [("site", "1".to_owned())];
        let given = [("site".to_owned(), "x".to_owned()), ("region".to_owned(), "eu".to_owned())];
        let kept: Vec<_> = constant(&own, &given).collect();
        assert_eq!(kept, [("region", Cow::Borrowed("eu"))]);
    }
}
