//! The end of the server, which every waiting thread hears at once.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Set once, when the server stops.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Wakes everybody who waits.
    pub fn set(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Whether the server stops.
    pub fn is_set(&self) -> bool {
        *self.stopped.lock()
    }

    /// Waits that long, or less when the server stops. Whether the time has passed in full.
    pub fn wait(&self, time: Duration) -> bool {
        let Some(end) = Instant::now().checked_add(time) else { return false };
        let mut stopped = self.stopped.lock();
        while !*stopped {
            if self.changed.wait_until(&mut stopped, end).timed_out() {
                return !*stopped;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_its_time_or_with_the_server() {
        let stop = std::sync::Arc::new(Stop::default());
        assert!(stop.wait(Duration::from_millis(1)));
        let waiter = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait(Duration::from_secs(3600))
        });
        stop.set();
        assert!(!waiter.join().unwrap() && stop.is_set() && !stop.wait(Duration::from_secs(3600)));
    }
}
