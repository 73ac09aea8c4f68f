//! Conditional requests: `If-Match` and its kin, for reads, writes and a copy's source.
//!
//! They are taken from the headers here, because the wire library refuses what AWS takes: ETags without quotes, and lists.
//! Source: RFC 9110 section 13, AWS S3 "Conditional requests".

use coffer_store::{EtagCondition, Precondition};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};

use crate::answer::Refusal;

/// The conditions on one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<EtagCondition>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagCondition>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

/// The conditions of a request: on its own object, and on the source of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllConditions {
    /// On the object that the path names.
    pub own: Conditions,
    /// On the object that `x-amz-copy-source` names.
    pub source: Conditions,
}

/// Whether a read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The object is sent.
    Send,
    /// `304`: the client has it.
    NotModified,
    /// `412`.
    Failed,
}

/// Takes the conditions out of a request's headers.
///
/// # Errors
/// `InvalidArgument` for a header that isn't text or names more than 32 ETags. A date that isn't one counts as absent, as RFC 9110 wants.
pub fn take(headers: &mut HeaderMap) -> Result<AllConditions, Refusal> {
    Ok(AllConditions {
        own: Conditions {
            if_match: tags(headers.remove(header::IF_MATCH), "If-Match")?,
            if_none_match: tags(headers.remove(header::IF_NONE_MATCH), "If-None-Match")?,
            if_modified_since: date(headers.remove(header::IF_MODIFIED_SINCE)),
            if_unmodified_since: date(headers.remove(header::IF_UNMODIFIED_SINCE)),
        },
        source: {
            let mut take = |name: &'static str| headers.remove(HeaderName::from_static(name));
            Conditions {
                if_match: tags(take("x-amz-copy-source-if-match"), "x-amz-copy-source-if-match")?,
                if_none_match: tags(
                    take("x-amz-copy-source-if-none-match"),
                    "x-amz-copy-source-if-none-match",
                )?,
                if_modified_since: date(take("x-amz-copy-source-if-modified-since")),
                if_unmodified_since: date(take("x-amz-copy-source-if-unmodified-since")),
            }
        },
    })
}

/// Whether a condition names this ETag.
fn contain(condition: &EtagCondition, etag: &str) -> bool {
    match condition {
        EtagCondition::Any => true,
        EtagCondition::OneOf(tags) => tags.iter().any(|tag| tag == etag),
    }
}

fn tags(value: Option<HeaderValue>, name: &str) -> Result<Option<EtagCondition>, Refusal> {
    const MOST: usize = 32;
    let Some(value) = value else { return Ok(None) };
    let Ok(text) = value.to_str() else {
        return Err(Refusal::invalid_argument(format!("The header {name} isn't an ETag.")));
    };
    if text.trim() == "*" {
        return Ok(Some(EtagCondition::Any));
    }
    let tags: Vec<String> = text
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned())
        .filter(|tag| !tag.is_empty())
        .collect();
    if tags.len() > MOST {
        return Err(Refusal::invalid_argument(format!(
            "The header {name} names more than {MOST} ETags."
        )));
    }
    Ok(Some(EtagCondition::OneOf(tags)))
}

fn date(value: Option<HeaderValue>) -> Option<Timestamp> {
    let value = value?;
    let zoned = jiff::fmt::rfc2822::parse(value.to_str().ok()?).ok()?;
    Some(zoned.timestamp())
}

impl Conditions {
    /// Decides a read of an object with this ETag, last modified then.
    pub fn read(&self, etag: &str, modified: Timestamp) -> Outcome {
        // Dates in headers have whole seconds: so has what they are compared with.
        let modified = modified.as_second();
        if let Some(tags) = &self.if_match {
            if !contain(tags, etag) {
                return Outcome::Failed;
            }
        } else if let Some(since) = self.if_unmodified_since
            && modified > since.as_second()
        {
            return Outcome::Failed;
        }
        if let Some(tags) = &self.if_none_match {
            if contain(tags, etag) {
                return Outcome::NotModified;
            }
        } else if let Some(since) = self.if_modified_since
            && modified <= since.as_second()
        {
            return Outcome::NotModified;
        }
        Outcome::Send
    }

