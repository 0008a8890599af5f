//! The server over real sockets, asked by hand-written bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use parking_lot::{Condvar, Mutex};

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the sockets' buffers hold.
const BIG_BYTES: usize = 32 << 20;

/// A gate that holds answers until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock();
        while !*open {
            self.changed.wait(&mut open);
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }

    fn await_waiting(&self, count: usize) {
        let start = Instant::now();
        while self.waiting.load(Ordering::SeqCst) < count {
            assert!(start.elapsed() < PATIENCE, "no {count} answers under way");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// `/held`: a dump held by the gate; `/slow`: light, held by the gate; `/wait`: waits an hour or until the stop;
/// `/big`: a dump of [`BIG_BYTES`]; `/panic`; anything else answers its own path.
#[derive(Default)]
struct Fixture {
    gate: Gate,
    waits_cut: AtomicUsize,
}

impl Routes for Fixture {
    fn class(&self, request: &Request) -> Class {
        match request.target.path.as_str() {
            "/healthz" => Class::Probe,
            "/held" | "/big" => Class::Dump,
            "/wait" => Class::Wait(Duration::from_secs(300)),
            "/too-long" => Class::Wait(Duration::from_secs(86_400)),
            _ => Class::Light,
        }
    }

    fn answer(&self, request: &Request, stop: &Stop) -> Response {
        match request.target.path.as_str() {
            "/held" | "/slow" => self.gate.pass(),
            "/wait" => {
                self.gate.waiting.fetch_add(1, Ordering::SeqCst);
                if !stop.wait(Duration::from_secs(300)) {
                    self.waits_cut.fetch_add(1, Ordering::SeqCst);
                }
            }
            "/big" => return Response::ok("application/octet-stream", vec![b'x'; BIG_BYTES - 1000]),
            "/panic" => panic!("a panic in an answer, on purpose"),
            _ => {}
        }
        Response::ok(response::TEXT, request.target.path.clone())
    }
}

struct Running {
    server: Server,
    fixture: Arc<Fixture>,
}

fn serve(change: impl FnOnce(&mut ServerConfig)) -> Running {
    let mut config = ServerConfig::new("127.0.0.1:0").unwrap();
    change(&mut config);
    let fixture = Arc::new(Fixture::default());
    Running { server: Server::start(config, fixture.clone()).unwrap(), fixture }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream
    }

    /// The whole answer to bytes after which the server closes.
    fn exchange(&self, bytes: &str) -> String {
        rest(&mut self.send(bytes))
    }

    fn get(&self, path: &str) -> String {
        self.exchange(&get(path, "Connection: close\r\n"))
    }
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

fn rest(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    String::from_utf8_lossy(&out).into_owned()
}

/// One answer off a connection that stays open.
fn one(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let mut byte = [0];
    while !out.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed after {:?}", String::from_utf8_lossy(&out));
        out.push(byte[0]);
    }
    let head = String::from_utf8(out).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8_lossy(&body)
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn a_connection_serves_many_requests_in_order() {
    let running = serve(|_| {});
    let mut stream = running.connect();
    for i in 0..3 {
        stream.write_all(get(&format!("/{i}"), "").as_bytes()).unwrap();
        assert!(one(&mut stream).ends_with(&format!("\r\n\r\n/{i}")));
    }
    let pipelined: String = (0..50).map(|i| get(&format!("/p{i}"), "")).collect();
    stream.write_all(pipelined.as_bytes()).unwrap();
    for i in 0..50 {
        assert!(one(&mut stream).ends_with(&format!("\r\n\r\n/p{i}")));
    }
    stream.write_all(get("/last", "Connection: close\r\n").as_bytes()).unwrap();
    assert!(rest(&mut stream).ends_with("/last"));
}

#[test]
fn pipelined_refusals_are_answered_in_order_too() {
    let running = serve(|config| config.token = Some(Token::new("t").unwrap()));
    let mut stream = running.connect();
    let refused: String = (0..500).map(|_| get("/x", "")).collect();
    let last = get("/end", "Authorization: Bearer t\r\nConnection: close\r\n");
    stream.write_all((refused + &last).as_bytes()).unwrap();
    let answers = rest(&mut stream);
    assert_eq!(answers.matches("HTTP/1.1 401 ").count(), 500);
    assert!(answers.ends_with("/end"));
}

#[test]
fn a_client_that_ends_its_direction_still_gets_its_answers() {
    let running = serve(|_| {});
    let mut stream = running.send(&(get("/a", "") + &get("/b", "")));
    stream.shutdown(Shutdown::Write).unwrap();
    let answers = rest(&mut stream);
    assert!(answers.contains("\r\n\r\n/aHTTP/1.1 200 ") && answers.ends_with("/b"), "{answers}");
}

#[test]
fn http_1_0_closes_and_head_has_no_body() {
    let running = serve(|_| {});
    assert!(running.exchange("GET /old HTTP/1.0\r\n\r\n").ends_with("Connection: close\r\n\r\n/old"));
    let head = running.exchange("HEAD /head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_no_request_is_refused_and_closed() {
    let running = serve(|_| {});
    let big_header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(200_000));
    for (bytes, want) in [
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /debug/../metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        ("GET //metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}hello", 400),
        (&big_header, 431),
        (&format!("GET /{} HTTP/1.1\r\n", "z".repeat(100_000)), 414),
    ] {
        let answer = running.exchange(bytes);
        assert_eq!(status(&answer), want, "{:.40} got {answer}", bytes);
    }
    let post = running.exchange("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(post.contains("Allow: GET, HEAD\r\n"));
}

#[test]
fn the_token_guards_all_but_the_probe() {
    let running = serve(|config| config.token = Some(Token::new("s3cret").unwrap()));
    let with = |path: &str, header: &str| running.exchange(&get(path, &format!("{header}Connection: close\r\n")));
    let refused = with("/metrics", "");
    assert!(status(&refused) == 401 && refused.contains("WWW-Authenticate: Bearer\r\n"));
    assert_eq!(status(&with("/metrics", "Authorization: Bearer wrong\r\n")), 401);
    assert_eq!(status(&with("/../x", "")), 401, "a stranger learns no paths");
    assert_eq!(status(&with("/metrics?token=s3cret", "")), 401);
    assert_eq!(status(&with("/metrics", "Authorization: Bearer s3cret\r\n")), 200);
    assert_eq!(status(&with("/healthz", "")), 200);
}

#[test]
fn a_slow_loris_is_told_and_closed_however_it_drips() {
    let running = serve(|config| config.read_timeout = Duration::from_millis(300));
    let mut stream = running.connect();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (start, mut answer) = (Instant::now(), Vec::new());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    while start.elapsed() < PATIENCE {
        let mut chunk = [0; 512];
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&chunk[..n]),
            // The next drop; once the server has answered, it may find the connection gone.
            Err(_) => drop(stream.write_all(b"X: y\r\n")),
        }
    }
    assert!(start.elapsed() < PATIENCE, "the drops kept it open");
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let running = serve(|config| config.idle_timeout = Duration::from_millis(100));
    assert_eq!(running.exchange(""), "");
    assert!(running.exchange(&get("/x", "")).ends_with("/x"));
}

#[test]
fn a_thousand_idle_connections_leave_room() {
    let running = serve(|_| {});
    let idle: Vec<TcpStream> = (0..1000).map(|_| running.connect()).collect();
    assert_eq!(status(&running.get("/healthz")), 200);
    assert_eq!(status(&running.get("/metrics")), 200);
    // The youngest have not been closed to make room.
    let mut young = idle.last().unwrap();
    young.write_all(get("/young", "Connection: close\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    young.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("/young"));
}

#[test]
fn busy_connections_are_not_closed_to_make_room() {
    let running = serve(|config| config.connections_bound = 2);
    let mut held: Vec<_> = (0..2).map(|_| running.send(&get("/slow", "Connection: close\r\n"))).collect();
    running.fixture.gate.await_waiting(2);
    // The refusal may be lost with the connection; what matters is that it is not served.
    let mut refused = running.connect();
    let mut answer = Vec::new();
    let _ = refused.read_to_end(&mut answer);
    assert!(matches!(status(&String::from_utf8_lossy(&answer)), 503 | 0));
    running.fixture.gate.open();
    held.iter_mut().for_each(|stream| assert!(rest(stream).ends_with("/slow")));
}

#[test]
fn dumps_are_limited_and_hold_nobody_else_up() {
    let running = serve(|_| {});
    let mut held: Vec<_> = (0..2).map(|_| running.send(&get("/held", "Connection: close\r\n"))).collect();
    running.fixture.gate.await_waiting(2);
    let third = running.get("/held");
    assert!(status(&third) == 429 && third.contains("Retry-After: 1\r\n"), "{third}");
    assert_eq!(status(&running.get("/metrics")), 200);
    running.fixture.gate.open();
    held.iter_mut().for_each(|stream| assert!(rest(stream).ends_with("/held")));
    assert_eq!(status(&running.get("/held")), 200, "the slots are free again");
}

#[test]
fn a_dump_that_nobody_reads_keeps_its_slot_until_its_time_is_over() {
    let running = serve(|config| {
        config.dumps_bound = 1;
        config.write_timeout = Duration::from_millis(500);
        config.slowest_bytes_per_second = 1 << 30;
    });
    let mut unread = running.send(&get("/big", ""));
    unread.read_exact(&mut [0; 100]).unwrap();
    running.fixture.gate.open();
    assert_eq!(status(&running.get("/held")), 429);
    let start = Instant::now();
    while status(&running.get("/held")) != 200 {
        assert!(start.elapsed() < PATIENCE, "the slot is lost");
        std::thread::sleep(Duration::from_millis(20));
    }
    let got = rest(&mut unread).len();
    assert!(got < BIG_BYTES, "it was closed in the middle, not written in full: {got}");
}

#[test]
fn answers_that_slow_readers_leave_lying_are_bounded() {
    let running = serve(|config| {
        config.answer_bound_bytes = BIG_BYTES;
        config.unwritten_bound_bytes = BIG_BYTES + BIG_BYTES / 4;
    });
    let mut unread = running.send(&get("/big", "Connection: close\r\n"));
    unread.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(status(&running.get("/big")), 503);
    assert_eq!(status(&running.get("/small")), 200);
    assert!(rest(&mut unread).len() > BIG_BYTES - 1000, "the first is not harmed");
    assert_eq!(status(&running.get("/big")), 200);
}

#[test]
fn slow_scrapes_do_not_hold_up_the_probe() {
    let running = serve(|_| {});
    let held: Vec<_> = (0..200).map(|_| running.send(&get("/slow", ""))).collect();
    running.fixture.gate.await_waiting(2);
    assert_eq!(status(&running.get("/healthz")), 200);
    running.fixture.gate.open();
    for mut stream in held {
        assert!(one(&mut stream).ends_with("/slow"));
    }
}

#[test]
fn waits_have_slots_of_their_own_and_end_with_the_server() {
    let running = serve(|_| {});
    let mut waits: Vec<_> = (0..4).map(|_| running.send(&get("/wait", "Connection: close\r\n"))).collect();
    running.fixture.gate.await_waiting(4);
    assert_eq!(status(&running.get("/wait")), 429);
    assert_eq!(status(&running.get("/too-long")), 400);
    running.fixture.gate.open();
    assert_eq!(status(&running.get("/held")), 200, "dumps go on");
    let (fixture, start) = (running.fixture.clone(), Instant::now());
    running.server.stop();
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(fixture.waits_cut.load(Ordering::SeqCst), 4);
    waits.iter_mut().for_each(|stream| assert!(rest(stream).ends_with("/wait"), "answers under way are finished"));
    drop(running.fixture);
    // The threads of the waits end a moment after their answers.
    while Arc::strong_count(&fixture) > 1 {
        assert!(start.elapsed() < 2 * PATIENCE, "a thread keeps the routes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let running = serve(|config| config.answer_timeout = Duration::from_millis(200));
    let mut stream = running.send(&get("/slow", ""));
    assert_eq!(status(&rest(&mut stream)), 503);
    running.fixture.gate.open();
    assert!(running.get("/after").ends_with("/after"));
}

#[test]
fn a_large_answer_arrives_whole() {
    let running = serve(|_| {});
    let whole = running.exchange(&get("/big", "Connection: close\r\n"));
    assert_eq!(whole.len() - whole.find("\r\n\r\n").unwrap() - 4, BIG_BYTES - 1000);
}

#[test]
fn an_answer_beyond_the_bound_is_an_error() {
    let running = serve(|config| config.answer_bound_bytes = 1 << 20);
    assert_eq!(status(&running.get("/big")), 500);
}

#[test]
fn a_panic_is_an_error_and_the_worker_lives_on() {
    let running = serve(|_| {});
    for _ in 0..4 {
        assert_eq!(status(&running.get("/panic")), 500);
    }
    assert_eq!(status(&running.get("/x")), 200);
}

#[test]
fn text_is_compressed_when_the_client_takes_it() {
    struct Long;
    impl Routes for Long {
        fn class(&self, _: &Request) -> Class {
            Class::Light
        }
        fn answer(&self, _: &Request, _: &Stop) -> Response {
            Response::ok(response::TEXT, "metric 1\n".repeat(10_000))
        }
    }
    let server = Server::start(ServerConfig::new(":0").unwrap(), Arc::new(Long)).unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(get("/", "Accept-Encoding: gzip\r\nConnection: close\r\n").as_bytes()).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    let split = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&out[split..]).read_to_string(&mut plain).unwrap();
    assert_eq!(plain.len(), 90_000);
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let running = serve(|_| {});
    let taken = running.server.address();
    let error = Server::start(ServerConfig::at(taken), running.fixture.clone()).err().unwrap();
    assert!(error.is_config());
    let text = error.to_string();
    assert!(text.contains(&taken.to_string()) && text.contains("choose another"), "{text}");
}

#[test]
fn a_stopped_server_frees_its_port_and_every_thread_was_announced() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    fn announce() {
        STARTED.fetch_add(1, Ordering::SeqCst);
    }
    let running = serve(|config| config.on_thread_start = announce);
    assert_eq!(status(&running.get("/x")), 200);
    assert_eq!(status(&running.get("/healthz")), 200);
    let mut kept = running.send(&get("/kept", ""));
    assert!(one(&mut kept).ends_with("/kept"));
    let address = running.server.address();
    running.server.stop();
    assert_eq!(rest(&mut kept), "", "idle connections are closed");
    assert!(TcpStream::connect(address).is_err());
    assert!(Server::start(ServerConfig::at(address), running.fixture).is_ok());
    assert_eq!(STARTED.load(Ordering::SeqCst), 3, "server, light worker, probe worker");
}

#[test]
fn a_forked_child_leaves_the_server_to_its_parent() {
    let mut running = serve(|_| {});
    let address = running.server.address();
    running.server.pid ^= 1;
    drop(running);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(get("/still", "Connection: close\r\n").as_bytes()).unwrap();
    assert!(rest(&mut stream).ends_with("/still"));
}

#[test]
fn exposure_is_warned_of_by_name() {
    let text = exposed_warning("0.0.0.0:8001".parse().unwrap());
    assert!(text.contains("0.0.0.0:8001") && text.contains("token"));
}
