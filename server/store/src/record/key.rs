//! Keys of the index.
//!
//! A letter for the table, then fixed-length numbers in big-endian order, then an object's key last or ended by
//! [`TERMINATOR`]. Objects are found by their bucket's number and not its name, so that a bucket that was deleted and
//! made again shows nothing of the old one.
//!
//! | table | key | value |
//! |---|---|---|
//! | `b` | bucket name | bucket record |
//! | `a` | bucket number | empty: the bucket is there |
//! | `c` | bucket number, `b` or `o` | counter of bytes or objects |
//! | `o` | bucket number, object key | current object's record; none if the newest version is a delete marker |
//! | `v` | bucket number, object key, terminator, inverted version | kept for versions, newest first |
//! | `u` | bucket number, object key, terminator, upload id | upload record |
//! | `p` | upload id, part number (0: changes with each part) | part record |
//! | `r` | blob id | empty: a record names the blob |
//! | `g` | time, random | garbage record |
//! | `i` | name | a row of identities and policies, sealed by the server |
//! | `m` | name | counters of the whole store, its id, and where long works stand |
//!
//! In the contents' space: `i` and a content id for inline content, `m` and a content id for a manifest.

use crate::{ObjectKey, UploadId, blobs::BlobId};

/// Ends an object's key where something follows it. Keys escape NUL as `00 ff`, so it is never within one.
pub(crate) const TERMINATOR: [u8; 2] = [0, 0];

/// A bucket's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BucketId(pub(crate) u64);

/// Names inline content or a manifest. Later ids are greater, so that new content is appended to the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ContentId(pub(crate) [u8; 16]);

/// The counter that numbers buckets.
pub(crate) const LAST_BUCKET: &[u8] = b"mbucket";
/// The counter of changes to identities and policies.
pub(crate) const IAM_REVISION: &[u8] = b"miam";
/// The id of this store.
pub(crate) const IDENTITY: &[u8] = b"mid";
/// The counter of waiting garbage.
pub(crate) const GARBAGE_COUNT: &[u8] = b"mgarbage";

pub(crate) fn bucket(name: &str) -> Vec<u8> {
    [b"b", name.as_bytes()].concat()
}

pub(crate) fn alive(bucket: BucketId) -> Vec<u8> {
    [b"a".as_slice(), &bucket.0.to_be_bytes()].concat()
}

pub(crate) fn object_count(bucket: BucketId) -> Vec<u8> {
    [b"c".as_slice(), &bucket.0.to_be_bytes(), b"o"].concat()
}

pub(crate) fn byte_count(bucket: BucketId) -> Vec<u8> {
    [b"c".as_slice(), &bucket.0.to_be_bytes(), b"b"].concat()
}

/// What the keys of all objects of a bucket start with.
pub(crate) fn objects(bucket: BucketId) -> Vec<u8> {
    [b"o".as_slice(), &bucket.0.to_be_bytes()].concat()
}

pub(crate) fn object(bucket: BucketId, key: &ObjectKey) -> Vec<u8> {
    let mut out = objects(bucket);
    escape(key.as_str(), &mut out);
    out
}

/// What the keys of all uploads of a bucket start with.
pub(crate) fn uploads(bucket: BucketId) -> Vec<u8> {
    [b"u".as_slice(), &bucket.0.to_be_bytes()].concat()
}

pub(crate) fn upload(bucket: BucketId, key: &ObjectKey, id: UploadId) -> Vec<u8> {
    let mut out = uploads(bucket);
    escape(key.as_str(), &mut out);
    out.extend(TERMINATOR);
    out.extend(id.0);
    out
}

/// What the keys of all parts of an upload start with.
pub(crate) fn parts(id: UploadId) -> Vec<u8> {
    [b"p".as_slice(), &id.0].concat()
}

pub(crate) fn part(id: UploadId, number: u16) -> Vec<u8> {
    [b"p".as_slice(), &id.0, &number.to_be_bytes()].concat()
}

pub(crate) fn referenced(blob: BlobId) -> Vec<u8> {
    [b"r".as_slice(), &blob.0].concat()
}

/// Where a long work stands.
pub(crate) fn progress(name: &str) -> Vec<u8> {
    [b"mprogress-", name.as_bytes()].concat()
}

/// A row of identities and policies.
pub(crate) fn iam(name: &[u8]) -> Vec<u8> {
    [b"i".as_slice(), name].concat()
}

/// What the keys of all garbage start with.
pub(crate) const GARBAGE: &[u8] = b"g";

pub(crate) fn garbage(micros: u64, random: [u8; 16]) -> Vec<u8> {
    [GARBAGE, &micros.to_be_bytes(), &random].concat()
}

pub(crate) fn inline(id: ContentId) -> Vec<u8> {
    [b"i".as_slice(), &id.0].concat()
}

pub(crate) fn manifest(id: ContentId) -> Vec<u8> {
    [b"m".as_slice(), &id.0].concat()
}

/// Appends an object's key, or a part of one, so that it orders as its own bytes do and holds no terminator.
pub(crate) fn escape(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len());
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
}

/// Reads an object's key, or a part of one, up to the terminator or the end. What follows comes second.
pub(crate) fn unescape(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match rest {
            [] => break,
            [0, 0, after @ ..] => {
                rest = after;
                break;
            }
            [0, 0xff, after @ ..] => {
                text.push(0);
                rest = after;
            }
            [0, ..] => return None,
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
        }
    }
    Some((String::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec!['a', 'b', '/', '!', '\0', '\u{1}', 'ü', '\u{ffff}', '😀']),
            0..8,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn escaped_keys_order_as_their_bytes(a in text(), b in text(), tail in any::<[u8; 16]>()) {
            let escaped = |key: &str| {
                let mut out = Vec::new();
                escape(key, &mut out);
                out
            };
            let terminated = |key: &str| [escaped(key), TERMINATOR.to_vec(), tail.to_vec()].concat();
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), escaped(&a).cmp(&escaped(&b)));
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), terminated(&a).cmp(&terminated(&b)));
            prop_assert_eq!(escaped(&b).starts_with(&escaped(&a)), b.starts_with(&a));
        }

        #[test]
        fn escaped_keys_come_back(key in any::<String>(), tail in any::<[u8; 16]>()) {
            let mut out = Vec::new();
            escape(&key, &mut out);
            prop_assert_eq!(unescape(&out), Some((key.clone(), [].as_slice())));
            out.extend(TERMINATOR);
            out.extend(tail);
            prop_assert_eq!(unescape(&out), Some((key, tail.as_slice())));
        }
    }
}
