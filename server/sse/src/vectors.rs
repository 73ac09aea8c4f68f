//! The forms, byte by byte, beside what `tests/vectors/make.py` computed with another implementation.

use std::collections::HashMap;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::PlainKey;
use crate::bucket_key::BucketKey;
use crate::context::Context;
use crate::customer_key::CustomerKey;
use crate::envelope::Envelope;
use crate::frame::{Opener as FrameOpener, Sealer};
use crate::kms::DataKey;
use crate::object_key::{
    Content, ObjectKey, OpenError, Opener, Place, SealedObjectKey, Upper, Write,
};
use crate::part_key::{OpeningKey, Part, PartId, PartsTag, SealingKey};
use crate::range::{Selection, stored_length};

struct Vector(HashMap<String, String>);

impl Vector {
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let line = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
        Self(text.lines().map(|text| line(text).unwrap()).collect())
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(&self.0[field]).unwrap()
    }

    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    fn key(&self, field: &str) -> PlainKey {
        PlainKey::from_slice(&self.bytes(field)).unwrap()
    }

    fn number(&self, field: &str) -> u64 {
        self.0[field].parse().unwrap()
    }
}

fn counting<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|i| start.wrapping_add(u8::try_from(i % 256).unwrap()))
}

fn object_key() -> ObjectKey {
    ObjectKey(PlainKey::from_slice(&counting::<32>(0)).unwrap())
}

#[test]
fn an_envelope_is_as_documented() {
    let vector = Vector::read("envelope");
    let (upper, plain) = (vector.key("upper"), vector.key("plain"));
    let associated = vector.bytes("associated");
    let domain = &vector.0["domain"];
    let domain = if domain == "domain" { "domain" } else { panic!("{domain}") };
    let sealed =
        Envelope::seal_salted(vector.array("salt"), &upper, domain, &associated, &plain).unwrap();
    assert_eq!(hex::encode(sealed.encode()), vector.0["sealed"]);
    let opened = sealed.open(&upper, domain, &associated).unwrap();
    assert_eq!(opened.expose(), plain.expose());
    assert!(sealed.open(&plain, domain, &associated).is_err());
    assert!(sealed.open(&upper, "other", &associated).is_err());
    assert!(sealed.open(&upper, domain, b"other").is_err());
}

#[test]
fn a_check_value_is_as_documented() {
    let vector = Vector::read("customer_check");
    let key = CustomerKey::new(vector.key("key"));
    let check = key.check_value_salted(vector.array("salt")).unwrap();
    assert_eq!(hex::encode(check.value), vector.0["value"]);
    assert!(key.gives(&check).unwrap());
    assert!(!CustomerKey::new(PlainKey::random().unwrap()).gives(&check).unwrap());
    assert_ne!(key.check_value().unwrap(), key.check_value().unwrap(), "salted");
}

#[test]
fn a_tag_over_parts_is_as_documented() {
    let vector = Vector::read("parts_tag");
    let parts = [
        Part { number: 1, id: PartId(vector.array("first_id")), plain_length: 5 << 20 },
        Part { number: 7, id: PartId(vector.array("second_id")), plain_length: 1 },
    ];
    let tag = object_key().parts_tag(parts).unwrap();
    assert_eq!(hex::encode(tag.0), vector.0["tag"]);
    assert!(object_key().has_parts(&tag, parts).unwrap());
    let [a, b] = parts;
    for (name, other) in [
        ("cut off", vec![a]),
        ("exchanged", vec![b, a]),
        ("doubled", vec![a, b, b]),
        ("another number", vec![a, Part { number: 8, ..b }]),
        ("another sending", vec![a, Part { id: a.id, ..b }]),
        ("another length", vec![a, Part { plain_length: 2, ..b }]),
        ("none", vec![]),
    ] {
        assert!(!object_key().has_parts(&tag, other).unwrap(), "{name}");
    }
}

