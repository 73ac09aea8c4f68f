//! The one table of S3 routes: method, level, sub-resources → operation.

use http::Method;

#[cfg_attr(
    not(test),
    expect(clippy::enum_glob_use, reason = "the table names nearly all of them")
)]
use crate::operation::Operation::{self, *};

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `/`
    Service,
    /// `/bucket`
    Bucket,
    /// `/bucket/key`
    Object,
}

/// A route: a request takes it when all of it fits.
#[derive(Debug)]
pub struct Row {
    /// The HTTP method.
    pub method: Method,
    /// What the path names.
    pub level: Level,
    /// Exactly the sub-resources that the query names, in alphabetical order.
    pub sub_resources: &'static [&'static str],
    /// Whether the request has to copy from another object (`x-amz-copy-source`).
    pub source: Source,
    /// Where it leads.
    pub operation: Operation,
}

/// Whether a request names an object to copy from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The body.
    Body,
    /// The header `x-amz-copy-source`.
    Copy,
}

/// Query parameters that choose an operation. A request that names one of them where the table has no row is refused, never
/// taken for the operation without it: `DELETE /bucket?acl` must not delete the bucket.
///
/// `partNumber` chooses only together with PUT, and `id` names one of many configurations: neither stands here.
pub const SUB_RESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "events",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

const fn row(
    method: Method,
    level: Level,
    sub_resources: &'static [&'static str],
    operation: Operation,
) -> Row {
    Row { method, level, sub_resources, source: Source::Body, operation }
}

const fn copy(sub_resources: &'static [&'static str], operation: Operation) -> Row {
    Row { method: Method::PUT, level: Object, sub_resources, source: Source::Copy, operation }
}

use Level::{Bucket, Object, Service};
const GET: Method = Method::GET;
const PUT: Method = Method::PUT;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;
const HEAD: Method = Method::HEAD;

