//! Who signs, with what, and for which day, region and service.

use std::{
    collections::HashMap,
    fmt, mem,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// The public half of a credential.
///
/// 1 to 128 printable ASCII characters, none of them a blank, `,` or `=`, which
/// the `Authorization` header gives a meaning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKeyId {
    type Err = AccessKeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(1..=128).contains(&text.len()) {
            return Err(AccessKeyIdError::Length(text.len()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, ',' | '=')) {
            Some(character) => Err(AccessKeyIdError::Character(character)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that can't be an [`AccessKeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AccessKeyIdError {
    /// Its length in bytes.
    #[error("an access key id has 1 to 128 characters, not {0}")]
    Length(usize),
    /// A character that it may not hold.
    #[error("an access key id may not hold `{0}`; use ASCII letters and digits")]
    Character(char),
}

/// The secret half of a credential: wiped when dropped, never shown or compared.
///
/// An early-exit comparison would tell a secret byte by byte, so there is none:
///
/// ```compile_fail,E0369
/// use coffer_signature::SecretKey;
/// let (a, b) = (SecretKey::new("a".to_owned()), SecretKey::new("b".to_owned()));
/// let _ = a == b;
/// ```
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes over `secret`; other copies of it are the caller's to wipe.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, to seal it at rest or to hand it to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// What a client signs with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The secret half.
    pub secret_key: SecretKey,
    /// What temporary credentials carry beside them. It opens nothing without
    /// the secret key, yet is shown no more than that.
    pub session_token: Option<SecretKey>,
}

/// What a signature is good for: one UTC day, one region, one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `YYYYMMDD`, UTC.
    date: String,
    region: String,
    service: String,
}

impl Scope {
    /// Parts that the caller has checked: no `/`, no control character.
    pub(crate) fn new(date: &str, region: &str, service: &str) -> Self {
        Self { date: date.to_owned(), region: region.to_owned(), service: service.to_owned() }
    }

    /// The day, `YYYYMMDD` in UTC.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service: `s3` or `sts`.
    pub fn service(&self) -> &str {
        &self.service
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// The key that signs within one [`Scope`].
#[derive(Clone)]
pub(crate) struct SigningKey(Arc<hmac::Key>);

impl SigningKey {
    /// Four nested HMACs.
    ///
    /// Source: AWS Signature V4, calculate the signature.
    pub(crate) fn derive(secret: &SecretKey, scope: &Scope) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(64));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.expose().as_bytes());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
        for part in [scope.date(), scope.region(), scope.service(), "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        Self(Arc::new(key))
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Signature {
        Signature::of(hmac::sign(&self.0, text).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

/// 32 bytes, compared in constant time only.
#[derive(Clone, Copy)]
pub(crate) struct Signature([u8; 32]);

impl Signature {
    fn of(bytes: &[u8]) -> Self {
        let mut signature = [0; 32];
        for (to, from) in signature.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(signature)
    }

    /// 64 lower-case hex digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        crate::payload_hash::lower_hex(text).map(Self)
    }

    pub(crate) fn hex(&self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(redacted)")
    }
}

/// Signing keys of late, so that most requests cost one HMAC and not five.
///
/// Bounded: it holds at most twice its capacity, and forgets what was longest
/// unused. An entry is found only by the same access key id, secret, day, region
/// and service, so a rotated secret never meets its predecessor's key.
pub struct SigningKeyCache {
    /// Entries in each of the two generations.
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<String, Entry>,
    old: HashMap<String, Entry>,
}

struct Entry {
    secret: SecretKey,
    key: SigningKey,
}

impl SigningKeyCache {
    /// Keeps the last `capacity` keys at least, twice as many at most.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, generations: Mutex::default() }
    }

    pub(crate) fn key(&self, id: &str, secret: &SecretKey, scope: &Scope) -> SigningKey {
        // No part may hold a line feed, so two keys never share a name.
        let name = [id, scope.date(), scope.region(), scope.service()].join("\n");
        if let Some(key) = self.find(&name, secret) {
            return key;
        }
        let key = SigningKey::derive(secret, scope);
        self.keep(name, Entry { secret: secret.clone(), key: key.clone() });
        key
    }

    fn find(&self, name: &str, secret: &SecretKey) -> Option<SigningKey> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.young.get(name) {
            return entry.opened_by(secret);
        }
        let (name, entry) = generations.old.remove_entry(name)?;
        let key = entry.opened_by(secret)?;
        generations.keep(self.capacity, name, entry);
        Some(key)
    }

    fn keep(&self, name: String, entry: Entry) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).keep(
            self.capacity,
            name,
            entry,
        );
    }
}

