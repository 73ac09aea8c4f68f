//! What a form's signer allows.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::Refusal;

use super::{Fields, POLICY, SIGNATURE, TOKEN, V2_KEY, V2_SIGNATURE};

/// The lengths in bytes that a form's file may have.
pub type LengthRange = RangeInclusive<u64>;

/// A policy holds at most so many conditions: a form has fewer fields.
const MAX_CONDITIONS: usize = 128;

/// A policy: until when, and what each field may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostPolicy {
    expiration: Expiration,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expiration(Timestamp);

/// One condition; field names in lower case, without `$`.
#[derive(Clone, PartialEq, Eq)]
enum Condition {
    Equals { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length(LengthRange),
}

impl PostPolicy {
    /// Reads a policy as a form sends it: base64 of JSON.
    ///
    /// # Errors
    /// [`Refusal::InvalidPolicyDocument`] with what is wrong.
    pub fn parse(base64: &str) -> Result<Self, Refusal> {
        let invalid = |cause: String| Refusal::InvalidPolicyDocument(Cow::Owned(cause));
        // Browsers keep the line ends of a hidden field.
        let joined: String = base64.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let json = STANDARD
            .decode(joined.trim())
            .map_err(|cause| invalid(format!("the policy is not base64: {cause}")))?;
        let policy: Self = serde_json::from_slice(&json)
            .map_err(|cause| invalid(format!("the policy can't be read: {cause}")))?;
        if policy.conditions.is_empty() || policy.conditions.len() > MAX_CONDITIONS {
            return Err(invalid(format!("a policy has 1 to {MAX_CONDITIONS} conditions")));
        }
        Ok(policy)
    }

    /// Until when it allows anything.
    pub fn expiration(&self) -> Timestamp {
        self.expiration.0
    }

    /// Whether it allows these fields, of which [`Fields::name_file`] knew the file's name,
    /// for the bucket that the URL names; and which lengths of the file.
    ///
    /// # Errors
    /// [`Refusal::AccessDenied`] when it has expired, when a condition isn't met, or when a
    /// field is in no condition. Only what carries the signature, the file, and
    /// `x-ignore-…` need none.
    pub fn check(
        &self,
        fields: &Fields,
        bucket: &str,
        now: Timestamp,
    ) -> Result<LengthRange, Refusal> {
        let denied = |what: String| {
            Refusal::AccessDenied(Cow::Owned(format!("Invalid according to Policy: {what}")))
        };
        if now >= self.expiration.0 {
            return Err(denied("Policy expired.".to_owned()));
        }
        if fields.get("bucket").is_some_and(|named| named != bucket) {
            return Err(denied("the field bucket is not the bucket of the URL.".to_owned()));
        }
        let value = |field: &str| match field {
            "bucket" => bucket,
            field => fields.get(field).unwrap_or_default(),
        };
        let mut range = 0..=u64::MAX;
        for condition in &self.conditions {
            let met = match condition {
                Condition::Equals { field, value: expected } => value(field) == expected,
                Condition::StartsWith { field, prefix } => starts_with(field, value(field), prefix),
                Condition::Length(bounds) => {
                    range =
                        (*range.start()).max(*bounds.start())..=(*range.end()).min(*bounds.end());
                    true
                }
            };
            if !met {
                return Err(denied(format!("Policy Condition failed: {condition}")));
            }
        }
        // The URL's bucket is a field like any: a policy that names none is good for none.
        let names = fields.iter().map(|(name, _)| name).chain(["bucket"]);
        let extra = names.filter(|name| !is_exempt(name)).find(|name| !self.covers(name));
        match extra {
            None => Ok(range),
            Some(name) => Err(denied(format!("Extra input fields: {}", name.escape_default()))),
        }
    }

    fn covers(&self, name: &str) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Equals { field, value: _ } | Condition::StartsWith { field, prefix: _ } => {
                field == name
            }
            Condition::Length(_) => false,
        })
    }
}

/// Source: Amazon S3, POST policy, conditions.
fn is_exempt(name: &str) -> bool {
    [SIGNATURE, V2_SIGNATURE, "file", POLICY, V2_KEY].contains(&name)
        || name.starts_with("x-ignore-")
}

/// A condition's value as a refusal tells it: who reads a refusal needs no token.
fn shown<'a>(field: &str, value: &'a str) -> &'a str {
    if field == TOKEN { "…" } else { value }
}

/// A list of types meets a condition when each of them does.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" && value.contains(',') && !prefix.contains(',') {
        return value.split(',').all(|one| one.trim_start().starts_with(prefix));
    }
    value.starts_with(prefix)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals { field, value } => write!(f, "[eq, ${field}, {}]", shown(field, value)),
            Self::StartsWith { field, prefix } => {
                write!(f, "[starts-with, ${field}, {}]", shown(field, prefix))
            }
            Self::Length(range) => {
                write!(f, "[content-length-range, {}, {}]", range.start(), range.end())
            }
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Expiration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let time = text.parse().map_err(|_cause: jiff::Error| {
            D::Error::custom("expiration is not an ISO 8601 time")
        })?;
        Ok(Self(time))
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConditionVisitor)
    }
}

struct ConditionVisitor;

impl<'de> Visitor<'de> for ConditionVisitor {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"field\": \"value\"} or [\"operator\", \"$field\", \"value\"]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
        let condition = map
            .next_entry::<String, String>()?
            .map(|(field, value)| Condition::Equals { field: field.to_ascii_lowercase(), value });
        match (condition, map.next_entry::<IgnoredAny, IgnoredAny>()?) {
            (Some(condition), None) => Ok(condition),
            (_, _) => Err(A::Error::custom("a simple condition has exactly one field")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Condition, A::Error> {
        let short = || A::Error::custom("a condition has an operator and two arguments");
        let operator: String = list.next_element()?.ok_or_else(short)?;
        let field = |name: String| match name.strip_prefix('$') {
            Some(name) => Ok(name.to_ascii_lowercase()),
            None => Err(A::Error::custom("a condition's field is written `$field`")),
        };
        let condition = match operator.as_str() {
            "eq" => Condition::Equals {
                field: field(list.next_element()?.ok_or_else(short)?)?,
                value: list.next_element()?.ok_or_else(short)?,
            },
            "starts-with" => Condition::StartsWith {
                field: field(list.next_element()?.ok_or_else(short)?)?,
                prefix: list.next_element()?.ok_or_else(short)?,
            },
            "content-length-range" => {
                let Bytes(from) = list.next_element()?.ok_or_else(short)?;
                let Bytes(to) = list.next_element()?.ok_or_else(short)?;
                Condition::Length(from..=to)
            }
            _ => {
                return Err(A::Error::custom(
                    "a condition's operator is `eq`, `starts-with` or `content-length-range`",
                ));
            }
        };
        match list.next_element::<IgnoredAny>()? {
            None => Ok(condition),
            Some(_) => Err(short()),
        }
    }
}

/// A number of bytes, which some clients write as text.
struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Bytes, E> {
                Ok(Bytes(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits);
                number.map(Bytes).ok_or_else(|| E::custom("not a number of bytes"))
            }
        }

        deserializer.deserialize_any(BytesVisitor)
    }
}
