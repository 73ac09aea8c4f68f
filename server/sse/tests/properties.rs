//! What must hold of every content: it comes back, every range of it too, and nothing of it once anything was changed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panic")]

use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::BucketKey;
use coffer_sse::context::Context;
use coffer_sse::customer_key::CustomerKey;
use coffer_sse::frame::{FrameError, Opener as FrameOpener, Sealer};
use coffer_sse::kms::DataKey;
use coffer_sse::object_key::{
    Content, ObjectKey, OpenError, Opener, Place, RecordError, SealedObjectKey, Upper, Write,
};
use coffer_sse::part_key::{OpeningKey, PartId, WHOLE};
use coffer_sse::range::{Selection, stored_length};
use proptest::prelude::*;

const FRAME: usize = 65_536;
const STORED: usize = FRAME + 16;
/// Around the borders of frames.
const SIZES: [usize; 12] = [
    0,
    1,
    15,
    4096,
    FRAME - 1,
    FRAME,
    FRAME + 1,
    2 * FRAME - 1,
    2 * FRAME,
    2 * FRAME + 1,
    3 * FRAME + 777,
    5 * FRAME,
];

const PLACE: Place<'_> =
    Place { tenant: "acme", bucket: "photos", key: "a/b", write: Write::Version("v-1") };

