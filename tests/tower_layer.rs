//! The tower layer in a real axum service: bytes by matched route, exact, bounded labels, cancelled and streamed answers counted.
//! One test, as the counters are the process's.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use heapwatch::snapshot::ScopeUsage;
use heapwatch::tower::{MemoryLayer, UNMATCHED};
use heapwatch::{HeapWatch, Watch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

async fn keep() -> &'static str {
    // Across an await, so that the poll that frees is not the one that allocates.
    let scratch = vec![1u8; 50_000];
    tokio::time::sleep(Duration::from_millis(1)).await;
    KEPT.lock().unwrap().push(vec![2u8; 10_000]);
    drop(scratch);
    "kept"
}

async fn stream() -> Body {
    let parts = (0..20).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; 1_000])));
    Body::from_stream(tokio_stream(parts))
}

/// An iterator as a stream, a part a poll.
fn tokio_stream<T>(parts: impl Iterator<Item = T> + Unpin) -> impl futures_core::Stream<Item = T> {
    struct Parts<I>(I);
    impl<I: Iterator + Unpin> futures_core::Stream for Parts<I> {
        type Item = I::Item;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<I::Item>> {
            std::task::Poll::Ready(self.0.next())
        }
    }
    Parts(parts)
}

async fn never() -> &'static str {
    let _held = vec![3u8; 30_000];
    std::future::pending::<()>().await;
    "never"
}

async fn ask(address: std::net::SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn of<'a>(scopes: &'a [ScopeUsage], endpoint: &str) -> &'a ScopeUsage {
    scopes.iter().find(|s| s.scope.endpoint.as_deref() == Some(endpoint)).expect(endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_are_measured_by_route() {
    let watch = Watch::builder().service("tower").sample_interval_bytes(4096).start().unwrap();
    let app = Router::new()
        .route("/keep/{id}", get(keep))
        .route("/stream", get(stream))
        .route("/never", get(never))
        .fallback(|| async { "nothing here" })
        .layer(MemoryLayer::new().component("shop"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());

    for id in 0..200 {
        assert!(ask(address, &format!("/keep/{id}?q={id}")).await.unwrap().ends_with(b"kept"));
    }
    let streamed = ask(address, "/stream").await.unwrap();
    assert!(streamed.len() > 20_000);
    for path in 0..50 {
        ask(address, &format!("/no/such/path/{path}")).await.unwrap();
    }
    let hanging = tokio::time::timeout(Duration::from_millis(300), ask(address, "/never")).await;
    assert!(hanging.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;

    let snapshot = tokio::task::spawn_blocking(move || watch.snapshot()).await.unwrap();
    let scopes = &snapshot.scopes;
    let keep = of(scopes, "/keep/{id}");
    assert_eq!(keep.entries, 200);
    assert_eq!(keep.scope.component.as_deref(), Some("shop"));
    let net = keep.request_net_bytes.as_ref().unwrap();
    let gross = keep.request_allocated_bytes.as_ref().unwrap();
    assert_eq!((net.count, gross.count), (200, 200));
    let net = net.sum / 200.0;
    assert!((9_000.0..14_000.0).contains(&net), "each request keeps 10,000 bytes: {net}");
    assert!(gross.sum / 200.0 > 60_000.0, "and allocates 60,000: {}", gross.sum / 200.0);
    let retained = keep.usage.live_bytes;
    assert!((retained.value - 2e6).abs() < 3.0 * retained.error95(), "{} ± {}", retained.value, retained.error95());

    assert_eq!(of(scopes, "/stream").entries, 1);
    assert!(of(scopes, "/stream").allocated_bytes >= 20_000, "the body counts until it ends");
    assert_eq!(of(scopes, "/never").request_net_bytes.as_ref().unwrap().count, 1, "a cancelled request counts");
    assert!(of(scopes, UNMATCHED).entries >= 50);
    assert!(!scopes.iter().any(|s| s.scope.endpoint.as_deref().is_some_and(|e| e.contains("/no/such"))));
}
