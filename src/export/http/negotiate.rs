//! Content negotiation: which of our forms a client prefers (RFC 9110, 12.5).

/// One entry of an `Accept`-like header.
struct Entry<'a> {
    value: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f64,
}

fn entries(header: &str) -> impl Iterator<Item = Entry<'_>> {
    header.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let mut parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let quality = match parameters.iter().position(|(name, _)| name.trim().eq_ignore_ascii_case("q")) {
            Some(at) => parameters.remove(at).1.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0),
            None => 1.0,
        };
        Some(Entry { value, parameters, quality })
    })
}

/// How much a client wants a media type: the most specific entry that fits decides. `None`: no entry fits.
fn quality_of(header: &str, media_type: &str, version: Option<&str>) -> Option<f64> {
    let (kind, _) = media_type.split_once('/')?;
    let fits = |entry: Entry<'_>| {
        let wanted = entry.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("version"));
        let wanted = wanted.map(|(_, version)| version.trim_matches('"'));
        let specificity = match entry.value {
            "*/*" => 0,
            value if value.strip_suffix("/*").is_some_and(|k| k.eq_ignore_ascii_case(kind)) => 1,
            value if !value.eq_ignore_ascii_case(media_type) => return None,
            _ => match wanted {
                None => 2,
                Some(_) if wanted == version => 3,
                Some(_) => return None,
            },
        };
        Some((specificity, entry.quality))
    };
    entries(header).filter_map(fits).max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(_, quality)| quality)
}

/// Whether a scraper asks for OpenMetrics 1.0 rather than the classic text. A client that says nothing, or takes
/// anything, gets the classic text, which every scraper reads.
pub fn wants_openmetrics(accept: Option<&str>) -> bool {
    let Some(accept) = accept else { return false };
    let named = entries(accept).any(|entry| entry.value.eq_ignore_ascii_case("application/openmetrics-text"));
    let open = quality_of(accept, "application/openmetrics-text", Some("1.0.0")).unwrap_or(0.0);
    let classic = quality_of(accept, "text/plain", Some("0.0.4")).unwrap_or(0.0);
    named && open > 0.0 && open >= classic
}

/// Whether the answer may be compressed.
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let Some(header) = accept_encoding else { return false };
    let quality = |name: &str| entries(header).find(|entry| entry.value.eq_ignore_ascii_case(name)).map(|e| e.quality);
    quality("gzip").or_else(|| quality("x-gzip")).or_else(|| quality("*")).is_some_and(|q| q > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_sends_gets_openmetrics() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert!(wants_openmetrics(Some(prometheus)));
        assert!(wants_openmetrics(Some("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8")));
    }

    #[test]
    fn everybody_else_gets_the_classic_text() {
        for classic in [
            "*/*",
            "text/plain",
            "text/html,application/xml;q=0.9,*/*;q=0.8",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.3,text/plain;q=0.5",
            "application/openmetrics-text;version=2.0.0",
            "",
            ",,;;",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;q=7",
        ] {
            assert!(!wants_openmetrics(Some(classic)), "{classic}");
        }
        assert!(!wants_openmetrics(None));
    }

    #[test]
    fn gzip_is_used_when_it_is_accepted() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "*", "br;q=1.0, GZIP;q=0.1", "x-gzip"] {
            assert!(accepts_gzip(Some(yes)), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "gzip;q=0, *", "*;q=0", "gzipped", "gzip;q=x"] {
            assert!(!accepts_gzip(Some(no)), "{no}");
        }
        assert!(!accepts_gzip(None));
    }
}
