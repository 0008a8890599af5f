//! Reads `timestamp,value[,load]` (a header, then rows; epoch seconds or RFC 3339, mixed if need be).
//!
//! A row that cannot be understood is an error with its line, never a guess; rows that are understood but not usable
//! (NaN, an empty value, duplicates) are repaired and counted downstream. [`rows`] streams in constant memory, [`read`]
//! holds the whole series at 8 bytes a column and row.

use std::io::Read;

use crate::analyze::series::{Row, Series, SeriesBuilder};
use crate::error::{Error, Result};

/// Last second of the year 9999, the largest an RFC 3339 time can say.
const LAST_SECOND: f64 = 253_402_300_799.0;

const EXPECTED: &str = "expected `timestamp,value[,load]`";

/// Reads a whole CSV as a series. `name` is what errors call the input. The header must have `timestamp` and `value`, may
/// have `load`, in any order; other columns are ignored. Errors: no header, a missing column, text where a number belongs, a
/// row of another length, a last line cut off in the middle of a row; each names the line. Blank lines are skipped (after
/// some, the line named is the first of them).
pub fn read(input: impl Read, name: &str) -> Result<Series> {
    let rows = rows(input, name)?;
    let mut series = SeriesBuilder::new(rows.has_load());
    for row in rows {
        series.push(row?);
    }
    Ok(series.finish())
}

/// Streams the rows of a CSV as they stand, unrepaired ([`crate::analyze::series::in_order`] repairs). Errors: as for
/// [`read`]; the header's at once, a row's in its place, after which the stream ends.
pub fn rows<R: Read>(input: R, name: &str) -> Result<Rows<R>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).buffer_capacity(1 << 16).from_reader(input);
    let headers = reader.byte_headers().map_err(|e| refused(name, 1, e))?.clone();
    if headers.is_empty() {
        return Err(Error::input(format!("{name}: no header; {EXPECTED} in line 1")));
    }
    let column = |want: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(want.as_bytes()));
    let needed = |want: &str| {
        column(want).ok_or_else(|| {
            let have = headers.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
            Error::input(format!("{name}: line 1: no column `{want}` in header `{have}`; {EXPECTED}"))
        })
    };
    let (time, value, load) = (needed("timestamp")?, needed("value")?, column("load"));
    Ok(Rows { reader, name: name.to_string(), time, value, load, record: csv::ByteRecord::new(), ended: false })
}

/// The iterator behind [`rows`].
pub struct Rows<R> {
    reader: csv::Reader<R>,
    name: String,
    time: usize,
    value: usize,
    load: Option<usize>,
    record: csv::ByteRecord,
    ended: bool,
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        if self.ended {
            return None;
        }
        let line = self.reader.position().line();
        let row = match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => Some(self.row()),
            Err(e) => Some(Err(refused(&self.name, line, e))),
        };
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl<R> Rows<R> {
    /// Whether the header has a load.
    pub fn has_load(&self) -> bool {
        self.load.is_some()
    }

    fn row(&self) -> Result<Row> {
        let load = self.load.map(|c| self.number(c, "load")).transpose()?;
        Ok(Row { time_s: self.time()?, value: self.number(self.value, "value")?, load })
    }

    fn time(&self) -> Result<f64> {
        let text = self.field(self.time);
        let time = parsed(text)
            .or_else(|| rfc3339(text))
            .ok_or_else(|| self.error(format!("`{}` is neither epoch seconds nor an RFC 3339 time", shown(text))))?;
        if time.is_finite() && time.abs() > LAST_SECOND {
            return Err(self.error(format!(
                "time {} is past the year 9999; epoch seconds expected, not milliseconds",
                shown(text)
            )));
        }
        Ok(time)
    }

    /// An empty field is a value that is missing, NaN; text is an error.
    fn number(&self, column: usize, name: &str) -> Result<f64> {
        let text = self.field(column);
        if text.is_empty() {
            return Ok(f64::NAN);
        }
        parsed(text).ok_or_else(|| self.error(format!("`{}` in column `{name}` is not a number", shown(text))))
    }

    fn field(&self, column: usize) -> &[u8] {
        self.record.get(column).unwrap_or_default()
    }

    fn error(&self, what: String) -> Error {
        let line = self.record.position().map_or(0, csv::Position::line);
        Error::input(format!("{}: line {line}: {what}", self.name))
    }
}

