//! The IAM policy language: parse, compile, decide.
//!
//! Pure: no IO, no clock, no randomness; what a request is about comes as arguments. A policy is parsed once, every fault in it
//! told with line, column, path and remedy; a decision allocates nothing.
//!
//! ```
//! use coffer_policy::{Action, Context, Key, Kind, Named, Outcome, Policies, Policy, Principal, PrincipalKind, Request, Resource, decide};
//!
//! # fn main() -> Result<(), coffer_policy::ParseErrors> {
//! let home = Policy::parse(Kind::Identity, br#"{
//!     "Version": "2012-10-17",
//!     "Statement": {"Sid": "Home", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:username}/*"}
//! }"#)?;
//! let alice = Principal { kind: PrincipalKind::User, name: "alice", arn: "arn:aws:iam:::user/alice", parent: None };
//! let mut context = Context::new();
//! context.set(Key::AwsUsername, "alice");
//!
//! let policies = Policies { identity: &[Named { name: "home", policy: &home }], ..Policies::default() };
//! let request = Request { principal: &alice, action: Action::S3GetObject, resource: Resource::S3("home/alice/a.txt"), context: &context };
//! let decision = decide(&policies, &request);
//! assert_eq!(decision.outcome, Outcome::Allow);
//! assert_eq!(decision.by.and_then(|by| by.sid), Some("Home"));
//! # Ok(())
//! # }
//! ```
//!
//! # The language
//!
//! It is AWS's: versions `2012-10-17` and `2008-10-17` (also where none is given), in which variables are plain text; `Id`;
//! `Statement`, one or many, each of `Sid`, `Effect`, `Principal` or `NotPrincipal` (bucket policies only), `Action` or
//! `NotAction`, `Resource` or `NotResource`, `Condition`. What follows is where a choice had to be made.
//!
//! * **Actions** of the families `s3:`, `admin:`, `kms:` and `sts:` ([`Action::ALL`]), with `*` and `?` anywhere; case doesn't
//!   count. Admin and STS actions are about the tenant: they need the Resource `*`, so `"Action": "*"` on a bucket grants none of
//!   them. A statement of admin, KMS and STS actions only may leave `Resource` out; it means `*`. KMS actions on a key also go
//!   with `arn:aws:kms:::NAME`. As on AWS, `NotAction` and `NotResource` are all else, other families included.
//! * **Resources** are `*`, `arn:aws:s3:::BUCKET`, `arn:aws:s3:::BUCKET/KEY`, `arn:aws:kms:::NAME`; `*` is any run of
//!   characters, slashes too, `?` is one character. Listing all buckets is about `arn:aws:s3:::*`.
//! * **Principals** are `*`, `{"AWS": …}` with users' names, ARNs of users, roles and sessions, and accounts
//!   (`arn:aws:iam::ID:root` or `ID`). A Deny for an account is for all of it, an Allow leaves it to the account's own policies.
//!   `NotPrincipal` goes with Deny only; it leaves out whom it names, and their sessions.
//! * **Variables** `${key}`, `${key, 'default'}`, `${*}`, `${?}`, `${$}` stand in resources and in values of string and ARN
//!   operators. A value is put in as it is: no wildcard in it means anything. A key with several values has none here. Where there
//!   is neither value nor default nothing matches; a negation of that denies, but never allows.
//! * **Operators**: `StringEquals`, `StringNotEquals`, `StringEqualsIgnoreCase`, `StringNotEqualsIgnoreCase`, `StringLike`,
//!   `StringNotLike`; `NumericEquals`, `NumericNotEquals`, `NumericLessThan`, `NumericLessThanEquals`, `NumericGreaterThan`,
//!   `NumericGreaterThanEquals`; `DateEquals`, `DateNotEquals`, `DateLessThan`, `DateLessThanEquals`, `DateGreaterThan`,
//!   `DateGreaterThanEquals`; `Bool`; `BinaryEquals`; `IpAddress`, `NotIpAddress`; `ArnEquals`, `ArnLike` (the same), `ArnNotEquals`,
//!   `ArnNotLike` (the same); `Null`. All but `Null` take `IfExists` behind and `ForAllValues:` or `ForAnyValue:` before them.
//! * **Absent keys** fulfil negated operators, `IfExists` and `ForAllValues:`, nothing else; `ForAnyValue:` not even negated. A key
//!   with several values and no quantifier is equal if one value is, and different if all are. A value that can't be read as
//!   what the operator compares is equal to nothing, and so different.
//! * **Limits** are in [`limit`].
//!
//! # Who has a say
//!
//! [`decide`]: a Deny anywhere wins. Else the caller's and its groups' policies must allow, and so must boundary, session and
//! limits. A bucket policy's Allow joins the identity's: for a user it isn't held by the boundary, for a session only if it names
//! the session itself; the limits hold it always. Anonymous callers have the bucket policy alone. The tenant's root is allowed
//! what nothing denies or limits.
//!
//! # Condition keys
//!
//! Names are the same in any case. A value is what the server says: no client can name a key. Those that begin with `x-amz-`,
//! `prefix` and the like are parameters and headers of the request.
//!
//! | key | its value is |
//! |---|---|
//! | `aws:CurrentTime` | the server's clock, ISO 8601 |
//! | `aws:EpochTime` | the server's clock, seconds since 1970 |
//! | `aws:SecureTransport` | whether the request came over TLS: true or false |
//! | `aws:SourceIp` | the peer's address, or what a configured proxy says of it |
//! | `aws:UserAgent` | the header User-Agent: the client's word, no proof |
//! | `aws:Referer` | the header Referer: the client's word, no proof |
//! | `aws:RequestedRegion` | the region of the signature |
//! | `aws:userid` | the identity that signed |
//! | `aws:username` | the name of the user that signed; absent for root, assumed roles and anonymous callers |
//! | `aws:PrincipalType` | Account, User, AssumedRole or Anonymous |
//! | `aws:PrincipalArn` | the ARN of the identity that signed |
//! | `aws:PrincipalAccount` | the tenant's account |
//! | `aws:PrincipalTag/NAME` | a tag of the identity or session |
//! | `aws:groups` | the user's groups; several values |
//! | `aws:TokenIssueTime` | when the session's credentials were issued |
//! | `aws:FederatedProvider` | the identity provider of the session |
//! | `aws:SourceIdentity` | the source identity set when the role was assumed |
//! | `aws:MultiFactorAuthPresent` | whether the session was made with a second factor |
//! | `aws:MultiFactorAuthAge` | seconds since the second factor was shown |
//! | `aws:RequestTag/NAME` | a tag in the request |
//! | `aws:TagKeys` | the names of the tags in the request; several values |
//! | `aws:ResourceTag/NAME` | a tag of the bucket |
//! | `aws:ResourceAccount` | the tenant's account |
//! | `s3:authType` | REST-HEADER, REST-QUERY-STRING or POST: where the signature stood |
//! | `s3:signatureversion` | AWS4-HMAC-SHA256 or AWS: the signature's form |
//! | `s3:signatureAge` | the age of a presigned URL's signature, in milliseconds |
//! | `s3:TlsVersion` | the version of TLS: 1.2 or 1.3 |
//! | `s3:prefix` | the parameter prefix of a listing |
//! | `s3:delimiter` | the parameter delimiter of a listing |
//! | `s3:max-keys` | the parameter max-keys of a listing |
//! | `s3:versionid` | the version that the request names |
//! | `s3:LocationConstraint` | the region in the body of CreateBucket |
//! | `s3:if-match` | the header If-Match of a write |
//! | `s3:if-none-match` | the header If-None-Match of a write |
//! | `s3:object-lock-mode` | the retention mode that the request sets: GOVERNANCE or COMPLIANCE |
//! | `s3:object-lock-legal-hold` | the legal hold that the request sets: ON or OFF |
//! | `s3:object-lock-retain-until-date` | the retention's end that the request sets, ISO 8601 |
//! | `s3:object-lock-remaining-retention-days` | the retention that the request sets, in days from now |
//! | `s3:x-amz-acl` | the header of this name |
//! | `s3:x-amz-content-sha256` | the header of this name |
//! | `s3:x-amz-copy-source` | the copy's source as the server has read it: /bucket/key |
//! | `s3:x-amz-grant-full-control` | the header of this name |
//! | `s3:x-amz-grant-read` | the header of this name |
//! | `s3:x-amz-grant-read-acp` | the header of this name |
//! | `s3:x-amz-grant-write` | the header of this name |
//! | `s3:x-amz-grant-write-acp` | the header of this name |
//! | `s3:x-amz-metadata-directive` | the header of this name: COPY or REPLACE |
//! | `s3:x-amz-object-ownership` | the header of this name |
//! | `s3:x-amz-server-side-encryption` | the header of this name: AES256 or aws:kms |
//! | `s3:x-amz-server-side-encryption-aws-kms-key-id` | the name of the KMS key that the request names, without what an ARN has before it |
//! | `s3:x-amz-server-side-encryption-customer-algorithm` | the header of this name: AES256 |
//! | `s3:x-amz-storage-class` | the header of this name |
//! | `s3:x-amz-tagging-directive` | the header of this name: COPY or REPLACE |
//! | `s3:x-amz-website-redirect-location` | the header of this name |
//! | `s3:x-amz-object-if-match` | the header of this name |
//! | `s3:ObjectCreationOperation` | the operation that makes the object, such as PutObject or CopyObject |
//! | `s3:RequestObjectTagKeys` | the names of the tags in the request; several values |
//! | `s3:ResourceAccount` | the tenant's account |
//! | `s3:ExistingObjectTag/NAME` | a tag that the object has |
//! | `s3:RequestObjectTag/NAME` | a tag in the request |
//! | `s3:BucketTag/NAME` | a tag of the bucket |
//! | `jwt:NAME` | a claim of the token by which the session was made |
//! | `ldap:user` | the distinguished name of the LDAP user |
//! | `ldap:username` | the login name of the LDAP user |
//! | `ldap:groups` | the distinguished names of the LDAP user's groups; several values |
//! | `ldap:NAME` | an attribute of the LDAP user |
//! | `svc:DurationSeconds` | the life that an access key is to have, in seconds |
//! | `sts:DurationSeconds` | the life that a session is to have, in seconds |
//! | `sts:RoleSessionName` | the name that a session is to have |
//! | `sts:ExternalId` | the ExternalId of AssumeRole |
//! | `sts:SourceIdentity` | the source identity that a session is to have |
//! | `sts:TransitiveTagKeys` | the names of the tags that go on to further sessions; several values |
//! | `kms:EncryptionContext:NAME` | an entry of the encryption context |
//! | `kms:EncryptionContextKeys` | the names in the encryption context; several values |
//! | `kms:ViaService` | the service that uses the key on a caller's behalf: s3 |
//! | `kms:KeyOrigin` | where a key that is made comes from |
//! | `kms:KeySpec` | the kind of a key that is made |
//! | `kms:CallerAccount` | the tenant's account |
//!
//! Known, so that policies written for AWS load unchanged, but never present: `aws:AssumedRoot`, `aws:CalledVia`,
//! `aws:CalledViaAWSMCP`, `aws:CalledViaFirst`, `aws:CalledViaLast`, `aws:ChatbotSourceArn`,
//! `aws:Ec2InstanceSourcePrivateIPv4`, `aws:Ec2InstanceSourceVpc`, `aws:IsMcpServiceAction`, `aws:PrincipalIsAWSService`,
//! `aws:PrincipalOrgID`, `aws:PrincipalOrgPaths`, `aws:PrincipalServiceName`, `aws:PrincipalServiceNamesList`,
//! `aws:ResourceOrgID`, `aws:ResourceOrgPaths`, `aws:SourceAccount`, `aws:SourceArn`, `aws:SourceOrgID`,
//! `aws:SourceOrgPaths`, `aws:SourceOwner`, `aws:SourceVpc`, `aws:SourceVpcArn`, `aws:SourceVpce`, `aws:ViaAWSMCPService`,
//! `aws:ViaAWSService`, `aws:VpcSourceIp`, `aws:VpceAccount`, `aws:VpceOrgID`, `aws:VpceOrgPaths`, `s3:AccessGrantScope`,
//! `s3:AccessGrantsInstanceArn`, `s3:AccessGrantsLocationScope`, `s3:AccessPointNetworkOrigin`, `s3:DataAccessPointAccount`,
//! `s3:DataAccessPointArn`, `s3:ExistingJobOperation`, `s3:ExistingJobPriority`, `s3:InventoryAccessibleOptionalFields`,
//! `s3:JobSuspendedCause`, `s3:RequestJobOperation`, `s3:RequestJobPriority`, `s3:destinationRegion`,
//! `s3:isReplicationPauseRequest`, `s3:x-amz-bucket-namespace`, `s3:AccessPointTag/NAME`.

#![deny(clippy::wildcard_enum_match_arm, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod json;
pub mod limit;
mod fault;
mod suggest;
mod document;
mod parse;
mod pattern;
mod variable;
mod action;
mod resource;
mod principal;
mod key;
mod condition;
mod context;
mod policy;
mod evaluate;
pub mod access;
pub mod built_in;

pub use crate::{
    action::{Access, Action, ActionSet, Family, On},
    context::Context,
    document::Effect,
    evaluate::{By, Decision, Layer, Named, Outcome, Policies, Request, decide},
    fault::{ParseError, ParseErrors, Problem},
    key::{ContextKey, Key, Suffix, UnknownKey},
    pattern::compile as wildcard,
    policy::{Kind, Policy},
    principal::{Parent, Principal, PrincipalKind},
    resource::Resource,
};
