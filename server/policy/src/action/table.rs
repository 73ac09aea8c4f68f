//! Every action that a policy may name.
//!
//! Sources: AWS service authorization reference ("Actions, resources, and condition keys for Amazon S3", "… AWS KMS",
//! "… AWS Security Token Service"); the admin and KMS actions as `mc` and `madmin` know them. Names of features that this
//! server lacks are listed too, so that policies written for AWS load unchanged: no request ever asks for them.

use super::{Access, Family, On};

macro_rules! actions {
    ($($variant:ident = $name:literal, $family:ident, $on:ident, $access:ident;)*) => {
        /// An action of the S3, admin, KMS or STS API, as policies name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Action {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Action {
            /// All actions, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        /// What is known of each action, by its number.
        pub(super) const ROWS: &[Row] = &[
            $(Row { name: $name, family: Family::$family, on: On::$on, access: Access::$access },)*
        ];
    };
}

/// What is known of an action.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) family: Family,
    pub(super) on: On,
    pub(super) access: Access,
}

actions! {
    S3AbortMultipartUpload = "s3:AbortMultipartUpload", S3, Object, Write;
    S3AllowVendedLogDeliveryForResource = "s3:AllowVendedLogDeliveryForResource", S3, Bucket, Read;
    S3AssociateAccessGrantsIdentityCenter = "s3:AssociateAccessGrantsIdentityCenter", S3, Account, Permissions;
    S3BypassGovernanceRetention = "s3:BypassGovernanceRetention", S3, Object, Permissions;
    S3CreateAccessGrant = "s3:CreateAccessGrant", S3, Account, Permissions;
    S3CreateAccessGrantsInstance = "s3:CreateAccessGrantsInstance", S3, Account, Permissions;
    S3CreateAccessGrantsLocation = "s3:CreateAccessGrantsLocation", S3, Account, Permissions;
    S3CreateAccessPoint = "s3:CreateAccessPoint", S3, Account, Write;
    S3CreateAccessPointForObjectLambda = "s3:CreateAccessPointForObjectLambda", S3, Account, Write;
    S3CreateBucket = "s3:CreateBucket", S3, Bucket, Write;
    S3CreateBucketMetadataTableConfiguration = "s3:CreateBucketMetadataTableConfiguration", S3, Bucket, Write;
    S3CreateJob = "s3:CreateJob", S3, Account, Write;
    S3CreateMultiRegionAccessPoint = "s3:CreateMultiRegionAccessPoint", S3, Account, Write;
    S3CreateStorageLensGroup = "s3:CreateStorageLensGroup", S3, Account, Write;
    S3DeleteAccessGrant = "s3:DeleteAccessGrant", S3, Account, Permissions;
    S3DeleteAccessGrantsInstance = "s3:DeleteAccessGrantsInstance", S3, Account, Permissions;
    S3DeleteAccessGrantsInstanceResourcePolicy = "s3:DeleteAccessGrantsInstanceResourcePolicy", S3, Account, Permissions;
    S3DeleteAccessGrantsLocation = "s3:DeleteAccessGrantsLocation", S3, Account, Permissions;
    S3DeleteAccessPoint = "s3:DeleteAccessPoint", S3, Account, Write;
    S3DeleteAccessPointForObjectLambda = "s3:DeleteAccessPointForObjectLambda", S3, Account, Write;
    S3DeleteAccessPointPolicy = "s3:DeleteAccessPointPolicy", S3, Account, Permissions;
    S3DeleteAccessPointPolicyForObjectLambda = "s3:DeleteAccessPointPolicyForObjectLambda", S3, Account, Permissions;
    S3DeleteBucket = "s3:DeleteBucket", S3, Bucket, Write;
    S3DeleteBucketCors = "s3:DeleteBucketCors", S3, Bucket, Write;
    S3DeleteBucketMetadataTableConfiguration = "s3:DeleteBucketMetadataTableConfiguration", S3, Bucket, Write;
    S3DeleteBucketPolicy = "s3:DeleteBucketPolicy", S3, Bucket, Permissions;
    S3DeleteBucketWebsite = "s3:DeleteBucketWebsite", S3, Bucket, Write;
    S3DeleteJobTagging = "s3:DeleteJobTagging", S3, Account, Tagging;
    S3DeleteMultiRegionAccessPoint = "s3:DeleteMultiRegionAccessPoint", S3, Account, Write;
    S3DeleteObject = "s3:DeleteObject", S3, Object, Write;
    S3DeleteObjectAnnotation = "s3:DeleteObjectAnnotation", S3, Object, Write;
    S3DeleteObjectTagging = "s3:DeleteObjectTagging", S3, Object, Tagging;
    S3DeleteObjectVersion = "s3:DeleteObjectVersion", S3, Object, Write;
    S3DeleteObjectVersionAnnotation = "s3:DeleteObjectVersionAnnotation", S3, Object, Write;
    S3DeleteObjectVersionTagging = "s3:DeleteObjectVersionTagging", S3, Object, Tagging;
    S3DeleteStorageLensConfiguration = "s3:DeleteStorageLensConfiguration", S3, Account, Write;
    S3DeleteStorageLensConfigurationTagging = "s3:DeleteStorageLensConfigurationTagging", S3, Account, Tagging;
    S3DeleteStorageLensGroup = "s3:DeleteStorageLensGroup", S3, Account, Write;
    S3DescribeJob = "s3:DescribeJob", S3, Account, Read;
    S3DescribeMultiRegionAccessPointOperation = "s3:DescribeMultiRegionAccessPointOperation", S3, Account, Read;
    S3DissociateAccessGrantsIdentityCenter = "s3:DissociateAccessGrantsIdentityCenter", S3, Account, Permissions;
    S3ForceDeleteBucket = "s3:ForceDeleteBucket", S3, Bucket, Write;
    S3GetAccelerateConfiguration = "s3:GetAccelerateConfiguration", S3, Bucket, Read;
    S3GetAccessGrant = "s3:GetAccessGrant", S3, Account, Read;
    S3GetAccessGrantsInstance = "s3:GetAccessGrantsInstance", S3, Account, Read;
    S3GetAccessGrantsInstanceForPrefix = "s3:GetAccessGrantsInstanceForPrefix", S3, Account, Read;
    S3GetAccessGrantsInstanceResourcePolicy = "s3:GetAccessGrantsInstanceResourcePolicy", S3, Account, Read;
    S3GetAccessGrantsLocation = "s3:GetAccessGrantsLocation", S3, Account, Read;
    S3GetAccessPoint = "s3:GetAccessPoint", S3, Account, Read;
    S3GetAccessPointConfigurationForObjectLambda = "s3:GetAccessPointConfigurationForObjectLambda", S3, Account, Read;
    S3GetAccessPointForObjectLambda = "s3:GetAccessPointForObjectLambda", S3, Account, Read;
    S3GetAccessPointPolicy = "s3:GetAccessPointPolicy", S3, Account, Read;
    S3GetAccessPointPolicyForObjectLambda = "s3:GetAccessPointPolicyForObjectLambda", S3, Account, Read;
    S3GetAccessPointPolicyStatus = "s3:GetAccessPointPolicyStatus", S3, Account, Read;
    S3GetAccessPointPolicyStatusForObjectLambda = "s3:GetAccessPointPolicyStatusForObjectLambda", S3, Account, Read;
    S3GetAccountPublicAccessBlock = "s3:GetAccountPublicAccessBlock", S3, Account, Read;
    S3GetAnalyticsConfiguration = "s3:GetAnalyticsConfiguration", S3, Bucket, Read;
    S3GetBucketAbac = "s3:GetBucketAbac", S3, Bucket, Read;
    S3GetBucketAcl = "s3:GetBucketAcl", S3, Bucket, Read;
    S3GetBucketCORS = "s3:GetBucketCORS", S3, Bucket, Read;
    S3GetBucketLocation = "s3:GetBucketLocation", S3, Bucket, Read;
    S3GetBucketLogging = "s3:GetBucketLogging", S3, Bucket, Read;
    S3GetBucketMetadataTableConfiguration = "s3:GetBucketMetadataTableConfiguration", S3, Bucket, Read;
    S3GetBucketNotification = "s3:GetBucketNotification", S3, Bucket, Read;
    S3GetBucketObjectLockConfiguration = "s3:GetBucketObjectLockConfiguration", S3, Bucket, Read;
    S3GetBucketOwnershipControls = "s3:GetBucketOwnershipControls", S3, Bucket, Read;
    S3GetBucketPolicy = "s3:GetBucketPolicy", S3, Bucket, Read;
    S3GetBucketPolicyStatus = "s3:GetBucketPolicyStatus", S3, Bucket, Read;
    S3GetBucketPublicAccessBlock = "s3:GetBucketPublicAccessBlock", S3, Bucket, Read;
    S3GetBucketRequestPayment = "s3:GetBucketRequestPayment", S3, Bucket, Read;
    S3GetBucketTagging = "s3:GetBucketTagging", S3, Bucket, Read;
    S3GetBucketVersioning = "s3:GetBucketVersioning", S3, Bucket, Read;
    S3GetBucketWebsite = "s3:GetBucketWebsite", S3, Bucket, Read;
    S3GetDataAccess = "s3:GetDataAccess", S3, Account, Read;
    S3GetEncryptionConfiguration = "s3:GetEncryptionConfiguration", S3, Bucket, Read;
    S3GetIntelligentTieringConfiguration = "s3:GetIntelligentTieringConfiguration", S3, Bucket, Read;
    S3GetInventoryConfiguration = "s3:GetInventoryConfiguration", S3, Bucket, Read;
    S3GetJobTagging = "s3:GetJobTagging", S3, Account, Read;
    S3GetLifecycleConfiguration = "s3:GetLifecycleConfiguration", S3, Bucket, Read;
    S3GetMetricsConfiguration = "s3:GetMetricsConfiguration", S3, Bucket, Read;
    S3GetMultiRegionAccessPoint = "s3:GetMultiRegionAccessPoint", S3, Account, Read;
    S3GetMultiRegionAccessPointPolicy = "s3:GetMultiRegionAccessPointPolicy", S3, Account, Read;
    S3GetMultiRegionAccessPointPolicyStatus = "s3:GetMultiRegionAccessPointPolicyStatus", S3, Account, Read;
    S3GetMultiRegionAccessPointRoutes = "s3:GetMultiRegionAccessPointRoutes", S3, Account, Read;
    S3GetObject = "s3:GetObject", S3, Object, Read;
    S3GetObjectAcl = "s3:GetObjectAcl", S3, Object, Read;
    S3GetObjectAnnotation = "s3:GetObjectAnnotation", S3, Object, Read;
    S3GetObjectAttributes = "s3:GetObjectAttributes", S3, Object, Read;
    S3GetObjectLegalHold = "s3:GetObjectLegalHold", S3, Object, Read;
    S3GetObjectRetention = "s3:GetObjectRetention", S3, Object, Read;
    S3GetObjectTagging = "s3:GetObjectTagging", S3, Object, Read;
    S3GetObjectTorrent = "s3:GetObjectTorrent", S3, Object, Read;
    S3GetObjectVersion = "s3:GetObjectVersion", S3, Object, Read;
    S3GetObjectVersionAcl = "s3:GetObjectVersionAcl", S3, Object, Read;
    S3GetObjectVersionAnnotation = "s3:GetObjectVersionAnnotation", S3, Object, Read;
    S3GetObjectVersionAnnotationForReplication = "s3:GetObjectVersionAnnotationForReplication", S3, Object, Read;
    S3GetObjectVersionAttributes = "s3:GetObjectVersionAttributes", S3, Object, Read;
    S3GetObjectVersionForReplication = "s3:GetObjectVersionForReplication", S3, Object, Read;
    S3GetObjectVersionTagging = "s3:GetObjectVersionTagging", S3, Object, Read;
    S3GetObjectVersionTorrent = "s3:GetObjectVersionTorrent", S3, Object, Read;
    S3GetReplicationConfiguration = "s3:GetReplicationConfiguration", S3, Bucket, Read;
    S3GetStorageLensConfiguration = "s3:GetStorageLensConfiguration", S3, Account, Read;
    S3GetStorageLensConfigurationTagging = "s3:GetStorageLensConfigurationTagging", S3, Account, Read;
    S3GetStorageLensDashboard = "s3:GetStorageLensDashboard", S3, Account, Read;
    S3GetStorageLensGroup = "s3:GetStorageLensGroup", S3, Account, Read;
    S3HeadBucket = "s3:HeadBucket", S3, Bucket, List;
    S3InitiateReplication = "s3:InitiateReplication", S3, Object, Write;
    S3ListAccessGrants = "s3:ListAccessGrants", S3, Account, List;
    S3ListAccessGrantsInstances = "s3:ListAccessGrantsInstances", S3, Account, List;
    S3ListAccessGrantsLocations = "s3:ListAccessGrantsLocations", S3, Account, List;
    S3ListAccessPoints = "s3:ListAccessPoints", S3, Account, List;
    S3ListAccessPointsForObjectLambda = "s3:ListAccessPointsForObjectLambda", S3, Account, List;
    S3ListAllMyBuckets = "s3:ListAllMyBuckets", S3, Account, List;
    S3ListBucket = "s3:ListBucket", S3, Bucket, List;
    S3ListBucketMultipartUploads = "s3:ListBucketMultipartUploads", S3, Bucket, List;
    S3ListBucketVersions = "s3:ListBucketVersions", S3, Bucket, List;
    S3ListCallerAccessGrants = "s3:ListCallerAccessGrants", S3, Account, List;
    S3ListJobs = "s3:ListJobs", S3, Account, List;
    S3ListMultiRegionAccessPoints = "s3:ListMultiRegionAccessPoints", S3, Account, List;
    S3ListMultipartUploadParts = "s3:ListMultipartUploadParts", S3, Object, List;
    S3ListObjectAnnotations = "s3:ListObjectAnnotations", S3, Object, List;
    S3ListObjectVersionAnnotations = "s3:ListObjectVersionAnnotations", S3, Object, List;
    S3ListStorageLensConfigurations = "s3:ListStorageLensConfigurations", S3, Account, List;
    S3ListStorageLensGroups = "s3:ListStorageLensGroups", S3, Account, List;
    S3ListTagsForResource = "s3:ListTagsForResource", S3, Bucket, List;
    S3ListenBucketNotification = "s3:ListenBucketNotification", S3, Bucket, Read;
    S3ListenNotification = "s3:ListenNotification", S3, Account, Read;
    S3ObjectOwnerOverrideToBucketOwner = "s3:ObjectOwnerOverrideToBucketOwner", S3, Object, Permissions;
    S3PauseReplication = "s3:PauseReplication", S3, Bucket, Write;
    S3PutAccelerateConfiguration = "s3:PutAccelerateConfiguration", S3, Bucket, Write;
    S3PutAccessGrantsInstanceResourcePolicy = "s3:PutAccessGrantsInstanceResourcePolicy", S3, Account, Permissions;
    S3PutAccessPointConfigurationForObjectLambda = "s3:PutAccessPointConfigurationForObjectLambda", S3, Account, Write;
    S3PutAccessPointPolicy = "s3:PutAccessPointPolicy", S3, Account, Permissions;
    S3PutAccessPointPolicyForObjectLambda = "s3:PutAccessPointPolicyForObjectLambda", S3, Account, Permissions;
    S3PutAccessPointPublicAccessBlock = "s3:PutAccessPointPublicAccessBlock", S3, Account, Permissions;
    S3PutAccountPublicAccessBlock = "s3:PutAccountPublicAccessBlock", S3, Account, Permissions;
    S3PutAnalyticsConfiguration = "s3:PutAnalyticsConfiguration", S3, Bucket, Write;
    S3PutBucketAbac = "s3:PutBucketAbac", S3, Bucket, Write;
    S3PutBucketAcl = "s3:PutBucketAcl", S3, Bucket, Permissions;
    S3PutBucketCORS = "s3:PutBucketCORS", S3, Bucket, Write;
    S3PutBucketLogging = "s3:PutBucketLogging", S3, Bucket, Write;
    S3PutBucketNotification = "s3:PutBucketNotification", S3, Bucket, Write;
    S3PutBucketObjectLockConfiguration = "s3:PutBucketObjectLockConfiguration", S3, Bucket, Write;
    S3PutBucketOwnershipControls = "s3:PutBucketOwnershipControls", S3, Bucket, Permissions;
    S3PutBucketPolicy = "s3:PutBucketPolicy", S3, Bucket, Permissions;
    S3PutBucketPublicAccessBlock = "s3:PutBucketPublicAccessBlock", S3, Bucket, Permissions;
    S3PutBucketRequestPayment = "s3:PutBucketRequestPayment", S3, Bucket, Write;
    S3PutBucketTagging = "s3:PutBucketTagging", S3, Bucket, Tagging;
    S3PutBucketVersioning = "s3:PutBucketVersioning", S3, Bucket, Write;
    S3PutBucketWebsite = "s3:PutBucketWebsite", S3, Bucket, Write;
    S3PutEncryptionConfiguration = "s3:PutEncryptionConfiguration", S3, Bucket, Write;
    S3PutIntelligentTieringConfiguration = "s3:PutIntelligentTieringConfiguration", S3, Bucket, Write;
    S3PutInventoryConfiguration = "s3:PutInventoryConfiguration", S3, Bucket, Write;
    S3PutJobTagging = "s3:PutJobTagging", S3, Account, Tagging;
    S3PutLifecycleConfiguration = "s3:PutLifecycleConfiguration", S3, Bucket, Write;
    S3PutMetricsConfiguration = "s3:PutMetricsConfiguration", S3, Bucket, Write;
    S3PutMultiRegionAccessPointPolicy = "s3:PutMultiRegionAccessPointPolicy", S3, Account, Permissions;
    S3PutObject = "s3:PutObject", S3, Object, Write;
    S3PutObjectAcl = "s3:PutObjectAcl", S3, Object, Permissions;
    S3PutObjectAnnotation = "s3:PutObjectAnnotation", S3, Object, Write;
    S3PutObjectFanOut = "s3:PutObjectFanOut", S3, Object, Write;
    S3PutObjectLegalHold = "s3:PutObjectLegalHold", S3, Object, Write;
    S3PutObjectRetention = "s3:PutObjectRetention", S3, Object, Write;
    S3PutObjectTagging = "s3:PutObjectTagging", S3, Object, Tagging;
    S3PutObjectVersionAcl = "s3:PutObjectVersionAcl", S3, Object, Permissions;
    S3PutObjectVersionAnnotation = "s3:PutObjectVersionAnnotation", S3, Object, Write;
    S3PutObjectVersionTagging = "s3:PutObjectVersionTagging", S3, Object, Tagging;
    S3PutReplicationConfiguration = "s3:PutReplicationConfiguration", S3, Bucket, Write;
    S3PutStorageLensConfiguration = "s3:PutStorageLensConfiguration", S3, Account, Write;
    S3PutStorageLensConfigurationTagging = "s3:PutStorageLensConfigurationTagging", S3, Account, Tagging;
    S3ReplicateDelete = "s3:ReplicateDelete", S3, Object, Write;
    S3ReplicateObject = "s3:ReplicateObject", S3, Object, Write;
    S3ReplicateObjectAnnotation = "s3:ReplicateObjectAnnotation", S3, Object, Write;
    S3ReplicateTags = "s3:ReplicateTags", S3, Object, Tagging;
    S3ResetBucketReplicationState = "s3:ResetBucketReplicationState", S3, Bucket, Write;
    S3RestoreObject = "s3:RestoreObject", S3, Object, Write;
    S3SubmitMultiRegionAccessPointRoutes = "s3:SubmitMultiRegionAccessPointRoutes", S3, Account, Write;
    S3TagResource = "s3:TagResource", S3, Bucket, Tagging;
    S3UntagResource = "s3:UntagResource", S3, Bucket, Tagging;
    S3UpdateAccessGrantsLocation = "s3:UpdateAccessGrantsLocation", S3, Account, Permissions;
    S3UpdateBucketMetadataAnnotationTableConfiguration = "s3:UpdateBucketMetadataAnnotationTableConfiguration", S3, Bucket, Write;
    S3UpdateBucketMetadataInventoryTableConfiguration = "s3:UpdateBucketMetadataInventoryTableConfiguration", S3, Bucket, Write;
    S3UpdateBucketMetadataJournalTableConfiguration = "s3:UpdateBucketMetadataJournalTableConfiguration", S3, Bucket, Write;
    S3UpdateJobPriority = "s3:UpdateJobPriority", S3, Account, Write;
    S3UpdateJobStatus = "s3:UpdateJobStatus", S3, Account, Write;
    S3UpdateObjectEncryption = "s3:UpdateObjectEncryption", S3, Object, Write;
    S3UpdateStorageLensGroup = "s3:UpdateStorageLensGroup", S3, Account, Write;
    AdminAddUserToGroup = "admin:AddUserToGroup", Admin, Account, Permissions;
    AdminAttachUserOrGroupPolicy = "admin:AttachUserOrGroupPolicy", Admin, Account, Permissions;
    AdminBandwidthMonitor = "admin:BandwidthMonitor", Admin, Account, Read;
    AdminCancelBatchJob = "admin:CancelBatchJob", Admin, Account, Permissions;
    AdminClusterInfo = "admin:ClusterInfo", Admin, Account, Read;
    AdminConfigUpdate = "admin:ConfigUpdate", Admin, Account, Permissions;
    AdminConsoleLog = "admin:ConsoleLog", Admin, Account, Read;
    AdminCreatePolicy = "admin:CreatePolicy", Admin, Account, Permissions;
    AdminCreateServiceAccount = "admin:CreateServiceAccount", Admin, Account, Permissions;
    AdminCreateUser = "admin:CreateUser", Admin, Account, Permissions;
    AdminDataUsageInfo = "admin:DataUsageInfo", Admin, Account, Read;
    AdminDecommission = "admin:Decommission", Admin, Account, Permissions;
    AdminDeletePolicy = "admin:DeletePolicy", Admin, Account, Permissions;
    AdminDeleteUser = "admin:DeleteUser", Admin, Account, Permissions;
    AdminDescribeBatchJob = "admin:DescribeBatchJob", Admin, Account, Read;
    AdminDisableGroup = "admin:DisableGroup", Admin, Account, Permissions;
    AdminDisableUser = "admin:DisableUser", Admin, Account, Permissions;
    AdminDriveInfo = "admin:DriveInfo", Admin, Account, Read;
    AdminEnableGroup = "admin:EnableGroup", Admin, Account, Permissions;
    AdminEnableUser = "admin:EnableUser", Admin, Account, Permissions;
    AdminExplainDecision = "admin:ExplainDecision", Admin, Account, Read;
    AdminExportBucketMetadata = "admin:ExportBucketMetadata", Admin, Account, Read;
    AdminExportIAM = "admin:ExportIAM", Admin, Account, Read;
    AdminExportIAMSecrets = "admin:ExportIAMSecrets", Admin, Account, Read;
    AdminForceUnlock = "admin:ForceUnlock", Admin, Account, Permissions;
    AdminGenerateBatchJob = "admin:GenerateBatchJob", Admin, Account, Permissions;
    AdminGetBucketQuota = "admin:GetBucketQuota", Admin, Account, Read;
    AdminGetBucketTarget = "admin:GetBucketTarget", Admin, Account, Read;
    AdminGetGroup = "admin:GetGroup", Admin, Account, Read;
    AdminGetPolicy = "admin:GetPolicy", Admin, Account, Read;
    AdminGetUser = "admin:GetUser", Admin, Account, Read;
    AdminHeal = "admin:Heal", Admin, Account, Permissions;
    AdminImportBucketMetadata = "admin:ImportBucketMetadata", Admin, Account, Permissions;
    AdminImportIAM = "admin:ImportIAM", Admin, Account, Permissions;
    AdminInspectData = "admin:InspectData", Admin, Account, Read;
    AdminKMSCreateKey = "admin:KMSCreateKey", Admin, Account, Permissions;
    AdminKMSKeyStatus = "admin:KMSKeyStatus", Admin, Account, Read;
    AdminLicenseInfo = "admin:LicenseInfo", Admin, Account, Read;
    AdminListBatchJobs = "admin:ListBatchJobs", Admin, Account, Read;
    AdminListGroups = "admin:ListGroups", Admin, Account, Read;
    AdminListServiceAccounts = "admin:ListServiceAccounts", Admin, Account, Read;
    AdminListTemporaryAccounts = "admin:ListTemporaryAccounts", Admin, Account, Read;
    AdminListTier = "admin:ListTier", Admin, Account, Read;
    AdminListUserPolicies = "admin:ListUserPolicies", Admin, Account, Read;
    AdminListUsers = "admin:ListUsers", Admin, Account, Read;
    AdminOBDInfo = "admin:OBDInfo", Admin, Account, Read;
    AdminPoolInfo = "admin:PoolInfo", Admin, Account, Read;
    AdminPoolList = "admin:PoolList", Admin, Account, Permissions;
    AdminProfiling = "admin:Profiling", Admin, Account, Permissions;
    AdminPrometheus = "admin:Prometheus", Admin, Account, Read;
    AdminRebalance = "admin:Rebalance", Admin, Account, Permissions;
    AdminRemoveServiceAccount = "admin:RemoveServiceAccount", Admin, Account, Permissions;
    AdminRemoveUserFromGroup = "admin:RemoveUserFromGroup", Admin, Account, Permissions;
    AdminReplicationDiff = "admin:ReplicationDiff", Admin, Account, Read;
    AdminServerInfo = "admin:ServerInfo", Admin, Account, Read;
    AdminServerTrace = "admin:ServerTrace", Admin, Account, Read;
    AdminServerUpdate = "admin:ServerUpdate", Admin, Account, Permissions;
    AdminServiceFreeze = "admin:ServiceFreeze", Admin, Account, Permissions;
    AdminServiceRestart = "admin:ServiceRestart", Admin, Account, Permissions;
    AdminServiceStop = "admin:ServiceStop", Admin, Account, Permissions;
    AdminSetBucketQuota = "admin:SetBucketQuota", Admin, Account, Permissions;
    AdminSetBucketTarget = "admin:SetBucketTarget", Admin, Account, Permissions;
    AdminSetInfo = "admin:SetInfo", Admin, Account, Read;
    AdminSetTier = "admin:SetTier", Admin, Account, Permissions;
    AdminSiteReplicationAdd = "admin:SiteReplicationAdd", Admin, Account, Permissions;
    AdminSiteReplicationDisable = "admin:SiteReplicationDisable", Admin, Account, Permissions;
    AdminSiteReplicationInfo = "admin:SiteReplicationInfo", Admin, Account, Read;
    AdminSiteReplicationOperation = "admin:SiteReplicationOperation", Admin, Account, Permissions;
    AdminSiteReplicationRemove = "admin:SiteReplicationRemove", Admin, Account, Permissions;
    AdminSiteReplicationResync = "admin:SiteReplicationResync", Admin, Account, Permissions;
    AdminStartBatchJob = "admin:StartBatchJob", Admin, Account, Permissions;
    AdminStorageInfo = "admin:StorageInfo", Admin, Account, Read;
    AdminTopLocksInfo = "admin:TopLocksInfo", Admin, Account, Read;
    AdminUpdatePolicyAssociation = "admin:UpdatePolicyAssociation", Admin, Account, Permissions;
    AdminUpdateServiceAccount = "admin:UpdateServiceAccount", Admin, Account, Permissions;
    KmsAPI = "kms:API", Kms, Account, Read;
    KmsAssignPolicy = "kms:AssignPolicy", Kms, Account, Write;
    KmsAuditLog = "kms:AuditLog", Kms, Account, Read;
    KmsCreateKey = "kms:CreateKey", Kms, Key, Write;
    KmsDecrypt = "kms:Decrypt", Kms, Key, Write;
    KmsDeleteIdentity = "kms:DeleteIdentity", Kms, Account, Write;
    KmsDeleteKey = "kms:DeleteKey", Kms, Key, Write;
    KmsDeletePolicy = "kms:DeletePolicy", Kms, Account, Write;
    KmsDescribeIdentity = "kms:DescribeIdentity", Kms, Account, Read;
    KmsDescribeKey = "kms:DescribeKey", Kms, Key, Read;
    KmsDescribePolicy = "kms:DescribePolicy", Kms, Account, Read;
    KmsDescribeSelfIdentity = "kms:DescribeSelfIdentity", Kms, Account, Read;
    KmsEncrypt = "kms:Encrypt", Kms, Key, Write;
    KmsErrorLog = "kms:ErrorLog", Kms, Account, Read;
    KmsGenerateDataKey = "kms:GenerateDataKey", Kms, Key, Write;
    KmsGenerateDataKeyWithoutPlaintext = "kms:GenerateDataKeyWithoutPlaintext", Kms, Key, Write;
    KmsGetPolicy = "kms:GetPolicy", Kms, Account, Read;
    KmsImportKey = "kms:ImportKey", Kms, Key, Write;
    KmsKeyStatus = "kms:KeyStatus", Kms, Key, Read;
    KmsListIdentities = "kms:ListIdentities", Kms, Account, Read;
    KmsListKeys = "kms:ListKeys", Kms, Account, Read;
    KmsListPolicies = "kms:ListPolicies", Kms, Account, Read;
    KmsMetrics = "kms:Metrics", Kms, Account, Read;
    KmsReEncryptFrom = "kms:ReEncryptFrom", Kms, Key, Write;
    KmsReEncryptTo = "kms:ReEncryptTo", Kms, Key, Write;
    KmsRotateKey = "kms:RotateKey", Kms, Key, Write;
    KmsSetPolicy = "kms:SetPolicy", Kms, Account, Write;
    KmsStatus = "kms:Status", Kms, Account, Read;
    KmsVersion = "kms:Version", Kms, Account, Read;
    StsAssumeRole = "sts:AssumeRole", Sts, Account, Write;
    StsAssumeRoleWithCertificate = "sts:AssumeRoleWithCertificate", Sts, Account, Write;
    StsAssumeRoleWithClientGrants = "sts:AssumeRoleWithClientGrants", Sts, Account, Write;
    StsAssumeRoleWithCustomToken = "sts:AssumeRoleWithCustomToken", Sts, Account, Write;
    StsAssumeRoleWithLDAPIdentity = "sts:AssumeRoleWithLDAPIdentity", Sts, Account, Write;
    StsAssumeRoleWithSAML = "sts:AssumeRoleWithSAML", Sts, Account, Write;
    StsAssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity", Sts, Account, Write;
    StsDecodeAuthorizationMessage = "sts:DecodeAuthorizationMessage", Sts, Account, Read;
    StsGetAccessKeyInfo = "sts:GetAccessKeyInfo", Sts, Account, Read;
    StsGetCallerIdentity = "sts:GetCallerIdentity", Sts, Account, Read;
    StsGetFederationToken = "sts:GetFederationToken", Sts, Account, Read;
    StsGetSessionToken = "sts:GetSessionToken", Sts, Account, Read;
    StsSetSourceIdentity = "sts:SetSourceIdentity", Sts, Account, Write;
    StsTagSession = "sts:TagSession", Sts, Account, Write;
}
