//! The few system calls that no safe wrapper offers: page size, clock tick, CPU time of the calling thread, a file as memory.

use std::fs::File;
use std::io;
use std::time::Duration;

use memmap2::Mmap;

/// Bytes in a page.
pub fn page_bytes() -> u64 {
    // SAFETY: `sysconf` reads no memory of ours; any name is allowed and an unknown one answers -1.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(answer).ok().filter(|&n| n > 0).unwrap_or(4096)
}

/// Clock ticks in a second, the unit of the times in `/proc/self/stat`.
pub fn ticks_per_second() -> f64 {
    // SAFETY: `sysconf` reads no memory of ours; any name is allowed and an unknown one answers -1.
    let answer = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if answer > 0 { answer as f64 } else { 100.0 }
}

/// CPU time the calling thread has used since it began: what the collector costs is the difference of two readings.
/// `None` where the system has no such clock.
pub fn thread_cpu_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live, writable timespec, and the call writes nothing else.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if failed != 0 {
        return None;
    }
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

/// Maps a binary or debug file for reading. Its pages are the kernel's to drop and are no heap of ours.
pub fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only, and readers take every byte as untrusted. Binaries are replaced by
    // renaming (the kernel refuses writes to a running one), so the pages stay; a reader checks the length before it reads.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_uses_time_and_a_sleeping_one_does_not() {
        let start = thread_cpu_time().unwrap();
        let mut x = 1u64;
        while thread_cpu_time().unwrap() - start < Duration::from_millis(5) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let slept = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            thread_cpu_time().unwrap()
        });
        assert!(slept.join().unwrap() < Duration::from_millis(40));
    }

    #[test]
    fn units_are_sane() {
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
        assert!(ticks_per_second() >= 1.0);
    }
}
