//! The one table of the admin API: method, path and parameters → operation, and what it asks for. A row without that doesn't compile.
//!
//! Source: the requests that `mc admin` and `madmin` send.

use coffer_policy::Action;
use http::Method;

use super::parameters;
use crate::answer::Refusal;

/// What every path of the admin API begins with.
pub const PREFIX: &str = "/minio/admin/";
/// What every path of the KMS API begins with.
pub const KMS_PREFIX: &str = "/minio/kms/";
/// The version of the KMS API that this server speaks.
const KMS_VERSION: &str = "v1/";
/// The version that this server speaks, as the path names it.
const VERSION: &str = "v3/";

/// A route of the admin API.
#[derive(Debug)]
pub struct Row {
    /// The HTTP method.
    pub method: Method,
    /// The path behind `/minio/admin/v3/`.
    pub path: &'static str,
    /// The parameters without which a request doesn't take this route.
    pub query: &'static [&'static str],
    /// Where it leads.
    pub operation: Operation,
    /// Who may go there.
    pub permission: Permission,
}

/// What an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// This action, or one of those.
    Any(Action, &'static [Action]),
    /// This action; who lacks it may still do so to what is its own, unless that is denied.
    OwnUnlessDenied(Action),
    /// This action; who lacks it may still see what is its own.
    OwnOr(Action),
    /// Nothing: the answer is about the caller itself.
    Everyone,
    /// The operation's own action on the key that the request names, or on the default one: decided by the handler.
    OnKey,
    /// To be the control identity; nobody else may, not even root.
    Control,
}

/// An operation of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the route of that name")]
pub enum Operation {
    AddUser,
    RemoveUser,
    ListUsers,
    UserInfo,
    SetUserStatus,
    UpdateGroupMembers,
    GroupInfo,
    ListGroups,
    SetGroupStatus,
    AddPolicy,
    PolicyInfo,
    ListPolicies,
    RemovePolicy,
    SetPolicy,
    AttachPolicy,
    DetachPolicy,
    PolicyEntities,
    AccountInfo,
    AddAccessKey,
    UpdateAccessKey,
    ServiceAccountInfo,
    ListServiceAccounts,
    DeleteAccessKey,
    TemporaryAccountInfo,
    AccessKeyInfo,
    ListAccessKeys,
    ServerInfo,
    ExportIam,
    ImportIam,
    ImportIamV2,
    SetBucketQuota,
    GetBucketQuota,
    Explain,
    RotateKey,
    KeyRotation,
    KmsStatus,
    KmsVersion,
    KmsApis,
    CreateKmsKey,
    ListKmsKeys,
    KmsKeyStatus,
    OwnPolicy,
    OwnUser,
    OwnAccessKeys,
    OwnBinding,
    OwnBucket,
    OwnKeyRotation,
    Release,
    OwnPolicies,
}

const fn any(action: Action) -> Permission {
    Permission::Any(action, &[])
}

const fn row(
    method: Method,
    path: &'static str,
    query: &'static [&'static str],
    operation: Operation,
    permission: Permission,
) -> Row {
    Row { method, path, query, operation, permission }
}

use Operation as O;
use Permission::{Control, Everyone, OnKey, OwnOr, OwnUnlessDenied};

