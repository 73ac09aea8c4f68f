//! What reads bytes from the store, fed with broken examples.
//!
//! `bolero` drives it, on the stable compiler: as tests for a moment each, for `COFFER_FUZZ_SECONDS` each where that is set,
//! and by `cargo bolero test` with a fuzzer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panic")]

use std::time::Duration;

use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::BucketKey;
use coffer_sse::context::Context;
use coffer_sse::customer_key::CustomerKey;
use coffer_sse::frame::{Opener as FrameOpener, Sealer};
use coffer_sse::kms::DataKey;
use coffer_sse::object_key::{Content, ObjectKey, Opener, Place, SealedObjectKey, Upper, Write};
use coffer_sse::part_key::{PartId, WHOLE};
use coffer_sse::range::Selection;

/// How many inputs a target gets as an ordinary test.
const ITERATIONS: usize = 20_000;

const PLACE: Place<'_> =
    Place { tenant: "acme", bucket: "photos", key: "a/b", write: Write::Version("v-1") };

fn fuzz(examples: &[Vec<u8>], target: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    for example in examples {
        target(example);
    }
    let seconds = std::env::var("COFFER_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let check = bolero::check!();
    let check = match seconds {
        Some(seconds) => check.with_test_time(Duration::from_secs(seconds)),
        None => check.with_iterations(ITERATIONS),
    };
    check.with_max_len(256).for_each(|bytes: &[u8]| target(&changed(examples, bytes)));
}

/// An example with some changes, or the bytes themselves: as they say.
fn changed(examples: &[Vec<u8>], bytes: &[u8]) -> Vec<u8> {
    let Some(([choice, which], changes)) = bytes.split_first_chunk::<2>() else {
        return bytes.to_vec();
    };
    if *choice < 16 || examples.is_empty() {
        return changes.to_vec();
    }
    let mut text = examples[usize::from(*which) % examples.len()].clone();
    for change in changes.chunks_exact(4).take(usize::from(*choice % 4) + 1) {
        let [kind, high, low, byte] = change else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
        match kind % 4 {
            0 => text.insert(at, *byte),
            1 => text.truncate(at),
            2 => drop(text.drain(at..(at + usize::from(*byte % 16)).min(text.len()))),
            _ => {
                if let Some(old) = text.get_mut(at) {
                    *old ^= byte;
                }
            }
        }
    }
    // A digest that fits is what a forger would write.
    if *choice % 2 == 0
        && let Some(at) = text.len().checked_sub(8)
    {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text[..at]);
        text[at..].copy_from_slice(&digest.as_ref()[..8]);
    }
    text
}

#[test]
fn a_record_that_is_read_is_written_alike_and_opens_unchanged_only() {
    let data_key =
        DataKey { plain: PlainKey::random().unwrap(), sealed: Bytes::from_static(b"sealed") };
    let client = Context::from_client(br#"{"a":"1"}"#).unwrap();
    let bucket_key = BucketKey::new("photos".parse().unwrap(), client, data_key);
    let customer = CustomerKey::new(PlainKey::random().unwrap());
    let key = ObjectKey::random().unwrap();
    let (_, id) = key.new_part(WHOLE).unwrap();
    let tag = key.parts_tag([]).unwrap();
    let examples: Vec<Vec<u8>> = [
        key.seal(Upper::S3(&bucket_key), &PLACE, Content::Whole(id)),
        key.seal(Upper::Kms(&bucket_key), &PLACE, Content::Upload),
        key.seal(Upper::Customer(&customer), &PLACE, Content::Parts(tag)),
    ]
    .map(|sealed| sealed.unwrap().encode())
    .to_vec();
    let good = examples.clone();
    fuzz(&examples, move |bytes| {
        let Ok(sealed) = SealedObjectKey::decode(bytes) else { return };
        assert_eq!(sealed.encode(), bytes);
        for opener in [Opener::BucketKey(bucket_key.plain()), Opener::Customer(&customer)] {
            let opened = sealed.open(opener, &PLACE).is_ok();
            assert!(!opened || good.iter().any(|good| good == bytes), "{}", hex::encode(bytes));
        }
    });
}

#[test]
fn a_parts_record_that_is_read_is_written_alike() {
    let (_, id) = ObjectKey::random().unwrap().new_part(1).unwrap();
    fuzz(&[id.encode()], |bytes| {
        if let Some(id) = PartId::decode(bytes) {
            assert_eq!(id.encode(), bytes);
        }
    });
}

#[test]
fn an_opener_gives_what_was_sealed_or_nothing() {
    let key = ObjectKey::random().unwrap();
    let content = b"what was sealed, in one frame";
    let (sealing, id) = key.new_part(WHOLE).unwrap();
    let mut sealer = Sealer::new(sealing);
    let mut out = Vec::new();
    sealer.push(Bytes::from_static(content), &mut out).unwrap();
    sealer.finish(&mut out).unwrap();
    let stored = out.concat();
    fuzz(std::slice::from_ref(&stored), |bytes| {
        for length in [content.len() as u64, 0, 65_536, (bytes.len() as u64).saturating_sub(16)] {
            let selection = Selection::whole(length).unwrap();
            let mut opener = FrameOpener::new(key.part(WHOLE, id).unwrap(), selection);
            let mut out = Vec::new();
            let pushed = opener.push(Bytes::copy_from_slice(bytes), &mut out);
            if pushed.is_ok() && opener.finish().is_ok() {
                assert_eq!(
                    (out.concat().as_slice(), bytes),
                    (content.as_slice(), stored.as_slice())
                );
            } else if bytes.starts_with(&stored) && length == content.len() as u64 {
                // What goes on behind the last frame is refused, after it.
                assert_eq!(out.concat(), content);
            } else {
                assert!(out.is_empty());
            }
        }
    });
}
