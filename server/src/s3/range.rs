//! `Range`: what isn't one range of bytes counts as absent, as RFC 9110 section 14.2 wants and AWS does. The wire library would
//! refuse it.

use http::{HeaderMap, HeaderValue, header};

/// The largest offset that the wire library reads.
const MOST: u64 = i64::MAX.unsigned_abs();

/// Leaves in the headers a range that the wire library reads as it is meant, or none.
pub fn tidy(headers: &mut HeaderMap) {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), more) = (values.next(), values.next()) else { return };
    let tidied = if more.is_some() { None } else { value.to_str().ok().and_then(tidied) };
    match tidied.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(value) => drop(headers.insert(header::RANGE, value)),
        None => drop(headers.remove(header::RANGE)),
    }
}

fn tidied(text: &str) -> Option<String> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = (Offset::read(first)?, Offset::read(last)?);
    match (first, last) {
        (Offset::Open, Offset::Open) => None,
        (Offset::Open, Offset::At(length)) => Some(format!("bytes=-{length}")),
        (Offset::At(first), Offset::Open) => Some(format!("bytes={first}-")),
        (Offset::At(first), Offset::At(last)) => {
            (first <= last).then(|| format!("bytes={first}-{last}"))
        }
    }
}

/// One side of a range.
enum Offset {
    /// Nothing stands there.
    Open,
    At(u64),
}

impl Offset {
    /// More digits than fit are more bytes than any object has.
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Open);
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self::At(text.parse().unwrap_or(MOST).min(MOST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_range_of_bytes_stays() {
        for (text, expected) in [
            ("bytes=0-4", Some("bytes=0-4")),
            ("Bytes=0-", Some("bytes=0-")),
            ("bytes=-5", Some("bytes=-5")),
            ("bytes=0-99999999999999999999", Some("bytes=0-9223372036854775807")),
            ("bytes=5-4", None),
            ("bytes=-", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("bytes", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(text));
            tidy(&mut headers);
            let left = headers.get(header::RANGE).map(|value| value.to_str().unwrap());
            assert_eq!(left, expected, "{text}");
        }
    }
}