    /// The same for a copy's source, where what would be "not modified" fails too. A date in the future doesn't count.
    pub fn copy(&self, etag: &str, modified: Timestamp, now: Timestamp) -> Outcome {
        let mut conditions = self.clone();
        let future = |date: &Timestamp| date.duration_since(now) > SignedDuration::ZERO;
        conditions.if_modified_since = conditions.if_modified_since.filter(|date| !future(date));
        match conditions.read(etag, modified) {
            Outcome::Send => Outcome::Send,
            Outcome::NotModified | Outcome::Failed => Outcome::Failed,
        }
    }

    /// What a write asks of the object that is there, checked by the store in the same commit.
    ///
    /// # Errors
    /// `NotImplemented` for forms that AWS doesn't take on a write either.
    pub fn write(&self) -> Result<Precondition, Refusal> {
        match (&self.if_match, &self.if_none_match) {
            (Some(_), Some(_)) => {
                return Err(Refusal::not_implemented(
                    "If-Match and If-None-Match can't be sent together on a write.",
                ));
            }
            (None, Some(EtagCondition::OneOf(_))) => {
                return Err(Refusal::not_implemented(
                    "On a write, If-None-Match takes only `*`: write if there is no object of that key.",
                ));
            }
            (_, None | Some(EtagCondition::Any)) => {}
        }
        Ok(Precondition {
            if_match: self.if_match.clone(),
            if_none_match: self.if_none_match.clone(),
            ..Precondition::NONE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(pairs: &[(&'static str, &'static str)]) -> Conditions {
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        take(&mut headers).unwrap().own
    }

    #[test]
    fn reads_follow_rfc_9110() {
        let modified: Timestamp = "2026-01-02T03:04:05.9Z".parse().unwrap();
        let (same, earlier, later) = (
            "Fri, 02 Jan 2026 03:04:05 GMT",
            "Fri, 02 Jan 2026 03:04:04 GMT",
            "Fri, 02 Jan 2026 03:04:06 GMT",
        );
        for (name, pairs, expected) in [
            ("no condition", vec![], Outcome::Send),
            ("the ETag, quoted", vec![("if-match", "\"e\"")], Outcome::Send),
            ("the ETag, bare", vec![("if-match", "e")], Outcome::Send),
            ("another ETag", vec![("if-match", "\"f\"")], Outcome::Failed),
            ("one of a list", vec![("if-none-match", "\"f\", W/\"e\"")], Outcome::NotModified),
            ("any", vec![("if-none-match", "*")], Outcome::NotModified),
            (
                "not modified since the same second",
                vec![("if-modified-since", same)],
                Outcome::NotModified,
            ),
            ("modified since an earlier one", vec![("if-modified-since", earlier)], Outcome::Send),
            (
                "unmodified since the same second",
                vec![("if-unmodified-since", same)],
                Outcome::Send,
            ),
            (
                "unmodified since an earlier one",
                vec![("if-unmodified-since", earlier)],
                Outcome::Failed,
            ),
            (
                "a matching ETag outweighs the date",
                vec![("if-match", "e"), ("if-unmodified-since", earlier)],
                Outcome::Send,
            ),
            (
                "a different ETag outweighs the date",
                vec![("if-none-match", "f"), ("if-modified-since", later)],
                Outcome::Send,
            ),
            (
                "a date that is none doesn't count",
                vec![("if-modified-since", "yesterday")],
                Outcome::Send,
            ),
        ] {
            assert_eq!(conditions(&pairs).read("e", modified), expected, "{name}");
        }
    }

    #[test]
    fn writes_take_what_aws_takes() {
        assert_eq!(conditions(&[("if-none-match", "*")]).write().unwrap(), Precondition::ABSENT);
        let written = conditions(&[("if-match", "\"e\"")]).write().unwrap();
        assert_eq!(written.if_match, Some(EtagCondition::OneOf(vec!["e".to_owned()])));
        assert_eq!(
            conditions(&[("if-none-match", "\"e\"")]).write().unwrap_err().code(),
            "NotImplemented"
        );
    }
}
