//! What reads a KMIP service's bytes, fed with broken examples.
//!
//! `bolero` drives it, on the stable compiler: as a test for a moment, for `COFFER_FUZZ_SECONDS` where that is set, and by
//! `cargo bolero test` with a fuzzer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panic")]

use std::time::Duration;

use coffer_server::encrypt::kmip::ttlv::{Item, LONGEST, Tag, TtlvError, Value, whole};

/// How many inputs it gets as an ordinary test.
const ITERATIONS: usize = 20_000;

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
    for change in changes.chunks_exact(4).take(usize::from(*choice % 6) + 1) {
        let [kind, high, low, byte] = change else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
        // Bytes that mean something are tried more often than others.
        let telling = b"\x42\x54\x00\x01\x02\x07\x08\x0b\x10\x7f\xff";
        let telling = telling[usize::from(*byte) % telling.len()];
        match kind % 5 {
            0 => text.insert(at, *byte),
            1 => text.truncate(at),
            2 => drop(text.drain(at..(at + usize::from(*byte % 16)).min(text.len()))),
            3 => {
                if let Some(old) = text.get_mut(at) {
                    *old = telling;
                }
            }
            _ => {
                if let Some(old) = text.get_mut(at) {
                    *old ^= byte;
                }
            }
        }
    }
    text
}

#[test]
fn a_message_that_is_read_is_written_alike() {
    let tag = Tag::of(0x7b);
    let item = |value| Item { tag: Tag::of(0x0b), value };
    let examples: Vec<Vec<u8>> = [
        Item::structure(
            tag,
            vec![
                Item::structure(
                    Tag::of(0x7a),
                    vec![Item::integer(Tag::of(0x6a), 1), Item::integer(Tag::of(0x0d), 1)],
                ),
                Item::structure(
                    Tag::of(0x0f),
                    vec![
                        Item::enumeration(Tag::of(0x5c), 0x1f),
                        Item::text(Tag::of(0x94), "a key's id"),
                        Item::bytes(Tag::of(0xc2), &[7; 32]),
                    ],
                ),
            ],
        ),
        Item::structure(
            tag,
            vec![
                item(Value::LongInteger(-1)),
                item(Value::BigInteger(vec![0xff; 16])),
                item(Value::Boolean(true)),
                item(Value::DateTime(1)),
                item(Value::Interval(2)),
                item(Value::Structure(Vec::new())),
            ],
        ),
    ]
    .map(|item| item.encode().unwrap().to_vec())
    .to_vec();
    fuzz(&examples, move |bytes| {
        let length = bytes.first_chunk::<8>().and_then(|head| whole(*head, tag));
        assert!(length.is_none_or(|length| length <= LONGEST));
        match Item::decode(bytes) {
            Ok(item) => {
                assert_eq!(*item.encode().unwrap(), bytes);
                // What is read in one piece is told to be as long.
                if item.tag == tag && matches!(item.value, Value::Structure(_)) {
                    assert_eq!(length, Some(bytes.len()));
                }
            }
            Err(error) => assert_ne!(error, TtlvError::Long),
        }
    });
}
