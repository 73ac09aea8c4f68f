//! Lets nodes be drained: with one pod any budget but "one may be away" would block them for ever.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{owned, selector};
use crate::tenant::validate::ValidTenant;

pub(super) fn one_at_a_time(tenant: &ValidTenant) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owned(tenant, tenant.names().main()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(tenant)),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
