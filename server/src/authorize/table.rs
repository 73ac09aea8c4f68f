//! Which actions on which resource each operation asks for.
//!
//! Source: AWS service authorization reference, "Actions, resources, and condition keys for Amazon S3".

use coffer_policy::Action;
use http::HeaderMap;

use crate::operation::Operation;

/// What an action of an operation is asked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The tenant.
    Service,
    /// The bucket of the request.
    Bucket,
    /// The object of the request.
    Object,
    /// Each of the keys in its body: decided by the handler. Before it is read, only strangers are turned away.
    Keys,
}

/// One question: may the caller do this on that?
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The action.
    pub action: Action,
    /// Its resource.
    pub on: On,
}

const fn service(action: Action) -> Need {
    Need { action, on: On::Service }
}

const fn bucket(action: Action) -> Need {
    Need { action, on: On::Bucket }
}

const fn object(action: Action) -> Need {
    Need { action, on: On::Object }
}

/// What `operation` asks for: never nothing. All of it has to be allowed.
#[expect(clippy::too_many_lines, reason = "one table, a line for each operation")]
pub const fn needs(operation: Operation) -> &'static [Need] {
    use Operation as O;
    match operation {
        O::ListBuckets => &const { [service(Action::S3ListAllMyBuckets)] },
        O::CreateBucket => &const { [bucket(Action::S3CreateBucket)] },
        O::HeadBucket | O::ListObjects | O::ListObjectsV2 => {
            &const { [bucket(Action::S3ListBucket)] }
        }
        O::DeleteBucket => &const { [bucket(Action::S3DeleteBucket)] },
        O::GetBucketLocation => &const { [bucket(Action::S3GetBucketLocation)] },
        O::ListObjectVersions => &const { [bucket(Action::S3ListBucketVersions)] },
        O::DeleteObjects => &const { [Need { action: Action::S3DeleteObject, on: On::Keys }] },
        O::ListMultipartUploads => &const { [bucket(Action::S3ListBucketMultipartUploads)] },
        O::GetObject | O::HeadObject | O::GetObjectTorrent | O::SelectObjectContent => {
            &const { [object(Action::S3GetObject)] }
        }
        O::PutObject
        | O::CopyObject
        | O::CreateMultipartUpload
        | O::UploadPart
        | O::UploadPartCopy
        | O::CompleteMultipartUpload
        | O::RenameObject => &const { [object(Action::S3PutObject)] },
        O::PostObject => &const { [bucket(Action::S3PutObject)] },
        O::DeleteObject => &const { [object(Action::S3DeleteObject)] },
        O::GetObjectAttributes => {
            &const { [object(Action::S3GetObjectAttributes), object(Action::S3GetObject)] }
        }
        O::ListParts => &const { [object(Action::S3ListMultipartUploadParts)] },
        O::AbortMultipartUpload => &const { [object(Action::S3AbortMultipartUpload)] },
        O::RestoreObject => &const { [object(Action::S3RestoreObject)] },
        O::GetBucketAcl => &const { [bucket(Action::S3GetBucketAcl)] },
        O::PutBucketAcl => &const { [bucket(Action::S3PutBucketAcl)] },
        O::GetObjectAcl => &const { [object(Action::S3GetObjectAcl)] },
        O::PutObjectAcl => &const { [object(Action::S3PutObjectAcl)] },
        O::GetBucketVersioning => &const { [bucket(Action::S3GetBucketVersioning)] },
        O::PutBucketVersioning => &const { [bucket(Action::S3PutBucketVersioning)] },
        O::GetBucketTagging => &const { [bucket(Action::S3GetBucketTagging)] },
        O::PutBucketTagging | O::DeleteBucketTagging => {
            &const { [bucket(Action::S3PutBucketTagging)] }
        }
        O::GetObjectTagging => &const { [object(Action::S3GetObjectTagging)] },
        O::PutObjectTagging => &const { [object(Action::S3PutObjectTagging)] },
        O::DeleteObjectTagging => &const { [object(Action::S3DeleteObjectTagging)] },
        O::GetBucketEncryption => &const { [bucket(Action::S3GetEncryptionConfiguration)] },
        O::PutBucketEncryption | O::DeleteBucketEncryption => {
            &const { [bucket(Action::S3PutEncryptionConfiguration)] }
        }
        O::GetBucketPolicy => &const { [bucket(Action::S3GetBucketPolicy)] },
        O::GetBucketPolicyStatus => &const { [bucket(Action::S3GetBucketPolicyStatus)] },
        O::PutBucketPolicy => &const { [bucket(Action::S3PutBucketPolicy)] },
        O::DeleteBucketPolicy => &const { [bucket(Action::S3DeleteBucketPolicy)] },
        O::GetObjectLockConfiguration => {
            &const { [bucket(Action::S3GetBucketObjectLockConfiguration)] }
        }
        O::PutObjectLockConfiguration => {
            &const { [bucket(Action::S3PutBucketObjectLockConfiguration)] }
        }
        O::GetObjectRetention => &const { [object(Action::S3GetObjectRetention)] },
        O::PutObjectRetention => &const { [object(Action::S3PutObjectRetention)] },
        O::GetObjectLegalHold => &const { [object(Action::S3GetObjectLegalHold)] },
        O::PutObjectLegalHold => &const { [object(Action::S3PutObjectLegalHold)] },
        O::GetBucketCors => &const { [bucket(Action::S3GetBucketCORS)] },
        O::PutBucketCors | O::DeleteBucketCors => &const { [bucket(Action::S3PutBucketCORS)] },
        O::GetBucketLifecycleConfiguration => {
            &const { [bucket(Action::S3GetLifecycleConfiguration)] }
        }
        O::PutBucketLifecycleConfiguration | O::DeleteBucketLifecycle => {
            &const { [bucket(Action::S3PutLifecycleConfiguration)] }
        }
        O::GetBucketNotificationConfiguration => {
            &const { [bucket(Action::S3GetBucketNotification)] }
        }
        O::PutBucketNotificationConfiguration => {
            &const { [bucket(Action::S3PutBucketNotification)] }
        }
        O::GetBucketReplication => &const { [bucket(Action::S3GetReplicationConfiguration)] },
        O::PutBucketReplication | O::DeleteBucketReplication => {
            &const { [bucket(Action::S3PutReplicationConfiguration)] }
        }
        O::GetBucketWebsite => &const { [bucket(Action::S3GetBucketWebsite)] },
        O::PutBucketWebsite => &const { [bucket(Action::S3PutBucketWebsite)] },
        O::DeleteBucketWebsite => &const { [bucket(Action::S3DeleteBucketWebsite)] },
        O::GetBucketLogging => &const { [bucket(Action::S3GetBucketLogging)] },
        O::PutBucketLogging => &const { [bucket(Action::S3PutBucketLogging)] },
        O::GetBucketRequestPayment => &const { [bucket(Action::S3GetBucketRequestPayment)] },
        O::PutBucketRequestPayment => &const { [bucket(Action::S3PutBucketRequestPayment)] },
        O::GetBucketAccelerateConfiguration => {
            &const { [bucket(Action::S3GetAccelerateConfiguration)] }
        }
        O::PutBucketAccelerateConfiguration => {
            &const { [bucket(Action::S3PutAccelerateConfiguration)] }
        }
        O::GetBucketOwnershipControls => &const { [bucket(Action::S3GetBucketOwnershipControls)] },
        O::PutBucketOwnershipControls | O::DeleteBucketOwnershipControls => {
            &const { [bucket(Action::S3PutBucketOwnershipControls)] }
        }
        O::GetPublicAccessBlock => &const { [bucket(Action::S3GetBucketPublicAccessBlock)] },
        O::PutPublicAccessBlock | O::DeletePublicAccessBlock => {
            &const { [bucket(Action::S3PutBucketPublicAccessBlock)] }
        }
        O::BucketAnalytics => &const { [bucket(Action::S3PutAnalyticsConfiguration)] },
        O::BucketIntelligentTiering => {
            &const { [bucket(Action::S3PutIntelligentTieringConfiguration)] }
        }
        O::BucketInventory => &const { [bucket(Action::S3PutInventoryConfiguration)] },
        O::BucketMetrics => &const { [bucket(Action::S3PutMetricsConfiguration)] },
        O::BucketMetadata => &const { [bucket(Action::S3CreateBucketMetadataTableConfiguration)] },
        // A session is for listing and what comes after it, which is asked then.
        O::CreateSession => &const { [bucket(Action::S3ListBucket)] },
    }
}

