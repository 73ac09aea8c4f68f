//! Resources: what a request is about, and the patterns that policies name them by.

use crate::action::{Action, Family, On};
use crate::context::Context;
use crate::fault::Problem;
use crate::pattern::{Match, Pattern, Piece, Variables, Wildcards};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The tenant as a whole: listing all buckets, admin and STS actions, listing keys.
    All,
    /// What follows `arn:aws:s3:::`: `bucket` or `bucket/key`.
    S3(&'a str),
    /// What follows `arn:aws:kms:::`: a key's name.
    Kms(&'a str),
}

impl<'a> Resource<'a> {
    /// Reads `*` or an ARN of a bucket, an object or a key.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let (service, rest) = split(text).ok()?;
        match service {
            Service::S3 => Some(Self::S3(rest)),
            Service::Kms => Some(Self::Kms(rest)),
        }
    }
}

enum Service {
    S3,
    Kms,
}

/// The service and the last part of an ARN. Region and account must be empty or `*`.
fn split(text: &str) -> Result<(Service, &str), Problem> {
    let unknown = || Problem::Resource(text.to_owned());
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().ok_or_else(unknown);
    let (arn, partition, service) = (part()?, part()?, part()?);
    let (region, account, rest) = (part()?, part()?, part()?);
    if arn != "arn" || !matches!(partition, "aws" | "minio" | "*") {
        return Err(unknown());
    }
    let service = match service {
        "s3" => Service::S3,
        "kms" => Service::Kms,
        _ => return Err(unknown()),
    };
    if !matches!(region, "" | "*") || !matches!(account, "" | "*") {
        return Err(Problem::Region(text.to_owned()));
    }
    if rest.is_empty() || rest.starts_with('/') {
        return Err(Problem::NoBucket(text.to_owned()));
    }
    Ok((service, rest))
}

/// A pattern of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourcePattern {
    /// `*`
    All,
    S3(Pattern),
    Kms(Pattern),
}

impl ResourcePattern {
    pub(crate) fn parse(text: &str, variables: Variables) -> Result<Self, Problem> {
        if !text.is_empty() && text.bytes().all(|byte| byte == b'*') {
            return Ok(Self::All);
        }
        let (service, rest) = split(text)?;
        let pattern = Pattern::parse(rest, Wildcards::Meant, variables)?;
        Ok(match service {
            Service::S3 => Self::S3(pattern),
            Service::Kms => Self::Kms(pattern),
        })
    }

    pub(crate) fn matches(&self, resource: Resource<'_>, context: &Context<'_>) -> Match {
        match (self, resource) {
            (Self::All, _) => Match::Yes,
            (Self::S3(pattern), Resource::S3(text)) | (Self::Kms(pattern), Resource::Kms(text)) => {
                pattern.matches(text, context)
            }
            (Self::S3(pattern) | Self::Kms(pattern), _) if pattern.is_unresolved(context) => {
                Match::Unresolved
            }
            (Self::S3(_), Resource::All | Resource::Kms(_))
            | (Self::Kms(_), Resource::All | Resource::S3(_)) => Match::No,
        }
    }

    /// Whether it names something of this bucket.
    pub(crate) fn touches(&self, bucket: &str) -> bool {
        match self {
            Self::All => true,
            Self::Kms(_) => false,
            Self::S3(pattern) => {
                let inside = pattern
                    .literal_start()
                    .strip_prefix(bucket)
                    .is_some_and(|rest| rest.starts_with('/'));
                inside || pattern.matches(bucket, &Context::new()) == Match::Yes
            }
        }
    }

    /// Whether it can name what such an action acts on, by its form.
    pub(crate) fn suits(&self, action: Action) -> bool {
        match (self, action.on()) {
            (Self::All, _) => true,
            (Self::Kms(_), on) => on == On::Key,
            (Self::S3(_), On::Key) => false,
            // AWS's own examples list all buckets on `arn:aws:s3:::*`.
            (Self::S3(pattern), On::Account) => {
                action.family() == Family::S3 && *pattern == Pattern::Any
            }
            (Self::S3(pattern), On::Bucket) => !has_slash(pattern) || *pattern == Pattern::Any,
            (Self::S3(pattern), On::Object) => has_slash(pattern) || !pattern.is_fixed(),
        }
    }
}

