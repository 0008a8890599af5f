//! Limits of the process itself: `/proc/self/limits`, and how many descriptors are open.

use super::root::ProcRoot;
use super::text;

/// The soft limits that matter here; `None` is unlimited or unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// `RLIMIT_AS`: address space, bytes.
    pub address_space: Option<u64>,
    /// `RLIMIT_DATA`: private writable address space, bytes.
    pub data: Option<u64>,
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<u64>,
}

/// Reads `/proc/self/limits`.
pub fn process_limits(content: &[u8]) -> ProcessLimits {
    let soft = |name: &[u8]| {
        let line = text::lines(content).find(|line| line.starts_with(name))?;
        text::number(text::words(line.get(name.len()..)?).next()?)
    };
    ProcessLimits {
        address_space: soft(b"Max address space"),
        data: soft(b"Max data size"),
        open_files: soft(b"Max open files"),
    }
}

/// How many descriptors are open. Linux has it as the size of `/proc/self/fd` since 6.2; before, the entries are
/// counted, with the one that counting needs taken off.
pub fn open_descriptors(root: &ProcRoot) -> Result<u64, String> {
    const DIRECTORY: &str = "/proc/self/fd";
    let path = root.path(DIRECTORY);
    let fail = |e: std::io::Error| format!("{DIRECTORY}: {e}");
    let reported = std::fs::metadata(&path).map_err(fail)?.len();
    let is_kernels = path.starts_with("/proc");
    if is_kernels && reported > 0 {
        return Ok(reported);
    }
    let entries = std::fs::read_dir(&path).map_err(fail)?.count() as u64;
    Ok(entries.saturating_sub(u64::from(is_kernels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &[u8] = b"Limit                     Soft Limit           Hard Limit           Units\n\
        Max data size             unlimited            unlimited            bytes\n\
        Max open files            1024                 524288               files\n\
        Max address space         4294967296           unlimited            bytes\n";

    #[test]
    fn soft_limits_are_read_and_unlimited_is_none() {
        let want = ProcessLimits { address_space: Some(4 << 30), data: None, open_files: Some(1024) };
        assert_eq!(process_limits(LIMITS), want);
        assert_eq!(process_limits(b"Max open files"), ProcessLimits::default());
    }

    #[test]
    fn an_opened_file_counts() {
        let before = open_descriptors(&ProcRoot::default()).unwrap();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let with = open_descriptors(&ProcRoot::default()).unwrap();
        drop(files);
        assert!(with >= before + 30 && before > 0, "{before} then {with}");
    }
}