/// The action that is asked for in the place of `action` where the request names a version. Source: AWS, which tells
/// the two apart.
pub const fn of_version(action: Action) -> Action {
    match action {
        Action::S3GetObject => Action::S3GetObjectVersion,
        Action::S3DeleteObject => Action::S3DeleteObjectVersion,
        Action::S3GetObjectAcl => Action::S3GetObjectVersionAcl,
        Action::S3PutObjectAcl => Action::S3PutObjectVersionAcl,
        Action::S3GetObjectAttributes => Action::S3GetObjectVersionAttributes,
        Action::S3GetObjectTagging => Action::S3GetObjectVersionTagging,
        Action::S3PutObjectTagging => Action::S3PutObjectVersionTagging,
        Action::S3DeleteObjectTagging => Action::S3DeleteObjectVersionTagging,
        other => other,
    }
}

/// What a request asks for on top, by headers that set more than its operation says.
pub fn extra(operation: Operation, headers: &HeaderMap) -> Vec<Need> {
    let has = |names: &[&str]| names.iter().any(|name| headers.contains_key(*name));
    let sets_acl = || {
        has(&["x-amz-acl"]) || headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"))
    };
    let mut needs = Vec::new();
    let mut ask = |asks: bool, need: Need| needs.extend(asks.then_some(need));
    match operation {
        Operation::PutObject | Operation::CopyObject | Operation::CreateMultipartUpload => {
            ask(sets_acl(), object(Action::S3PutObjectAcl));
            ask(has(&["x-amz-tagging"]), object(Action::S3PutObjectTagging));
            let retains = ["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"];
            ask(has(&retains), object(Action::S3PutObjectRetention));
            let holds = ["x-amz-object-lock-legal-hold"];
            ask(has(&holds), object(Action::S3PutObjectLegalHold));
        }
        Operation::CreateBucket => {
            ask(sets_acl(), bucket(Action::S3PutBucketAcl));
            let locks = has(&["x-amz-bucket-object-lock-enabled"]);
            ask(locks, bucket(Action::S3PutBucketObjectLockConfiguration));
            ask(locks, bucket(Action::S3PutBucketVersioning));
        }
        Operation::DeleteObject | Operation::DeleteObjects | Operation::PutObjectRetention => {
            let on = if operation == Operation::DeleteObjects { On::Keys } else { On::Object };
            let bypasses = has(&["x-amz-bypass-governance-retention"]);
            ask(bypasses, Need { action: Action::S3BypassGovernanceRetention, on });
        }
        _ => {}
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_asks_for_nothing() {
        for operation in Operation::ALL {
            assert!(!needs(*operation).is_empty(), "{}", operation.name());
        }
    }
}
