//! What a request's headers ask for. They are taken out of it: no key of a customer goes further than here.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::customer_key::CustomerKey;
use coffer_sse::kms::KeyName;
use http::{HeaderMap, HeaderName};
use md5::{Digest, Md5};
use rustls::ProtocolVersion;
use zeroize::Zeroizing;

use crate::answer::Refusal;
use crate::operation::Operation;

/// What those about what is copied from start with.
const SOURCE_START: &str = "x-amz-copy-source-server-side-encryption";

pub(super) const FORM: &str = "x-amz-server-side-encryption";
/// What all headers about encryption start with.
const START: &str = FORM;
pub(super) const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
pub(super) const CONTEXT: &str = "x-amz-server-side-encryption-context";
pub(super) const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
pub(super) const CUSTOMER_ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-key";
pub(super) const CUSTOMER_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";
const OF_CUSTOMER: [&str; 3] = [CUSTOMER_ALGORITHM, CUSTOMER_KEY, CUSTOMER_MD5];
const OF_SOURCE: [&str; 3] = [
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];

/// What a request says about encryption.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Of what it writes, under a key of the KMS.
    pub form: Option<Form>,
    /// Of what it writes or reads, under a key of its own.
    pub customer: Option<Customer>,
    /// Of what it copies from, under a key of its own.
    pub source: Option<Customer>,
}

/// A form of encryption under a key of the KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// SSE-S3.
    S3,
    /// SSE-KMS.
    Kms {
        /// The external key; `None`: the default one.
        key: Option<KeyName>,
        /// The writer's context.
        context: Context,
    },
}

/// SSE-C: the customer's key.
#[derive(Clone)]
pub struct Customer {
    pub(super) key: Arc<CustomerKey>,
    md5: Arc<str>,
}

impl Customer {
    /// The MD5 of the key in base64, by which clients know it again.
    pub(super) fn md5(&self) -> &str {
        &self.md5
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Customer(redacted)")
    }
}

/// Refuses a query that asks for encryption, as some clients move headers there when they sign a URL: policies look at headers, and
/// what isn't understood must not be stored plain.
///
/// # Errors
/// `InvalidArgument`.
pub fn only_in_headers(query: &str) -> Result<(), Refusal> {
    let asks = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let name = name.to_ascii_lowercase();
        name.starts_with(START) || name.starts_with(SOURCE_START)
    };
    if query.split('&').any(asks) {
        return Err(Refusal::invalid_argument(
            "Encryption is asked for by headers, not by parameters of the URL: sign the URL with the headers, and send them with the request. Nothing was stored.",
        ));
    }
    Ok(())
}

/// Takes what a request says about encryption out of its headers.
///
/// # Errors
/// As AWS: `InvalidArgument` for what can't be meant or isn't for this operation, `InvalidEncryptionAlgorithmError`,
/// `InvalidRequest` for a customer's key that came without TLS.
pub fn take(
    headers: &mut HeaderMap,
    operation: Operation,
    tls: Option<ProtocolVersion>,
) -> Result<Asked, Refusal> {
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(START) || name.as_str().starts_with(SOURCE_START))
        .cloned()
        .collect();
    if names.is_empty() {
        return Ok(Asked::default());
    }
    let mut said = Said::default();
    for name in names {
        let mut values = headers.get_all(&name).iter();
        let value = values.next().and_then(|value| value.to_str().ok()).map(str::trim);
        let (Some(value), None) = (value, values.next()) else {
            return Err(Refusal::invalid_argument(format!(
                "The header {name} must have one value, which is text."
            )));
        };
        let value = Zeroizing::new(value.to_owned());
        headers.remove(&name);
        said.0.push((name, value));
    }
    said.check_names()?;
    let asked = Asked {
        form: said.form()?,
        customer: said.customer(&OF_CUSTOMER)?,
        source: said.customer(&OF_SOURCE)?,
    };
    if asked.form.is_some() && asked.customer.is_some() {
        return Err(Refusal::invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        ));
    }
    // A server that speaks TLS only never comes here; one that could be reached in plain must not take keys so.
    if tls.is_none() {
        return Err(Refusal::new(
            "InvalidRequest",
            400,
            "Requests specifying Server Side Encryption must be made over a secure connection.",
        ));
    }
    asked.fits(operation)?;
    Ok(asked)
}

impl Asked {
    /// Whether it asks for an encryption of what is written.
    pub(in crate::s3) fn is_explicit(&self) -> bool {
        self.form.is_some() || self.customer.is_some()
    }

    /// Refuses what the operation has no use for: a client that asked for encryption must not get something else.
    fn fits(&self, operation: Operation) -> Result<(), Refusal> {
        use Operation as O;
        let writes = matches!(
            operation,
            O::PutObject | O::PostObject | O::CopyObject | O::CreateMultipartUpload
        );
        // Clients of MinIO repeat with each part, and at the end, what the upload said; there it is compared.
        let parts =
            matches!(operation, O::UploadPart | O::UploadPartCopy | O::CompleteMultipartUpload);
        if self.form.is_some() && !writes && !parts {
            return Err(Refusal::invalid_argument(format!(
                "{FORM} header is not supported for this operation."
            )));
        }
        let copies = matches!(operation, O::CopyObject | O::UploadPartCopy);
        if self.source.is_some() && !copies {
            return Err(Refusal::new(
                "InvalidRequest",
                400,
                "A key of a copy's source is given, and the request copies nothing.",
            ));
        }
        let has_content = writes
            || copies
            || matches!(
                operation,
                O::GetObject
                    | O::HeadObject
                    | O::GetObjectAttributes
                    | O::UploadPart
                    | O::ListParts
                    | O::CompleteMultipartUpload
            );
        if self.customer.is_some() && !has_content {
            return Err(Refusal::invalid_argument(
                "A customer's key is not supported for this operation.",
            ));
        }
        Ok(())
    }
}

