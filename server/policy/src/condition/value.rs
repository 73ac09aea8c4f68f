//! Numbers, dates, booleans, bytes and addresses, as policies and requests write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;

/// A decimal number, exact, in billionths.
pub(super) type Number = i128;

const PLACES: usize = 9;

/// Reads a whole or decimal number of at most 18 digits before the point and 9 behind it.
pub(super) fn number(text: &str) -> Option<Number> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(places) || whole.len() > 18 || places.len() > PLACES {
        return None;
    }
    let whole: Number = whole.parse().ok()?;
    let mut places = places.bytes().chain(std::iter::repeat(b'0')).take(PLACES);
    let value = places.try_fold(whole, |value, digit| {
        value.checked_mul(10)?.checked_add(Number::from(digit.checked_sub(b'0')?))
    })?;
    value.checked_mul(sign)
}

/// Reads a date in one of the W3C's forms of ISO 8601, from `2026` to `2026-01-31T12:00:00.5+01:00`, or seconds since 1970.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // Four digits are a year.
    if text.len() != 4 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Timestamp::from_second(text.parse().ok()?).ok();
    }
    if text.contains('T') {
        return text.parse().ok();
    }
    let date = match text.len() {
        4 => Date::new(text.parse().ok()?, 1, 1).ok()?,
        7 => {
            let (year, month) = text.split_once('-')?;
            Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?
        }
        10 => text.parse().ok()?,
        _ => return None,
    };
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Reads `true` or `false`, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Whether this is base64 with padding. Each sequence of bytes has one such text, so texts can be compared for them.
pub(super) fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

/// An address or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpRange {
    V4 { bits: u32, mask: u32 },
    V6 { bits: u128, mask: u128 },
}

impl IpRange {
    /// Reads an address, or an address and the length of its prefix. A range of v4 addresses within v6 is one of v4.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => {
                let decimal = (1..=3).contains(&length.len())
                    && length.bytes().all(|byte| byte.is_ascii_digit());
                (address, Some(if decimal { length.parse::<u32>().ok()? } else { return None }))
            }
        };
        match address.parse().ok()? {
            IpAddr::V4(address) => Self::v4(address, length.unwrap_or(32)),
            IpAddr::V6(address) => {
                let length = length.unwrap_or(128);
                match (address.to_ipv4_mapped(), length.checked_sub(96)) {
                    (Some(address), Some(length)) => Self::v4(address, length),
                    _ => Self::v6(address, length),
                }
            }
        }
    }

    fn v4(address: Ipv4Addr, length: u32) -> Option<Self> {
        let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
        Some(Self::V4 { bits: u32::from(address) & mask, mask })
    }

    fn v6(address: Ipv6Addr, length: u32) -> Option<Self> {
        let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?).unwrap_or(0);
        Some(Self::V6 { bits: u128::from(address) & mask, mask })
    }

    /// Whether an address is in it. An address of v4 within v6 is one of v4.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::V4 { bits, mask }, IpAddr::V4(address)) => u32::from(address) & mask == *bits,
            (Self::V6 { bits, mask }, IpAddr::V6(address)) => u128::from(address) & mask == *bits,
            (Self::V4 { .. }, IpAddr::V6(_)) | (Self::V6 { .. }, IpAddr::V4(_)) => false,
        }
    }

    /// How open it is: the bits that AWS's notion of "public" finds too many are those beyond a /8 (v4) or a /32 (v6).
    pub(super) fn openness(&self) -> u8 {
        match self {
            Self::V4 { bits: _, mask } => u8::from(mask.count_ones() < 8),
            Self::V6 { bits: _, mask } => u8::from(mask.count_ones() < 32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1.5", Some(-1_500_000_000)),
            ("+2", Some(2_000_000_000)),
            ("10.000000001", Some(10_000_000_001)),
            ("999999999999999999", Some(999_999_999_999_999_999_000_000_000)),
            ("1e3", None),
            ("1.", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("0x10", None),
            ("1 ", None),
            ("9999999999999999999", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_have_the_documented_forms() {
        for (text, expected) in [
            ("2026", Some(1_767_225_600)),
            ("2026-01", Some(1_767_225_600)),
            ("2026-01-01", Some(1_767_225_600)),
            ("2026-01-01T00:00Z", Some(1_767_225_600)),
            ("2026-01-01T01:00:00+01:00", Some(1_767_225_600)),
            ("2026-01-01T00:00:00.000Z", Some(1_767_225_600)),
            ("1767225600", Some(1_767_225_600)),
            ("2026-01-01T00:00:00", None),
            ("2026-13-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(date(text).map(Timestamp::as_second), expected, "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_addresses_only() {
        for (range, address, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
            ("::/0", "::1", true),
        ] {
            let range = IpRange::parse(range).unwrap_or_else(|| panic!("{range}"));
            assert_eq!(range.contains(address.parse().unwrap()), expected, "{range:?} {address}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0",
            "::/129",
            "localhost",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(IpRange::parse(text), None, "{text}");
        }
    }
}