fn plain(length: usize) -> Vec<u8> {
    let mut state = 12_345_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

fn seal(key: &ObjectKey, number: u32, content: &[u8], piece: usize) -> (PartId, Vec<u8>) {
    let (key, id) = key.new_part(number).unwrap();
    let mut sealer = Sealer::new(key);
    let mut out = Vec::new();
    for piece in content.chunks(piece) {
        sealer.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    assert_eq!(sealer.finish(&mut out).unwrap(), content.len() as u64);
    (id, out.concat())
}

/// What an opener gives before it says no, and whether it does.
fn open(
    key: OpeningKey,
    selection: Selection,
    stored: &[u8],
    piece: usize,
) -> (Vec<u8>, Result<(), FrameError>) {
    let mut opener = FrameOpener::new(key, selection);
    let mut out = Vec::new();
    for (at, piece) in stored.chunks(piece).enumerate() {
        // By turns alone with its bytes, and not.
        let bytes = Bytes::copy_from_slice(piece);
        let other = (at % 2 == 1).then(|| bytes.clone());
        if let Err(error) = opener.push(bytes, &mut out) {
            let length = out.len();
            assert!(opener.push(Bytes::from_static(b"more"), &mut out).is_err());
            assert_eq!(out.len(), length, "nothing after an error");
            return (out.concat(), Err(error));
        }
        drop(other);
    }
    (out.concat(), opener.finish())
}

#[test]
fn every_size_comes_back_in_pieces_of_every_size() {
    let key = ObjectKey::random().unwrap();
    for size in SIZES {
        let content = plain(size);
        for piece in [997, 16_384, FRAME, FRAME + 3, 1 << 20] {
            let (id, stored) = seal(&key, WHOLE, &content, piece);
            assert_eq!(stored.len() as u64, stored_length(size as u64).unwrap());
            for piece in [1009, STORED, STORED + 5, 1 << 20] {
                let selection = Selection::whole(size as u64).unwrap();
                let (opened, end) = open(key.part(WHOLE, id).unwrap(), selection, &stored, piece);
                assert_eq!(end, Ok(()), "{size} in pieces of {piece}");
                assert!(opened == content, "{size} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn every_range_with_an_end_near_a_border_comes_back() {
    let key = ObjectKey::random().unwrap();
    let size = 3 * FRAME + 100;
    let content = plain(size);
    let (id, stored) = seal(&key, 3, &content, FRAME);
    let near: Vec<usize> = (0..=3)
        .flat_map(|n| [n * FRAME, n * FRAME + 1, (n * FRAME).saturating_sub(1), n * FRAME + 50])
        .chain([size - 1, size])
        .collect();
    for &from in &near {
        for &to in near.iter().filter(|to| **to >= from) {
            let selection = Selection::new(size as u64, from as u64..to as u64).unwrap();
            let part = selection.stored();
            let bytes =
                &stored[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()];
            let (opened, end) = open(key.part(3, id).unwrap(), selection, bytes, 100_000);
            assert_eq!(end, Ok(()), "{from}..{to}");
            assert!(opened == content[from..to], "{from}..{to}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_short_content_is_found() {
    let key = ObjectKey::random().unwrap();
    let content = plain(70);
    let (id, stored) = seal(&key, WHOLE, &content, 70);
    for bit in 0..stored.len() * 8 {
        let mut bent = stored.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let selection = Selection::whole(70).unwrap();
        let (given, end) = open(key.part(WHOLE, id).unwrap(), selection, &bent, 1000);
        assert_eq!((given, end), (Vec::new(), Err(FrameError::Changed(0))), "bit {bit}");
    }
}

#[test]
fn frames_that_are_dropped_doubled_exchanged_or_cut_are_found() {
    let key = ObjectKey::random().unwrap();
    let size = 3 * FRAME + 9;
    let content = plain(size);
    let (id, stored) = seal(&key, WHOLE, &content, FRAME);
    let frames: Vec<&[u8]> = stored.chunks(STORED).collect();
    let [a, b, c, last] = frames[..] else { panic!("4 frames") };
    for (name, bytes, claimed, given, error) in [
        ("first dropped", [b, c, last].concat(), size, 0, FrameError::Changed(0)),
        ("middle dropped", [a, c, last].concat(), size, 1, FrameError::Changed(1)),
        (
            "dropped, and the length fits",
            [a, c, last].concat(),
            size - FRAME,
            1,
            FrameError::Changed(1),
        ),
        ("last dropped", [a, b, c].concat(), size, 3, FrameError::CutOff),
        (
            "last dropped, and the length fits",
            [a, b, c].concat(),
            3 * FRAME,
            2,
            FrameError::Changed(2),
        ),
        ("all dropped", Vec::new(), size, 0, FrameError::CutOff),
        ("all dropped, and the length fits", vec![0; 16], 0, 0, FrameError::Changed(0)),
        ("doubled", [a, b, b, c, last].concat(), size, 2, FrameError::Changed(2)),
        (
            "doubled, and the length fits",
            [a, b, b, c, last].concat(),
            size + FRAME,
            2,
            FrameError::Changed(2),
        ),
        ("exchanged", [b, a, c, last].concat(), size, 0, FrameError::Changed(0)),
        ("cut within", stored[..stored.len() - 1].to_vec(), size, 3, FrameError::CutOff),
        (
            "cut within, and the length fits",
            stored[..stored.len() - 1].to_vec(),
            size - 1,
            3,
            FrameError::Changed(3),
        ),
        ("goes on", [a, b, c, last, last].concat(), size, 3, FrameError::Surplus),
        (
            "last one again, and the length fits",
            [a, b, c, last, last].concat(),
            size + 25,
            3,
            FrameError::Changed(3),
        ),
    ] {
        let selection = Selection::whole(claimed as u64).unwrap();
        let (opened, end) = open(key.part(WHOLE, id).unwrap(), selection, &bytes, 1 << 20);
        assert_eq!(end, Err(error), "{name}");
        assert!(content.starts_with(&opened) && opened.len() >= given * FRAME, "{name}");
    }
}

#[test]
fn content_is_bound_to_its_object_its_part_and_its_sending() {
    let (key, other) = (ObjectKey::random().unwrap(), ObjectKey::random().unwrap());
    let content = plain(100);
    let (id, stored) = seal(&key, 1, &content, 100);
    let (again, stored_again) = seal(&key, 1, &content, 100);
    assert_ne!(stored, stored_again, "a part that is sent again has another key");
    for (name, key) in [
        ("another object", other.part(1, id)),
        ("another part", key.part(2, id)),
        ("another sending", key.part(1, again)),
    ] {
        let selection = Selection::whole(100).unwrap();
        let (given, end) = open(key.unwrap(), selection, &stored, 1000);
        assert_eq!((given, end), (Vec::new(), Err(FrameError::Changed(0))), "{name}");
    }
}

fn bucket_key(client: &str) -> BucketKey {
    let data_key = DataKey {
        plain: PlainKey::random().unwrap(),
        sealed: Bytes::from_static(b"as the KMS gave it"),
    };
    BucketKey::new(
        "photos".parse().unwrap(),
        Context::from_client(client.as_bytes()).unwrap(),
        data_key,
    )
}

#[test]
fn a_sealed_key_opens_at_its_place_alone() {
    let key = bucket_key("{}");
    let customer = CustomerKey::new(PlainKey::random().unwrap());
    for (upper, opener) in [
        (Upper::S3(&key), Opener::BucketKey(key.plain())),
        (Upper::Kms(&key), Opener::BucketKey(key.plain())),
        (Upper::Customer(&customer), Opener::Customer(&customer)),
    ] {
        let sealed = ObjectKey::random().unwrap().seal(upper, &PLACE, Content::Upload).unwrap();
        assert!(sealed.open(opener, &PLACE).is_ok());
        assert_eq!(sealed.bucket_key().is_none(), matches!(upper, Upper::Customer(_)));
        for (name, place) in [
            ("tenant", Place { tenant: "other", ..PLACE }),
            ("bucket", Place { bucket: "other", ..PLACE }),
            ("key", Place { key: "a/c", ..PLACE }),
            ("version", Place { write: Write::Version("v-2"), ..PLACE }),
            ("upload", Place { write: Write::Upload("v-1"), ..PLACE }),
            ("joined otherwise", Place { tenant: "acmep", bucket: "hotos", ..PLACE }),
        ] {
            assert_eq!(sealed.open(opener, &place).unwrap_err(), OpenError::Damaged, "{name}");
        }
        let wrong = PlainKey::random().unwrap();
        let wrong_customer = CustomerKey::new(PlainKey::random().unwrap());
        let expected = match upper {
            Upper::Customer(_) => (OpenError::Mode(sealed.mode()), OpenError::WrongCustomerKey),
            Upper::S3(_) | Upper::Kms(_) => (OpenError::Damaged, OpenError::Mode(sealed.mode())),
        };
        let openers = [Opener::BucketKey(&wrong), Opener::Customer(&wrong_customer)];
        let errors = openers.map(|opener| sealed.open(opener, &PLACE).unwrap_err());
        assert_eq!(errors, [expected.0, expected.1]);
    }
}

/// Any bit, also where the digest is made to fit again: then it is the sealing that finds it.
#[test]
fn every_flipped_bit_of_a_record_is_found() {
    let key = bucket_key(r#"{"a":"1"}"#);
    let customer = CustomerKey::new(PlainKey::random().unwrap());
    let object_key = ObjectKey::random().unwrap();
    let (_, id) = object_key.new_part(WHOLE).unwrap();
    let tag = object_key.parts_tag([]).unwrap();
    for (upper, opener, content) in [
        (Upper::S3(&key), Opener::BucketKey(key.plain()), Content::Whole(id)),
        (Upper::Kms(&key), Opener::BucketKey(key.plain()), Content::Upload),
        (Upper::Customer(&customer), Opener::Customer(&customer), Content::Parts(tag)),
    ] {
        let record = object_key.seal(upper, &PLACE, content).unwrap().encode();
        assert!(SealedObjectKey::decode(&record).unwrap().open(opener, &PLACE).is_ok());
        for bit in 0..record.len() * 8 {
            let mut bent = record.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SealedObjectKey::decode(&bent), Err(RecordError::Damaged), "bit {bit}");
            if bit / 8 >= record.len() - 8 {
                continue;
            }
            fit(&mut bent);
            if let Ok(decoded) = SealedObjectKey::decode(&bent) {
                assert!(decoded.open(opener, &PLACE).is_err(), "bit {bit}");
            }
        }
        for length in 0..record.len() {
            assert_eq!(SealedObjectKey::decode(&record[..length]), Err(RecordError::Damaged));
        }
    }
}

/// Makes the digest at a record's end that of what comes before.
fn fit(record: &mut [u8]) {
    let at = record.len() - 8;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &record[..at]);
    record[at..].copy_from_slice(&digest.as_ref()[..8]);
}

#[test]
fn a_record_of_a_newer_form_is_told_from_a_damaged_one() {
    let key = bucket_key("{}");
    let sealed =
        ObjectKey::random().unwrap().seal(Upper::S3(&key), &PLACE, Content::Upload).unwrap();
    let mut record = sealed.encode();
    record[0] = 2;
    fit(&mut record);
    assert_eq!(SealedObjectKey::decode(&record), Err(RecordError::Form(2)));
}

/// A context has one form, and so has its record.
#[test]
fn a_context_in_another_form_is_no_record() {
    for (client, other) in
        [("{}", "{}"), (r#"{"a":"1"}"#, r#"{"a": "1"}"#), (r#"{"a":"1"}"#, r#"{"a":"1","a":"1"}"#)]
    {
        let key = bucket_key(client);
        let sealed =
            ObjectKey::random().unwrap().seal(Upper::Kms(&key), &PLACE, Content::Upload).unwrap();
        let under = sealed.bucket_key().unwrap();
        assert_eq!((under.name.as_str(), &*under.client.to_json()), ("photos", client));
        let record = sealed.encode();
        // The context is a text behind the key as the KMS gave it; an empty one has no letters.
        let sealed_by = b"as the KMS gave it";
        let at = record.windows(sealed_by.len()).position(|some| some == sealed_by).unwrap();
        let (before, after) = record.split_at(at + sealed_by.len());
        let length = u32::from_be_bytes(after[..4].try_into().unwrap()) as usize;
        let mut bent =
            [before, &u32::try_from(other.len()).unwrap().to_be_bytes(), other.as_bytes()].concat();
        bent.extend_from_slice(&after[4 + length..]);
        fit(&mut bent);
        assert_eq!(SealedObjectKey::decode(&bent), Err(RecordError::Damaged), "{other}");
    }
}

#[test]
fn the_id_of_a_part_comes_back_from_its_record_and_from_no_other() {
    let (_, id) = ObjectKey::random().unwrap().new_part(1).unwrap();
    let record = id.encode();
    assert_eq!(PartId::decode(&record), Some(id));
    let mut newer = record.clone();
    newer[0] += 1;
    for (name, bytes) in [
        ("nothing", Vec::new()),
        ("a newer form", newer),
        ("a byte less", record[1..].to_vec()),
        ("a byte more", [&record[..], &[0]].concat()),
    ] {
        assert_eq!(PartId::decode(&bytes), None, "{name}");
    }
}

#[test]
fn a_key_is_sealed_anew_without_its_content() {
    let key = bucket_key("{}");
    let other = bucket_key("{}");
    let object_key = ObjectKey::random().unwrap();
    let content = plain(100);
    let (id, stored) = seal(&object_key, WHOLE, &content, 100);
    let upload = Place { write: Write::Upload("u-1"), ..PLACE };
    let before = object_key.seal(Upper::S3(&key), &upload, Content::Whole(id)).unwrap();
    let opened = before.open(Opener::BucketKey(key.plain()), &upload).unwrap();
    let after = opened.seal(Upper::Kms(&other), &PLACE, before.content()).unwrap();
    let opened = after.open(Opener::BucketKey(other.plain()), &PLACE).unwrap();
    let Content::Whole(id) = after.content() else { panic!("{:?}", after.content()) };
    let selection = Selection::whole(100).unwrap();
    assert_eq!(open(opened.part(WHOLE, id).unwrap(), selection, &stored, 1000), (content, Ok(())));
}

#[test]
fn nothing_shows_a_key() {
    let bytes = [0xAB_u8; 32];
    let plain = PlainKey::from_slice(&bytes).unwrap();
    let customer = CustomerKey::new(PlainKey::from_slice(&bytes).unwrap());
    let data_key = DataKey {
        plain: PlainKey::from_slice(&bytes).unwrap(),
        sealed: Bytes::from_static(b"sealed"),
    };
    let first = format!("{plain:?} {customer:?} {data_key:?}");
    let bucket = BucketKey::new("k".parse().unwrap(), Context::default(), data_key);
    let object_key = ObjectKey::random().unwrap();
    let (sealing, id) = object_key.new_part(1).unwrap();
    let opening = object_key.part(1, id).unwrap();
    let second = format!("{bucket:?} {object_key:?} {sealing:?} {opening:?}");
    let selection = Selection::whole(1).unwrap();
    let (sealer, opener) = (Sealer::new(sealing), FrameOpener::new(opening, selection));
    let shown = format!("{first} {second} {sealer:?} {opener:?}");
    assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
    assert_eq!(shown.matches("redacted").count(), 9, "{shown}");
}

/// The same sealed bytes, and the same part's id, never come twice.
#[test]
fn no_salt_id_or_key_comes_twice() {
    let key = bucket_key("{}");
    let object_key = ObjectKey::random().unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20_000 {
        let record = object_key.seal(Upper::S3(&key), &PLACE, Content::Upload).unwrap().encode();
        // The salt, from which the sealing key comes.
        let salt = record[record.len() - 120..record.len() - 88].to_vec();
        assert!(seen.insert(salt));
        let (_, id) = object_key.new_part(1).unwrap();
        assert!(seen.insert(id.encode()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_in_any_pieces_and_any_range_of_it(
        length in 0_usize..300_000, piece in 1_usize..200_000, read in 1_usize..200_000, a: u64, b: u64,
    ) {
        let key = ObjectKey::random().unwrap();
        let content = plain(length);
        let (id, stored) = seal(&key, WHOLE, &content, piece);
        let (a, b) = (a % (length as u64 + 1), b % (length as u64 + 1));
        let range = a.min(b)..a.max(b);
        let selection = Selection::new(length as u64, range.clone()).unwrap();
        let part = selection.stored();
        let bytes = &stored[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()];
        let (opened, end) = open(key.part(WHOLE, id).unwrap(), selection, bytes, read);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(opened == content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]);
    }

    #[test]
    fn a_changed_byte_gives_nothing_of_its_frame(length in 1_usize..200_000, at: prop::sample::Index, by in 1_u8..) {
        let key = ObjectKey::random().unwrap();
        let content = plain(length);
        let (id, mut stored) = seal(&key, WHOLE, &content, FRAME);
        let at = at.index(stored.len());
        stored[at] ^= by;
        let selection = Selection::whole(length as u64).unwrap();
        let (opened, end) = open(key.part(WHOLE, id).unwrap(), selection, &stored, 100_000);
        let frame = at / STORED;
        prop_assert_eq!(end, Err(FrameError::Changed(frame as u64)));
        prop_assert!(opened == content[..frame * FRAME]);
    }
}
