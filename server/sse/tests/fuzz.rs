//! What reads bytes from the store, fed with broken examples.

#![expect(clippy::indexing_slicing, reason = "a test fails by panic")]

use bytes::Bytes;
use coffer_fuzzing::fuzz;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::BucketKey;
use coffer_sse::context::Context;
use coffer_sse::customer_key::CustomerKey;
use coffer_sse::frame::{Opener as FrameOpener, Sealer};
use coffer_sse::kms::DataKey;
use coffer_sse::object_key::{Content, ObjectKey, Opener, Place, SealedObjectKey, Upper, Write};
use coffer_sse::part_key::{PartId, WHOLE};
use coffer_sse::range::Selection;

const PLACE: Place<'_> =
    Place { tenant: "acme", bucket: "photos", key: "a/b", write: Write::Version("v-1") };

/// The same with a digest that fits, which is what a forger would write.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut forged = bytes.to_vec();
    if let Some((text, end)) = forged.split_last_chunk_mut::<8>() {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text);
        end.copy_from_slice(&digest.as_ref()[..8]);
    }
    forged
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
    fuzz!(examples, &[], |changed: &[u8]| for bytes in [changed, &forged(changed)] {
        let Ok(sealed) = SealedObjectKey::decode(bytes) else { continue };
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
    fuzz!([id.encode()], &[], |bytes: &[u8]| {
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
    fuzz!([stored.clone()], &[], |bytes: &[u8]| {
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
