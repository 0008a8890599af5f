//! Amounts of memory as operators write them: whole pages, few digits, binary units.

/// A page of memory; no recommendation is finer.
pub const PAGE_BYTES: f64 = 4096.0;

const MIB: f64 = 1024.0 * 1024.0;

/// Rounds up to a unit of which the amount is at least 64: a MiB up to 128 MiB, 2 MiB up to 256 MiB and so on, so that
/// figures stay short and rounding costs at most 1.6 % (or, below 64 MiB, one MiB). Not finite or negative: 0.
pub fn round_up(bytes: f64) -> u64 {
    if !(bytes > 0.0 && bytes.is_finite()) {
        return 0;
    }
    let unit = (bytes / 64.0).log2().floor().exp2().max(MIB);
    let unit = (unit / PAGE_BYTES).ceil() * PAGE_BYTES;
    // 2^53 bytes are far above any machine and keep the product exact.
    ((bytes / unit).ceil() * unit).min((1u64 << 53) as f64) as u64
}

/// A Kubernetes quantity: the largest binary unit that divides the amount.
pub fn quantity(bytes: u64) -> String {
    let units = [("Ti", 1u64 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
    let fits = units.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// Reads a Kubernetes quantity (`512Mi`, `1.5G`, `1e9`, `128974848`) as bytes; `None` when it is none.
pub fn parse_quantity(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", MIB),
        ("Gi", 1024.0 * MIB),
        ("Ti", MIB * MIB),
        ("Pi", 1024.0 * MIB * MIB),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(number * factor)
}

/// For a reader: three digits and a binary unit.
pub fn text(bytes: f64) -> String {
    let mut size = bytes.abs();
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1000.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    let digits = if unit == "B" || size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    format!("{}{size:.digits$} {unit}", if bytes < 0.0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_up_to_short_figures_on_pages() {
        let mib = |n: u64| n << 20;
        assert_eq!(round_up(1.0), mib(1));
        assert_eq!(round_up(127.5 * MIB), mib(128));
        assert_eq!(round_up(129.0 * MIB), mib(130));
        assert_eq!(round_up(1001.0 * MIB), mib(1008));
        assert_eq!((round_up(f64::NAN), round_up(-1.0), round_up(f64::INFINITY)), (0, 0, 0));
        let mut bytes = 64.0 * MIB;
        while bytes < 1e15 {
            let rounded = round_up(bytes);
            assert!(rounded.is_multiple_of(4096) && rounded as f64 >= bytes && rounded as f64 <= bytes * 1.0157);
            bytes *= 1.037;
        }
    }

    #[test]
    fn quantities_in_and_out() {
        for (text, bytes) in [("512Mi", 512u64 << 20), ("2Gi", 2 << 30), ("1030Mi", 1030 << 20), ("1", 1), ("0", 0)] {
            assert_eq!(quantity(bytes), text);
            assert_eq!(parse_quantity(text), Some(bytes as f64));
        }
        assert_eq!(parse_quantity("1.5G"), Some(1.5e9));
        assert_eq!(parse_quantity("1e9"), Some(1e9));
        assert_eq!((parse_quantity("12MB"), parse_quantity("Mi"), parse_quantity("")), (None, None, None));
    }

    #[test]
    fn text_has_three_digits() {
        assert_eq!(
            [0.0, 1023.0, 1.5 * MIB, 123.4 * MIB, -2e9].map(text),
            ["0 B", "1.00 KiB", "1.50 MiB", "123 MiB", "-1.86 GiB"]
        );
    }
}
