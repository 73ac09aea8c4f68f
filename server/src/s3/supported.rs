//! Headers that ask for something this server doesn't do are refused, never ignored: a client that asked for a lock must not get
//! an object without. What they say of encryption is read by [`super::encryption`].

use http::HeaderMap;

use crate::answer::Refusal;
use crate::operation::{Operation, Support};
use crate::route::Target;

/// The account that owns every bucket here: there is one tenant, and AWS's account ids have twelve digits.
pub const OWNER_ACCOUNT: &str = "000000000000";

/// Refuses a request whose headers ask for what can't be done.
///
/// # Errors
/// `NotImplemented` with the feature's name, `AccessControlListNotSupported`, `InvalidStorageClass`, or `AccessDenied` for another
/// expected owner.
pub fn check(headers: &HeaderMap, target: &Target) -> Result<(), Refusal> {
    // What isn't built is refused whatever it asks for.
    if matches!(target.operation.support(), Support::Later(_)) {
        return Ok(());
    }
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-meta-") {
            continue;
        }
        check_one(name, value.as_bytes(), target.operation)?;
    }
    Ok(())
}

fn check_one(name: &str, value: &[u8], operation: Operation) -> Result<(), Refusal> {
    let later = |what: &str| {
        Err(Refusal::not_implemented(format!(
            "{what} (header {name}); the request changed nothing."
        )))
    };
    match name {
        "x-amz-tagging" if !value.is_empty() => {
            later("Tags can't be stored by this version of Coffer")
        }
        "x-amz-tagging-directive" if value == b"REPLACE" => {
            later("Tags can't be stored by this version of Coffer")
        }
        "x-amz-bucket-object-lock-enabled" if value.eq_ignore_ascii_case(b"false") => Ok(()),
        "x-amz-bucket-object-lock-enabled"
        | "x-amz-object-lock-mode"
        | "x-amz-object-lock-retain-until-date"
        | "x-amz-object-lock-legal-hold" => {
            later("Object lock isn't part of this version of Coffer")
        }
        "x-amz-website-redirect-location" => later("Websites aren't served by Coffer"),
        "x-amz-write-offset-bytes" => later("Appending to objects isn't part of Coffer"),
        "x-amz-mfa" => later("MFA delete isn't part of Coffer"),
        "x-amz-acl" => match value {
            b"private" | b"bucket-owner-full-control" => Ok(()),
            _ => Err(acl_not_supported()),
        },
        "x-amz-storage-class" if !matches!(value, b"STANDARD" | b"REDUCED_REDUNDANCY") => {
            Err(Refusal::new(
                "InvalidStorageClass",
                400,
                "The storage class you specified is not valid; Coffer has STANDARD and REDUCED_REDUNDANCY.",
            ))
        }
        "x-amz-expected-bucket-owner" | "x-amz-source-expected-bucket-owner"
            if value != OWNER_ACCOUNT.as_bytes() =>
        {
            Err(Refusal::access_denied())
        }
        "x-amz-object-ownership" if value != b"BucketOwnerEnforced" => Err(acl_not_supported()),
        _ if name.starts_with("x-amz-grant-") => {
            later("Grants can't be given by ACLs; Coffer's buckets have none")
        }
        _ => check_checksum(name, value, operation),
    }
}

/// Only the checksums that are verified may be sent.
fn check_checksum(name: &str, value: &[u8], _operation: Operation) -> Result<(), Refusal> {
    let unknown = |text: &str| {
        Err(Refusal::new(
            "InvalidRequest",
            400,
            format!(
                "The checksum {text} isn't supported; use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256."
            ),
        ))
    };
    let known = |text: &[u8]| {
        [&b"crc32"[..], b"crc32c", b"crc64nvme", b"sha1", b"sha256"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(text))
    };
    match name {
        "x-amz-sdk-checksum-algorithm" | "x-amz-checksum-algorithm" if !known(value) => {
            unknown(&String::from_utf8_lossy(value).escape_default().to_string())
        }
        "x-amz-checksum-algorithm" | "x-amz-checksum-mode" | "x-amz-checksum-type" => Ok(()),
        "x-amz-trailer" => {
            let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            match names
                .find(|name| name.strip_prefix(b"x-amz-checksum-").is_none_or(|rest| !known(rest)))
            {
                Some(name) => unknown(&String::from_utf8_lossy(name).escape_default().to_string()),
                None => Ok(()),
            }
        }
        _ => match name.strip_prefix("x-amz-checksum-") {
            Some(algorithm) if !known(algorithm.as_bytes()) => unknown(algorithm),
            _ => Ok(()),
        },
    }
}

/// `400`: ACLs other than private don't exist here.
pub fn acl_not_supported() -> Refusal {
    Refusal::new(
        "AccessControlListNotSupported",
        400,
        "The bucket does not allow ACLs: only the owner's access, `private`, can be set.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_done_is_refused() {
        for (name, value, code) in [
            ("x-amz-tagging", "a=b", Some("NotImplemented")),
            ("x-amz-tagging", "", None),
            ("x-amz-object-lock-mode", "GOVERNANCE", Some("NotImplemented")),
            ("x-amz-grant-read", "id=1", Some("NotImplemented")),
            ("x-amz-acl", "private", None),
            ("x-amz-acl", "public-read", Some("AccessControlListNotSupported")),
            ("x-amz-storage-class", "GLACIER", Some("InvalidStorageClass")),
            ("x-amz-storage-class", "STANDARD", None),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY", None),
            ("x-amz-checksum-md5", "x", Some("InvalidRequest")),
            ("x-amz-checksum-crc64nvme", "x", None),
            ("x-amz-checksum-mode", "ENABLED", None),
            ("x-amz-checksum-algorithm", "xxhash64", Some("InvalidRequest")),
            ("x-amz-trailer", "x-amz-checksum-crc32", None),
            ("x-amz-trailer", "x-amz-meta-a", Some("InvalidRequest")),
            ("x-amz-expected-bucket-owner", "111111111111", Some("AccessDenied")),
            ("x-amz-meta-tagging", "a", None),
        ] {
            let answer = if name.starts_with("x-amz-meta-") {
                Ok(())
            } else {
                check_one(name, value.as_bytes(), Operation::PutObject)
            };
            assert_eq!(
                answer.err().map(|refusal| refusal.code().to_owned()).as_deref(),
                code,
                "{name}: {value}"
            );
        }
    }
}
