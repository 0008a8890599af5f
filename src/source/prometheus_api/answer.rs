//! What the query API answers, read straight from its JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};

use crate::error::{Error, Result};

/// The labels of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// The value of a label; empty when it is not there, which means the same to Prometheus.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.iter().map(|(n, v)| format!("{n}={v:?}"));
        write!(f, "{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }
}

/// One series: labels and `(epoch seconds, value)` in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct OneSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its points; an instant query gives one.
    pub points: Vec<(f64, f64)>,
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The series.
    pub series: Vec<OneSeries>,
    /// What the server says is wrong with them: partial data, a store that did not answer.
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(default, rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "resultType")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    result: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    metric: Labels,
    #[serde(borrow, default)]
    values: Vec<Point<'a>>,
    #[serde(borrow, default)]
    value: Option<Point<'a>>,
}

#[derive(Deserialize)]
struct Point<'a>(f64, #[serde(borrow)] Cow<'a, str>);

impl Point<'_> {
    fn parsed(&self) -> Result<(f64, f64)> {
        let value =
            self.1.parse().map_err(|_| Error::input(format!("value `{}` in the answer is no number", self.1)))?;
        Ok((self.0, value))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Labels, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Labels, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Labels(pairs))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> std::result::Result<Labels, A::Error> {
                Err(serde::de::Error::custom("labels are no list"))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Why the server did not answer, in its own words: `errorType: error`. `None` when the body is no such document.
pub(super) fn refusal(body: &[u8]) -> Option<(String, String)> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    Some((body.error_type.unwrap_or_default(), body.error?))
}

/// Reads a successful answer. Errors: no JSON, cut off, a result that is no vector or matrix, a value that is no number.
pub(super) fn parse(body: &[u8]) -> Result<Answer> {
    let parsed: Body<'_> = serde_json::from_slice(body)
        .map_err(|e| Error::input("the answer is not what a Prometheus query API gives").because(e))?;
    if parsed.status != "success" {
        return Err(Error::input(format!("the query failed: {}", parsed.error.unwrap_or_default())));
    }
    let data = parsed.data.ok_or_else(|| Error::input("the answer has no data"))?;
    if data.kind != "matrix" && data.kind != "vector" {
        return Err(Error::input(format!("the query gives a {}, not series", data.kind)));
    }
    let series = data.result.into_iter().map(one_series).collect::<Result<_>>()?;
    let mut warnings = parsed.warnings;
    if parsed.is_partial {
        warnings.push("the server says that the data are partial".into());
    }
    Ok(Answer { series, warnings })
}

fn one_series(item: Item<'_>) -> Result<OneSeries> {
    let points = item.values.iter().chain(&item.value).map(Point::parsed).collect::<Result<_>>()?;
    Ok(OneSeries { labels: item.metric, points })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_matrices_vectors_and_their_odd_values() {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"a\"b"},
            "values":[[1,"2"],[2.5,"NaN"],[3,"+Inf"]]}]},"warnings":["a store is down"]}"#;
        let answer = parse(text.as_bytes()).unwrap();
        assert_eq!(answer.series[0].labels.get("pod"), "a\"b");
        assert_eq!(answer.series[0].points[0], (1.0, 2.0));
        assert!(answer.series[0].points[1].1.is_nan() && answer.series[0].points[2].1 == f64::INFINITY);
        assert_eq!(answer.warnings, ["a store is down"]);
        let text = r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;
        let answer = parse(text.as_bytes()).unwrap();
        assert_eq!((answer.series[0].points[0], answer.warnings.len()), ((1.0, 7.0), 1));
    }

    #[test]
    fn anything_else_is_an_error() {
        for (text, want) in [
            ("<html>", "not what a Prometheus"),
            (r#"{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"2"]"#, "not what"),
            (r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}"#, "`x`"),
            (r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#, "gives a streams"),
            (r#"{"status":"error","error":"boom"}"#, "boom"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