impl Generations {
    fn keep(&mut self, capacity: usize, name: String, entry: Entry) {
        if self.young.len() >= capacity && !self.young.contains_key(&name) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(name, entry);
    }
}

impl Entry {
    fn opened_by(&self, secret: &SecretKey) -> Option<SigningKey> {
        let same: bool = self.secret.expose().as_bytes().ct_eq(secret.expose().as_bytes()).into();
        same.then(|| self.key.clone())
    }
}

impl Default for SigningKeyCache {
    fn default() -> Self {
        Self::new(1024)
    }
}

impl fmt::Debug for SigningKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::new("20130524", "us-east-1", "s3")
    }

    #[test]
    fn a_rotated_secret_gets_another_key() {
        let cache = SigningKeyCache::new(4);
        let first = cache.key("id", &SecretKey::new("first".to_owned()), &scope());
        let second = cache.key("id", &SecretKey::new("second".to_owned()), &scope());
        let again = cache.key("id", &SecretKey::new("first".to_owned()), &scope());
        assert!(!first.sign(b"x").matches(&second.sign(b"x")));
        assert!(first.sign(b"x").matches(&again.sign(b"x")));
    }

    #[test]
    fn each_part_of_the_scope_gets_another_key() {
        let cache = SigningKeyCache::new(64);
        let secret = SecretKey::new("secret".to_owned());
        let first = cache.key("id", &secret, &scope()).sign(b"x");
        for (name, other) in [
            ("date", Scope::new("20130525", "us-east-1", "s3")),
            ("region", Scope::new("20130524", "us-east-2", "s3")),
            ("service", Scope::new("20130524", "us-east-1", "sts")),
        ] {
            assert!(!first.matches(&cache.key("id", &secret, &other).sign(b"x")), "{name}");
        }
    }

    #[test]
    fn it_never_holds_more_than_twice_its_capacity() {
        let cache = SigningKeyCache::new(3);
        let secret = SecretKey::new("secret".to_owned());
        for n in 0..50 {
            cache.key(&format!("id{n}"), &secret, &scope());
            let generations = cache.generations.lock().unwrap();
            assert!(generations.young.len() <= 3 && generations.old.len() <= 3);
        }
        assert!(cache.find("id49\n20130524\nus-east-1\ns3", &secret).is_some());
        assert!(cache.find("id1\n20130524\nus-east-1\ns3", &secret).is_none());
    }

    #[test]
    fn it_keeps_the_last_keys_of_its_capacity() {
        let cache = SigningKeyCache::new(3);
        let secret = SecretKey::new("secret".to_owned());
        for n in 0..3 {
            cache.key(&format!("id{n}"), &secret, &scope());
        }
        // One that is known already takes no other's place.
        cache.key("id2", &secret, &scope());
        let generations = cache.generations.lock().unwrap();
        assert_eq!((generations.young.len(), generations.old.len()), (3, 0));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = SecretKey::new("canary".to_owned());
        let key = SigningKey::derive(&secret, &scope());
        let signature = key.sign(b"x");
        let id: AccessKeyId = "id".parse().unwrap();
        for (shown, expected) in [
            (format!("{secret:?}"), "SecretKey(redacted)"),
            (format!("{key:?}"), "SigningKey(redacted)"),
            (format!("{signature:?}"), "Signature(redacted)"),
            (format!("{:?}", SigningKeyCache::new(7)), "SigningKeyCache { capacity: 7, .. }"),
            (format!("{id:?}"), "\"id\""),
            (format!("{id}"), "id"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn access_key_ids_are_checked() {
        for (name, text, expected) in [
            ("plain", "AKIAIOSFODNN7EXAMPLE", None),
            ("slash", "team/key", None),
            ("empty", "", Some(AccessKeyIdError::Length(0))),
            ("blank", "a b", Some(AccessKeyIdError::Character(' '))),
            ("comma", "a,b", Some(AccessKeyIdError::Character(','))),
            ("line feed", "a\nb", Some(AccessKeyIdError::Character('\n'))),
            ("umlaut", "ä", Some(AccessKeyIdError::Character('ä'))),
        ] {
            assert_eq!(text.parse::<AccessKeyId>().err(), expected, "{name}");
        }
    }
}
