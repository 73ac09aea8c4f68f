//! The pod's identity: an account without rights and without a token.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::owned;
use crate::tenant::validate::ValidTenant;

pub(super) fn service_account(tenant: &ValidTenant) -> ServiceAccount {
    ServiceAccount {
        metadata: owned(tenant, tenant.names().main()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
