//! Keys in a service that speaks KMIP 1.4 in TTLV, over TLS with a client's certificate.
//!
//! An external key is an AES key of 256 bits, found by its name; it never leaves the service. A data key is made here and encrypted
//! there: `Encrypt` with AES-GCM, a random nonce, and the context as additional data, which KMIP has from 1.4 on. Wrapping by `Get`
//! would have every data key registered there, and services differ in it; a mode without authentication would leave changed
//! bytes unnoticed.
//!
//! Some services ignore the additional data, so the context is bound once more ([`super::bound`]), under the domain
//! `coffer/kmip-data-key/1`. What is sealed opens under the object that bears the name, and no other ([`sealed`]).
//!
//! Random nonces bound how much one key seals: NIST SP 800-38D allows 2³² data keys.

mod connection;
mod message;
mod sealed;
pub mod ttlv;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};

use self::connection::Connections;
use self::message::{Failed, Operation, Outcomes, Reason};
use self::sealed::{NONCE, Parts};
use self::ttlv::{Item, TtlvError};
use super::attempts::{Limits, Repeat};
use super::bound;
use crate::outbound::ClientFiles;

const DOMAIN: &str = "coffer/kmip-data-key/1";
/// A service's id of an object is no longer here.
const LONGEST_ID: usize = 255;
/// How many keys are asked for at once, of a list; how many names.
const PAGE: i32 = 500;
const NAMES: usize = 50;
/// A service with more keys is none that a list is for.
const MOST_LISTED: usize = 20_000;

/// Where the service is, and who asks.
#[derive(Clone, Debug)]
pub struct KmipSettings {
    /// `host:port`; the port is 5696 if there is none.
    pub address: String,
    /// A PEM file with the roots to trust.
    pub ca: PathBuf,
    /// A folder with `tls.crt` and `tls.key`, the client's certificate and its key; followed while they change.
    pub credentials: PathBuf,
    /// How long calls may take.
    pub limits: Limits,
}

/// A KMIP service.
pub struct Kmip {
    connections: Connections,
    /// Where names were found. A service that has moved a name tells by not knowing the id any more.
    found: Mutex<HashMap<KeyName, Arc<str>>>,
}

impl Kmip {
    /// Takes the settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`KmsError::Settings`].
    pub fn new(settings: KmipSettings) -> Result<Self, KmsError> {
        let KmipSettings { address, ca, credentials, limits } = settings;
        let client = ClientFiles::of(&credentials);
        let connections = Connections::new(&address, ca, client, limits)?;
        Ok(Self { connections, found: Mutex::default() })
    }

    /// One operation.
    async fn call(
        &self,
        repeat: Repeat,
        operation: Operation<'_>,
    ) -> Result<Result<Item, Failed>, KmsError> {
        let mut outcomes: Outcomes = self.connections.call(repeat, &[operation]).await?;
        outcomes.pop().ok_or_else(|| KmsError::Answer("no result".to_owned()))
    }

    /// One operation that doesn't depend on a key's state.
    async fn done(&self, repeat: Repeat, operation: Operation<'_>) -> Result<Item, KmsError> {
        self.call(repeat, operation).await?.map_err(refused)
    }

    /// The object with this name, as it was found before or is found now.
    async fn id(&self, key: &KeyName, memory: Memory) -> Result<Arc<str>, KmsError> {
        if memory == Memory::Used
            && let Some(id) = self.found().get(key)
        {
            return Ok(Arc::clone(id));
        }
        self.found().remove(key);
        let found = self.locate(key).await?;
        let id = match found.as_slice() {
            [] => return Err(KmsError::NoSuchKey(key.clone())),
            [id] => Arc::clone(id),
            _ => {
                return Err(KmsError::Settings(format!(
                    "the KMS has more than one key with the name `{key}`; leave the name to one of them"
                )));
            }
        };
        self.found().insert(key.clone(), Arc::clone(&id));
        Ok(id)
    }

    /// The objects with this name, two at most.
    async fn locate(&self, key: &KeyName) -> Result<Vec<Arc<str>>, KmsError> {
        let payload = self.done(Repeat::Always, Operation::LocateName(key)).await?;
        let ids = message::ids(&payload).map_err(not_understood)?;
        if ids.iter().any(|id| !(1..=LONGEST_ID).contains(&id.len())) {
            return Err(KmsError::Answer("an id of a key is empty or too long".to_owned()));
        }
        Ok(ids.into_iter().map(Arc::from).collect())
    }

