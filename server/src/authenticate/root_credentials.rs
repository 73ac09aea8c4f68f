//! The root access key: two files of a mounted Secret.

use std::path::Path;

use coffer_signature::{AccessKeyId, AccessKeyIdError, SecretKey};
use zeroize::Zeroizing;

/// The root access key and its secret.
#[derive(Debug)]
pub struct RootCredentials {
    access_key_id: AccessKeyId,
    secret_key: SecretKey,
}

/// Why credentials can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file can't be read.
    #[error("can't read `{file}`; mount the Secret with the root credentials there")]
    Unreadable {
        /// The file's path.
        file: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The access key is no such id.
    #[error("`accessKey` can't be used; give it 3 to 128 letters and digits")]
    AccessKey(#[source] AccessKeyIdError),
    /// The access key is too short, or holds the character that scopes are separated by.
    #[error("`accessKey` has {0} characters; give it 3 to 128, none of them `/`")]
    AccessKeyText(usize),
    /// The secret is too short or too long.
    #[error("`secretKey` has {0} characters; give it 8 to 256")]
    SecretKey(usize),
}

impl RootCredentials {
    /// The files that hold them, within a folder.
    pub const FILES: [&'static str; 2] = ["accessKey", "secretKey"];

    /// Reads `accessKey` and `secretKey` in `folder`; white space around them doesn't count.
    ///
    /// # Errors
    /// [`CredentialsError`] when a file is missing or holds no usable key.
    pub fn read(folder: &Path) -> Result<Self, CredentialsError> {
        let [access, secret] = Self::FILES.map(|name| {
            let file = folder.join(name);
            std::fs::read_to_string(&file).map(Zeroizing::new).map_err(|cause| {
                CredentialsError::Unreadable { file: file.display().to_string(), cause }
            })
        });
        let (access, secret) = (access?, secret?);
        let (access, secret) = (access.trim(), secret.trim());
        if access.len() < 3 || access.contains('/') {
            return Err(CredentialsError::AccessKeyText(access.len()));
        }
        let access_key_id: AccessKeyId = access.parse().map_err(CredentialsError::AccessKey)?;
        if !(8..=256).contains(&secret.len()) {
            return Err(CredentialsError::SecretKey(secret.len()));
        }
        Ok(Self { access_key_id, secret_key: SecretKey::new(secret.to_owned()) })
    }

    /// The access key.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The secret that belongs to an access key; `None` for every other key.
    pub fn secret_of(&self, access_key_id: &AccessKeyId) -> Option<&SecretKey> {
        (self.access_key_id == *access_key_id).then_some(&self.secret_key)
    }
}
