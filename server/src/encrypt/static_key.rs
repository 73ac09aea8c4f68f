//! Keys in a folder, which is a mounted Secret: a file for each, its name the key's, in it 32 bytes in base64.
//!
//! For trying out: whoever reads the Secret has the keys. A data key is sealed as `1 ‖ envelope` ([`Envelope`]) under the domain
//! `coffer/static-key/1`, and associated with it are the key's name, a zero byte and the context as JSON.
//! The files are read for each call, so a changed Secret counts at once.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::envelope::{Envelope, EnvelopeError};
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};
use zeroize::Zeroizing;

use super::file;

const DOMAIN: &str = "coffer/static-key/1";
const FORM: u8 = 1;

/// A folder of keys.
#[derive(Debug)]
pub struct StaticKeys {
    folder: PathBuf,
}

impl StaticKeys {
    /// Uses this folder.
    ///
    /// # Errors
    /// [`KmsError::Settings`] when it can't be read.
    pub fn new(folder: PathBuf) -> Result<Self, KmsError> {
        std::fs::read_dir(&folder).map_err(|error| file::unreadable(&folder, &error))?;
        Ok(Self { folder })
    }

    fn key(&self, name: &KeyName) -> Result<PlainKey, KmsError> {
        let file = self.folder.join(name.as_str());
        let text = match std::fs::read_to_string(&file).map(Zeroizing::new) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KmsError::NoSuchKey(name.clone()));
            }
            Err(error) => return Err(file::unreadable(&file, &error)),
        };
        let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        bytes.and_then(|bytes| PlainKey::from_slice(&bytes)).ok_or_else(|| {
            KmsError::Settings(format!("`{}` isn't 32 bytes in base64", file.display()))
        })
    }
}

fn associated(name: &KeyName, context: &Context) -> Vec<u8> {
    [name.as_str().as_bytes(), &[0], context.to_json().as_bytes()].concat()
}

fn failed(error: coffer_sse::CryptoFailed) -> KmsError {
    KmsError::Answer(error.to_string())
}

#[async_trait]
impl Kms for StaticKeys {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        let upper = self.key(key)?;
        let plain = PlainKey::random().map_err(failed)?;
        let envelope =
            Envelope::seal(&upper, DOMAIN, &associated(key, context), &plain).map_err(failed)?;
        let sealed = Bytes::from([[FORM].as_slice(), &envelope.encode()].concat());
        Ok(DataKey { plain, sealed })
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        let upper = self.key(key)?;
        let envelope = match sealed.split_first() {
            Some((&FORM, envelope)) => Envelope::decode(envelope),
            Some(_) | None => None,
        };
        let envelope = envelope.ok_or_else(|| KmsError::Invalid(key.clone()))?;
        envelope.open(&upper, DOMAIN, &associated(key, context)).map_err(|error| match error {
            EnvelopeError::Refused => KmsError::Invalid(key.clone()),
            EnvelopeError::Crypto(error) => failed(error),
        })
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        match self.key(key) {
            Err(KmsError::NoSuchKey(_)) => {
                Err(KmsError::Unsupported("create keys; add one to the Secret"))
            }
            Ok(_) => Err(KmsError::Exists(key.clone())),
            Err(error) => Err(error),
        }
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        self.key(key).map(|_key| KeyStatus::Enabled)
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        let unreadable = |error| file::unreadable(&self.folder, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            // A kubelet's own entries begin with a period, which no key's name does.
            let name = entry.map_err(unreadable)?.file_name();
            names.extend(name.to_str().and_then(|name| name.parse::<KeyName>().ok()));
        }
        names.sort();
        Ok(names)
    }
}
