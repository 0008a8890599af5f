//! Leaks as CSV (RFC 4180): one header, one line a leak.

use super::{Leak, Report};

const HEADER: &str = "rank,site_id,severity,confidence,live_bytes,live_bytes_error,live_objects,allocated_bytes,\
rate_bytes_per_hour,rate_lower,rate_upper,share_of_growth,onset,type,component,operation,endpoint,method,function,file,line,crate,shape\n";

pub fn leaks(report: &Report) -> String {
    report.leaks.iter().fold(HEADER.to_owned(), |out, leak| out + &line(leak) + "\n")
}

fn line(leak: &Leak) -> String {
    let s = &leak.site;
    let number = |n: f64| format!("{n:.0}");
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let frame = s.responsible_frame.clone().unwrap_or_default();
    let fields = [
        s.rank.to_string(),
        s.site_id.clone(),
        leak.severity.clone(),
        format!("{:.3}", leak.confidence),
        number(s.live_bytes),
        number(s.live_bytes_error),
        number(s.live_objects),
        number(s.allocated_bytes),
        number(leak.rate_bytes_per_hour),
        number(leak.rate_lower),
        number(leak.rate_upper),
        format!("{:.3}", leak.share_of_growth),
        text(&leak.onset),
        text(&s.type_name),
        text(&s.scope.component),
        text(&s.scope.operation),
        text(&s.scope.endpoint),
        text(&s.scope.method),
        frame.function,
        text(&frame.file),
        frame.line.map_or_else(String::new, |l| l.to_string()),
        text(&frame.krate),
        leak.shape.clone(),
    ];
    fields.map(quoted).join(",")
}

pub(super) fn quoted(field: String) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::report::SiteLine;

    #[test]
    fn fields_with_commas_are_quoted_and_every_line_has_the_header_s_fields() {
        let site = SiteLine { type_name: Some("HashMap<u64, \"x\">".into()), ..SiteLine::default() };
        let report = Report { leaks: vec![Leak { site, ..Leak::default() }], ..Report::default() };
        let csv = leaks(&report);
        assert!(csv.contains("\"HashMap<u64, \"\"x\"\">\""));
        assert_eq!(HEADER.matches(',').count() + 1, 23);
    }
}
