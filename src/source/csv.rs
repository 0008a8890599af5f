//! Reads `timestamp,value[,load]` (a header, then rows; epoch seconds or RFC 3339) as a [`Series`].
//!
//! A row that cannot be understood is an error with its line, never a guess; rows that are understood but not usable
//! (NaN, duplicates) are repaired and counted by [`Series::repaired`].

use std::io::Read;

use crate::analyze::series::Series;
use crate::error::{Error, Result};

/// Reads a whole CSV. `name` is what errors call the input. The header must have `timestamp` and `value`, may have
/// `load`, in any order; other columns are ignored. Errors: no header, a missing column, text where a number belongs, a
/// row of another length, a last line cut off in the middle of a row; each names the line.
pub fn read(input: impl Read, name: &str) -> Result<Series> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let fail = |e: csv::Error| Error::input(format!("{name}: {e}"));
    let headers = reader.byte_headers().map_err(fail)?.clone();
    if headers.is_empty() {
        return Err(Error::input(format!("{name}: no header; expected `timestamp,value[,load]` in line 1")));
    }
    let column = |want: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(want.as_bytes()));
    let missing = |want: &str| {
        let have = headers.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        Error::input(format!(
            "{name}: line 1: no column `{want}` in header `{have}`; expected `timestamp,value[,load]`"
        ))
    };
    let t_col = column("timestamp").ok_or_else(|| missing("timestamp"))?;
    let v_col = column("value").ok_or_else(|| missing("value"))?;
    let l_col = column("load");
    let (mut times, mut values, mut load) = (Vec::new(), Vec::new(), l_col.map(|_| Vec::new()));
    let mut row = csv::ByteRecord::new();
    while reader.read_byte_record(&mut row).map_err(fail)? {
        let line = row.position().map_or(0, csv::Position::line);
        let bad = |column: &str, text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            Error::input(format!("{name}: line {line}: `{text}` in column `{column}` is not a number"))
        };
        let t = &row[t_col];
        times.push(number(t).or_else(|| rfc3339(t)).ok_or_else(|| {
            let text = String::from_utf8_lossy(t).into_owned();
            Error::input(format!("{name}: line {line}: `{text}` is neither epoch seconds nor an RFC 3339 time"))
        })?);
        values.push(number(&row[v_col]).ok_or_else(|| bad("value", &row[v_col]))?);
        if let (Some(c), Some(load)) = (l_col, load.as_mut()) {
            load.push(number(&row[c]).ok_or_else(|| bad("load", &row[c]))?);
        }
    }
    Ok(Series::repaired(times, values, load))
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn rfc3339(text: &[u8]) -> Option<f64> {
    let t: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(t.as_nanosecond() as f64 / 1e9)
}
