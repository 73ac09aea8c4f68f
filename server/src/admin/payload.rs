//! The encrypted bodies of the admin API: sealed by the secret key of whoever signed the request.
//!
//! ```text
//! 32 bytes salt
//! 1 byte   algorithm: 0 Argon2id, AES-256-GCM; 1 Argon2id, ChaCha20-Poly1305; 2 PBKDF2-HMAC-SHA256, AES-256-GCM
//! 8 bytes  nonce
//! rest     fragments of 16 KiB and a tag; the last one may be shorter
//! ```
//! A fragment's nonce is that nonce and its number (little-endian, from 1); its associated data is a byte that marks the last one
//! and the tag of the empty message of number 0.
//! Source: what `madmin` sends and reads.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305};
use aws_lc_rs::aead::{LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::pbkdf2;
use coffer_signature::SecretKey;
use std::num::NonZeroU32;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

const SALT: usize = 32;
const NONCE: usize = 8;
const HEAD: usize = SALT + 1 + NONCE;
const TAG: usize = 16;
const FRAGMENT: usize = 16 * 1024;
/// Source: what FIPS builds of those clients use.
const ITERATIONS: NonZeroU32 = match NonZeroU32::new(8192) {
    Some(iterations) => iterations,
    None => NonZeroU32::MIN,
};

/// Each derivation takes 64 MiB: no more than two at once, however many requests there are.
static DERIVATIONS: Semaphore = Semaphore::const_new(2);

/// Why a body can't be opened or sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is too short, or names an algorithm that there isn't.
    #[error("the body isn't encrypted as the admin API asks")]
    Form,
    /// It was encrypted by another secret key, or changed.
    #[error("the body wasn't encrypted by the secret key that signed the request, or was changed")]
    Changed,
    /// The work couldn't be done.
    #[error("the body can't be encrypted")]
    Failed,
}

/// How the key is derived, and what it encrypts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    Argon2Aes,
    Argon2Chacha,
    Pbkdf2Aes,
}

impl Suite {
    fn of(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::Argon2Aes),
            1 => Some(Self::Argon2Chacha),
            2 => Some(Self::Pbkdf2Aes),
            _ => None,
        }
    }

    fn id(self) -> u8 {
        match self {
            Self::Argon2Aes => 0,
            Self::Argon2Chacha => 1,
            Self::Pbkdf2Aes => 2,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Argon2Aes | Self::Pbkdf2Aes => &AES_256_GCM,
            Self::Argon2Chacha => &CHACHA20_POLY1305,
        }
    }

    fn derive(self, secret: &str, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, PayloadError> {
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Argon2Aes | Self::Argon2Chacha => {
                let params = argon2::Params::new(64 * 1024, 1, 4, Some(key.len()))
                    .map_err(|_opaque| PayloadError::Failed)?;
                argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
                    .hash_password_into(secret.as_bytes(), salt, key.as_mut())
                    .map_err(|_opaque| PayloadError::Failed)?;
            }
            Self::Pbkdf2Aes => {
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
                pbkdf2::derive(algorithm, ITERATIONS, salt, secret.as_bytes(), key.as_mut());
            }
        }
        Ok(key)
    }
}

/// One message under its own key.
struct Channel {
    key: LessSafeKey,
    nonce: [u8; NONCE],
    /// The tag of the empty message of number 0.
    bound: [u8; TAG],
}

/// Where a fragment stands.
#[derive(Clone, Copy)]
enum Place {
    Inner,
    Last,
}

impl Channel {
    fn new(
        suite: Suite,
        secret: &str,
        salt: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Self, PayloadError> {
        let key = suite.derive(secret, salt)?;
        let key = UnboundKey::new(suite.algorithm(), key.as_ref())
            .map_err(|_opaque| PayloadError::Failed)?;
        let mut channel = Self { key: LessSafeKey::new(key), nonce, bound: [0; TAG] };
        let mut empty = [];
        let nonce = channel.nonce(0);
        let tag = channel
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut empty)
            .map_err(|_opaque| PayloadError::Failed)?;
        channel.bound.copy_from_slice(tag.as_ref());
        Ok(channel)
    }

