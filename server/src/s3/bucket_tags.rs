//! A bucket's tags: GetBucketTagging, PutBucketTagging, DeleteBucketTagging. Kept in the bucket's record, in the order of their keys.

use std::collections::BTreeMap;

use http::HeaderMap;
use s3s::{S3Response, S3Result, dto};

use super::{Context, Handlers, fault};
use crate::answer::Refusal;

/// Source: AWS, "Tagging for S3 buckets": at most 50, keys of 1 to 128 characters, values of at most 256.
const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// Tags as they may be kept.
///
/// # Errors
/// AWS's `InvalidTag` for a key or a value that can't be one, and for a key that is given twice; `BadRequest` for more than 50.
pub fn checked(
    tags: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut kept = BTreeMap::new();
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > LONGEST_KEY || !key.chars().all(may_be_in_a_tag)
        {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid("System tags cannot be added/updated by requester"));
        }
        if value.chars().count() > LONGEST_VALUE || !value.chars().all(may_be_in_a_tag) {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if kept.insert(key, value).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    if kept.len() > MOST {
        let message = "Bucket tag count cannot be greater than 50";
        return Err(Refusal::new("BadRequest", 400, message));
    }
    Ok(kept)
}

/// Source: AWS, tag restrictions: letters, digits, spaces, and `+ - = . _ : / @`.
fn may_be_in_a_tag(character: char) -> bool {
    let is_space = character.is_whitespace() && !character.is_control();
    character.is_alphanumeric() || is_space || "+-=._:/@".contains(character)
}

fn invalid(message: &'static str) -> Refusal {
    Refusal::new("InvalidTag", 400, message)
}

pub(super) async fn get(
    handlers: &Handlers,
    context: Context,
    _input: dto::GetBucketTaggingInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::GetBucketTaggingOutput>> {
    let bucket = handlers.store.bucket(context.bucket()?).await.map_err(fault::s3)?;
    if bucket.tags.is_empty() {
        return Err(Refusal::new("NoSuchTagSet", 404, "The TagSet does not exist").into());
    }
    let tag = |(key, value)| dto::Tag { key: Some(key), value: Some(value) };
    let tag_set = bucket.tags.into_iter().map(tag).collect();
    Ok(S3Response::new(dto::GetBucketTaggingOutput { tag_set }))
}

pub(super) async fn put(
    handlers: &Handlers,
    context: Context,
    input: dto::PutBucketTaggingInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::PutBucketTaggingOutput>> {
    let pairs = input.tagging.tag_set.into_iter().map(|tag| match (tag.key, tag.value) {
        (Some(key), Some(value)) => Ok((key, value)),
        (_, _) => Err(Refusal::new(
            "MalformedXML",
            400,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )),
    });
    let tags = checked(pairs.collect::<Result<Vec<_>, _>>()?)?;
    handlers.store.set_bucket_tags(context.bucket()?, tags).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::PutBucketTaggingOutput {}))
}

pub(super) async fn delete(
    handlers: &Handlers,
    context: Context,
    _input: dto::DeleteBucketTaggingInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::DeleteBucketTaggingOutput>> {
    let none = BTreeMap::new();
    handlers.store.set_bucket_tags(context.bucket()?, none).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::DeleteBucketTaggingOutput {}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<(), String> {
        let refused = |refusal: Refusal| refusal.code().to_owned();
        checked([(key.to_owned(), value.to_owned())]).map(drop).map_err(refused)
    }

    #[test]
    fn a_tag_has_the_characters_and_lengths_of_awss() {
        let long = |count: usize| "ä".repeat(count);
        for (key, value, code) in [
            ("team", "media", None),
            ("Größe/a.b_c:d=e+f-g@h", "日本 語", None),
            ("team", "", None),
            (&*long(128), &*long(256), None),
            ("", "x", Some("InvalidTag")),
            (&*long(129), "x", Some("InvalidTag")),
            ("x", &*long(257), Some("InvalidTag")),
            ("a\nb", "x", Some("InvalidTag")),
            ("a", "<b>", Some("InvalidTag")),
            ("a#", "x", Some("InvalidTag")),
            ("aws:created", "x", Some("InvalidTag")),
            ("AWS:created", "x", Some("InvalidTag")),
            ("awsome", "x", None),
        ] {
            assert_eq!(one(key, value).err().as_deref(), code, "{key}: {value}");
        }
    }

    #[test]
    fn a_bucket_has_fifty_tags_at_most_and_each_key_once() {
        let many = |count: usize| checked((0..count).map(|n| (format!("k{n}"), "v".to_owned())));
        assert_eq!(many(50).unwrap().len(), 50);
        assert_eq!(many(51).unwrap_err().code(), "BadRequest");
        let twice = [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "1".to_owned())];
        assert_eq!(checked(twice).unwrap_err().code(), "InvalidTag");
    }
}