#[test]
fn records_are_as_documented() {
    let bucket_key = |client: &[u8], key: PlainKey| {
        let client = Context::from_client(client).unwrap();
        let data_key = DataKey { plain: key, sealed: Bytes::from_static(b"sealed by the KMS") };
        BucketKey::new("coffer-1".parse().unwrap(), client, data_key)
    };
    let version =
        Place { tenant: "acme", bucket: "photos", key: "größe/1", write: Write::Version("null") };
    let upload = Place { write: Write::Upload("u-1"), ..version };
    let customer = CustomerKey::new(Vector::read("record_customer_parts").key("upper"));
    let check = customer.check_value_salted(counting(0x20)).unwrap();
    let tag = PartsTag(Vector::read("parts_tag").array("tag"));
    let s3 = bucket_key(b"{}", Vector::read("record_s3_whole").key("upper"));
    let kms = bucket_key(br#"{"b":"2","a":"1"}"#, Vector::read("record_kms_upload").key("upper"));
    let whole = Content::Whole(PartId(counting(0x70)));
    for (name, upper, opener, place, content) in [
        ("record_s3_whole", Upper::S3(&s3), Opener::BucketKey(s3.plain()), version, whole),
        (
            "record_kms_upload",
            Upper::Kms(&kms),
            Opener::BucketKey(kms.plain()),
            upload,
            Content::Upload,
        ),
        (
            "record_customer_parts",
            Upper::Customer(&customer),
            Opener::Customer(&customer),
            version,
            Content::Parts(tag),
        ),
    ] {
        let sealed =
            object_key().seal_salted(counting(0x40), Some(check), upper, &place, content).unwrap();
        let record = Vector::read(name).bytes("record");
        assert_eq!(hex::encode(sealed.encode()), hex::encode(&record), "{name}");
        let decoded = SealedObjectKey::decode(&record).unwrap();
        assert_eq!(decoded, sealed, "{name}");
        assert_eq!(decoded.content(), content, "{name}");
        let opened = decoded.open(opener, &place).unwrap();
        assert_eq!(opened.0.expose(), object_key().0.expose(), "{name}");
        let elsewhere = Place { bucket: "other", ..place };
        assert_eq!(decoded.open(opener, &elsewhere).unwrap_err(), OpenError::Damaged, "{name}");
    }
}

#[test]
fn frames_are_as_documented() {
    for name in ["empty", "short", "full", "two", "three"] {
        let vector = Vector::read(&format!("frames_{name}"));
        let number = u32::try_from(vector.number("number")).unwrap();
        let id = PartId(vector.array("id"));
        let length = vector.number("plain_length");
        let plain: Vec<u8> = (0..length).map(|i| u8::try_from(i % 256).unwrap()).collect();
        let mut sealer = Sealer::new(SealingKey(object_key().part_key(number, id).unwrap()));
        let mut out = Vec::new();
        sealer.push(Bytes::from(plain.clone()), &mut out).unwrap();
        assert_eq!(sealer.finish(&mut out).unwrap(), length);
        let stored = out.concat();
        assert_eq!(u64::try_from(stored.len()).unwrap(), vector.number("stored_length"), "{name}");
        assert_eq!(stored_length(length), Some(vector.number("stored_length")), "{name}");
        let end = stored.len().min(32);
        assert_eq!(hex::encode(&stored[..end]), vector.0["first_bytes"], "{name}");
        assert_eq!(hex::encode(&stored[stored.len() - end..]), vector.0["last_bytes"], "{name}");
        assert_eq!(
            hex::encode(digest(&SHA256, &stored)),
            vector.0["stored_sha256"],
            "{name}: all of it"
        );
        let key = OpeningKey(object_key().part_key(number, id).unwrap());
        let mut opener = FrameOpener::new(key, Selection::whole(length).unwrap());
        let mut found = Vec::new();
        opener.push(Bytes::from(stored), &mut found).unwrap();
        opener.finish().unwrap();
        assert_eq!(found.concat(), plain, "{name}");
    }
}