    fn nonce(&self, number: u32) -> Nonce {
        let mut nonce = [0; 12];
        let (front, back) = nonce.split_at_mut(NONCE);
        front.copy_from_slice(&self.nonce);
        back.copy_from_slice(&number.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn associated(&self, place: Place) -> Aad<[u8; 1 + TAG]> {
        let mut bytes = [0; 1 + TAG];
        let (mark, bound) = bytes.split_at_mut(1);
        mark.fill(match place {
            Place::Inner => 0,
            Place::Last => 0x80,
        });
        bound.copy_from_slice(&self.bound);
        Aad::from(bytes)
    }
}

/// Numbers from 1 and whether it is the last, for `count` fragments.
fn places(count: usize) -> impl Iterator<Item = (u32, Place)> {
    (1..=u32::MAX)
        .zip(1..=count)
        .map(move |(number, at)| (number, if at == count { Place::Last } else { Place::Inner }))
}

/// Opens a body that was encrypted by `secret`.
///
/// # Errors
/// [`PayloadError`].
pub async fn open(secret: &SecretKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let (secret, sealed) = (secret.clone(), sealed.to_vec());
    derived(move || open_now(&secret, &sealed)).await
}

/// Encrypts an answer by `secret`.
///
/// # Errors
/// [`PayloadError::Failed`].
pub async fn seal(secret: &SecretKey, plain: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, PayloadError> {
    let secret = secret.clone();
    let (salt, nonce): ([u8; SALT], [u8; NONCE]) = rand::random();
    derived(move || seal_now(&secret, &plain, Suite::Argon2Aes, salt, nonce)).await
}

async fn derived<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PayloadError> + Send + 'static,
) -> Result<T, PayloadError> {
    let _place = DERIVATIONS.acquire().await.map_err(|_closed| PayloadError::Failed)?;
    tokio::task::spawn_blocking(work).await.map_err(|_ended| PayloadError::Failed)?
}

/// A body's parts.
struct Sealed<'a> {
    suite: Suite,
    salt: &'a [u8],
    nonce: [u8; NONCE],
    fragments: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let (head, fragments) = bytes.split_at_checked(HEAD).ok_or(PayloadError::Form)?;
        let (salt, rest) = head.split_at_checked(SALT).ok_or(PayloadError::Form)?;
        let (suite, nonce) = rest.split_first().ok_or(PayloadError::Form)?;
        let suite = Suite::of(*suite).ok_or(PayloadError::Form)?;
        let nonce = nonce.try_into().map_err(|_length| PayloadError::Form)?;
        if fragments.len() < TAG {
            return Err(PayloadError::Form);
        }
        Ok(Self { suite, salt, nonce, fragments })
    }
}

fn open_now(secret: &SecretKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let Sealed { suite, salt, nonce, fragments } = Sealed::read(sealed)?;
    opened(&Channel::new(suite, secret.expose(), salt, nonce)?, fragments)
}

fn opened(channel: &Channel, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, PayloadError> {
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len()));
    let fragments = body.chunks(FRAGMENT + TAG);
    for ((number, place), fragment) in places(fragments.len()).zip(fragments) {
        let mut fragment = Zeroizing::new(fragment.to_vec());
        let opened = channel
            .key
            .open_in_place(channel.nonce(number), channel.associated(place), &mut fragment)
            .map_err(|_opaque| PayloadError::Changed)?;
        plain.extend_from_slice(opened);
    }
    Ok(plain)
}

