//! The target of a request: a path that is compared as it is, and a query.
//!
//! No path is ever resolved: `//`, `.`, `..` and an encoded slash are no path of ours, so such a target names nothing.

/// Parameters beyond this many are refused.
const PARAMETERS_BOUND: usize = 32;

/// A decoded target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Begins with a slash; segments are decoded.
    pub path: String,
    /// Decoded names and values in order.
    pub query: Vec<(String, String)>,
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTarget {
    /// It does not follow the grammar.
    Malformed,
    /// It is well formed and cannot name anything here.
    NotFound,
}

/// Reads `/path?query` or `http://host/path?query`.
pub fn parse(target: &str) -> Result<Target, BadTarget> {
    let local = origin_form(target).ok_or(BadTarget::Malformed)?;
    if local.contains('#') || local.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(BadTarget::Malformed);
    }
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    Ok(Target { query: parse_query(query)?, path: parse_path(path)? })
}

/// A proxy's absolute form is cut to its path; the forms of CONNECT and OPTIONS are none of ours.
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"))?;
    rest.find('/').and_then(|slash| rest.get(slash..))
}

fn parse_path(path: &str) -> Result<String, BadTarget> {
    let mut out = String::with_capacity(path.len());
    let segments = path.strip_prefix('/').ok_or(BadTarget::Malformed)?;
    for segment in segments.split('/') {
        let segment = decoded(segment, false).ok_or(BadTarget::Malformed)?;
        if segment.contains('/') || segment == "." || segment == ".." || (segment.is_empty() && !segments.is_empty()) {
            return Err(BadTarget::NotFound);
        }
        out.push('/');
        out.push_str(&segment);
    }
    Ok(out)
}

fn parse_query(query: &str) -> Result<Vec<(String, String)>, BadTarget> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name, true)?, decoded(value, true)?))
    });
    let pairs: Vec<_> = pairs.take(PARAMETERS_BOUND + 1).collect::<Option<_>>().ok_or(BadTarget::Malformed)?;
    if pairs.len() > PARAMETERS_BOUND { Err(BadTarget::Malformed) } else { Ok(pairs) }
}

/// Percent-decodes once. `None`: a broken escape, a control character, or bytes that are no UTF-8.
fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    let out = String::from_utf8(out).ok()?;
    (!out.chars().any(char::is_control)).then_some(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, BadTarget> {
        parse(target).map(|target| target.path)
    }

    #[test]
    fn plain_encoded_and_absolute_targets() {
        assert_eq!(path("/metrics").as_deref(), Ok("/metrics"));
        assert_eq!(path("/").as_deref(), Ok("/"));
        assert_eq!(path("/%6Detrics?x=1").as_deref(), Ok("/metrics"));
        assert_eq!(path("http://host:1/healthz").as_deref(), Ok("/healthz"));
        let query = parse("/x?a=1&b=%26+c&&flag&a=2").unwrap().query;
        let want = [("a", "1"), ("b", "& c"), ("flag", ""), ("a", "2")];
        assert_eq!(query, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn tricks_name_nothing() {
        let tricks = [
            "//metrics",
            "/metrics/",
            "/./metrics",
            "/debug/../metrics",
            "/%2e%2e/metrics",
            "/debug%2fpprof/heap",
            "/debug//pprof",
            "/..",
            "/%2E/x",
            "/%2e%2e%2fmetrics",
        ];
        for trick in tricks {
            assert_eq!(path(trick), Err(BadTarget::NotFound), "{trick}");
        }
        assert_eq!(path("/%252e%252e/x").as_deref(), Ok("/%2e%2e/x"), "decoded once only");
    }

    #[test]
    fn broken_targets_are_malformed() {
        for bad in
            ["", "*", "host:80", "metrics", "/%", "/%4", "/%zz", "/%00", "/a%0d%0ab", "/%ff", "/a#b", "http://host"]
        {
            assert_eq!(path(bad), Err(BadTarget::Malformed), "{bad}");
        }
        assert_eq!(parse("/x?a=%+1").unwrap_err(), BadTarget::Malformed);
        assert_eq!(parse(&format!("/x?{}", "a&".repeat(33))).unwrap_err(), BadTarget::Malformed);
    }
}
