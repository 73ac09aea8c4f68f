//! Bytes as Kubernetes writes them.

const BINARY: [(&str, u64); 5] =
    [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50)];
const DECIMAL: [(&str, u64); 5] = [
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
];

/// The bytes of a whole Kubernetes quantity, below 2^63.
pub fn bytes(text: &str) -> Option<u64> {
    let mut units = BINARY.iter().chain(&DECIMAL);
    let (number, factor) = units
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
    i64::try_from(bytes).ok().map(|_fits| bytes)
}

/// Bytes, rounded so that a column is short.
pub fn short(bytes: u64) -> String {
    let unit = BINARY.iter().rev().find(|(_, factor)| bytes >= *factor * 10);
    match unit {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_shown() {
        for (text, expected) in [
            ("1", Some(1)),
            ("10Ki", Some(10_240)),
            ("2G", Some(2_000_000_000)),
            ("9000P", Some(9_000_000_000_000_000_000)),
            ("9999P", None),
            ("1.5Gi", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for (bytes, expected) in [(0, "0"), (9_999, "9999"), (10_240, "10Ki"), (5 << 30, "5120Mi")]
        {
            assert_eq!(short(bytes), expected);
        }
    }
}
