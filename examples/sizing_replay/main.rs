//! Replays a month of generated services under what each strategy recommends, and prints the table of docs/SIZING.md:
//! OOM kills against memory requested.
//!
//! `cargo run --release --example sizing_replay [services-per-shape] [seed]`

mod demand;
mod replay;

use demand::{SHAPES, Shape};
use heapwatch::analyze::sizing::Strategy;
use replay::{Contender, MINUTES, Outcome};

const CONTENDERS: [(&str, Contender); 5] = [
    ("VPA", Contender { strategy: Strategy::Vpa, guaranteed: true, in_process: false }),
    ("KRR", Contender { strategy: Strategy::Krr, guaranteed: true, in_process: false }),
    ("ours, request = limit", Contender { strategy: Strategy::Ours, guaranteed: true, in_process: false }),
    ("ours", Contender { strategy: Strategy::Ours, guaranteed: false, in_process: false }),
    ("ours, in the process", Contender { strategy: Strategy::Ours, guaranteed: false, in_process: true }),
];

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().expect("numbers: services-per-shape, seed"));
    let per_shape = args.next().unwrap_or(12);
    let seed = args.next().unwrap_or(1);
    let mut table: Vec<(Shape, [Outcome; CONTENDERS.len()])> = Vec::new();
    for shape in SHAPES {
        let mut sums = [Outcome::default(); CONTENDERS.len()];
        for i in 0..per_shape {
            let service = demand::service(shape, seed * 1000 + i, MINUTES);
            for (sum, (_, contender)) in sums.iter_mut().zip(CONTENDERS) {
                add(sum, replay::replay(&service, contender));
            }
        }
        table.push((shape, sums));
    }
    print(&table);
}

fn add(sum: &mut Outcome, one: Outcome) {
    sum.kills += one.kills;
    sum.request += one.request;
    sum.limit += one.limit;
}

fn print(table: &[(Shape, [Outcome; CONTENDERS.len()])]) {
    print!("| shape |");
    CONTENDERS.iter().for_each(|(name, _)| print!(" {name} |"));
    println!("\n|---|{}", "---|".repeat(CONTENDERS.len()));
    let mut total = [Outcome::default(); CONTENDERS.len()];
    for (shape, outcomes) in table {
        row(&format!("{shape:?}"), outcomes);
        total.iter_mut().zip(outcomes).for_each(|(t, o)| add(t, *o));
    }
    row("all", &total);
}

fn row(name: &str, outcomes: &[Outcome]) {
    print!("| {name} |");
    for o in outcomes {
        print!(" {} kills, {:.1} / {:.1} GiB |", o.kills, o.request / GIB, o.limit / GIB);
    }
    println!();
}
