//! The claim of docs/SIZING.md on a small replay: fewer OOM kills than the VPA and than KRR at less memory requested.

#[path = "../examples/sizing_replay/demand.rs"]
mod demand;
#[path = "../examples/sizing_replay/replay.rs"]
mod replay;

use heapwatch::analyze::sizing::Strategy;
use replay::{Contender, MINUTES, replay};

fn total(strategy: Strategy) -> (u64, f64) {
    let contender = Contender { strategy, guaranteed: true, in_process: false };
    let services = demand::SHAPES.iter().flat_map(|&shape| (0..3).map(move |i| (shape, 9000 + i)));
    services
        .map(|(shape, seed)| replay(&demand::service(shape, seed, MINUTES), contender))
        .fold((0, 0.0), |(kills, request), o| (kills + o.kills, request + o.request))
}

#[test]
fn fewer_kills_at_less_memory() {
    let (ours, vpa, krr) = (total(Strategy::Ours), total(Strategy::Vpa), total(Strategy::Krr));
    assert!(ours.0 < vpa.0 && ours.0 <= krr.0, "kills: ours {}, VPA {}, KRR {}", ours.0, vpa.0, krr.0);
    assert!(ours.1 < vpa.1 && ours.1 < krr.1, "requested: ours {}, VPA {}, KRR {}", ours.1, vpa.1, krr.1);
}