/// What the reader could not take: fields that are missing or too many, or the input itself.
fn refused(name: &str, line: u64, cause: csv::Error) -> Error {
    if let csv::ErrorKind::UnequalLengths { pos, expected_len, len } = cause.kind() {
        let line = pos.as_ref().map_or(line, csv::Position::line);
        let hint = if len < expected_len { "; the input may be cut off here" } else { "" };
        return Error::input(format!("{name}: line {line}: {len} fields where the header has {expected_len}{hint}"));
    }
    Error::input(format!("{name}: line {line}")).because(cause)
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(40).collect()
}

fn parsed(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn rfc3339(text: &[u8]) -> Option<f64> {
    let t: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(t.as_nanosecond() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::series::Repairs;

    fn read_text(text: &str) -> Result<Series> {
        read(text.as_bytes(), "in.csv")
    }

    fn complaint(text: &str) -> String {
        let e = read_text(text).expect_err("must be refused");
        assert!(e.is_input());
        e.to_string()
    }

    #[test]
    fn mixed_times_a_byte_order_mark_and_carriage_returns_are_read() {
        let s = read_text("\u{feff}Timestamp,value,load\r\n0,1,5\r\n1970-01-01T00:01:00Z, 2 ,6\r\n120.5,3e2,7\r\n")
            .expect("reads");
        assert_eq!((s.times_s(), s.values()), (&[0.0, 60.0, 120.5][..], &[1.0, 2.0, 300.0][..]));
        assert_eq!(s.load(), Some(&[5.0, 6.0, 7.0][..]));
    }

    #[test]
    fn columns_stand_in_any_order_and_others_are_ignored() {
        let s = read_text("pod,value,timestamp\na,7,1\n").expect("reads");
        assert_eq!((s.times_s(), s.values(), s.load()), (&[1.0][..], &[7.0][..], None));
    }

    #[test]
    fn what_is_understood_but_not_usable_is_repaired_and_counted() {
        let s = read_text("timestamp,value\n3,1\n1,NaN\n2,inf\n1,5\n1,6\n4,\n").expect("reads");
        assert_eq!((s.times_s(), s.values()), (&[1.0, 3.0][..], &[6.0, 1.0][..]));
        assert_eq!(s.repairs(), &Repairs { not_finite: 3, duplicate_times: 1, out_of_order: 1, too_late: 0 });
    }

    #[test]
    fn a_header_alone_or_one_row_is_a_short_series() {
        assert_eq!(read_text("timestamp,value\n").expect("reads").len(), 0);
        assert_eq!(read_text("timestamp,value\n1,2").expect("reads").len(), 1);
    }

    #[test]
    fn every_refusal_names_input_line_and_cause() {
        assert_eq!(complaint(""), "in.csv: no header; expected `timestamp,value[,load]` in line 1");
        assert_eq!(
            complaint("time,value\n1,2\n"),
            "in.csv: line 1: no column `timestamp` in header `time,value`; expected `timestamp,value[,load]`"
        );
        assert_eq!(
            complaint("timestamp,value\n1,2\n2,3 MB\n"),
            "in.csv: line 3: `3 MB` in column `value` is not a number"
        );
        assert_eq!(
            complaint("timestamp,value\n1,2\n3,4\nyesterday,2\n"),
            "in.csv: line 4: `yesterday` is neither epoch seconds nor an RFC 3339 time"
        );
        assert_eq!(
            complaint("timestamp,value\n1,2\n2"),
            "in.csv: line 3: 1 fields where the header has 2; the input may be cut off here"
        );
        assert_eq!(complaint("timestamp,value\n1,2,3\n"), "in.csv: line 2: 3 fields where the header has 2");
        assert_eq!(
            complaint("timestamp,value\n1700000000000,2\n"),
            "in.csv: line 2: time 1700000000000 is past the year 9999; epoch seconds expected, not milliseconds"
        );
    }

    #[test]
    fn a_stream_ends_at_its_first_error() {
        let mut rows = rows("timestamp,value\n1,2\nx,3\n4,5\n".as_bytes(), "in.csv").expect("header is fine");
        assert!(matches!(rows.next(), Some(Ok(Row { value: 2.0, .. }))));
        assert!(matches!(rows.next(), Some(Err(_))));
        assert!(rows.next().is_none());
    }

    #[test]
    fn an_input_that_fails_midway_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        let e = read("timestamp,value\n1,2\n".as_bytes().chain(Broken), "pipe").expect_err("must fail");
        assert_eq!(e.to_string(), "pipe: line 3: gone");
    }
}
