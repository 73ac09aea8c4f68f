//! Every condition key that a policy may name, and where its value comes from.
//!
//! Sources: AWS IAM user guide, "AWS global condition context keys"; AWS service authorization reference, S3, KMS and STS;
//! `jwt:`, `ldap:` and `svc:` as `mc` and `madmin` know them.

use super::Suffix;

macro_rules! keys {
    ($($variant:ident = $name:literal, $suffix:ident, $source:literal;)*) => {
        /// A condition key, or a family of keys that differ in what follows their name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Key {
            $(#[doc = concat!("`", $name, "`: ", $source, ".")] $variant,)*
        }

        impl Key {
            /// All keys.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }

        pub(super) const ROWS: &[Row] = &[
            $(Row { name: $name, suffix: Suffix::$suffix, source: $source },)*
        ];
    };
}

/// What is known of a key.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) suffix: Suffix,
    pub(super) source: &'static str,
}

keys! {
    AwsCurrentTime = "aws:CurrentTime", None, "the server's clock, ISO 8601";
    AwsEpochTime = "aws:EpochTime", None, "the server's clock, seconds since 1970";
    AwsSecureTransport = "aws:SecureTransport", None, "whether the request came over TLS: true or false";
    AwsSourceIp = "aws:SourceIp", None, "the peer's address, or what a configured proxy says of it";
    AwsUserAgent = "aws:UserAgent", None, "the header User-Agent: the client's word, no proof";
    AwsReferer = "aws:Referer", None, "the header Referer: the client's word, no proof";
    AwsRequestedRegion = "aws:RequestedRegion", None, "the region of the signature";
    AwsUserid = "aws:userid", None, "the identity that signed";
    AwsUsername = "aws:username", None, "the name of the user that signed; absent for root, assumed roles and anonymous callers";
    AwsPrincipalType = "aws:PrincipalType", None, "Account, User, AssumedRole or Anonymous";
    AwsPrincipalArn = "aws:PrincipalArn", None, "the ARN of the identity that signed";
    AwsPrincipalAccount = "aws:PrincipalAccount", None, "the tenant's account";
    AwsPrincipalTag = "aws:PrincipalTag", Slash, "a tag of the identity or session";
    AwsGroups = "aws:groups", None, "the user's groups; several values";
    AwsTokenIssueTime = "aws:TokenIssueTime", None, "when the session's credentials were issued";
    AwsFederatedProvider = "aws:FederatedProvider", None, "the identity provider of the session";
    AwsSourceIdentity = "aws:SourceIdentity", None, "the source identity set when the role was assumed";
    AwsMultiFactorAuthPresent = "aws:MultiFactorAuthPresent", None, "whether the session was made with a second factor";
    AwsMultiFactorAuthAge = "aws:MultiFactorAuthAge", None, "seconds since the second factor was shown";
    AwsRequestTag = "aws:RequestTag", Slash, "a tag in the request";
    AwsTagKeys = "aws:TagKeys", None, "the names of the tags in the request; several values";
    AwsResourceTag = "aws:ResourceTag", Slash, "a tag of the bucket";
    AwsResourceAccount = "aws:ResourceAccount", None, "the tenant's account";
    AwsAssumedRoot = "aws:AssumedRoot", None, "never present: there is no AWS Organizations";
    AwsCalledVia = "aws:CalledVia", None, "never present: no service calls on behalf of another";
    AwsCalledViaAWSMCP = "aws:CalledViaAWSMCP", None, "never present: no service calls on behalf of another";
    AwsCalledViaFirst = "aws:CalledViaFirst", None, "never present: no service calls on behalf of another";
    AwsCalledViaLast = "aws:CalledViaLast", None, "never present: no service calls on behalf of another";
    AwsChatbotSourceArn = "aws:ChatbotSourceArn", None, "never present: there is no such service";
    AwsEc2InstanceSourcePrivateIPv4 = "aws:Ec2InstanceSourcePrivateIPv4", None, "never present: there are no EC2 instances";
    AwsEc2InstanceSourceVpc = "aws:Ec2InstanceSourceVpc", None, "never present: there are no EC2 instances";
    AwsIsMcpServiceAction = "aws:IsMcpServiceAction", None, "never present: there is no such service";
    AwsPrincipalIsAWSService = "aws:PrincipalIsAWSService", None, "never present: no AWS service calls";
    AwsPrincipalOrgID = "aws:PrincipalOrgID", None, "never present: there is no AWS Organizations";
    AwsPrincipalOrgPaths = "aws:PrincipalOrgPaths", None, "never present: there is no AWS Organizations";
    AwsPrincipalServiceName = "aws:PrincipalServiceName", None, "never present: no AWS service calls";
    AwsPrincipalServiceNamesList = "aws:PrincipalServiceNamesList", None, "never present: no AWS service calls";
    AwsResourceOrgID = "aws:ResourceOrgID", None, "never present: there is no AWS Organizations";
    AwsResourceOrgPaths = "aws:ResourceOrgPaths", None, "never present: there is no AWS Organizations";
    AwsSourceAccount = "aws:SourceAccount", None, "never present: no AWS service calls";
    AwsSourceArn = "aws:SourceArn", None, "never present: no AWS service calls";
    AwsSourceOrgID = "aws:SourceOrgID", None, "never present: there is no AWS Organizations";
    AwsSourceOrgPaths = "aws:SourceOrgPaths", None, "never present: there is no AWS Organizations";
    AwsSourceOwner = "aws:SourceOwner", None, "never present: no AWS service calls";
    AwsSourceVpc = "aws:SourceVpc", None, "never present: there is no VPC";
    AwsSourceVpcArn = "aws:SourceVpcArn", None, "never present: there is no VPC";
    AwsSourceVpce = "aws:SourceVpce", None, "never present: there is no VPC";
    AwsViaAWSMCPService = "aws:ViaAWSMCPService", None, "never present: no service calls on behalf of another";
    AwsViaAWSService = "aws:ViaAWSService", None, "never present: no service calls on behalf of another";
    AwsVpcSourceIp = "aws:VpcSourceIp", None, "never present: there is no VPC";
    AwsVpceAccount = "aws:VpceAccount", None, "never present: there is no VPC";
    AwsVpceOrgID = "aws:VpceOrgID", None, "never present: there is no VPC";
    AwsVpceOrgPaths = "aws:VpceOrgPaths", None, "never present: there is no VPC";
    S3AuthType = "s3:authType", None, "REST-HEADER, REST-QUERY-STRING or POST: where the signature stood";
    S3Signatureversion = "s3:signatureversion", None, "AWS4-HMAC-SHA256 or AWS: the signature's form";
    S3SignatureAge = "s3:signatureAge", None, "the age of a presigned URL's signature, in milliseconds";
    S3TlsVersion = "s3:TlsVersion", None, "the version of TLS: 1.2 or 1.3";
    S3Prefix = "s3:prefix", None, "the parameter prefix of a listing";
    S3Delimiter = "s3:delimiter", None, "the parameter delimiter of a listing";
    S3MaxKeys = "s3:max-keys", None, "the parameter max-keys of a listing";
    S3Versionid = "s3:versionid", None, "the version that the request names";
    S3LocationConstraint = "s3:LocationConstraint", None, "the region in the body of CreateBucket";
    S3IfMatch = "s3:if-match", None, "the header If-Match of a write";
    S3IfNoneMatch = "s3:if-none-match", None, "the header If-None-Match of a write";
    S3ObjectLockMode = "s3:object-lock-mode", None, "the retention mode that the request sets: GOVERNANCE or COMPLIANCE";
    S3ObjectLockLegalHold = "s3:object-lock-legal-hold", None, "the legal hold that the request sets: ON or OFF";
    S3ObjectLockRetainUntilDate = "s3:object-lock-retain-until-date", None, "the retention's end that the request sets, ISO 8601";
    S3ObjectLockRemainingRetentionDays = "s3:object-lock-remaining-retention-days", None, "the retention that the request sets, in days from now";
    S3XAmzAcl = "s3:x-amz-acl", None, "the header of this name";
    S3XAmzContentSha256 = "s3:x-amz-content-sha256", None, "the header of this name";
    S3XAmzCopySource = "s3:x-amz-copy-source", None, "the copy's source as the server has read it: /bucket/key";
    S3XAmzGrantFullControl = "s3:x-amz-grant-full-control", None, "the header of this name";
    S3XAmzGrantRead = "s3:x-amz-grant-read", None, "the header of this name";
    S3XAmzGrantReadAcp = "s3:x-amz-grant-read-acp", None, "the header of this name";
    S3XAmzGrantWrite = "s3:x-amz-grant-write", None, "the header of this name";
    S3XAmzGrantWriteAcp = "s3:x-amz-grant-write-acp", None, "the header of this name";
    S3XAmzMetadataDirective = "s3:x-amz-metadata-directive", None, "the header of this name: COPY or REPLACE";
    S3XAmzObjectOwnership = "s3:x-amz-object-ownership", None, "the header of this name";
    S3XAmzServerSideEncryption = "s3:x-amz-server-side-encryption", None, "the header of this name: AES256 or aws:kms";
    S3XAmzServerSideEncryptionAwsKmsKeyId = "s3:x-amz-server-side-encryption-aws-kms-key-id", None, "the name of the KMS key that the request names, without what an ARN has before it";
    S3XAmzServerSideEncryptionCustomerAlgorithm = "s3:x-amz-server-side-encryption-customer-algorithm", None, "the header of this name: AES256";
    S3XAmzStorageClass = "s3:x-amz-storage-class", None, "the header of this name";
    S3XAmzTaggingDirective = "s3:x-amz-tagging-directive", None, "the header of this name: COPY or REPLACE";
    S3XAmzWebsiteRedirectLocation = "s3:x-amz-website-redirect-location", None, "the header of this name";
    S3XAmzObjectIfMatch = "s3:x-amz-object-if-match", None, "the header of this name";
    S3ObjectCreationOperation = "s3:ObjectCreationOperation", None, "the operation that makes the object, such as PutObject or CopyObject";
    S3RequestObjectTagKeys = "s3:RequestObjectTagKeys", None, "the names of the tags in the request; several values";
    S3ResourceAccount = "s3:ResourceAccount", None, "the tenant's account";
    S3ExistingObjectTag = "s3:ExistingObjectTag", Slash, "a tag that the object has";
    S3RequestObjectTag = "s3:RequestObjectTag", Slash, "a tag in the request";
    S3BucketTag = "s3:BucketTag", Slash, "a tag of the bucket";
    S3AccessGrantScope = "s3:AccessGrantScope", None, "never present: the server has no such feature";
    S3AccessGrantsInstanceArn = "s3:AccessGrantsInstanceArn", None, "never present: the server has no such feature";
    S3AccessGrantsLocationScope = "s3:AccessGrantsLocationScope", None, "never present: the server has no such feature";
    S3AccessPointNetworkOrigin = "s3:AccessPointNetworkOrigin", None, "never present: the server has no such feature";
    S3DataAccessPointAccount = "s3:DataAccessPointAccount", None, "never present: the server has no such feature";
    S3DataAccessPointArn = "s3:DataAccessPointArn", None, "never present: the server has no such feature";
    S3ExistingJobOperation = "s3:ExistingJobOperation", None, "never present: the server has no such feature";
    S3ExistingJobPriority = "s3:ExistingJobPriority", None, "never present: the server has no such feature";
    S3InventoryAccessibleOptionalFields = "s3:InventoryAccessibleOptionalFields", None, "never present: the server has no such feature";
    S3JobSuspendedCause = "s3:JobSuspendedCause", None, "never present: the server has no such feature";
    S3RequestJobOperation = "s3:RequestJobOperation", None, "never present: the server has no such feature";
    S3RequestJobPriority = "s3:RequestJobPriority", None, "never present: the server has no such feature";
    S3DestinationRegion = "s3:destinationRegion", None, "never present: the server has no such feature";
    S3IsReplicationPauseRequest = "s3:isReplicationPauseRequest", None, "never present: the server has no such feature";
    S3XAmzBucketNamespace = "s3:x-amz-bucket-namespace", None, "never present: the server has no such feature";
    S3AccessPointTag = "s3:AccessPointTag", Slash, "never present: there are no access points";
    JwtClaim = "jwt", Colon, "a claim of the token by which the session was made";
    LdapUser = "ldap:user", None, "the distinguished name of the LDAP user";
    LdapUsername = "ldap:username", None, "the login name of the LDAP user";
    LdapGroups = "ldap:groups", None, "the distinguished names of the LDAP user's groups; several values";
    LdapAttribute = "ldap", Colon, "an attribute of the LDAP user";
    SvcDurationSeconds = "svc:DurationSeconds", None, "the life that an access key is to have, in seconds";
    StsDurationSeconds = "sts:DurationSeconds", None, "the life that a session is to have, in seconds";
    StsRoleSessionName = "sts:RoleSessionName", None, "the name that a session is to have";
    StsExternalId = "sts:ExternalId", None, "the ExternalId of AssumeRole";
    StsSourceIdentity = "sts:SourceIdentity", None, "the source identity that a session is to have";
    StsTransitiveTagKeys = "sts:TransitiveTagKeys", None, "the names of the tags that go on to further sessions; several values";
    KmsEncryptionContext = "kms:EncryptionContext", Colon, "an entry of the encryption context";
    KmsEncryptionContextKeys = "kms:EncryptionContextKeys", None, "the names in the encryption context; several values";
    KmsViaService = "kms:ViaService", None, "the service that uses the key on a caller's behalf: s3";
    KmsKeyOrigin = "kms:KeyOrigin", None, "where a key that is made comes from";
    KmsKeySpec = "kms:KeySpec", None, "the kind of a key that is made";
    KmsCallerAccount = "kms:CallerAccount", None, "the tenant's account";
}
