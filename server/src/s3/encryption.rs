//! Encryption at rest, as requests ask for it and get it.
//!
//! A write's way: what its headers ask for ([`asked`]), else its bucket's default ([`default`]), else the tenant's ([`choose`]), gives a
//! fresh object key and what seals it. A read's way: its record, and the customer's key or the KMS, give the object key, and that the
//! content, frame by frame ([`read`]). The record is what [`record`] says.
//!
//! Source: AWS S3 user guide, "Protecting data with server-side encryption".

pub mod asked;
pub mod default;
pub mod choose;
pub mod record;
pub mod read;
pub mod reseal;
mod fault;

use coffer_sse::kms::KeyName;
use coffer_sse::object_key::{Place, Protection, Write};
use coffer_store::{BucketName, ObjectKey};
use http::{HeaderMap, HeaderName, HeaderValue};

use asked::Customer;
use record::Record;

/// The id of the only version that a key has here.
const VERSION: &str = "null";

/// Where an object's key may be used.
fn place<'a>(
    tenant: &'a str,
    bucket: &'a BucketName,
    key: &'a ObjectKey,
    write: Write<'a>,
) -> Place<'a> {
    Place { tenant, bucket: bucket.as_str(), key: key.as_str(), write }
}

/// How a key of the KMS is named in answers: as its resource is in policies.
fn arn(name: &KeyName) -> String {
    format!("arn:aws:kms:::{name}")
}

/// Whether an answer is to a write, which is told its encryption context too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Read,
    Write,
}

/// The headers that tell how an object is encrypted.
pub(super) fn tell(record: &Record, customer: Option<&Customer>, to: To, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    match record.sealed.protection() {
        Protection::S3(_) => set(asked::FORM, "AES256"),
        Protection::Kms(key) => {
            set(asked::FORM, "aws:kms");
            set(asked::KMS_KEY, &arn(&key.name));
            set(asked::BUCKET_KEY, "true");
            if to == To::Write && !key.client.is_empty() {
                set(asked::CONTEXT, &asked::in_base64(key.client.to_json().as_bytes()));
            }
        }
        Protection::Customer(_) => {
            set(asked::CUSTOMER_ALGORITHM, "AES256");
            if let Some(customer) = customer {
                set(asked::CUSTOMER_MD5, customer.md5());
            }
        }
    }
}
