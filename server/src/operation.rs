//! Every S3 operation that this server knows by name, and what it can do with it.

/// Declares [`Operation`] and keeps name, list and support in one place.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident => $support:expr,)*) => {
        /// An operation of the S3 API. Source: the AWS S3 API reference, whose names these are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the AWS operation of that name")]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All operations, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name that AWS gives it, as in audit records and policies.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What this server does with it.
            pub const fn support(self) -> Support {
                match self { $(Self::$name => $support,)* }
            }
        }
    };
}

/// What this server does with an operation that was authenticated and authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Carried out.
    Built,
    /// A configuration that nobody can set here yet reads as one that is not set on AWS.
    Unset(Unset),
    /// Answered `501 NotImplemented` with this sentence.
    Later(&'static str),
}

/// How a configuration that is not set reads on AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// An empty document with this root element.
    Empty(&'static str),
    /// This document, which is what AWS has by default.
    Document(&'static str),
    /// The ACL of a bucket or an object that only its owner may use.
    PrivateAcl,
    /// `404` with this code and message.
    Missing(&'static str, &'static str),
    /// `400 InvalidRequest`: what is asked for needs object lock, which the bucket hasn't.
    WithoutLock,
}

use Support::{Built, Later};

const fn unset(unset: Unset) -> Support {
    Support::Unset(unset)
}

const TAGGING: Support = Later(
    "Tags of objects can't be stored by this version of Coffer; send the request without them.",
);
const LOCK: Support =
    Later("Object lock isn't part of this version of Coffer; objects can't be retained or held.");
const VERSIONING: Support =
    Later("Versioning isn't part of this version of Coffer; a bucket keeps one version of a key.");
const CONFIGURATION: Support =
    Later("This bucket configuration isn't part of Coffer; nothing was changed.");
const FOREIGN: Support = Later("This AWS feature isn't part of Coffer.");

operations! {
    ListBuckets => Built,
    CreateBucket => Built,
    HeadBucket => Built,
    DeleteBucket => Built,
    GetBucketLocation => Built,
    ListObjects => Built,
    ListObjectsV2 => Built,
    ListObjectVersions => Built,
    DeleteObjects => Built,
    ListMultipartUploads => Built,

    GetObject => Built,
    HeadObject => Built,
    PutObject => Built,
    CopyObject => Built,
    DeleteObject => Built,
    GetObjectAttributes => Built,
    CreateMultipartUpload => Built,
    UploadPart => Built,
    UploadPartCopy => Built,
    ListParts => Built,
    CompleteMultipartUpload => Built,
    AbortMultipartUpload => Built,

    GetBucketAcl => unset(Unset::PrivateAcl),
    PutBucketAcl => Built,
    GetObjectAcl => unset(Unset::PrivateAcl),
    PutObjectAcl => Built,

    GetBucketVersioning => unset(Unset::Empty("VersioningConfiguration")),
    PutBucketVersioning => VERSIONING,
    GetBucketTagging => Built,
    PutBucketTagging => Built,
    DeleteBucketTagging => Built,
    GetObjectTagging => unset(Unset::Document("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet/></Tagging>")),
    PutObjectTagging => TAGGING,
    DeleteObjectTagging => TAGGING,
    GetBucketEncryption => Built,
    PutBucketEncryption => Built,
    DeleteBucketEncryption => Built,
    GetBucketPolicy => Built,
    GetBucketPolicyStatus => Built,
    PutBucketPolicy => Built,
    DeleteBucketPolicy => Built,
    GetObjectLockConfiguration => unset(Unset::Missing("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket.")),
    PutObjectLockConfiguration => LOCK,
    GetObjectRetention => unset(Unset::WithoutLock),
    PutObjectRetention => LOCK,
    GetObjectLegalHold => unset(Unset::WithoutLock),
    PutObjectLegalHold => LOCK,
    GetBucketCors => unset(Unset::Missing("NoSuchCORSConfiguration", "The CORS configuration does not exist.")),
    PutBucketCors => CONFIGURATION,
    DeleteBucketCors => CONFIGURATION,
    GetBucketLifecycleConfiguration => unset(Unset::Missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist.")),
    PutBucketLifecycleConfiguration => CONFIGURATION,
    DeleteBucketLifecycle => CONFIGURATION,
    GetBucketNotificationConfiguration => unset(Unset::Empty("NotificationConfiguration")),
    PutBucketNotificationConfiguration => CONFIGURATION,
    GetBucketReplication => unset(Unset::Missing("ReplicationConfigurationNotFoundError", "The replication configuration was not found.")),
    PutBucketReplication => CONFIGURATION,
    DeleteBucketReplication => CONFIGURATION,
    GetBucketWebsite => unset(Unset::Missing("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration.")),
    PutBucketWebsite => CONFIGURATION,
    DeleteBucketWebsite => CONFIGURATION,
    GetBucketLogging => unset(Unset::Empty("BucketLoggingStatus")),
    PutBucketLogging => CONFIGURATION,
    GetBucketRequestPayment => unset(Unset::Document("<RequestPaymentConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Payer>BucketOwner</Payer></RequestPaymentConfiguration>")),
    PutBucketRequestPayment => CONFIGURATION,
    GetBucketAccelerateConfiguration => unset(Unset::Empty("AccelerateConfiguration")),
    PutBucketAccelerateConfiguration => CONFIGURATION,
    GetBucketOwnershipControls => unset(Unset::Document("<OwnershipControls xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>")),
    PutBucketOwnershipControls => CONFIGURATION,
    DeleteBucketOwnershipControls => CONFIGURATION,
    GetPublicAccessBlock => unset(Unset::Missing("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found.")),
    PutPublicAccessBlock => CONFIGURATION,
    DeletePublicAccessBlock => CONFIGURATION,

    BucketAnalytics => FOREIGN,
    BucketIntelligentTiering => FOREIGN,
    BucketInventory => FOREIGN,
    BucketMetrics => FOREIGN,
    BucketMetadata => FOREIGN,
    CreateSession => FOREIGN,
    GetObjectTorrent => FOREIGN,
    SelectObjectContent => FOREIGN,
    RestoreObject => FOREIGN,
    RenameObject => FOREIGN,
    /// A browser's form upload.
    PostObject => Built,
}