/// All routes.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row(Method::PUT, "add-user", &["accessKey"], O::AddUser, OwnUnlessDenied(Action::AdminCreateUser)),
    row(Method::DELETE, "remove-user", &["accessKey"], O::RemoveUser, any(Action::AdminDeleteUser)),
    row(Method::GET, "list-users", &[], O::ListUsers, any(Action::AdminListUsers)),
    row(Method::GET, "user-info", &["accessKey"], O::UserInfo, OwnUnlessDenied(Action::AdminGetUser)),
    row(Method::PUT, "set-user-status", &["accessKey", "status"], O::SetUserStatus, any(Action::AdminEnableUser)),
    row(Method::PUT, "update-group-members", &[], O::UpdateGroupMembers, any(Action::AdminAddUserToGroup)),
    row(Method::GET, "group", &["group"], O::GroupInfo, any(Action::AdminGetGroup)),
    row(Method::GET, "groups", &[], O::ListGroups, any(Action::AdminListGroups)),
    row(Method::PUT, "set-group-status", &["group", "status"], O::SetGroupStatus, any(Action::AdminEnableGroup)),
    row(Method::PUT, "add-canned-policy", &["name"], O::AddPolicy, any(Action::AdminCreatePolicy)),
    row(Method::GET, "info-canned-policy", &["name"], O::PolicyInfo, any(Action::AdminGetPolicy)),
    row(Method::GET, "list-canned-policies", &[], O::ListPolicies, any(Action::AdminListUserPolicies)),
    row(Method::DELETE, "remove-canned-policy", &["name"], O::RemovePolicy, any(Action::AdminDeletePolicy)),
    row(Method::PUT, "set-user-or-group-policy", &["policyName", "userOrGroup", "isGroup"], O::SetPolicy, any(Action::AdminAttachUserOrGroupPolicy)),
    row(Method::POST, "idp/builtin/policy/attach", &[], O::AttachPolicy, Permission::Any(Action::AdminUpdatePolicyAssociation, &[Action::AdminAttachUserOrGroupPolicy])),
    row(Method::POST, "idp/builtin/policy/detach", &[], O::DetachPolicy, Permission::Any(Action::AdminUpdatePolicyAssociation, &[Action::AdminAttachUserOrGroupPolicy])),
    row(Method::GET, "idp/builtin/policy-entities", &[], O::PolicyEntities, Permission::Any(Action::AdminListGroups, &[Action::AdminListUsers, Action::AdminListUserPolicies])),
    row(Method::GET, "accountinfo", &[], O::AccountInfo, Everyone),
    row(Method::PUT, "add-service-account", &[], O::AddAccessKey, OwnUnlessDenied(Action::AdminCreateServiceAccount)),
    row(Method::POST, "update-service-account", &["accessKey"], O::UpdateAccessKey, any(Action::AdminUpdateServiceAccount)),
    row(Method::GET, "info-service-account", &["accessKey"], O::ServiceAccountInfo, OwnOr(Action::AdminListServiceAccounts)),
    row(Method::GET, "list-service-accounts", &[], O::ListServiceAccounts, OwnOr(Action::AdminListServiceAccounts)),
    row(Method::DELETE, "delete-service-account", &["accessKey"], O::DeleteAccessKey, OwnUnlessDenied(Action::AdminRemoveServiceAccount)),
    row(Method::GET, "temporary-account-info", &["accessKey"], O::TemporaryAccountInfo, any(Action::AdminListTemporaryAccounts)),
    row(Method::GET, "info-access-key", &["accessKey"], O::AccessKeyInfo, OwnOr(Action::AdminListServiceAccounts)),
    row(Method::GET, "list-access-keys-bulk", &["listType"], O::ListAccessKeys, OwnUnlessDenied(Action::AdminListServiceAccounts)),
    row(Method::GET, "info", &[], O::ServerInfo, any(Action::AdminServerInfo)),
    row(Method::GET, "export-iam", &[], O::ExportIam, any(Action::AdminExportIAM)),
    row(Method::PUT, "import-iam", &[], O::ImportIam, any(Action::AdminImportIAM)),
    row(Method::PUT, "import-iam-v2", &[], O::ImportIamV2, any(Action::AdminImportIAM)),
    row(Method::PUT, "set-bucket-quota", &["bucket"], O::SetBucketQuota, any(Action::AdminSetBucketQuota)),
    row(Method::GET, "get-bucket-quota", &["bucket"], O::GetBucketQuota, any(Action::AdminGetBucketQuota)),
    row(Method::GET, "explain", &["action"], O::Explain, any(Action::AdminExplainDecision)),
    row(Method::POST, "key-rotation", &["to"], O::RotateKey, any(Action::AdminKMSCreateKey)),
    row(Method::GET, "key-rotation", &[], O::KeyRotation, any(Action::AdminKMSKeyStatus)),
    // By which the operator puts what resources say.
    row(Method::PUT, "coffer/policy", &[], O::OwnPolicy, Control),
    row(Method::PUT, "coffer/user", &[], O::OwnUser, Control),
    row(Method::PUT, "coffer/access-keys", &[], O::OwnAccessKeys, Control),
    row(Method::PUT, "coffer/binding", &[], O::OwnBinding, Control),
    row(Method::PUT, "coffer/bucket", &[], O::OwnBucket, Control),
    row(Method::PUT, "coffer/key-rotation", &[], O::OwnKeyRotation, Control),
    row(Method::PUT, "coffer/release", &[], O::Release, Control),
    row(Method::GET, "coffer/policies", &[], O::OwnPolicies, Control),
];

