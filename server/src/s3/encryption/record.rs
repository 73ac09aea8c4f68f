//! What is kept of an object's encryption in its record.
//!
//! ```text
//! 1  form: 1, or 2 for an object of parts whose upload was completed without its customer's key
//! 16 only in form 2: the upload's id, for which the key is sealed
//! n  the sealed object key, as `coffer-sse` writes it
//! ```

use coffer_sse::object_key::SealedObjectKey;
use coffer_store::{ObjectKey, UploadId};

use super::fault;
use crate::answer::Refusal;

/// The record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The object's key, sealed.
    pub sealed: SealedObjectKey,
    /// The upload that it is still sealed for.
    pub upload: Option<UploadId>,
}

impl Record {
    /// A record of a key that is sealed for its object.
    pub fn new(sealed: SealedObjectKey) -> Self {
        Self { sealed, upload: None }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let sealed = self.sealed.encode();
        match self.upload {
            None => [[1].as_slice(), &sealed].concat(),
            Some(upload) => [[2].as_slice(), &upload.bytes(), &sealed].concat(),
        }
    }

    /// Reads the record of an object, if it has one.
    ///
    /// # Errors
    /// `InternalError` for a damaged one.
    pub fn of(key: &ObjectKey, bytes: Option<&[u8]>) -> Result<Option<Self>, Refusal> {
        let record = bytes.map(Self::decode).transpose();
        record.map_err(|why| fault::damaged(key, &why))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// What is damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let damaged = || "the record of its encryption is damaged".to_owned();
        let (upload, sealed) = match bytes.split_first().ok_or_else(damaged)? {
            (1, sealed) => (None, sealed),
            (2, rest) => {
                let (id, sealed) = rest.split_first_chunk().ok_or_else(damaged)?;
                (Some(UploadId::from_bytes(*id)), sealed)
            }
            (_, _) => return Err(damaged()),
        };
        let sealed = SealedObjectKey::decode(sealed).map_err(|error| error.to_string())?;
        Ok(Self { sealed, upload })
    }
}
