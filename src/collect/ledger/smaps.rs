//! `/proc/self/smaps`: every mapping of the process with its resident pages, and what kind of memory each one is.
//!
//! The file has some seven hundred bytes for a mapping and the kernel walks page tables to write it, so it is read as a
//! stream within bounds of bytes and time; a reading that hits a bound is partial and says so. Parsing keeps only the
//! anonymous regions, stacks and sums.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::collect::process::text;

/// The bytes of smaps that are read at most: some ten thousand mappings.
pub const READ_BOUND_BYTES: usize = 8 << 20;
/// The time that reading takes at most, but for one call into the kernel.
pub const READ_BOUND_TIME: Duration = Duration::from_millis(100);

/// Stacks made by pthreads have a guard below them of one page, or as many as the program asked for.
const GUARD_BOUND_BYTES: u64 = 64 << 10;
/// `HEAP_MAX_SIZE` of glibc on 64-bit systems.
const ARENA_BYTES: u64 = 64 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// No mapping counts for more, so that no sum over the mappings within [`READ_BOUND_BYTES`] can overflow.
const RESIDENT_BOUND_BYTES: u64 = 1 << 44;
/// A line longer than this is cut: paths have at most 4,096 bytes.
const LINE_BOUND_BYTES: usize = 8 << 10;

/// What an anonymous mapping looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Memory of the C library's `malloc`: the kernel's heap (`brk`), or an arena that glibc gives to a thread.
    SystemHeap,
    /// A thread's stack, unless a heap block lies in it: older kernels merge a stack with heap right above it.
    Stack,
    /// Anything else.
    Plain,
}

/// A stretch of anonymous memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Resident bytes.
    pub resident_bytes: u64,
    /// What it looks like.
    pub kind: Kind,
}

/// Where the resident memory is, by kind of mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mappings {
    /// All resident bytes.
    pub resident_bytes: u64,
    /// Of files and shared memory, with the private copies of their pages.
    pub file_bytes: u64,
    /// Everything else that has a resident page, by ascending address.
    pub anonymous: Vec<Region>,
    /// A bound was hit: mappings are missing.
    pub is_partial: bool,
}

/// Reads smaps to its end or to a bound. `stack_addresses` are addresses known to lie in a thread's stack.
pub fn read(mut smaps: impl Read, stack_addresses: &[u64]) -> std::io::Result<Mappings> {
    let start = Instant::now();
    let mut parser = Parser::new(stack_addresses);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        match smaps.read(&mut chunk) {
            Ok(0) => return Ok(parser.finish(false)),
            Ok(n) => {
                parser.feed(&chunk[..n]);
                total += n;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if total >= READ_BOUND_BYTES || start.elapsed() >= READ_BOUND_TIME {
            return Ok(parser.finish(true));
        }
    }
}

/// A mapping as its header line has it, with the resident bytes of the lines below.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    start: u64,
    end: u64,
    is_readable: bool,
    is_writable: bool,
    is_shared: bool,
    name: Name,
    resident_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    None,
    Brk,
    Stack,
    File,
    /// `[vdso]`, `[anon:…]` and the like.
    Other,
}

struct Parser<'a> {
    stack_addresses: &'a [u64],
    line: Vec<u8>,
    current: Option<Mapping>,
    guard_end: Option<u64>,
    mappings: Mappings,
}

