//! Which actions on which resource each operation asks for.
//!
//! Source: AWS service authorization reference, "Actions, resources, and condition keys for Amazon S3".

use crate::operation::Operation;

/// An action as policies name it, such as `s3:GetObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(pub &'static str);

/// What an action of an operation is asked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The tenant.
    Service,
    /// The bucket of the request.
    Bucket,
    /// The object of the request.
    Object,
}

/// One question: may the caller do this on that?
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The action.
    pub action: Action,
    /// Its resource.
    pub on: On,
}

const fn service(action: &'static str) -> Need {
    Need { action: Action(action), on: On::Service }
}

const fn bucket(action: &'static str) -> Need {
    Need { action: Action(action), on: On::Bucket }
}

const fn object(action: &'static str) -> Need {
    Need { action: Action(action), on: On::Object }
}

/// Reading an object, also as a copy's source.
pub const GET_OBJECT: Action = Action("s3:GetObject");
/// Deleting an object, also as one of many.
pub const DELETE_OBJECT: Action = Action("s3:DeleteObject");

/// What `operation` asks for: never nothing. All of it has to be allowed.
///
/// DeleteObjects is asked for each key by its handler; here it needs the bucket, so that a stranger can't send documents.
pub const fn needs(operation: Operation) -> &'static [Need] {
    use Operation as O;
    match operation {
        O::ListBuckets => &const { [service("s3:ListAllMyBuckets")] },
        O::CreateBucket => &const { [bucket("s3:CreateBucket")] },
        O::HeadBucket | O::ListObjects | O::ListObjectsV2 => &const { [bucket("s3:ListBucket")] },
        O::DeleteBucket => &const { [bucket("s3:DeleteBucket")] },
        O::GetBucketLocation => &const { [bucket("s3:GetBucketLocation")] },
        O::ListObjectVersions => &const { [bucket("s3:ListBucketVersions")] },
        O::DeleteObjects => &const { [bucket("s3:DeleteObject")] },
        O::ListMultipartUploads => &const { [bucket("s3:ListBucketMultipartUploads")] },
        O::GetObject | O::HeadObject | O::GetObjectTorrent | O::SelectObjectContent => {
            &const { [object("s3:GetObject")] }
        }
        O::PutObject
        | O::CopyObject
        | O::CreateMultipartUpload
        | O::UploadPart
        | O::UploadPartCopy
        | O::CompleteMultipartUpload
        | O::RenameObject => &const { [object("s3:PutObject")] },
        O::PostObject => &const { [bucket("s3:PutObject")] },
        O::DeleteObject => &const { [object("s3:DeleteObject")] },
        O::GetObjectAttributes => {
            &const { [object("s3:GetObjectAttributes"), object("s3:GetObject")] }
        }
        O::ListParts => &const { [object("s3:ListMultipartUploadParts")] },
        O::AbortMultipartUpload => &const { [object("s3:AbortMultipartUpload")] },
        O::RestoreObject => &const { [object("s3:RestoreObject")] },
        O::GetBucketAcl => &const { [bucket("s3:GetBucketAcl")] },
        O::PutBucketAcl => &const { [bucket("s3:PutBucketAcl")] },
        O::GetObjectAcl => &const { [object("s3:GetObjectAcl")] },
        O::PutObjectAcl => &const { [object("s3:PutObjectAcl")] },
        O::GetBucketVersioning => &const { [bucket("s3:GetBucketVersioning")] },
        O::PutBucketVersioning => &const { [bucket("s3:PutBucketVersioning")] },
        O::GetBucketTagging => &const { [bucket("s3:GetBucketTagging")] },
        O::PutBucketTagging | O::DeleteBucketTagging => &const { [bucket("s3:PutBucketTagging")] },
        O::GetObjectTagging => &const { [object("s3:GetObjectTagging")] },
        O::PutObjectTagging => &const { [object("s3:PutObjectTagging")] },
        O::DeleteObjectTagging => &const { [object("s3:DeleteObjectTagging")] },
        O::GetBucketEncryption => &const { [bucket("s3:GetEncryptionConfiguration")] },
        O::PutBucketEncryption | O::DeleteBucketEncryption => {
            &const { [bucket("s3:PutEncryptionConfiguration")] }
        }
        O::GetBucketPolicy => &const { [bucket("s3:GetBucketPolicy")] },
        O::GetBucketPolicyStatus => &const { [bucket("s3:GetBucketPolicyStatus")] },
        O::PutBucketPolicy => &const { [bucket("s3:PutBucketPolicy")] },
        O::DeleteBucketPolicy => &const { [bucket("s3:DeleteBucketPolicy")] },
        O::GetObjectLockConfiguration => &const { [bucket("s3:GetBucketObjectLockConfiguration")] },
        O::PutObjectLockConfiguration => &const { [bucket("s3:PutBucketObjectLockConfiguration")] },
        O::GetObjectRetention => &const { [object("s3:GetObjectRetention")] },
        O::PutObjectRetention => &const { [object("s3:PutObjectRetention")] },
        O::GetObjectLegalHold => &const { [object("s3:GetObjectLegalHold")] },
        O::PutObjectLegalHold => &const { [object("s3:PutObjectLegalHold")] },
        O::GetBucketCors => &const { [bucket("s3:GetBucketCORS")] },
        O::PutBucketCors | O::DeleteBucketCors => &const { [bucket("s3:PutBucketCORS")] },
        O::GetBucketLifecycleConfiguration => &const { [bucket("s3:GetLifecycleConfiguration")] },
        O::PutBucketLifecycleConfiguration | O::DeleteBucketLifecycle => {
            &const { [bucket("s3:PutLifecycleConfiguration")] }
        }
        O::GetBucketNotificationConfiguration => &const { [bucket("s3:GetBucketNotification")] },
        O::PutBucketNotificationConfiguration => &const { [bucket("s3:PutBucketNotification")] },
        O::GetBucketReplication => &const { [bucket("s3:GetReplicationConfiguration")] },
        O::PutBucketReplication | O::DeleteBucketReplication => {
            &const { [bucket("s3:PutReplicationConfiguration")] }
        }
        O::GetBucketWebsite => &const { [bucket("s3:GetBucketWebsite")] },
        O::PutBucketWebsite => &const { [bucket("s3:PutBucketWebsite")] },
        O::DeleteBucketWebsite => &const { [bucket("s3:DeleteBucketWebsite")] },
        O::GetBucketLogging => &const { [bucket("s3:GetBucketLogging")] },
        O::PutBucketLogging => &const { [bucket("s3:PutBucketLogging")] },
        O::GetBucketRequestPayment => &const { [bucket("s3:GetBucketRequestPayment")] },
        O::PutBucketRequestPayment => &const { [bucket("s3:PutBucketRequestPayment")] },
        O::GetBucketAccelerateConfiguration => &const { [bucket("s3:GetAccelerateConfiguration")] },
        O::PutBucketAccelerateConfiguration => &const { [bucket("s3:PutAccelerateConfiguration")] },
        O::GetBucketOwnershipControls => &const { [bucket("s3:GetBucketOwnershipControls")] },
        O::PutBucketOwnershipControls | O::DeleteBucketOwnershipControls => {
            &const { [bucket("s3:PutBucketOwnershipControls")] }
        }
        O::GetPublicAccessBlock => &const { [bucket("s3:GetBucketPublicAccessBlock")] },
        O::PutPublicAccessBlock | O::DeletePublicAccessBlock => {
            &const { [bucket("s3:PutBucketPublicAccessBlock")] }
        }
        O::BucketAnalytics => &const { [bucket("s3:PutAnalyticsConfiguration")] },
        O::BucketIntelligentTiering => &const { [bucket("s3:PutIntelligentTieringConfiguration")] },
        O::BucketInventory => &const { [bucket("s3:PutInventoryConfiguration")] },
        O::BucketMetrics => &const { [bucket("s3:PutMetricsConfiguration")] },
        O::BucketMetadata => &const { [bucket("s3:CreateBucketMetadataTableConfiguration")] },
        O::CreateSession => &const { [bucket("s3express:CreateSession")] },
    }
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
