//! What every program does beside its own business: allocate and free some 20 MB/s, with lives from nothing to seconds.

use std::collections::VecDeque;

use crate::Run;

pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub fn churn(run: &Run) {
    let mut dice = Dice(1);
    let mut in_flight: VecDeque<Vec<u8>> = VecDeque::new();
    let mut sessions: Vec<Vec<u8>> = Vec::new();
    run.requests(4_000.0, |_| {
        in_flight.push_back(handle(&mut dice));
        if in_flight.len() > 200 {
            in_flight.pop_front();
        }
        // A random one of 400 goes: lives are exponential with a mean of some seconds.
        if dice.below(40) == 0 {
            sessions.push(open_session(&mut dice));
            if sessions.len() > 400 {
                let gone = dice.below(400) as usize;
                sessions.swap_remove(gone);
            }
        }
    });
}

#[inline(never)]
fn handle(dice: &mut Dice) -> Vec<u8> {
    vec![1; 64 + dice.below(10_000) as usize]
}

#[inline(never)]
fn open_session(dice: &mut Dice) -> Vec<u8> {
    vec![2; 512 + dice.below(4_000) as usize]
}
