//! The shapes in which the kernel writes numbers, as pure functions of bytes.
//!
//! Hostile content gives `None`: a number too large for 64 bits, a missing field, bytes that are no text.

/// A whole content that is one number, as in `memory.current`.
pub fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// The fields of a line, split at spaces and tabs.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty())
}

/// The lines of a content, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

/// `name value` pairs, one a line, as in `memory.stat` and `memory.events`.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(|line| {
        let mut words = words(line);
        Some((words.next()?, number(words.next()?)?))
    })
}

/// `Name:  12 kB` lines, as in `status`, `smaps` and `meminfo`: the name and the value in bytes (a value without a unit
/// as it is).
pub fn sizes(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    lines(text).filter_map(size)
}

/// One line of [`sizes`].
pub fn size(line: &[u8]) -> Option<(&[u8], u64)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, rest) = (line.get(..colon)?, line.get(colon + 1..)?);
    let mut words = words(rest);
    let value = number(words.next()?)?;
    match words.next() {
        Some(b"kB") => Some((name, value.checked_mul(1024)?)),
        Some(_) => None,
        None => Some((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_or_nothing() {
        assert_eq!(number(b" 42\n"), Some(42));
        for bad in [&b""[..], b"max", b"-1", b"1 2", b"18446744073709551616", b"\xff\xfe"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn pairs_and_sizes_skip_what_they_cannot_read() {
        let got: Vec<_> = pairs(b"anon 5\nfile\n\nkernel x\noom_kill 2 extra\n").collect();
        assert_eq!(got, [(&b"anon"[..], 5), (&b"oom_kill"[..], 2)]);
        let text = b"VmRSS:\t   3 kB\nThreads:\t4\nHuge: 18446744073709551615 kB\nName:\tcat\nOdd: 3 MB\n";
        assert_eq!(sizes(text).collect::<Vec<_>>(), [(&b"VmRSS"[..], 3072), (&b"Threads"[..], 4)]);
    }
}
