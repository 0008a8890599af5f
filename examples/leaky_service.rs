//! A shop that leaks: an axum service under load from itself, watched by heapwatch.
//!
//! `cargo run --release --features http,axum --example leaky_service -- --seconds 60`
//!
//! Three things happen to memory. `/checkout` keeps every abandoned cart for ever: the leak. `/product/{id}` renders pages into a
//! cache that fills up to its cap and then evicts: growth that ends. `/search` allocates and frees: churn. At the end the report says
//! which of them it was. `--leak off` expires the carts; then there must be no leak in the report.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use heapwatch::tower::MemoryLayer;
use heapwatch::{HeapWatch, Watch};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static HEAP: HeapWatch = HeapWatch::system();

/// How the example runs.
#[derive(Clone)]
struct Options {
    seconds: u64,
    leak: bool,
    leak_bytes_per_second: u64,
    serve: String,
    interval_bytes: u64,
}

impl Options {
    const USAGE: &str = "leaky_service [--seconds N] [--leak on|off] [--leak-rate BYTES_PER_SECOND] [--serve HOST:PORT] [--interval BYTES]";

    fn from_args() -> Result<Options, String> {
        let mut options = Options {
            seconds: 30,
            leak: true,
            leak_bytes_per_second: 1_000_000,
            serve: "127.0.0.1:8001".into(),
            interval_bytes: 64 * 1024,
        };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            let value = args.next().ok_or(format!("{name} needs a value\n{}", Options::USAGE))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: `{value}` is no number"));
            match name.as_str() {
                "--seconds" => options.seconds = number()?,
                "--leak-rate" => options.leak_bytes_per_second = number()?.max(1),
                "--interval" => options.interval_bytes = number()?,
                "--serve" => options.serve = value,
                "--leak" => options.leak = value != "off",
                _ => return Err(format!("{name} is not known\n{}", Options::USAGE)),
            }
        }
        Ok(options)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Cart {
    customer: String,
    items: Vec<Item>,
}

/// Carts that were not paid for, by order number. Nothing ever takes them out again, unless they expire.
struct AbandonedCarts {
    carts: Mutex<HashMap<u64, Cart>>,
    next: AtomicU64,
    expire: bool,
}

/// How many carts are kept when they expire.
const CARTS_KEPT: u64 = 2_000;

impl AbandonedCarts {
    fn remember(&self, cart: Cart) -> u64 {
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let mut carts = self.carts.lock().unwrap();
        carts.insert(order, keep_for_reminder(&cart));
        if self.expire {
            carts.remove(&order.wrapping_sub(CARTS_KEPT));
        }
        order
    }
}

/// The copy that a reminder mail would be made of.
#[inline(never)]
fn keep_for_reminder(cart: &Cart) -> Cart {
    cart.clone()
}

/// Rendered pages, the oldest of which makes room.
struct PageCache {
    pages: HashMap<u32, Arc<String>>,
    order: VecDeque<u32>,
    cap: usize,
}

impl PageCache {
    fn get_or_render(&mut self, id: u32) -> Arc<String> {
        if let Some(page) = self.pages.get(&id) {
            return page.clone();
        }
        let page = Arc::new(render_page(id));
        self.pages.insert(id, page.clone());
        self.order.push_back(id);
        if self.order.len() > self.cap
            && let Some(oldest) = self.order.pop_front()
        {
            self.pages.remove(&oldest);
        }
        page
    }
}

fn render_page(id: u32) -> String {
    let mut page = String::with_capacity(4096);
    for line in 0..64 {
        page.push_str(&format!("<p>product {id}, paragraph {line}, with some text</p>\n"));
    }
    page
}

#[derive(Clone)]
struct Shop {
    abandoned: Arc<AbandonedCarts>,
    cache: Arc<Mutex<PageCache>>,
}

async fn checkout(State(shop): State<Shop>, Json(cart): Json<Cart>) -> String {
    shop.abandoned.remember(cart).to_string()
}

async fn product(State(shop): State<Shop>, Path(id): Path<u32>) -> String {
    shop.cache.lock().unwrap().get_or_render(id).to_string()
}

async fn search(Query(query): Query<HashMap<String, String>>) -> Json<Vec<Item>> {
    let words = query.get("q").cloned().unwrap_or_default();
    Json((0..50).map(|i| Item { sku: format!("{words}-{i:08}"), quantity: i }).collect())
}

fn router(options: &Options) -> Router {
    let carts = AbandonedCarts { carts: Mutex::default(), next: AtomicU64::new(0), expire: !options.leak };
    let cache = PageCache { pages: HashMap::new(), order: VecDeque::new(), cap: 1_500 };
    let shop = Shop { abandoned: Arc::new(carts), cache: Arc::new(Mutex::new(cache)) };
    Router::new()
        .route("/checkout", post(checkout))
        .route("/product/{id}", get(product))
        .route("/search", get(search))
        .with_state(shop)
        .layer(MemoryLayer::new().component("shop"))
}

/// One keep-alive client: sends requests of all three kinds until the time is over.
async fn client(address: std::net::SocketAddr, end: Instant, pause: Duration, number: u32) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    let mut ticker = tokio::time::interval(pause);
    let mut answered = 0;
    let mut buffer = vec![0u8; 64 * 1024];
    while Instant::now() < end {
        ticker.tick().await;
        let id = number.wrapping_mul(7919).wrapping_add(answered as u32 * 31) % 4_000;
        for request in [cart_request(id), get_request(&format!("/product/{id}")), get_request("/search?q=tea")] {
            stream.write_all(request.as_bytes()).await?;
            read_answer(&mut stream, &mut buffer).await?;
            answered += 1;
        }
    }
    Ok(answered)
}

fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n")
}

/// About one kilobyte once it is parsed.
fn cart_request(id: u32) -> String {
    let items = (0..12).map(|i| Item { sku: format!("article-{id:06}-{i:02}-{:030}", i), quantity: i }).collect();
    let body = serde_json::to_string(&Cart { customer: format!("customer-{id:08}@example.com"), items });
    let body = body.unwrap_or_default();
    let head = "POST /checkout HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{body}", body.len())
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
    let mut have = 0;
    loop {
        let n = stream.read(&mut buffer[have..]).await?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        have += n;
        let Some(head) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        let length = text.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if have >= head + 4 + length.unwrap_or(0) {
            return Ok(());
        }
    }
}

/// Stands for a collected runtime that a service may embed: it reports its collections.
async fn scripting_engine() {
    for collection in 0u64.. {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let generation = u32::from(collection % 8 == 7);
        heapwatch::gc::record(generation, Duration::from_micros(300 + 900 * (collection % 8)));
    }
}

const CLIENTS: u32 = 8;
/// What one kept cart takes, roughly; sets the pace of the clients.
const CART_BYTES: u64 = 1_250;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = match Options::from_args() {
        Ok(options) => options,
        Err(usage) => {
            eprintln!("{usage}");
            std::process::exit(2);
        }
    };
    let watch = Watch::builder()
        .service("leaky_service")
        .version(env!("CARGO_PKG_VERSION"))
        .sample_interval_bytes(options.interval_bytes)
        .serve(&options.serve)
        .start()?;
    if let Some(address) = watch.address() {
        println!("endpoints: http://{address}/ (metrics, leaks, profiles)");
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, router(&options)).into_future());

    tokio::spawn(scripting_engine());
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let carts_per_second = options.leak_bytes_per_second as f64 / CART_BYTES as f64;
    let pause = Duration::from_secs_f64(f64::from(CLIENTS) / carts_per_second);
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(client(address, end, pause, n))).collect();
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(5).min(end - Instant::now())).await;
        let report = tokio::task::block_in_place(|| watch.report());
        println!("{:>4.0} s  {}", report.process.uptime_s, report.verdict.summary);
    }
    let mut answered = 0;
    for client in clients {
        answered += client.await??;
    }
    println!("{answered} requests answered\n");
    println!("{}", tokio::task::block_in_place(|| watch.stop()).to_text());
    Ok(())
}
