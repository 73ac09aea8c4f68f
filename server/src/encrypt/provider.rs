//! The provider that the configuration names.

use std::sync::Arc;

use coffer_sse::bucket_key::Caching;
use coffer_sse::kms::{Kms, KmsError};

use super::Encryption;
use super::keys::Keys;
use super::static_key::StaticKeys;
use crate::config::{self, DataKeys, Provider};

/// What requests work with, for the data folder of this id.
///
/// # Errors
/// [`KmsError::Settings`] for what can't be meant together.
pub fn encryption(config: &config::Kms, tenant: String) -> Result<Encryption, KmsError> {
    let kms = provider(config)?;
    if kms.is_none() && config.auto_encrypt {
        return Err(settings("automatic encryption needs a KMS; set COFFER_KMS_PROVIDER"));
    }
    if config.auto_encrypt && config.default_key.is_none() {
        return Err(settings("automatic encryption needs a key; set COFFER_KMS_DEFAULT_KEY"));
    }
    let caching = match config.data_keys {
        DataKeys::Cached => Caching::default(),
        DataKeys::EveryRequest => Caching::EveryRequest,
    };
    let keys = kms
        .map(|kms| Arc::new(Keys::new(kms, tenant.clone(), config.default_key.clone(), caching)));
    Ok(Encryption {
        tenant: tenant.into(),
        keys,
        automatic: config.auto_encrypt,
        required: config.require_encryption,
    })
}

/// The KMS, if there is to be one.
fn provider(config: &config::Kms) -> Result<Option<Arc<dyn Kms>>, KmsError> {
    let Some(provider) = config.provider else { return Ok(None) };
    match provider {
        Provider::Static => {
            let folder = config.static_keys.clone();
            let folder = folder.ok_or_else(|| {
                settings("the provider `static` needs a folder; set COFFER_KMS_STATIC")
            })?;
            Ok(Some(Arc::new(StaticKeys::new(folder)?)))
        }
    }
}

fn settings(text: &str) -> KmsError {
    KmsError::Settings(text.to_owned())
}
