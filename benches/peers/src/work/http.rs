//! A JSON service under its own load.

use std::net::SocketAddr;

use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::Kept;
use crate::clock::Stopwatch;

/// Threads of the service, connections that ask it, and requests on each before time is taken.
const THREADS: usize = 2;
const CONNECTIONS: u64 = 8;
const WARM_UP: u64 = 5;

#[derive(Deserialize)]
struct Order {
    customer: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: u64,
    cents: u64,
}

#[derive(Serialize)]
struct Invoice {
    customer: String,
    lines: Vec<InvoiceLine>,
    total: String,
}

#[derive(Serialize)]
struct InvoiceLine {
    text: String,
    cents: u64,
}

async fn invoice(Json(order): Json<Order>) -> Json<Invoice> {
    let line = |l: &Line| InvoiceLine { text: format!("{} × {}", l.quantity, l.sku), cents: l.quantity * l.cents };
    let lines: Vec<InvoiceLine> = order.lines.iter().map(line).collect();
    let total: u64 = lines.iter().map(|l| l.cents).sum();
    Json(Invoice { customer: order.customer, total: format!("{}.{:02} EUR", total / 100, total % 100), lines })
}

fn request() -> Vec<u8> {
    let line = |n: u64| format!(r#"{{"sku":"A-{n:06}","quantity":{},"cents":{}}}"#, n % 5 + 1, 199 + n);
    let lines: Vec<String> = (0..10).map(line).collect();
    let body = format!(r#"{{"customer":"Ada Lovelace","lines":[{}]}}"#, lines.join(","));
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    format!("POST /invoice HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}").into_bytes()
}

/// A client whose buffers are made beforehand: what is measured is the service.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Client {
    /// Asks once, to learn how long the answer is: it is the same each time.
    async fn connect(address: SocketAddr) -> Client {
        let mut stream = TcpStream::connect(address).await.expect("the service listens");
        stream.set_nodelay(true).expect("a socket takes the option");
        let request = request();
        stream.write_all(&request).await.expect("the service reads");
        let mut response = vec![0; 64 << 10];
        let mut len = 0;
        while !response[..len].ends_with(b"}") {
            let read = stream.read(&mut response[len..]).await.expect("the service answers");
            assert!(read > 0, "the service closed the connection");
            len += read;
        }
        assert!(response.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&response[..len]));
        response.truncate(len);
        Client { stream, request, response }
    }

    async fn ask(mut self, times: u64) -> Client {
        for _ in 0..times {
            self.stream.write_all(&self.request).await.expect("the service reads");
            self.stream.read_exact(&mut self.response).await.expect("the service answers");
        }
        self
    }
}

/// All clients at once, each `times`.
fn load(runtime: &Runtime, clients: Vec<Client>, times: u64) -> Vec<Client> {
    runtime.block_on(async {
        let tasks: Vec<_> = clients.into_iter().map(|c| tokio::spawn(c.ask(times))).collect();
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await.expect("a client does not fail"));
        }
        done
    })
}

/// Ask an axum service that reads an order and answers an invoice, both JSON.
pub fn http(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let runtime =
        Builder::new_multi_thread().worker_threads(THREADS).enable_all().build().expect("a runtime can be made");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a loopback port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let service = Router::new().route("/invoice", post(invoice));
    runtime.spawn(async move { axum::serve(listener, service).await });
    let clients = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::connect(address).await);
        }
        clients
    });
    let clients = load(&runtime, clients, WARM_UP);
    let each = amount.div_ceil(CONNECTIONS);
    stopwatch.time(each * CONNECTIONS, || load(&runtime, clients, each));
    Box::new(runtime)
}