    fn found(&self) -> MutexGuard<'_, HashMap<KeyName, Arc<str>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the failure of an operation with a key means.
    async fn refused(&self, key: &KeyName, id: &str, failed: Failed) -> KmsError {
        match failed.reason {
            Reason::NotFound => {
                self.forget(key, id);
                KmsError::NoSuchKey(key.clone())
            }
            // Most services say the same of a key that isn't active and of a client that may not.
            Reason::Refused => match self.state(id).await {
                Ok(KeyStatus::Disabled) => KmsError::Disabled(key.clone()),
                Ok(KeyStatus::Enabled) | Err(_) => KmsError::Denied(failed.said),
            },
            Reason::Unknown
            | Reason::Unsupported
            | Reason::Crypto
            | Reason::Exists
            | Reason::Passing
            | Reason::Other => refused(failed),
        }
    }

    fn forget(&self, key: &KeyName, id: &str) {
        if let Entry::Occupied(entry) = self.found().entry(key.clone())
            && **entry.get() == *id
        {
            entry.remove();
        }
    }

    async fn state(&self, id: &str) -> Result<KeyStatus, KmsError> {
        let payload = self.done(Repeat::Always, Operation::State(id)).await?;
        let usable = message::is_usable(&payload).map_err(not_understood)?;
        Ok(if usable { KeyStatus::Enabled } else { KeyStatus::Disabled })
    }

    /// A new data key under the object with this id.
    async fn seal(
        &self,
        key: &KeyName,
        id: &str,
        context: &str,
    ) -> Result<Result<DataKey, Failed>, KmsError> {
        let made = PlainKey::random().map_err(bound::failed)?;
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce)
            .map_err(|_opaque| KmsError::Answer("there is no randomness".to_owned()))?;
        let operation = Operation::Encrypt {
            id,
            iv: &nonce,
            data: made.expose(),
            associated: context.as_bytes(),
        };
        let payload = match self.call(Repeat::Always, operation).await? {
            Ok(payload) => payload,
            Err(failed) => return Ok(Err(failed)),
        };
        let sealed = message::sealed(&payload, &nonce).map_err(not_understood)?;
        if !sealed::is_authenticated(&sealed) {
            return Err(KmsError::Unsupported("encrypt by AES-GCM with a tag of 16 bytes"));
        }
        let sealed = sealed::encode(id, &sealed)
            .ok_or_else(|| KmsError::Answer(format!("`{key}` has too long an id")))?;
        bound::seal(DOMAIN, &made, context, &sealed).map(Ok)
    }

    /// Whether the service opens what it seals, so that what it doesn't open is at fault itself.
    async fn works(&self, key: &KeyName, id: &str, context: &str) -> Result<(), KmsError> {
        let made = match self.seal(key, id, context).await? {
            Ok(made) => made,
            Err(failed) => return Err(self.refused(key, id, failed).await),
        };
        let parts = bound::split(&made.sealed).and_then(|(_, parts)| sealed::decode(parts));
        let parts = parts.ok_or_else(|| KmsError::Invalid(key.clone()))?;
        let associated = context.as_bytes();
        let operation = Operation::Decrypt { id, sealed: parts.sealed, associated };
        match self.call(Repeat::Always, operation).await? {
            Ok(_payload) => Ok(()),
            Err(failed) if failed.reason == Reason::Passing => {
                Err(KmsError::Unreachable(failed.said))
            }
            Err(failed) => Err(self.refused(key, id, failed).await),
        }
    }

    /// Removes a key that was just made and that nobody knows.
    async fn discard(&self, id: &str) {
        if self.done(Repeat::Always, Operation::Destroy(id)).await.is_err() {
            tracing::warn!(key = id, "a key that isn't in use is left in the KMS; destroy it");
        }
    }
}

/// Whether a name that was found before needn't be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Used,
    Renewed,
}

/// What a failure means that has to do with no key.
fn refused(failed: Failed) -> KmsError {
    let Failed { reason, said } = failed;
    match reason {
        Reason::Refused | Reason::Unknown => KmsError::Denied(said),
        Reason::Passing => KmsError::Unreachable(said),
        Reason::Unsupported => {
            KmsError::Unsupported("do an operation of KMIP 1.4 with AES-GCM that is needed")
        }
        Reason::NotFound | Reason::Crypto | Reason::Exists | Reason::Other => {
            KmsError::Answer(said)
        }
    }
}

fn not_understood(error: TtlvError) -> KmsError {
    KmsError::Answer(error.to_string())
}