impl<'a> Parser<'a> {
    fn new(stack_addresses: &'a [u64]) -> Parser<'a> {
        Parser { stack_addresses, line: Vec::new(), current: None, guard_end: None, mappings: Mappings::default() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let room = LINE_BOUND_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
                self.line = line;
                self.line.clear();
            }
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        if let Some(mapping) = header(line) {
            self.close();
            self.current = Some(mapping);
        } else if let (Some(mapping), Some((b"Rss", bytes))) = (&mut self.current, text::size(line)) {
            mapping.resident_bytes = bytes.min(mapping.end - mapping.start).min(RESIDENT_BOUND_BYTES);
        }
    }

    /// Puts the mapping that has just ended to its kind.
    fn close(&mut self) {
        let Some(mapping) = self.current.take() else { return };
        let (resident, sums) = (mapping.resident_bytes, &mut self.mappings);
        sums.resident_bytes = sums.resident_bytes.saturating_add(resident);
        if mapping.name == Name::File || mapping.is_shared {
            sums.file_bytes = sums.file_bytes.saturating_add(resident);
        } else if resident > 0 {
            let kind = kind(&mapping, self.guard_end, self.stack_addresses);
            sums.anonymous.push(Region { start: mapping.start, end: mapping.end, resident_bytes: resident, kind });
        }
        self.mark_arena_below(&mapping);
        self.guard_end = is_guard(&mapping).then_some(mapping.end);
    }

    /// An arena of glibc begins at a multiple of its largest size; what it has not used yet, up to the next multiple, is
    /// reserved and inaccessible.
    fn mark_arena_below(&mut self, reserve: &Mapping) {
        let ends_arena = is_inaccessible(reserve) && reserve.end.is_multiple_of(ARENA_BYTES);
        let below = self.mappings.anonymous.last_mut().filter(|region| region.end == reserve.start);
        if let Some(arena) = below.filter(|region| ends_arena && region.start.is_multiple_of(ARENA_BYTES)) {
            arena.kind = Kind::SystemHeap;
        }
    }

    fn finish(mut self, is_partial: bool) -> Mappings {
        self.close();
        self.mappings.is_partial = is_partial;
        self.mappings.anonymous.sort_unstable_by_key(|region| region.start);
        self.mappings
    }
}

/// The main thread's stack has a name. Other stacks are plain anonymous mappings, told by the guard directly below or
/// by an address that the caller knows.
fn kind(mapping: &Mapping, guard_end: Option<u64>, known: &[u64]) -> Kind {
    let looks_plain = mapping.name == Name::None && mapping.is_readable && mapping.is_writable;
    let has_known = || known.iter().any(|address| (mapping.start..mapping.end).contains(address));
    match mapping.name {
        Name::Brk => Kind::SystemHeap,
        Name::Stack => Kind::Stack,
        _ if looks_plain && (guard_end == Some(mapping.start) || has_known()) => Kind::Stack,
        _ => Kind::Plain,
    }
}

fn is_guard(mapping: &Mapping) -> bool {
    is_inaccessible(mapping) && mapping.end - mapping.start <= GUARD_BOUND_BYTES
}

fn is_inaccessible(mapping: &Mapping) -> bool {
    !mapping.is_readable && !mapping.is_writable && mapping.name == Name::None
}

/// `5652b189b000-5652b189d000 r--p 00000000 fe:00 247282    /usr/bin/head`
fn header(line: &[u8]) -> Option<Mapping> {
    let line = std::str::from_utf8(line.trim_ascii_end()).unwrap_or_else(|e| valid_part(line, &e));
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let flags = words.next()?.as_bytes();
    let inode = words.nth(2)?;
    let path = words.next().unwrap_or("").trim_start();
    (start < end && flags.len() == 4).then(|| Mapping {
        start,
        end,
        is_readable: flags.first() == Some(&b'r'),
        is_writable: flags.get(1) == Some(&b'w'),
        is_shared: flags.get(3) == Some(&b's'),
        name: name(path, inode),
        resident_bytes: 0,
    })
}

/// A path may be no UTF-8; what stands before it is.
fn valid_part<'a>(line: &'a [u8], error: &std::str::Utf8Error) -> &'a str {
    line.get(..error.valid_up_to()).and_then(|part| std::str::from_utf8(part).ok()).unwrap_or("")
}