/// The routes of the KMS API. Their paths begin with `kms/`, so that logs and metrics tell them from the others.
#[rustfmt::skip]
pub static KMS_ROWS: &[Row] = &[
    row(Method::GET, "kms/status", &[], O::KmsStatus, any(Action::KmsStatus)),
    row(Method::GET, "kms/version", &[], O::KmsVersion, any(Action::KmsVersion)),
    row(Method::GET, "kms/apis", &[], O::KmsApis, any(Action::KmsAPI)),
    row(Method::POST, "kms/key/create", &["key-id"], O::CreateKmsKey, OnKey),
    row(Method::GET, "kms/key/list", &[], O::ListKmsKeys, any(Action::KmsListKeys)),
    row(Method::GET, "kms/key/status", &[], O::KmsKeyStatus, OnKey),
];

/// The calls of the KMS API, as it tells them.
pub const KMS_CALLS: [(&str, &str); 6] = [
    ("GET", "/v1/status"),
    ("GET", "/v1/version"),
    ("GET", "/v1/apis"),
    ("POST", "/v1/key/create"),
    ("GET", "/v1/key/list"),
    ("GET", "/v1/key/status"),
];

/// Finds the route of a request for `rest`, the path behind [`KMS_PREFIX`].
///
/// # Errors
/// As [`find`].
pub(super) fn find_kms(method: &Method, rest: &str, query: &str) -> Result<&'static Row, Refusal> {
    let path = rest.strip_prefix(KMS_VERSION).map(|path| format!("kms/{path}"));
    find_in(KMS_ROWS, method, path.as_deref(), query)
}

/// Finds the route of a request for `rest`, the path behind [`PREFIX`].
///
/// # Errors
/// `XMinioAdminVersionMismatch` for what no row names, by which clients know that they speak another version;
/// `MethodNotAllowed`.
pub(super) fn find(method: &Method, rest: &str, query: &str) -> Result<&'static Row, Refusal> {
    find_in(ROWS, method, rest.strip_prefix(VERSION), query)
}

fn find_in(
    rows: &'static [Row],
    method: &Method,
    path: Option<&str>,
    query: &str,
) -> Result<&'static Row, Refusal> {
    let given: Vec<_> = parameters(query).map(|(name, _)| name).collect();
    let path = path.map(|path| path.strip_suffix('/').unwrap_or(path));
    let fits = |row: &&Row| {
        Some(row.path) == path && row.query.iter().all(|name| given.iter().any(|one| one == name))
    };
    if let Some(row) = rows.iter().filter(fits).find(|row| row.method == *method) {
        return Ok(row);
    }
    Err(if rows.iter().any(|row| fits(&row)) {
        Refusal::method_not_allowed()
    } else {
        Refusal::new(
            "XMinioAdminVersionMismatch",
            426,
            "This server doesn't know that part of the admin API, or a parameter that it needs is missing.",
        )
    }
    .in_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_path_and_parameters_choose_the_row() {
        for (method, path, query, expected) in [
            ("PUT", "v3/add-user", "accessKey=alice", Ok(O::AddUser)),
            ("PUT", "v3/add-user", "accessKey", Ok(O::AddUser)),
            ("PUT", "v3/add-user", "", Err("XMinioAdminVersionMismatch")),
            ("PUT", "v2/add-user", "accessKey=alice", Err("XMinioAdminVersionMismatch")),
            ("GET", "v3/add-user", "accessKey=alice", Err("MethodNotAllowed")),
            ("GET", "v3/groups", "", Ok(O::ListGroups)),
            ("GET", "v3/groups/", "x=1", Ok(O::ListGroups)),
            ("GET", "v3/nothing", "", Err("XMinioAdminVersionMismatch")),
            ("GET", "v3", "", Err("XMinioAdminVersionMismatch")),
            ("GET", "", "", Err("XMinioAdminVersionMismatch")),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = find(&method, path, query).map(|row| row.operation);
            let found = found.map_err(|refusal| refusal.code().to_owned());
            assert_eq!(found, expected.map_err(str::to_owned), "{method} {path}?{query}");
        }
    }
}
