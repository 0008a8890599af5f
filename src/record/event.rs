//! A sample on its way through a thread's ring: how it is laid out in words, and read back.

use super::ring::RING_WORDS;
use super::stack::MAX_FRAMES;

/// Words before the frames.
const HEADER_WORDS: usize = 9;

const _: () = assert!(2 * (HEADER_WORDS + MAX_FRAMES + 1) < RING_WORDS, "two of the longest events fit into a ring");

/// Which call was sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Call {
    Alloc = 0,
    AllocZeroed = 1,
    Realloc = 2,
}

impl Call {
    pub const ALL: [Call; 3] = [Call::Alloc, Call::AllocZeroed, Call::Realloc];

    pub fn name(self) -> &'static str {
        ["alloc", "alloc_zeroed", "realloc"][self as usize]
    }
}

/// One sampled allocation. The frames travel beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub call: Call,
    pub truncated: bool,
    /// Bytes asked for.
    pub size: u64,
    /// The interval that the distance to this sample was drawn with.
    pub interval: u64,
    /// The record in the live table.
    pub slot: u32,
    pub scope: u32,
    /// The block handed out; page-aligned.
    pub address: u64,
    /// Monotonic clock, nanoseconds.
    pub time_ns: u64,
    /// How long the inner allocator took; saturates at 4 s.
    pub latency_ns: u32,
    /// The kernel's thread id.
    pub thread: u32,
    /// Estimated bytes of this thread's samples that were lost since its last one; this sample stands for them too.
    pub carried_bytes: u64,
    /// What a scope asked to carry along (a trace id's low half), 0 if nothing.
    pub tag: u64,
}

impl Sample {
    pub fn header(&self) -> [u64; HEADER_WORDS] {
        [
            self.call as u64 | u64::from(self.truncated) << 8,
            self.size,
            self.interval,
            u64::from(self.slot) << 32 | u64::from(self.scope),
            self.address,
            self.time_ns,
            u64::from(self.latency_ns) << 32 | u64::from(self.thread),
            self.tag,
            self.carried_bytes,
        ]
    }

    /// The sample and its frames; `None` for words that no [`header`](Sample::header) wrote.
    pub fn read(words: &[u64]) -> Option<(Sample, &[u64])> {
        let (h, frames) = words.split_at_checked(HEADER_WORDS)?;
        let sample = Sample {
            call: *Call::ALL.get((h[0] & 0xFF) as usize)?,
            truncated: h[0] >> 8 & 1 == 1,
            size: h[1],
            interval: h[2],
            slot: (h[3] >> 32) as u32,
            scope: h[3] as u32,
            address: h[4],
            time_ns: h[5],
            latency_ns: (h[6] >> 32) as u32,
            thread: h[6] as u32,
            tag: h[7],
            carried_bytes: h[8],
        };
        Some((sample, frames))
    }
}

/// Words that an event with so many frames takes in the ring, its length word included.
pub fn ring_words(frames: usize) -> usize {
    1 + HEADER_WORDS + frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let sample = Sample {
            call: Call::Realloc,
            truncated: true,
            size: 1 << 40,
            interval: 3,
            slot: u32::MAX - 1,
            scope: 77,
            address: 0x7fff_0000_1000,
            time_ns: u64::MAX,
            latency_ns: 12,
            thread: 34,
            tag: 5,
            carried_bytes: 6,
        };
        let mut words = sample.header().to_vec();
        words.extend([10, 20]);
        assert_eq!(Sample::read(&words), Some((sample, &[10, 20][..])));
        assert_eq!(Sample::read(&words[..5]), None);
    }
}
