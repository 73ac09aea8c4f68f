//! The volume claim. It is our own and not a template of the `StatefulSet`, because those can't grow.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};

use super::kept;
use crate::tenant::validate::ValidTenant;

pub(super) fn data(tenant: &ValidTenant) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: kept(tenant, tenant.names().data()),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: tenant.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), tenant.size.clone())].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
