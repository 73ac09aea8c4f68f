//! The elements that the documents of an operation have. The wire library passes over those that it doesn't know, so what they ask
//! for would be lost without a word.
//!
//! Source: the AWS S3 API reference, request syntax of each operation.

use super::malformed;
use crate::answer::Refusal;
use crate::operation::Operation;

/// Refuses an element that no document of the operation has, or that asks for what Coffer doesn't do.
pub(super) fn check(operation: Operation, name: &[u8]) -> Result<(), Refusal> {
    let known = known(operation).iter().any(|known| known.as_bytes() == name);
    match (operation, name) {
        _ if known => Ok(()),
        (Operation::CreateBucket, b"Tags" | b"Tag") => Err(Refusal::not_implemented(
            "A bucket can't be given tags as it is made; make it, then send PutBucketTagging.",
        )),
        (Operation::PutBucketEncryption, b"BlockedEncryptionTypes") => {
            Err(Refusal::not_implemented(
                "Coffer can't block forms of encryption in a bucket's configuration; deny them in its policy.",
            ))
        }
        (Operation::CompleteMultipartUpload, name) if !name.starts_with(b"Checksum") => Ok(()),
        (Operation::CompleteMultipartUpload, _) => Err(Refusal::new(
            "InvalidRequest",
            400,
            "A part's checksum is none of CRC32, CRC32C, CRC64NVME, SHA1 and SHA256.",
        )),
        _ => Err(malformed(
            "The XML you provided was not well-formed or did not validate against our published schema.",
        )),
    }
}

fn known(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::CreateBucket => &[
            "CreateBucketConfiguration",
            "LocationConstraint",
            "Location",
            "Bucket",
            "Type",
            "Name",
            "DataRedundancy",
        ],
        Operation::DeleteObjects => {
            &["Delete", "Object", "Key", "VersionId", "ETag", "LastModifiedTime", "Size", "Quiet"]
        }
        // Clients of many kinds write more into it than AWS knows, which changes nothing; checksums would.
        Operation::CompleteMultipartUpload => &[
            "ChecksumCRC32",
            "ChecksumCRC32C",
            "ChecksumCRC64NVME",
            "ChecksumSHA1",
            "ChecksumSHA256",
        ],
        Operation::PutBucketAcl | Operation::PutObjectAcl => &[
            "AccessControlPolicy",
            "Owner",
            "ID",
            "DisplayName",
            "AccessControlList",
            "Grant",
            "Grantee",
            "EmailAddress",
            "URI",
            "Type",
            "Permission",
        ],
        Operation::PutBucketEncryption => &[
            "ServerSideEncryptionConfiguration",
            "Rule",
            "ApplyServerSideEncryptionByDefault",
            "SSEAlgorithm",
            "KMSMasterKeyID",
            "BucketKeyEnabled",
        ],
        Operation::PutBucketTagging => &["Tagging", "TagSet", "Tag", "Key", "Value"],
        _ => &[],
    }
}
