//! The admin API: identities, policies, access keys, quotas and what the server says of itself, as `mc admin` asks for them.
//!
//! A request is authenticated and authorized by its head; only then its body is read, and only then anything is decrypted.
//! What a route asks for stands in its row; `Reach` is what came of it, and each handler holds to that.

pub mod payload;
mod fault;
mod call;
mod user;
mod group;
mod policy;
mod access_key;
mod account;
mod info;
mod quota;
mod rotation;
mod iam_archive;
mod explain;
mod kms;
mod owned;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use coffer_policy::Context;
use coffer_signature::SecretKey;
use coffer_store::Store;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use s3s::Body;
use zeroize::Zeroizing;

use crate::answer::Refusal;
use crate::authenticate::{DecodedBody, RootCredentials};
use crate::authorize::{Caller, Decision};
use crate::encrypt::coverage::Looking;
use crate::encrypt::rotation::Rotation;
use crate::iam::Iam;
use crate::iam::name::Name;
use crate::route::admin::{Operation, Row};
use call::Call;
pub use kms::Kms;

/// The largest encrypted body. Source: what `madmin` holds to.
const MAX_ENCRYPTED: u64 = 256 * 1024 + 128;
/// The largest policy.
const MAX_POLICY: u64 = 20 * 1024;
/// The largest archive that is imported.
const MAX_ARCHIVE: u64 = 16 * 1024 * 1024;

/// The admin API of one tenant.
#[derive(Debug)]
pub struct Admin {
    /// `None` where the tenant has no key to seal identities by: then there is only root.
    iam: Option<Arc<Iam>>,
    root: Arc<ArcSwap<RootCredentials>>,
    store: Store,
    region: String,
    /// `None` where none is configured.
    kms: Option<Kms>,
    rotation: Arc<Rotation>,
    looking: Arc<Looking>,
    place: Place,
    started: std::time::Instant,
}

/// Where the server is, for who asks it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder with its data.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
}

/// An answer before it is written.
enum Answer {
    /// `200` without a body.
    Done,
    /// `204`.
    NoContent,
    /// JSON as it is.
    Json(Vec<u8>),
    /// JSON, encrypted by the secret key of whoever asked.
    Sealed(Zeroizing<Vec<u8>>),
    /// A zip archive.
    Zip(Zeroizing<Vec<u8>>),
}

/// A request that was authenticated: what the head says, and its unread body.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) row: &'static Row,
    pub(crate) head: &'a Parts,
    pub(crate) caller: Caller,
    pub(crate) secret: Option<SecretKey>,
    pub(crate) context: Context<'static>,
    pub(crate) now: Timestamp,
    pub(crate) length: Option<u64>,
    pub(crate) body: DecodedBody,
}

impl Admin {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub fn new(
        iam: Option<Arc<Iam>>,
        root: Arc<ArcSwap<RootCredentials>>,
        store: Store,
        region: String,
        kms: Option<Kms>,
        rotation: Arc<Rotation>,
        looking: Arc<Looking>,
        place: Place,
    ) -> Self {
        let started = std::time::Instant::now();
        Self { iam, root, store, region, kms, rotation, looking, place, started }
    }

    /// Authorizes, reads and answers a request. `told` is the last decision that was made about it, for the audit record.
    ///
    /// # Errors
    /// The codes that `madmin` knows.
    pub(crate) async fn answer(
        &self,
        request: Request<'_>,
        told: &mut Option<Decision>,
    ) -> Result<Response<Body>, Refusal> {
        let Request { row, head, caller, secret, context, now, length, body } = request;
        let mut call = Call::new(row, head, caller, secret, context, now, told)?;
        call.body = read(row.operation, body, length).await?;
        let answer = self.carry_out(row.operation, &call).await;
        *told = call.told();
        let answer = answer?;
        let (status, kind, bytes) = match answer {
            Answer::Done => (StatusCode::OK, "application/json", Bytes::new()),
            Answer::NoContent => (StatusCode::NO_CONTENT, "application/json", Bytes::new()),
            Answer::Json(text) => (StatusCode::OK, "application/json", text.into()),
            Answer::Sealed(text) => {
                let secret = call.secret.as_ref().ok_or_else(Refusal::access_denied)?;
                let sealed = payload::seal(secret, text).await?;
                (StatusCode::OK, "application/json", sealed.into())
            }
            Answer::Zip(archive) => {
                (StatusCode::OK, "application/zip", Bytes::copy_from_slice(&archive))
            }
        };
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(response)
    }