/// Every S3 route.
pub static ROWS: &[Row] = &[
    row(GET, Service, &[], ListBuckets),
    row(HEAD, Bucket, &[], HeadBucket),
    row(GET, Bucket, &[], ListObjects),
    row(GET, Bucket, &["list-type"], ListObjectsV2),
    row(GET, Bucket, &["versions"], ListObjectVersions),
    row(GET, Bucket, &["uploads"], ListMultipartUploads),
    row(GET, Bucket, &["location"], GetBucketLocation),
    row(PUT, Bucket, &[], CreateBucket),
    row(DELETE, Bucket, &[], DeleteBucket),
    row(POST, Bucket, &["delete"], DeleteObjects),
    row(POST, Bucket, &[], PostObject),
    row(GET, Object, &[], GetObject),
    row(HEAD, Object, &[], HeadObject),
    row(GET, Object, &["attributes"], GetObjectAttributes),
    row(PUT, Object, &[], PutObject),
    copy(&[], CopyObject),
    row(DELETE, Object, &[], DeleteObject),
    row(POST, Object, &["uploads"], CreateMultipartUpload),
    row(PUT, Object, &["partNumber", "uploadId"], UploadPart),
    copy(&["partNumber", "uploadId"], UploadPartCopy),
    row(GET, Object, &["uploadId"], ListParts),
    row(POST, Object, &["uploadId"], CompleteMultipartUpload),
    row(DELETE, Object, &["uploadId"], AbortMultipartUpload),
    row(GET, Bucket, &["acl"], GetBucketAcl),
    row(PUT, Bucket, &["acl"], PutBucketAcl),
    row(GET, Object, &["acl"], GetObjectAcl),
    row(PUT, Object, &["acl"], PutObjectAcl),
    row(GET, Bucket, &["versioning"], GetBucketVersioning),
    row(PUT, Bucket, &["versioning"], PutBucketVersioning),
    row(GET, Bucket, &["tagging"], GetBucketTagging),
    row(PUT, Bucket, &["tagging"], PutBucketTagging),
    row(DELETE, Bucket, &["tagging"], DeleteBucketTagging),
    row(GET, Object, &["tagging"], GetObjectTagging),
    row(PUT, Object, &["tagging"], PutObjectTagging),
    row(DELETE, Object, &["tagging"], DeleteObjectTagging),
    row(GET, Bucket, &["encryption"], GetBucketEncryption),
    row(PUT, Bucket, &["encryption"], PutBucketEncryption),
    row(DELETE, Bucket, &["encryption"], DeleteBucketEncryption),
    row(GET, Bucket, &["policy"], GetBucketPolicy),
    row(GET, Bucket, &["policyStatus"], GetBucketPolicyStatus),
    row(PUT, Bucket, &["policy"], PutBucketPolicy),
    row(DELETE, Bucket, &["policy"], DeleteBucketPolicy),
    row(GET, Bucket, &["object-lock"], GetObjectLockConfiguration),
    row(PUT, Bucket, &["object-lock"], PutObjectLockConfiguration),
    row(GET, Object, &["retention"], GetObjectRetention),
    row(PUT, Object, &["retention"], PutObjectRetention),
    row(GET, Object, &["legal-hold"], GetObjectLegalHold),
    row(PUT, Object, &["legal-hold"], PutObjectLegalHold),
    row(GET, Bucket, &["cors"], GetBucketCors),
    row(PUT, Bucket, &["cors"], PutBucketCors),
    row(DELETE, Bucket, &["cors"], DeleteBucketCors),
    row(GET, Bucket, &["lifecycle"], GetBucketLifecycleConfiguration),
    row(PUT, Bucket, &["lifecycle"], PutBucketLifecycleConfiguration),
    row(DELETE, Bucket, &["lifecycle"], DeleteBucketLifecycle),
    row(GET, Bucket, &["notification"], GetBucketNotificationConfiguration),
    row(PUT, Bucket, &["notification"], PutBucketNotificationConfiguration),
    row(GET, Bucket, &["replication"], GetBucketReplication),
    row(PUT, Bucket, &["replication"], PutBucketReplication),
    row(DELETE, Bucket, &["replication"], DeleteBucketReplication),
    row(GET, Bucket, &["website"], GetBucketWebsite),
    row(PUT, Bucket, &["website"], PutBucketWebsite),
    row(DELETE, Bucket, &["website"], DeleteBucketWebsite),
    row(GET, Bucket, &["logging"], GetBucketLogging),
    row(PUT, Bucket, &["logging"], PutBucketLogging),
    row(GET, Bucket, &["requestPayment"], GetBucketRequestPayment),
    row(PUT, Bucket, &["requestPayment"], PutBucketRequestPayment),
    row(GET, Bucket, &["accelerate"], GetBucketAccelerateConfiguration),
    row(PUT, Bucket, &["accelerate"], PutBucketAccelerateConfiguration),
    row(GET, Bucket, &["ownershipControls"], GetBucketOwnershipControls),
    row(PUT, Bucket, &["ownershipControls"], PutBucketOwnershipControls),
    row(DELETE, Bucket, &["ownershipControls"], DeleteBucketOwnershipControls),
    row(GET, Bucket, &["publicAccessBlock"], GetPublicAccessBlock),
    row(PUT, Bucket, &["publicAccessBlock"], PutPublicAccessBlock),
    row(DELETE, Bucket, &["publicAccessBlock"], DeletePublicAccessBlock),
    row(GET, Bucket, &["analytics"], BucketAnalytics),
    row(PUT, Bucket, &["analytics"], BucketAnalytics),
    row(DELETE, Bucket, &["analytics"], BucketAnalytics),
    row(GET, Bucket, &["intelligent-tiering"], BucketIntelligentTiering),
    row(PUT, Bucket, &["intelligent-tiering"], BucketIntelligentTiering),
    row(DELETE, Bucket, &["intelligent-tiering"], BucketIntelligentTiering),
    row(GET, Bucket, &["inventory"], BucketInventory),
    row(PUT, Bucket, &["inventory"], BucketInventory),
    row(DELETE, Bucket, &["inventory"], BucketInventory),
    row(GET, Bucket, &["metrics"], BucketMetrics),
    row(PUT, Bucket, &["metrics"], BucketMetrics),
    row(DELETE, Bucket, &["metrics"], BucketMetrics),
    row(GET, Bucket, &["metadataTable"], BucketMetadata),
    row(POST, Bucket, &["metadataTable"], BucketMetadata),
    row(DELETE, Bucket, &["metadataTable"], BucketMetadata),
    row(GET, Bucket, &["metadataConfiguration"], BucketMetadata),
    row(POST, Bucket, &["metadataConfiguration"], BucketMetadata),
    row(DELETE, Bucket, &["metadataConfiguration"], BucketMetadata),
    row(GET, Bucket, &["session"], CreateSession),
    row(GET, Object, &["torrent"], GetObjectTorrent),
    row(POST, Object, &["select"], SelectObjectContent),
    row(POST, Object, &["restore"], RestoreObject),
    row(PUT, Object, &["renameObject"], RenameObject),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_route() {
        for operation in Operation::ALL {
            assert!(
                ROWS.iter().any(|row| row.operation == *operation),
                "{} can't be reached",
                operation.name()
            );
        }
    }

    #[test]
    fn no_two_rows_fit_the_same_request() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(row.sub_resources.is_sorted(), "{row:?}");
            for other in &ROWS[index + 1..] {
                assert!(
                    row.method != other.method
                        || row.level != other.level
                        || row.sub_resources != other.sub_resources
                        || row.source != other.source,
                    "{row:?} and {other:?}"
                );
            }
        }
    }

    /// Whatever chooses an operation has to be signed: `GET /bucket` must not become `GET /bucket?policy`.
    #[test]
    fn signature_v2_covers_every_sub_resource() {
        for name in SUB_RESOURCES {
            let covered = coffer_signature::V2_SUB_RESOURCES.contains(name);
            // Both listings show the same to the same callers, and no client signs this.
            assert!(covered || *name == "list-type", "{name}");
        }
    }

    #[test]
    fn every_sub_resource_of_a_row_is_listed() {
        assert!(SUB_RESOURCES.is_sorted());
        for row in ROWS {
            for name in row.sub_resources {
                assert!(SUB_RESOURCES.contains(name) || *name == "partNumber", "{name}");
            }
        }
    }
}
