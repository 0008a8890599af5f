//! Reads `timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes[,oom_kills]` as a fleet.
//!
//! Streams: memory is bounded by containers, whatever the number of rows. Rows may be in any order of time and container.
//! Sizes are bytes or Kubernetes quantities (`512Mi`). An empty request or limit means none; an empty usage is a gap;
//! `oom_kills` counts up. A row that cannot be understood is an error with its line. A last line without its end may be cut
//! in the middle of a number: it is left out and noted.

use std::io::Read;

use crate::analyze::sizing::amount::parse_quantity;
use crate::analyze::sizing::fleet::{Fleet, FleetBuilder};
use crate::error::{Error, Result};

const REQUIRED: [&str; 6] = ["timestamp", "namespace", "workload", "pod", "container", "usage_bytes"];
const EXPECTED: &str =
    "expected `timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes[,oom_kills]`";

/// Reads a whole file. `name` is what errors call it. Errors: no header, a missing column, a row of another length, text
/// where a number belongs; each names the line.
pub fn read(input: impl Read, name: &str) -> Result<Fleet> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).buffer_capacity(1 << 18).from_reader(Ended::new(input));
    let refused = |e: csv::Error| Error::input(format!("cannot read {name}")).because(e);
    let headers = reader.byte_headers().map_err(refused)?.clone();
    let mut rows =
        Rows { name, columns: Columns::of(&headers, name)?, fleet: FleetBuilder::default(), last: Last::default() };
    // One row behind, so that the last is taken only when its line is whole.
    let (mut held, mut next) = (csv::ByteRecord::new(), csv::ByteRecord::new());
    while reader.read_byte_record(&mut next).map_err(refused)? {
        rows.take(&held)?;
        std::mem::swap(&mut held, &mut next);
    }
    if reader.get_ref().whole {
        rows.take(&held)?;
    } else if !held.is_empty() {
        let line = held.position().map_or(0, csv::Position::line);
        rows.fleet.note(format!("{name}: line {line} has no end and may be cut off: left out"));
    }
    let fleet = rows.fleet.finish();
    if fleet.workloads.is_empty() {
        return Err(Error::input(format!("{name}: no rows after the header")));
    }
    Ok(fleet)
}

/// Where each column is.
struct Columns {
    required: [usize; 6],
    request: Option<usize>,
    limit: Option<usize>,
    oom_kills: Option<usize>,
}

impl Columns {
    fn of(headers: &csv::ByteRecord, name: &str) -> Result<Columns> {
        let find = |want: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(want.as_bytes()));
        let mut required = [0; 6];
        for (slot, want) in required.iter_mut().zip(REQUIRED) {
            *slot = find(want).ok_or_else(|| {
                let have = headers.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
                Error::input(format!("{name}: line 1: no column `{want}` in header `{have}`; {EXPECTED}"))
            })?;
        }
        Ok(Columns {
            required,
            request: find("request_bytes"),
            limit: find("limit_bytes"),
            oom_kills: find("oom_kills"),
        })
    }
}

/// The container of the row before: files are often sorted by container, and then no look-up is needed.
#[derive(Default)]
struct Last {
    names: Vec<u8>,
    position: usize,
    /// OOM kills counted so far and the time of the latest setting, by position.
    counts: Vec<(Option<f64>, f64)>,
}

struct Rows<'a> {
    name: &'a str,
    columns: Columns,
    fleet: FleetBuilder,
    last: Last,
}