fn has_slash(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Any => false,
        Pattern::Exact(text) | Pattern::Prefix(text) => text.contains('/'),
        Pattern::Pieces(pieces) => pieces.iter().any(|piece| match piece {
            Piece::Text(text) => text.contains('/'),
            Piece::One | Piece::Many | Piece::Variable(_) => false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn an_arn_is_read_or_refused() {
        for (text, expected) in [
            ("*", Some(Resource::All)),
            ("arn:aws:s3:::b", Some(Resource::S3("b"))),
            ("arn:aws:s3:::b/k:1", Some(Resource::S3("b/k:1"))),
            ("arn:aws:kms:::photos", Some(Resource::Kms("photos"))),
            ("arn:aws:s3:eu-west-1::b", None),
            ("arn:aws:s3:::", None),
            ("arn:aws:s3:::/k", None),
            ("arn:aws:sqs:::q", None),
            ("b/k", None),
            ("", None),
        ] {
            assert_eq!(Resource::parse(text), expected, "{text}");
        }
    }

    fn pattern(text: &str) -> ResourcePattern {
        ResourcePattern::parse(text, Variables::Meant).unwrap()
    }

    #[test]
    fn a_pattern_matches_resources_of_its_service() {
        let mut context = Context::new();
        context.set(Key::AwsUsername, "alice");
        for (text, resource, expected) in [
            ("*", Resource::All, Match::Yes),
            ("*", Resource::Kms("k"), Match::Yes),
            ("arn:aws:s3:::a*", Resource::S3("album"), Match::Yes),
            ("arn:aws:s3:::a*", Resource::Kms("album"), Match::No),
            ("arn:aws:s3:::*", Resource::All, Match::No),
            ("arn:aws:kms:::a*", Resource::Kms("album"), Match::Yes),
            ("arn:aws:kms:::a*", Resource::S3("album"), Match::No),
            ("arn:aws:kms:::*", Resource::All, Match::No),
            ("arn:aws:s3:::${aws:username}", Resource::S3("alice"), Match::Yes),
            ("arn:aws:s3:::${aws:username}", Resource::Kms("alice"), Match::No),
            // Whatever is asked for: a statement with a variable that nothing fills says nothing.
            ("arn:aws:s3:::${aws:userid}", Resource::S3("alice"), Match::Unresolved),
            ("arn:aws:s3:::${aws:userid}", Resource::Kms("alice"), Match::Unresolved),
            ("arn:aws:kms:::${aws:userid}", Resource::All, Match::Unresolved),
        ] {
            assert_eq!(pattern(text).matches(resource, &context), expected, "{text} {resource:?}");
        }
    }

    #[test]
    fn a_pattern_suits_actions_by_its_form() {
        let actions = [
            Action::S3ListAllMyBuckets,
            Action::S3ListBucket,
            Action::S3GetObject,
            Action::KmsDecrypt,
            Action::AdminListUsers,
        ];
        for (text, expected) in [
            ("*", [true; 5]),
            ("arn:aws:s3:::*", [true, true, true, false, false]),
            ("arn:aws:s3:::album", [false, true, false, false, false]),
            ("arn:aws:s3:::album*", [false, true, true, false, false]),
            ("arn:aws:s3:::album/*", [false, false, true, false, false]),
            ("arn:aws:s3:::album/a?b", [false, false, true, false, false]),
            ("arn:aws:s3:::*/a", [false, false, true, false, false]),
            ("arn:aws:kms:::photos", [false, false, false, true, false]),
        ] {
            let suits = actions.map(|action| pattern(text).suits(action));
            assert_eq!(suits, expected, "{text}");
        }
    }
}
