//! What a data key is opened by: `id ‖ nonce ‖ tag ‖ ciphertext`, all but the last with their length in one byte before them.
//!
//! The id is the key's in the service: what is sealed opens under that object. The tag is empty where a service leaves it at the end
//! of the ciphertext.

use super::message::{GCM_TAG, Sealed};

/// How long the nonces are that are made here, in bytes.
pub(super) const NONCE: usize = 12;

/// What a data key is opened by.
pub(super) struct Parts<'a> {
    pub(super) id: &'a str,
    pub(super) sealed: Sealed<'a>,
}

/// Writes it; `None` where a piece is too long.
pub(super) fn encode(id: &str, sealed: &Sealed<'_>) -> Option<Vec<u8>> {
    let Sealed { iv, tag, data } = sealed;
    let mut out = Vec::new();
    for piece in [id.as_bytes(), iv, tag] {
        out.push(u8::try_from(piece.len()).ok()?);
        out.extend(piece);
    }
    out.extend_from_slice(data);
    Some(out)
}

/// Reads it.
pub(super) fn decode(bytes: &[u8]) -> Option<Parts<'_>> {
    let (id, rest) = piece(bytes)?;
    let (iv, rest) = piece(rest)?;
    let (tag, data) = piece(rest)?;
    let sealed = Sealed { iv, tag, data };
    let id = std::str::from_utf8(id).ok()?;
    is_authenticated(&sealed).then_some(Parts { id, sealed })
}

/// A piece with its length before it, and what follows.
fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A data key's 32 bytes and GCM's tag, beside each other or in one.
pub(super) fn is_authenticated(sealed: &Sealed<'_>) -> bool {
    let Sealed { iv, tag, data } = sealed;
    let whole = [(32, GCM_TAG), (32 + GCM_TAG, 0)];
    whole.contains(&(data.len(), tag.len())) && (NONCE..=64).contains(&iv.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sealed_data_key_is_read_as_it_was_written() {
        for (name, tag, data) in [("a tag", 16, 32), ("a tag at the end", 0, 48)] {
            let (tag, data) = (vec![7; tag], vec![9; data]);
            let sealed = Sealed { iv: &[5; NONCE], tag: &tag, data: &data };
            let bytes = encode("key-1", &sealed).unwrap();
            let parts = decode(&bytes).unwrap();
            assert_eq!(parts.id, "key-1", "{name}");
            assert_eq!(
                (parts.sealed.iv, parts.sealed.tag, parts.sealed.data),
                (&[5; NONCE][..], &*tag, &*data),
                "{name}"
            );
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_none(), "{name}: {length}");
            }
        }
    }

    #[test]
    fn what_has_no_tag_of_sixteen_bytes_is_no_sealed_data_key() {
        for (name, iv, tag, data, expected) in [
            ("GCM", 12, 16, 32, true),
            ("the tag within", 12, 0, 48, true),
            ("no tag", 12, 0, 32, false),
            ("a short tag", 12, 12, 32, false),
            ("both", 12, 16, 48, false),
            ("no nonce", 0, 16, 32, false),
        ] {
            let (iv, tag, data) = (vec![0; iv], vec![0; tag], vec![0; data]);
            let sealed = Sealed { iv: &iv, tag: &tag, data: &data };
            assert_eq!(is_authenticated(&sealed), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_sealed_data_key_that_is_written_alike_or_none(
            bytes in prop::collection::vec(prop_oneof![Just(1_u8), Just(12), Just(16), any::<u8>()], 0..160)
        ) {
            if let Some(Parts { id, sealed }) = decode(&bytes) {
                prop_assert_eq!(encode(id, &sealed).unwrap(), bytes);
            }
        }
    }
}
