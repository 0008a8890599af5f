//! What `/proc/self` says of the process's memory: `statm` (cheap), `status` and `stat`, and `smaps_rollup` (dear).
//!
//! `statm` and `status` read counters that each CPU keeps in part, so a process of many threads can see its resident
//! set off by up to some 64 pages a CPU; only `smaps_rollup` walks the page tables, and is as slow as that sounds.

use super::text;
use crate::snapshot::ProcessMemory;

/// `statm`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statm {
    /// Address space.
    pub virtual_bytes: u64,
    /// Resident set.
    pub rss_bytes: u64,
}

/// Reads `/proc/self/statm`.
pub fn statm(content: &[u8], page_bytes: u64) -> Option<Statm> {
    let mut pages = text::words(content).map(text::number);
    let mut next = || pages.next()??.checked_mul(page_bytes);
    Some(Statm { virtual_bytes: next()?, rss_bytes: next()? })
}

/// Takes what `/proc/self/status` has. Figures that are missing there (a kernel without them) stay as they are.
pub fn apply_status(content: &[u8], memory: &mut ProcessMemory) {
    for (name, value) in text::sizes(content) {
        let field = match name {
            b"VmSize" => &mut memory.virtual_bytes,
            b"VmHWM" => &mut memory.peak_rss_bytes,
            b"VmRSS" => &mut memory.rss_bytes,
            b"RssAnon" => &mut memory.anonymous_bytes,
            b"RssFile" => &mut memory.file_bytes,
            b"RssShmem" => &mut memory.shared_bytes,
            b"VmSwap" => &mut memory.swap_bytes,
            b"VmPTE" => &mut memory.page_table_bytes,
            b"VmData" => &mut memory.data_bytes,
            b"Threads" => &mut memory.threads,
            _ => continue,
        };
        *field = Some(value);
    }
}

/// The proportional share in `/proc/self/smaps_rollup`, bytes.
pub fn rollup_pss(content: &[u8]) -> Option<u64> {
    text::sizes(content).find(|(name, _)| *name == b"Pss").map(|(_, bytes)| bytes)
}

/// `stat`: faults, processor time and start, the times in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Faults without I/O.
    pub minor_faults: u64,
    /// Faults with I/O.
    pub major_faults: u64,
    /// User and system time, ticks.
    pub cpu_ticks: u64,
    /// Start after boot, ticks.
    pub start_ticks: u64,
}

/// Reads `/proc/self/stat`. The command's name stands in parentheses and may itself have spaces and parentheses, so the
/// fields are counted from the last `)`.
pub fn stat(content: &[u8]) -> Option<Stat> {
    let after_name = content.iter().rposition(|&b| b == b')')?;
    let fields: Vec<&[u8]> = text::words(content.get(after_name + 1..)?).take(20).collect();
    // The field that proc(5) calls number 3 (state) is the first here.
    let field = |number: usize| fields.get(number - 3).and_then(|word| text::number(word));
    Some(Stat {
        minor_faults: field(10)?,
        major_faults: field(12)?,
        cpu_ticks: field(14)?.checked_add(field(15)?)?,
        start_ticks: field(22)?,
    })
}

/// When the machine booted, epoch seconds, from `/proc/stat`.
pub fn boot_time_s(content: &[u8]) -> Option<u64> {
    text::pairs(content).find(|(name, _)| *name == b"btime").map(|(_, seconds)| seconds)
}

/// Total and available bytes of the machine, from `/proc/meminfo`.
pub fn meminfo(content: &[u8]) -> (Option<u64>, Option<u64>) {
    let find = |want: &[u8]| text::sizes(content).find(|(name, _)| *name == want).map(|(_, bytes)| bytes);
    (find(b"MemTotal"), find(b"MemAvailable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statm_is_in_pages() {
        let got = statm(b"765 409 371 5 0 115 0\n", 4096);
        assert_eq!(got, Some(Statm { virtual_bytes: 765 * 4096, rss_bytes: 409 * 4096 }));
        assert_eq!(statm(b"765\n", 4096), None);
        assert_eq!(statm(b"18446744073709551615 1", 4096), None);
    }

    #[test]
    fn a_command_name_cannot_shift_the_fields() {
        let line = b"42 (a) R 9 9) S 1 42 42 0 -1 4194304 102 7 3 8 11 22 0 0 20 0 1 0 81783 3133440 390\n";
        let got = stat(line);
        assert_eq!(got, Some(Stat { minor_faults: 102, major_faults: 3, cpu_ticks: 33, start_ticks: 81783 }));
        assert_eq!(stat(b"42 (a) S 1"), None);
        assert_eq!(stat(b")"), None);
        assert_eq!(stat(b""), None);
    }

    #[test]
    fn status_fills_what_it_has() {
        let mut memory = ProcessMemory { swap_bytes: Some(1), ..ProcessMemory::default() };
        apply_status(b"Name:\tVmRSS: 3 kB\nVmRSS:\t  10 kB\nRssAnon:\t4 kB\nThreads:\t3\nVmHWM: x kB\n", &mut memory);
        let want = ProcessMemory {
            rss_bytes: Some(10240),
            anonymous_bytes: Some(4096),
            threads: Some(3),
            swap_bytes: Some(1),
            ..ProcessMemory::default()
        };
        assert_eq!(memory, want);
    }

    #[test]
    fn pss_boot_time_and_meminfo_are_found_by_name() {
        assert_eq!(rollup_pss(b"0-1 ---p 0 0:0 0 [rollup]\nRss: 9 kB\nPss: 3 kB\nPss_Dirty: 1 kB\n"), Some(3072));
        assert_eq!(boot_time_s(b"cpu  1 2 3\nintr 5\nbtime 1700000000\n"), Some(1_700_000_000));
        assert_eq!(meminfo(b"MemTotal: 2 kB\nMemFree: 9 kB\nMemAvailable: 1 kB\n"), (Some(2048), Some(1024)));
    }
}
