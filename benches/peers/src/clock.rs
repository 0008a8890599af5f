//! Wall time and CPU time of a stretch of work.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Which of the times a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// CPU time of all threads: recorders pay in threads of their own too.
    Process,
    /// CPU time of the thread that did the work.
    Thread,
    /// What a stopwatch shows. The only one that sees threads wait for each other.
    Wall,
}

/// Nanoseconds by each clock, for `units` of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    pub units: u64,
    pub process_ns: u64,
    pub thread_ns: u64,
    pub wall_ns: u64,
}

impl Spent {
    /// Nanoseconds for one unit.
    pub fn per_unit_ns(&self, clock: Clock) -> f64 {
        let ns = match clock {
            Clock::Process => self.process_ns,
            Clock::Thread => self.thread_ns,
            Clock::Wall => self.wall_ns,
        };
        ns as f64 / self.units as f64
    }
}

/// Sums what it is told to time; what a work does outside (setting up, filling, waiting) is not counted.
#[derive(Debug, Default)]
pub struct Stopwatch {
    spent: Spent,
}

impl Stopwatch {
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Adds the time that `work` takes for `units` of it.
    pub fn time<T>(&mut self, units: u64, work: impl FnOnce() -> T) -> T {
        let (lap, result) = lap(units, work);
        self.spent.units += lap.units;
        self.spent.process_ns += lap.process_ns;
        self.spent.thread_ns += lap.thread_ns;
        self.spent.wall_ns += lap.wall_ns;
        result
    }

    /// Keeps the stretch that took the thread the least, of stretches of the same length.
    pub fn least<T>(&mut self, units: u64, work: impl FnOnce() -> T) -> T {
        let (lap, result) = lap(units, work);
        if self.spent.units == 0 || lap.thread_ns < self.spent.thread_ns {
            self.spent = lap;
        }
        result
    }
}

fn lap<T>(units: u64, work: impl FnOnce() -> T) -> (Spent, T) {
    let wall = now_ns(ClockId::Monotonic);
    let process = now_ns(ClockId::ProcessCPUTime);
    // The thread's clock stands closest to the work: it measures the shortest stretches.
    let thread = now_ns(ClockId::ThreadCPUTime);
    let result = work();
    let thread_ns = now_ns(ClockId::ThreadCPUTime) - thread;
    let process_ns = now_ns(ClockId::ProcessCPUTime) - process;
    let wall_ns = now_ns(ClockId::Monotonic) - wall;
    (Spent { units, process_ns, thread_ns, wall_ns }, result)
}

fn now_ns(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}
