//! A request's time, as its signature spells it.

use jiff::{
    Timestamp,
    civil::DateTime,
    fmt::rfc2822,
    tz::{Offset, TimeZone},
};

/// A whole second in UTC and its spelling `YYYYMMDDTHHMMSSZ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AmzDate {
    at: Timestamp,
    text: String,
}

impl AmzDate {
    pub(crate) fn of(at: Timestamp) -> Self {
        let text = at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { at, text }
    }

    /// Exactly `YYYYMMDDTHHMMSSZ`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let [y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2, b'Z'] = text.as_bytes()
        else {
            return None;
        };
        let civil = DateTime::new(
            number(&[*y1, *y2, *y3, *y4])?,
            small(*m1, *m2)?,
            small(*d1, *d2)?,
            small(*h1, *h2)?,
            small(*n1, *n2)?,
            small(*s1, *s2)?,
            0,
        )
        .ok()?;
        Some(Self { at: Offset::UTC.to_timestamp(civil).ok()?, text: text.to_owned() })
    }

    /// The `Date` header's spellings: as above, or as in mail and HTTP.
    pub(crate) fn parse_date_header(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Some(Self::of(at))
        })
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// `YYYYMMDD`.
    pub(crate) fn day(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }

    /// Seconds from this to `now`; negative if this lies in the future.
    pub(crate) fn age(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_sub(self.at.as_second())
    }
}

fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0_i16, |value, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        value.checked_mul(10)?.checked_add(i16::from(digit.checked_sub(b'0')?))
    })
}

fn small(tens: u8, ones: u8) -> Option<i8> {
    i8::try_from(number(&[tens, ones])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_basic_form_is_read() {
        for (text, expected) in [
            ("20130524T000000Z", Some(1_369_353_600)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("20230229T000000Z", None),
            ("20130524T240000Z", None),
            ("20130524T000060Z", None),
            ("20130524T000000", None),
            ("20130524t000000Z", None),
            ("+0130524T000000Z", None),
            ("2013-05-24T00:00:00Z", None),
            ("", None),
            ("\u{e9}0130524T00000Z", None),
        ] {
            assert_eq!(AmzDate::parse(text).map(|date| date.at().as_second()), expected, "{text}");
        }
    }

    #[test]
    fn a_date_header_is_respelled() {
        let date = AmzDate::parse_date_header("Fri, 24 May 2013 00:00:00 GMT").unwrap();
        assert_eq!(date.as_str(), "20130524T000000Z");
        assert_eq!(date.day(), "20130524");
        assert_eq!(AmzDate::of(date.at()), date);
    }
}