    async fn carry_out(&self, operation: Operation, call: &Call) -> Result<Answer, Refusal> {
        match operation {
            Operation::AddUser => self.add_user(call).await,
            Operation::RemoveUser => self.remove_user(call).await,
            Operation::ListUsers => self.list_users(call),
            Operation::UserInfo => self.user_info(call),
            Operation::SetUserStatus => self.set_user_status(call).await,
            Operation::UpdateGroupMembers => self.update_group_members(call).await,
            Operation::GroupInfo => self.group_info(call),
            Operation::ListGroups => self.list_groups(call),
            Operation::SetGroupStatus => self.set_group_status(call).await,
            Operation::AddPolicy => self.add_policy(call).await,
            Operation::PolicyInfo => self.policy_info(call),
            Operation::ListPolicies => self.list_policies(call),
            Operation::RemovePolicy => self.remove_policy(call).await,
            Operation::SetPolicy => self.set_policy(call).await,
            Operation::AttachPolicy => self.attach_policy(call, policy::Change::Attach).await,
            Operation::DetachPolicy => self.attach_policy(call, policy::Change::Detach).await,
            Operation::PolicyEntities => self.policy_entities(call),
            Operation::AccountInfo => self.account_info(call).await,
            Operation::AddAccessKey => self.add_access_key(call).await,
            Operation::UpdateAccessKey => self.update_access_key(call).await,
            Operation::ServiceAccountInfo => self.service_account_info(call),
            Operation::ListServiceAccounts => self.list_service_accounts(call),
            Operation::DeleteAccessKey => self.delete_access_key(call).await,
            Operation::TemporaryAccountInfo => Err(access_key::no_such_access_key()),
            Operation::AccessKeyInfo => self.access_key_info(call),
            Operation::ListAccessKeys => self.list_access_keys(call),
            Operation::ServerInfo => self.server_info().await,
            Operation::ExportIam => self.export_iam(call),
            Operation::ImportIam => self.import_iam(call).await.map(|_counts| Answer::Done),
            Operation::ImportIamV2 => self.import_iam(call).await.and_then(|counts| json(&counts)),
            Operation::SetBucketQuota => self.set_bucket_quota(call).await,
            Operation::GetBucketQuota => self.get_bucket_quota(call).await,
            Operation::Explain => self.explain(call).await,
            Operation::RotateKey => self.rotate_key(call).await,
            Operation::KeyRotation => self.key_rotation().await,
            Operation::OwnKeyRotation => self.own_key_rotation(call).await,
            Operation::KmsStatus => self.kms_status().await,
            Operation::KmsVersion => self.kms_version(),
            Operation::KmsApis => self.kms_apis(),
            Operation::CreateKmsKey => self.create_kms_key(call).await,
            Operation::ListKmsKeys => self.list_kms_keys(call).await,
            Operation::KmsKeyStatus => self.kms_key_status(call).await,
            Operation::OwnPolicy => self.own_policy(call).await,
            Operation::OwnUser => self.own_user(call).await,
            Operation::OwnAccessKeys => self.own_access_keys(call).await,
            Operation::OwnBinding => self.own_binding(call).await,
            Operation::OwnBucket => self.own_bucket(call).await,
            Operation::Release => self.release(call).await,
            Operation::OwnPolicies => self.own_policies(call),
        }
    }

    fn iam(&self) -> Result<&Iam, Refusal> {
        self.iam.as_deref().ok_or_else(|| {
            Refusal::new(
                "XMinioIAMNotInitialized",
                503,
                "This server has no key of identities (COFFER_IAM_KEYS), so there is only the root identity.",
            )
        })
    }

    /// Whether `name` is the root access key, or could be taken for it.
    fn is_root(&self, name: &str) -> bool {
        let root = self.root.load();
        let root = root.access_key_id().as_str().to_lowercase();
        name.trim().to_lowercase() == root.trim()
    }

    fn root_name(&self) -> String {
        self.root.load().access_key_id().as_str().to_owned()
    }

    /// The user's name in a request; root isn't one.
    fn user_name(&self, text: &str) -> Result<Name, Refusal> {
        if self.is_root(text) {
            return Err(fault::not_allowed(
                "The root identity isn't a user; it can't be changed here.",
            ));
        }
        Ok(Name::user(text)?)
    }
}

/// JSON as it is.
fn json(value: &impl serde::Serialize) -> Result<Answer, Refusal> {
    text(value).map(Answer::Json)
}

/// JSON, encrypted.
fn sealed(value: &impl serde::Serialize) -> Result<Answer, Refusal> {
    text(value).map(Zeroizing::new).map(Answer::Sealed)
}

fn text(value: &impl serde::Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value)
        .map_err(|_error| Refusal::new("InternalError", 500, "The answer can't be written."))
}

/// Reads a body whole and checks it against the hash that was signed.
async fn read(
    operation: Operation,
    mut body: DecodedBody,
    length: Option<u64>,
) -> Result<Bytes, Refusal> {
    let most = match operation {
        Operation::AddPolicy => MAX_POLICY,
        Operation::ImportIam | Operation::ImportIamV2 => MAX_ARCHIVE,
        _ => MAX_ENCRYPTED,
    };
    let too_long = || match operation {
        Operation::AddPolicy => {
            Refusal::new("EntityTooLarge", 400, "A policy has at most 20480 bytes.")
        }
        _ => Refusal::new(
            "XMinioAdminConfigTooLarge",
            400,
            "The body is larger than this call takes, or its length isn't named.",
        ),
    };
    match length {
        Some(length) if length > most => return Err(too_long()),
        None | Some(0) if operation == Operation::AddPolicy => {
            return Err(Refusal::new(
                "MissingContentLength",
                411,
                "You must provide the Content-Length HTTP header.",
            ));
        }
        Some(_) | None => {}
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.refusal())?;
        let Ok(data) = frame.into_data() else { continue };
        whole.extend_from_slice(&data);
        if u64::try_from(whole.len()).unwrap_or(u64::MAX) > most {
            return Err(too_long());
        }
    }
    Ok(whole.freeze())
}