fn name(path: &str, inode: &str) -> Name {
    match path {
        "[heap]" => Name::Brk,
        _ if path.starts_with('[') && path.contains("stack") => Name::Stack,
        "" if inode == "0" => Name::None,
        _ if path.starts_with('[') => Name::Other,
        _ => Name::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
1000-3000 r--p 00000000 fe:00 247282                     /usr/bin/svc (a b)
Size:                  8 kB
Rss:                   8 kB
Anonymous:             0 kB
5000-9000 rw-p 00000000 00:00 0                          [heap]
Rss:                  12 kB
10000-11000 ---p 00000000 00:00 0 
Rss:                   0 kB
11000-20000 rw-p 00000000 00:00 0 
Rss:                  20 kB
VmFlags: rd wr mr mw me
20000-30000 rw-p 00000000 00:00 0 
Rss:                  40 kB
30000-40000 rw-s 00000000 00:01 7                        /dev/zero (deleted)
Rss:                   4 kB
7f0000-7f1000 rw-p 00000000 00:00 0                      [stack]
Rss:                   3 kB
";

    fn region(start: u64, end: u64, resident_bytes: u64, kind: Kind) -> Region {
        Region { start, end, resident_bytes, kind }
    }

    fn stack_bytes(mappings: &Mappings) -> u64 {
        mappings.anonymous.iter().filter(|r| r.kind == Kind::Stack).map(|r| r.resident_bytes).sum()
    }

    #[test]
    fn each_mapping_goes_to_its_kind() {
        let got = read(SMAPS.as_bytes(), &[]).unwrap();
        let want = Mappings {
            resident_bytes: 87 << 10,
            file_bytes: 12 << 10,
            anonymous: vec![
                region(0x5000, 0x9000, 12 << 10, Kind::SystemHeap),
                region(0x11000, 0x20000, 20 << 10, Kind::Stack),
                region(0x20000, 0x30000, 40 << 10, Kind::Plain),
                region(0x7f0000, 0x7f1000, 3 << 10, Kind::Stack),
            ],
            is_partial: false,
        };
        assert_eq!(got, want);
    }

    #[test]
    fn a_known_address_makes_a_stack() {
        assert_eq!(stack_bytes(&read(SMAPS.as_bytes(), &[0x2fff8]).unwrap()), 63 << 10);
    }

    #[test]
    fn an_arena_is_told_by_where_it_begins_and_its_reserve_ends() {
        let kind = |start: &str, end: &str| {
            let smaps =
                format!("{start}-8021000 rw-p 0 00:00 0 \nRss: 4 kB\n8021000-{end} ---p 0 00:00 0 \nRss: 0 kB\n");
            read(smaps.as_bytes(), &[]).unwrap().anonymous[0].kind
        };
        assert_eq!(kind("8000000", "c000000"), Kind::SystemHeap);
        assert_eq!(kind("8001000", "c000000"), Kind::Plain);
        assert_eq!(kind("8000000", "b000000"), Kind::Plain);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
    fn what_a_thread_allocates_lies_in_the_system_heap() {
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let block = std::hint::black_box(vec![1u8; 4000]);
            let mappings = read(std::fs::File::open("/proc/self/smaps").unwrap(), &[]).unwrap();
            send.send((block.as_ptr() as u64, mappings)).unwrap();
        });
        thread.join().unwrap();
        let (address, mappings) = receive.recv().unwrap();
        let region = mappings.anonymous.iter().find(|r| (r.start..r.end).contains(&address));
        assert_eq!(region.map(|r| r.kind), Some(Kind::SystemHeap), "{address:x} in {mappings:x?}");
    }

    #[test]
    fn pieces_of_any_length_read_the_same() {
        struct OneByte<'a>(&'a [u8]);
        impl Read for OneByte<'_> {
            fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
                let n = self.0.len().min(1);
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        assert_eq!(read(OneByte(SMAPS.as_bytes()), &[]).unwrap(), read(SMAPS.as_bytes(), &[]).unwrap());
    }

    #[test]
    fn an_endless_file_is_cut_and_says_so() {
        let endless = std::io::repeat(b'x');
        let got = read(endless, &[]).unwrap();
        assert!(got.is_partial && got.anonymous.is_empty());
    }

    #[test]
    fn hostile_lines_are_no_mappings() {
        let hostile = b"9000-1000 rw-p 0 0:0 0\nRss: 5 kB\n-\nzz-yy rw-p 0 0:0 0 \n1-2 rw 0 0:0 0\n\
            1000-2000 rw-p 0 0:0 0 /\xff\xfe\nRss: 1 kB\nRss: 99999999999999999999 kB\n";
        let got = read(&hostile[..], &[]).unwrap();
        assert_eq!((got.resident_bytes, got.file_bytes, got.anonymous.len()), (1024, 1024, 0));
        let huge = "0-ffffffffffffffff rw-p 0 0:0 0\nRss:9999999999999999 kB\n".repeat(READ_BOUND_BYTES / 64);
        let got = read(huge.as_bytes(), &[]).unwrap();
        assert_eq!(got.resident_bytes, got.anonymous.len() as u64 * RESIDENT_BOUND_BYTES);
    }

    #[test]
    fn stacks_of_threads_of_this_process_are_found() {
        let (ready, wait) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let deep = std::hint::black_box([1u8; 512 << 10]);
            ready.send(deep.iter().map(|&b| u64::from(b)).sum::<u64>()).unwrap();
            let _ = stopped.recv();
        });
        wait.recv().unwrap();
        let got = read(std::fs::File::open("/proc/self/smaps").unwrap(), &[]).unwrap();
        drop(stop);
        thread.join().unwrap();
        assert!(stack_bytes(&got) >= 512 << 10, "{got:?}");
    }
}
