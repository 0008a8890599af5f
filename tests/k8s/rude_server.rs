//! Servers that refuse, stall, break off or say that they know only a part.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::{heapwatch, json, stderr};

/// Answers the n-th request with `answer(n, request)`; the thread ends with the test process.
fn serve(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let (seen, answer) = (Arc::clone(&count), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (n, answer) = (seen.fetch_add(1, Ordering::SeqCst), Arc::clone(&answer));
            std::thread::spawn(move || reply(stream, n, answer.as_ref()));
        }
    });
    (url, count)
}

fn reply(mut stream: TcpStream, n: usize, answer: &dyn Fn(usize, &str) -> Vec<u8>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(got) = stream.read(&mut buffer) else { return };
        request.extend_from_slice(&buffer[..got]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if got == 0 || body.len() >= length.unwrap_or(0) {
            let _ = stream.write_all(&answer(n, &text));
            return;
        }
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

const END_S: f64 = 1_767_571_200.0;

fn ask(url: &str, more: &[&str]) -> std::process::Output {
    let end = END_S.to_string();
    let mut args = vec!["k8s", "--prometheus", url, "--range", "2d", "--step", "5m", "--end", &end];
    args.extend(more);
    heapwatch(&args)
}

/// Two days of one container, whatever is asked; nothing for other metrics.
fn data(request: &str, extra: &str) -> Vec<u8> {
    let points = if request.contains("query_range") && request.contains("working_set") {
        let each = (0..576).map(|i| format!("[{},\"{}\"]", END_S - 172_800.0 + 300.0 * f64::from(i), 1_048_576_000));
        let metric = r#"{"namespace":"shop","pod":"web-0","container":"app"}"#;
        format!(r#"{{"metric":{metric},"values":[{}]}}"#, each.collect::<Vec<_>>().join(","))
    } else {
        String::new()
    };
    http("200 OK", &format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{points}]}}{extra}}}"#))
}

fn fails(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static, more: &[&str]) -> (String, usize) {
    let (url, count) = serve(answer);
    let out = ask(&url, more);
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(out.stdout.is_empty(), "nothing is printed before an error");
    (stderr(&out), count.load(Ordering::SeqCst))
}

#[test]
fn an_unreachable_server_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let out = ask(&format!("http://127.0.0.1:{port}"), &["--retries", "0"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).contains(&format!("cannot reach http://127.0.0.1:{port}")), "{}", stderr(&out));
    assert!(stderr(&ask("ftp://x", &[])).contains("no http:// or https:// address"));
}

#[test]
fn a_refusal_is_not_tried_again_and_says_what_to_give() {
    let (said, asked) = fails(|_, _| http("401 Unauthorized", "nobody known"), &[]);
    assert!(said.contains("answers 401 nobody known; give --bearer-token-file or --user"), "{said}");
    assert_eq!(asked, 1);
}

#[test]
fn credentials_and_headers_are_sent() {
    let known = |_: usize, request: &str| {
        let request = request.to_lowercase();
        let sent =
            request.contains("authorization: basic b25jywxsonmzy3jlda==") && request.contains("x-scope-orgid: shop");
        if sent { data(&request, "") } else { http("401 Unauthorized", "") }
    };
    let (url, _) = serve(known);
    let out = ask(&url, &["--user", "oncall:s3cret", "--header", "X-Scope-OrgID: shop"]);
    assert_eq!(json(&out)["recommendations"][0]["workload"], "web");
    let dir = tempfile::TempDir::new().expect("a folder");
    let token = dir.path().join("token");
    std::fs::write(&token, "abc\n").expect("written");
    let (url, _) = serve(|_, request| {
        let sent = request.to_lowercase().contains("authorization: bearer abc\r\n");
        if sent { data(request, "") } else { http("403 Forbidden", "") }
    });
    assert!(ask(&url, &["--bearer-token-file", &token.display().to_string()]).status.success());
}

#[test]
fn passing_faults_are_tried_again_and_lasting_ones_reported() {
    let (url, _) = serve(|n, request| match n {
        0 => http("503 Service Unavailable", "starting"),
        1 => b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_vec(),
        2 => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900\r\n\r\n{\"status\":\"succ".to_vec(),
        _ => data(request, ""),
    });
    assert_eq!(json(&ask(&url, &[]))["recommendations"][0]["seen"]["samples"], 576);
    let (said, asked) = fails(|_, _| http("500 Internal Server Error", "disk full"), &["--retries", "1"]);
    assert!(said.contains("answers 500 disk full") && asked == 2, "{said}");
}

#[test]
fn a_server_that_stalls_runs_into_the_time_limit() {
    let stall = |_: usize, _: &str| {
        std::thread::sleep(Duration::from_secs(20));
        Vec::new()
    };
    let (said, _) = fails(stall, &["--timeout", "0.3", "--retries", "0"]);
    assert!(said.contains("no answer in time; ask for less or allow more with --timeout"), "{said}");
}

#[test]
fn a_query_too_large_is_asked_in_halves() {
    let (url, count) = serve(|_, request| {
        let too_large = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory"}"#;
        let whole = |text: &str| {
            let of = |key: &str| text.split('&').find_map(|p| p.trim().strip_prefix(key)?.parse::<f64>().ok());
            of("end=").zip(of("start=")).is_some_and(|(end, start)| end - start > 100_000.0)
        };
        let body = request.split("\r\n\r\n").nth(1).unwrap_or("");
        if whole(body) { http("422 Unprocessable Entity", too_large) } else { data(request, "") }
    });
    let out = json(&ask(&url, &[]));
    assert_eq!(out["recommendations"][0]["seen"]["peak_bytes"], 1_048_576_000u64);
    assert!(count.load(Ordering::SeqCst) > 4);
}

#[test]
fn partial_data_is_stated_and_nonsense_is_an_error() {
    let (url, _) = serve(|_, request| data(request, r#","warnings":["store eu-2 did not answer"]"#));
    let notes = json(&ask(&url, &[]))["summary"]["notes"].to_string();
    assert!(notes.contains("the server warns: store eu-2 did not answer"), "{notes}");
    let (said, _) = fails(|_, _| http("200 OK", "<html>log in</html>"), &["--retries", "0"]);
    assert!(said.contains("not what a Prometheus query API gives"), "{said}");
    let (said, _) = fails(|_, _| http("404 Not Found", "page"), &[]);
    assert!(said.contains("is this the base address of a Prometheus-compatible server?"), "{said}");
}