impl Rows<'_> {
    fn take(&mut self, row: &csv::ByteRecord) -> Result<()> {
        if row.is_empty() {
            return Ok(());
        }
        let at_s = self.time(row)?;
        let usage = self.amount(row, self.columns.required[5])?;
        let request = self.optional(row, self.columns.request)?;
        let limit = self.optional(row, self.columns.limit)?;
        let kills = self.optional(row, self.columns.oom_kills)?;
        let position = self.position(row);
        let Some(container) = self.fleet.at(position) else { return Ok(()) };
        container.usage.add(at_s, usage.unwrap_or(f64::NAN));
        let (counted, latest_s) = &mut self.last.counts[position];
        if at_s >= *latest_s {
            (container.request_bytes, container.limit_bytes, *latest_s) = (request, limit, at_s);
        }
        if let Some(kills) = kills {
            let before = counted.replace(kills).unwrap_or(kills);
            let rise = if kills < before { kills } else { kills - before };
            (0..rise.clamp(0.0, 1000.0) as usize).for_each(|_| container.usage.add_oom(at_s, limit));
        }
        Ok(())
    }

    fn position(&mut self, row: &csv::ByteRecord) -> usize {
        let names = [1, 2, 3, 4].map(|i| row.get(self.columns.required[i]).unwrap_or_default());
        let mut rest = self.last.names.as_slice();
        let same = names.iter().all(|n| {
            let matches = rest.strip_prefix(*n).and_then(|r| r.strip_prefix(b"/"));
            rest = matches.unwrap_or_default();
            matches.is_some()
        });
        if same && rest.is_empty() && !self.last.names.is_empty() {
            return self.last.position;
        }
        self.last.names.clear();
        names.iter().for_each(|n| {
            self.last.names.extend_from_slice(n);
            self.last.names.push(b'/');
        });
        let [namespace, workload, pod, container] = names.map(String::from_utf8_lossy);
        let position = self.fleet.position(&namespace, &pod, &container);
        if let Some(c) = self.fleet.at(position).filter(|_| !workload.is_empty()) {
            c.workload = Some(workload.into_owned());
        }
        if position >= self.last.counts.len() {
            self.last.counts.resize(position + 1, (None, f64::NEG_INFINITY));
        }
        self.last.position = position;
        position
    }

    fn time(&self, row: &csv::ByteRecord) -> Result<f64> {
        let text = self.text(row, self.columns.required[0])?;
        let rfc3339 = || text.parse::<jiff::Timestamp>().ok().map(|t| t.as_nanosecond() as f64 / 1e9);
        text.parse()
            .ok()
            .or_else(rfc3339)
            .ok_or_else(|| self.bad(row, text, "neither epoch seconds nor an RFC 3339 time"))
    }

    /// `None` for an empty cell.
    fn amount(&self, row: &csv::ByteRecord, column: usize) -> Result<Option<f64>> {
        let text = self.text(row, column)?;
        if text.is_empty() {
            return Ok(None);
        }
        parse_quantity(text).map(Some).ok_or_else(|| self.bad(row, text, "neither bytes nor a quantity such as 512Mi"))
    }

    fn optional(&self, row: &csv::ByteRecord, column: Option<usize>) -> Result<Option<f64>> {
        let value = column.map_or(Ok(None), |c| self.amount(row, c))?;
        Ok(value.filter(|v| v.is_finite() && *v >= 0.0))
    }

    fn text<'r>(&self, row: &'r csv::ByteRecord, column: usize) -> Result<&'r str> {
        let bytes = row.get(column).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.bad(row, &String::from_utf8_lossy(bytes), "not UTF-8"))
    }

    fn bad(&self, row: &csv::ByteRecord, text: &str, why: &str) -> Error {
        let line = row.position().map_or(0, csv::Position::line);
        Error::input(format!("{}: line {line}: `{text}` is {why}", self.name))
    }
}

/// Remembers whether the input ended with the end of a line.
struct Ended<R> {
    inner: R,
    whole: bool,
}

impl<R> Ended<R> {
    fn new(inner: R) -> Ended<R> {
        Ended { inner, whole: true }
    }
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(into)?;
        if let Some(last) = into[..n].last() {
            self.whole = *last == b'\n';
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "timestamp,namespace,workload,pod,container,usage_bytes,request_bytes,limit_bytes,oom_kills\n";

    fn text(rows: &[&str]) -> String {
        let rows = rows.iter().map(|r| format!("{r}\n")).collect::<String>();
        format!("{HEAD}{rows}")
    }

    fn fails(input: &str) -> String {
        read(input.as_bytes(), "usage.csv").unwrap_err().to_string()
    }

    #[test]
    fn rows_become_workloads() {
        let fleet = read(
            text(&[
                "0,shop,web,web-1,app,100Mi,1Gi,,0",
                "1970-01-01T01:00:00Z,shop,web,web-1,app,200Mi,2Gi,3Gi,2",
                "0,shop,web,web-2,app,,1Gi,,",
                "7200,shop,web,web-1,app,150Mi,2Gi,3Gi,1",
            ])
            .as_bytes(),
            "usage.csv",
        )
        .unwrap();
        let web = &fleet.workloads[0];
        assert_eq!((fleet.workloads.len(), web.pods.len(), web.peak()), (1, 2, 200.0 * 1048576.0));
        assert_eq!((web.request_bytes, web.limit_bytes), (Some(2.0 * 1073741824.0), Some(3.0 * 1073741824.0)));
        assert_eq!(web.oom_kills(), 3, "two, then the counter began again and counted one");
        assert_eq!(web.rejected().not_finite, 1);
    }

    #[test]
    fn errors_name_the_line() {
        assert!(fails("").contains("no column `timestamp`"));
        assert!(fails("timestamp,pod\n").contains("no column `namespace` in header `timestamp,pod`"));
        assert!(fails(HEAD).contains("no rows"));
        assert!(fails(&text(&["0,a,b,c,d,1,,,", "0,a,b,c,d,12MB,,,"])).contains("line 3: `12MB` is neither bytes nor"));
        assert!(fails(&text(&["soon,a,b,c,d,1,,,"])).contains("line 2: `soon` is neither epoch"));
        let short = fails(&text(&["0,a,b,c,d,1,,,", "0,a,b"]));
        assert!(short.contains("line: 3") && short.contains("fields"), "{short}");
    }

    #[test]
    fn a_last_line_without_its_end_is_left_out() {
        let whole = text(&["0,a,b,c,d,1000Mi,,,", "60,a,b,c,d,2000Mi,,,"]);
        let cut = whole.trim_end_matches("00Mi,,,\n").to_owned() + ",,,";
        let fleet = read(cut.as_bytes(), "usage.csv").unwrap();
        assert_eq!(fleet.workloads[0].peak(), 1000.0 * 1048576.0);
        assert!(fleet.notes[0].contains("line 3 has no end"), "{:?}", fleet.notes);
    }
}
