//! What services do with memory: maps that churn, documents that come and go.

use std::collections::HashMap;
use std::hint::black_box;

use serde_json::{Value, json};

use super::Kept;
use crate::clock::Stopwatch;
use crate::dice::Dice;

/// Entries that live in the map.
const ENTRIES: u64 = 10_000;

/// Insert into a map and remove its oldest entry, with text as keys and bytes as values.
pub fn hash_map(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let mut dice = Dice::new(3);
    let mut map: HashMap<String, Vec<u8>> = HashMap::new();
    let mut change = |number: u64| {
        map.insert(format!("session-{number}"), vec![1; 16 + dice.below(240)]);
        if let Some(old) = number.checked_sub(ENTRIES) {
            black_box(map.remove(&format!("session-{old}")));
        }
    };
    (0..ENTRIES).for_each(&mut change);
    stopwatch.time(amount, || (ENTRIES..ENTRIES + amount).for_each(&mut change));
    Box::new(())
}

/// A document as an order service has it.
fn document() -> String {
    let line = |n: usize| {
        json!({
            "sku": format!("A-{n:06}"), "title": format!("Thing number {n}"), "quantity": n % 7 + 1,
            "price": { "amount": 1999 + n, "currency": "EUR" }, "tags": ["new", "small", "gift"],
        })
    };
    let lines: Vec<Value> = (0..12).map(line).collect();
    json!({ "order": "2f9c-11", "customer": { "name": "Ada", "mail": "ada@example.com" }, "lines": lines }).to_string()
}

/// Parse a document of an order, print it again.
pub fn json(amount: u64, stopwatch: &mut Stopwatch) -> Kept {
    let text = document();
    stopwatch.time(amount, || {
        for _ in 0..amount {
            let value: Value = serde_json::from_str(black_box(&text)).expect("the document is JSON");
            black_box(value.to_string());
        }
    });
    Box::new(())
}
