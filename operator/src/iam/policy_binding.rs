//! A PolicyBinding: policies attached to users and groups.

use coffer_crds::PolicyBinding;
use coffer_crds::policy_binding::SubjectKind;
use coffer_crds::reference::TenantRef;
use serde_json::{Value, json};

use super::managed::Managed;
use super::{Done, Job};
use crate::tenant::status::Outcome;

impl Managed for PolicyBinding {
    const KIND: &'static str = "PolicyBinding";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let names = |kind: SubjectKind| -> Vec<&str> {
            let subjects = self.spec.subjects.iter().filter(|subject| subject.kind == kind);
            subjects.map(|subject| subject.name.as_str()).collect()
        };
        let body = json!({
            "policies": self.spec.policies,
            "users": names(SubjectKind::User),
            "groups": names(SubjectKind::Group),
        });
        job.put("binding", body).await?;
        Ok(Done::in_force("the server has attached all of them", json!({}), job.tenant.resync))
    }
}
