//! What goes wrong with keys, as S3 says it.

use coffer_sse::kms::KmsError;
use coffer_sse::object_key::OpenError;
use coffer_store::{ObjectKey, StoreError};
use http::HeaderValue;
use http::header::RETRY_AFTER;
use tracing::error;

use crate::answer::Refusal;

/// The answer to a failure of the KMS. What a person has to look after is logged here, once.
pub(super) fn kms(cause: &KmsError) -> Refusal {
    match cause {
        KmsError::NoSuchKey(name) => Refusal::new(
            "KMS.NotFoundException",
            400,
            format!("Invalid keyId `{name}`: the KMS has no such key."),
        ),
        KmsError::Disabled(name) => {
            Refusal::new("KMS.DisabledException", 400, format!("The KMS key `{name}` is disabled."))
        }
        KmsError::Unreachable(_) => {
            error!(error = cause as &dyn std::error::Error, "the KMS doesn't answer");
            Refusal::new(
                "ServiceUnavailable",
                503,
                "The key management service doesn't answer; nothing was changed. Please try again.",
            )
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
        }
        KmsError::Denied(_)
        | KmsError::Exists(_)
        | KmsError::Unsupported(_)
        | KmsError::Invalid(_)
        | KmsError::Settings(_)
        | KmsError::Answer(_) => {
            error!(error = cause as &dyn std::error::Error, "the KMS can't be used");
            Refusal::new(
                "InternalError",
                500,
                "The key management service can't be used as this server is set up; nothing was changed. The tenant's administrator finds the reason in the server's log.",
            )
        }
    }
}

/// There is no KMS.
pub(super) fn no_kms() -> Refusal {
    Refusal::not_implemented(
        "Server side encryption specified but KMS is not configured: set the Tenant's spec.kms, or encrypt by a key of your own (SSE-C). Nothing was stored.",
    )
}

/// There is a KMS, and no key to use where none is named.
pub(super) fn no_default_key() -> Refusal {
    Refusal::new(
        "InvalidRequest",
        400,
        "This tenant's KMS has no default key: name a key, or set the Tenant's spec.kms.defaultKey. Nothing was stored.",
    )
}

/// The library failed, which it does only without randomness.
pub(super) fn crypto(cause: impl std::error::Error + 'static) -> Refusal {
    error!(error = &cause as &dyn std::error::Error, "can't encrypt or decrypt");
    Refusal::new("InternalError", 500, "We encountered an internal error. Please try again.")
}

/// The answer to an object's key that doesn't open.
pub(super) fn opening(key: &ObjectKey, cause: OpenError) -> Refusal {
    match cause {
        OpenError::WrongCustomerKey => Refusal::access_denied(),
        OpenError::Mode(_) => not_applicable(),
        OpenError::Damaged => damaged(key, &cause.to_string()),
        OpenError::Crypto(cause) => crypto(cause),
    }
}

/// Stored data isn't what was stored.
pub(super) fn damaged(key: &ObjectKey, what: &str) -> Refusal {
    super::super::fault::refusal(&corrupt(key, what))
}

pub(super) fn corrupt(key: &ObjectKey, what: &str) -> StoreError {
    StoreError::Corrupt { what: format!("object `{key}`: {what}"), cause: None }
}

/// SSE-C for what isn't encrypted so.
pub(super) fn not_applicable() -> Refusal {
    Refusal::new(
        "InvalidRequest",
        400,
        "The encryption parameters are not applicable to this object.",
    )
}

/// No key for what is encrypted by SSE-C.
pub(super) fn no_parameters() -> Refusal {
    Refusal::new(
        "InvalidRequest",
        400,
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
    )
}