#[async_trait]
impl Kms for Kmip {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        let context = context.to_json();
        let id = self.id(key, Memory::Used).await?;
        let refused = match self.seal(key, &id, &context).await? {
            Ok(made) => return Ok(made),
            Err(failed) => failed,
        };
        if refused.reason != Reason::NotFound {
            return Err(self.refused(key, &id, refused).await);
        }
        // The name may have gone to another key.
        let id = self.id(key, Memory::Renewed).await?;
        match self.seal(key, &id, &context).await? {
            Ok(made) => Ok(made),
            Err(failed) => Err(self.refused(key, &id, failed).await),
        }
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        let invalid = || KmsError::Invalid(key.clone());
        let (value, parts) = bound::split(sealed).ok_or_else(invalid)?;
        let Parts { id, sealed } = sealed::decode(parts).ok_or_else(invalid)?;
        let context = context.to_json();
        if *self.id(key, Memory::Used).await? != *id && *self.id(key, Memory::Renewed).await? != *id
        {
            return Err(invalid());
        }
        let operation = Operation::Decrypt { id, sealed, associated: context.as_bytes() };
        let payload = match self.call(Repeat::Always, operation).await? {
            Ok(payload) => payload,
            Err(failed) => {
                return Err(match failed.reason {
                    Reason::Crypto => invalid(),
                    // Services say so of bytes that were changed, and of a failure of their own.
                    Reason::Passing | Reason::Other => match self.works(key, id, &context).await {
                        Ok(()) => invalid(),
                        Err(error) => error,
                    },
                    Reason::NotFound
                    | Reason::Refused
                    | Reason::Unknown
                    | Reason::Unsupported
                    | Reason::Exists => self.refused(key, id, failed).await,
                });
            }
        };
        let opened = message::opened(&payload).map_err(not_understood)?;
        let opened = PlainKey::from_slice(opened).ok_or_else(invalid)?;
        bound::open(DOMAIN, &opened, &context, value, key)
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        if !self.locate(key).await?.is_empty() {
            return Err(KmsError::Exists(key.clone()));
        }
        let made = self.call(Repeat::IfNeverSent, Operation::Create(key)).await?;
        let made = made.map_err(|failed| match failed.reason {
            Reason::Exists => KmsError::Exists(key.clone()),
            _ => refused(failed),
        })?;
        let id = message::id(&made).map_err(not_understood)?;
        // Services may give one name to several keys, of which none is found then.
        let alone = match self.locate(key).await {
            Ok(found) if found.iter().all(|found| **found == *id) => Ok(()),
            Ok(_) => Err(KmsError::Exists(key.clone())),
            Err(error) => Err(error),
        };
        if let Err(error) = alone {
            self.discard(id).await;
            return Err(error);
        }
        let error = match self.call(Repeat::Always, Operation::Activate(id)).await {
            Ok(Ok(_payload)) => return Ok(()),
            // Some are active from the start, or since an attempt whose answer was lost.
            Ok(Err(_)) if matches!(self.state(id).await, Ok(KeyStatus::Enabled)) => return Ok(()),
            Ok(Err(failed)) => refused(failed),
            Err(error) => error,
        };
        self.discard(id).await;
        Err(error)
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        let id = self.id(key, Memory::Renewed).await?;
        self.state(&id).await
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        let mut ids: Vec<String> = Vec::new();
        loop {
            let offset = i32::try_from(ids.len())
                .map_err(|_many| KmsError::Answer("too many keys".to_owned()))?;
            let operation = Operation::LocateAll { offset, maximum: PAGE };
            let payload = self.done(Repeat::Always, operation).await?;
            let page = message::ids(&payload).map_err(not_understood)?;
            // A service that can't go on from a place would begin anew for ever.
            let known: HashSet<&str> = ids.iter().map(String::as_str).collect();
            let new: Vec<String> =
                page.into_iter().filter(|id| !known.contains(id)).map(str::to_owned).collect();
            if new.is_empty() {
                break;
            }
            ids.extend(new);
            if ids.len() > MOST_LISTED {
                return Err(KmsError::Answer(format!("more than {MOST_LISTED} keys")));
            }
        }
        let mut names: Vec<KeyName> = Vec::new();
        for ids in ids.chunks(NAMES) {
            let operations: Vec<Operation<'_>> =
                ids.iter().map(|id| Operation::Names(id)).collect();
            for outcome in self.connections.call(Repeat::Always, &operations).await? {
                match outcome {
                    Ok(payload) => {
                        let texts = message::names(&payload).map_err(not_understood)?;
                        names.extend(texts.iter().filter_map(|text| text.parse().ok()));
                    }
                    // Destroyed meanwhile.
                    Err(failed) if failed.reason == Reason::NotFound => {}
                    Err(failed) => return Err(refused(failed)),
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl fmt::Debug for Kmip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, found: _ } = self;
        f.debug_struct("Kmip").field("address", &connections.address()).finish_non_exhaustive()
    }
}