fn seal_now(
    secret: &SecretKey,
    plain: &[u8],
    suite: Suite,
    salt: [u8; SALT],
    nonce: [u8; NONCE],
) -> Result<Vec<u8>, PayloadError> {
    let channel = Channel::new(suite, secret.expose(), &salt, nonce)?;
    let mut sealed = [salt.as_slice(), &[suite.id()], &nonce].concat();
    // Of nothing there is one fragment all the same, which is empty.
    let count = plain.len().div_ceil(FRAGMENT).max(1);
    let mut fragments = plain.chunks(FRAGMENT);
    for (number, place) in places(count) {
        let mut fragment = fragments.next().unwrap_or_default().to_vec();
        channel
            .key
            .seal_in_place_append_tag(
                channel.nonce(number),
                channel.associated(place),
                &mut fragment,
            )
            .map_err(|_opaque| PayloadError::Failed)?;
        sealed.append(&mut fragment);
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};
    use coffer_fuzzing::fuzz;
    use proptest::prelude::*;

    fn secret() -> SecretKey {
        SecretKey::new("example-secret-key".to_owned())
    }

    fn salt_and_nonce() -> ([u8; SALT], [u8; NONCE]) {
        let byte = |at: usize| u8::try_from(at).unwrap();
        (std::array::from_fn(byte), std::array::from_fn(|at| 0xa0 + byte(at)))
    }

    #[test]
    fn containers_are_those_of_the_field() {
        let (salt, nonce) = salt_and_nonce();
        let plain = br#"{"hello":"world"}"#;
        for (suite, expected) in [
            (
                Suite::Argon2Aes,
                "ac7b592b282ec4989587bb072f7ed1f94b0f5d27b8c42a3b3111a7f55dabcf7055",
            ),
            (
                Suite::Argon2Chacha,
                "0caa5031270ab2835a67ea3f454b1428bb25462ae812ff785d24006bb9aee03562",
            ),
            (
                Suite::Pbkdf2Aes,
                "f30307fb02ce9d1670e5971b32d866d3ebf78e34f4f9d7fe9a2cd6091a2caa8050",
            ),
        ] {
            let sealed = seal_now(&secret(), plain, suite, salt, nonce).unwrap();
            assert_eq!(hex::encode(&sealed[HEAD..]), expected, "{suite:?}");
            assert_eq!(open_now(&secret(), &sealed).unwrap().as_slice(), plain, "{suite:?}");
        }
    }

    #[test]
    fn fragments_are_those_of_the_field() {
        let (salt, nonce) = salt_and_nonce();
        for (length, size, expected) in [
            (0, 57, "74a4789b14e51552b30ff13cafcb0e326f2f67ad7c5065ff6d2bb0c47363a68b"),
            (16384, 16441, "615397012e864d80e56f1213a2e536665562cd22c994314f8dc6fec28e5f27fe"),
            (16385, 16458, "dcfd0224942f7ce94c88fcde3d156b02ef76556dcc16e47964c1297d9fb1b281"),
            (40000, 40089, "df9399e416b0f8958a90059a188bb44c9f965d5409c7f7c840513736783187e5"),
        ] {
            let plain: Vec<u8> =
                (0..length).map(|at: u32| u8::try_from(at % 251).unwrap()).collect();
            let sealed = seal_now(&secret(), &plain, Suite::Pbkdf2Aes, salt, nonce).unwrap();
            assert_eq!(sealed.len(), size, "{length}");
            assert_eq!(hex::encode(digest(&SHA256, &sealed)), expected, "{length}");
            assert_eq!(open_now(&secret(), &sealed).unwrap().as_slice(), plain, "{length}");
        }
    }

    #[test]
    fn fuzzed_bodies_are_what_was_sealed_or_refused() {
        let (salt, nonce) = salt_and_nonce();
        let plain = br#"{"hello":"world"}"#;
        let sealed = seal_now(&secret(), plain, Suite::Pbkdf2Aes, salt, nonce).unwrap();
        let channel = Channel::new(Suite::Pbkdf2Aes, secret().expose(), &salt, nonce).unwrap();
        let whole = Sealed::read(&sealed).unwrap().fragments.to_vec();
        fuzz!([sealed.clone()], b"\x00\x01\x02\x03\xff", |bytes: &[u8]| {
            let Ok(read) = Sealed::read(bytes) else { return };
            // The key of another salt is another key; to derive it takes its time.
            let found = opened(&channel, read.fragments);
            assert_eq!(found.is_ok(), read.fragments == whole);
        });
    }

    #[test]
    fn what_was_changed_cut_or_moved_is_refused() {
        let (salt, nonce) = salt_and_nonce();
        let plain = vec![7; 2 * FRAGMENT + 5];
        let sealed = seal_now(&secret(), &plain, Suite::Pbkdf2Aes, salt, nonce).unwrap();
        for at in (0..sealed.len()).step_by(997).chain(0..HEAD) {
            let mut bent = sealed.clone();
            bent[at] ^= 0x40;
            assert!(open_now(&secret(), &bent).is_err(), "byte {at}");
        }
        for end in
            [0, HEAD - 1, HEAD, HEAD + 15, HEAD + FRAGMENT + TAG, HEAD + 2 * (FRAGMENT + TAG)]
        {
            assert!(open_now(&secret(), &sealed[..end]).is_err(), "cut at {end}");
        }
        let mut swapped = sealed[..HEAD].to_vec();
        swapped.extend_from_slice(&sealed[HEAD + FRAGMENT + TAG..][..FRAGMENT + TAG]);
        swapped.extend_from_slice(&sealed[HEAD..][..FRAGMENT + TAG]);
        swapped.extend_from_slice(&sealed[HEAD + 2 * (FRAGMENT + TAG)..]);
        assert_eq!(open_now(&secret(), &swapped).unwrap_err(), PayloadError::Changed);
        let other = SecretKey::new("another-secret-key".to_owned());
        assert_eq!(open_now(&other, &sealed).unwrap_err(), PayloadError::Changed);
    }

    #[tokio::test]
    async fn an_answer_opens_by_the_same_secret() {
        let sealed = seal(&secret(), Zeroizing::new(b"hello".to_vec())).await.unwrap();
        assert_eq!(open(&secret(), &sealed).await.unwrap().as_slice(), b"hello");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // The cheap derivation: what is tried here is the framing.
            if let Some(suite) = bytes.get_mut(SALT) { *suite = 2 | (*suite & 0xf8) }
            prop_assert!(open_now(&secret(), &bytes).is_err());
        }
    }
}