/// The headers.
#[derive(Default)]
struct Said(Vec<(HeaderName, Zeroizing<String>)>);

impl Said {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.as_str())
    }

    fn check_names(&self) -> Result<(), Refusal> {
        let known = |name: &HeaderName| {
            [FORM, KMS_KEY, CONTEXT, BUCKET_KEY]
                .iter()
                .chain(&OF_CUSTOMER)
                .chain(&OF_SOURCE)
                .any(|known| name == known)
        };
        match self.0.iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::not_implemented(format!(
                "The header {name} isn't supported; the request changed nothing."
            ))),
        }
    }

    fn form(&self) -> Result<Option<Form>, Refusal> {
        let invalid = Refusal::invalid_argument;
        let kms = [KMS_KEY, CONTEXT, BUCKET_KEY];
        let of_kms = kms.iter().find(|name| self.get(name).is_some());
        match self.get(FORM) {
            Some("aws:kms") => {
                if let Some(text) = self.get(BUCKET_KEY)
                    && !matches!(text, "true" | "false")
                {
                    return Err(invalid(format!("The header {BUCKET_KEY} is `true` or `false`.")));
                }
                let key = self.get(KMS_KEY).map(named_key).transpose()?;
                let context = self.get(CONTEXT).map(context).transpose()?.unwrap_or_default();
                Ok(Some(Form::Kms { key, context }))
            }
            // Bucket keys are how this server always works.
            Some("AES256") if self.get(KMS_KEY).is_none() && self.get(CONTEXT).is_none() => {
                Ok(Some(Form::S3))
            }
            None if self.get(KMS_KEY).is_none() && self.get(CONTEXT).is_none() => Ok(None),
            None | Some("AES256") => Err(invalid(format!(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms (header {}).",
                of_kms.unwrap_or(&KMS_KEY)
            ))),
            Some("aws:kms:dsse") => Err(Refusal::not_implemented(
                "Dual-layer encryption (aws:kms:dsse) isn't part of Coffer; use aws:kms. The request changed nothing.",
            )),
            Some(_) => Err(invalid("The encryption method specified is not supported".to_owned())),
        }
    }

    fn customer(&self, [algorithm, key, md5]: &[&str; 3]) -> Result<Option<Customer>, Refusal> {
        let invalid = Refusal::invalid_argument;
        let (algorithm, key, md5) = (self.get(algorithm), self.get(key), self.get(md5));
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        match algorithm {
            None => {
                return Err(invalid(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
                ));
            }
            Some("AES256") => {}
            Some(_) => {
                return Err(Refusal::new(
                    "InvalidEncryptionAlgorithmError",
                    400,
                    "The Encryption request you specified is not valid. Supported value: AES256.",
                ));
            }
        }
        let key = key.ok_or_else(|| {
            invalid(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            )
        })?;
        let md5 = md5.ok_or_else(|| {
            invalid(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.",
            )
        })?;
        let bytes = STANDARD.decode(key).map(Zeroizing::new).ok();
        let plain = bytes.as_ref().and_then(|bytes| PlainKey::from_slice(bytes));
        let (Some(bytes), Some(plain)) = (bytes, plain) else {
            return Err(invalid("The secret key was invalid for the specified algorithm."));
        };
        let digest = Md5::digest(bytes.as_slice());
        let given = STANDARD.decode(md5).unwrap_or_default();
        if verify_slices_are_equal(&given, digest.as_slice()).is_err() {
            return Err(invalid(
                "The calculated MD5 hash of the key did not match the hash that was provided.",
            ));
        }
        Ok(Some(Customer { key: Arc::new(CustomerKey::new(plain)), md5: md5.into() }))
    }
}

/// The key that a text names: by its name, by `alias/NAME`, or by an ARN of either.
///
/// # Errors
/// `InvalidArgument` for what is no key's name.
pub fn named_key(text: &str) -> Result<KeyName, Refusal> {
    bare_name(text).parse().map_err(|error| {
        Refusal::invalid_argument(format!("The KMS key can't be named so: {error}."))
    })
}

/// What is left of a key's id without what its name stands behind: one key has one name, for policies too.
pub fn bare_name(text: &str) -> &str {
    let name = match text.strip_prefix("arn:aws:kms:") {
        // `arn:aws:kms:REGION:ACCOUNT:NAME`, or as MinIO writes it `arn:aws:kms:NAME`.
        Some(rest) => rest.rsplit(':').next().unwrap_or(rest),
        None => text,
    };
    ["key/", "alias/"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name)
}

fn context(text: &str) -> Result<Context, Refusal> {
    let json = STANDARD.decode(text).map_err(|_error| {
        Refusal::invalid_argument(
            "The header x-amz-server-side-encryption-context isn't base64-encoded JSON.",
        )
    })?;
    Context::from_client(&json).map_err(|error| {
        Refusal::invalid_argument(format!(
            "The header x-amz-server-side-encryption-context can't be used: {error}."
        ))
    })
}

pub(super) fn in_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests;
