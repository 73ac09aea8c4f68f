//! A User: somebody in a Tenant, with a key in a Secret.

use coffer_crds::User;
use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use serde_json::{Value, json};

use super::key_secret::{self, find, keep, prove, text, tried};
use super::managed::{Fresh, Managed, stalled, waiting};
use super::{Done, Job};
use crate::control::Signature;
use crate::root_credentials::{RootCredentials, SECRET_KEY};
use crate::tenant::status::{Outcome, State};

/// The name of a User's user.
pub fn name(user: &User) -> String {
    let own = || user.metadata.name.clone().unwrap_or_default();
    user.spec.user_name.clone().unwrap_or_else(own)
}

impl Managed for User {
    const KIND: &'static str = "User";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let spec = &self.spec;
        let name = name(self);
        let secret_name = key_secret::name(spec.secret.as_ref(), &job.of.name);
        let kept = find(job, &secret_name).await?;
        let secret = kept.as_ref().and_then(|kept| text(&kept.data, SECRET_KEY));
        let credentials = match secret {
            Some(secret) => RootCredentials::of(&name, secret),
            None => RootCredentials::generate_for(&name, &mut rand::rng()),
        };
        let credentials = credentials.map_err(|cause| {
            stalled(
                Reason::ReferenceInvalid,
                format!("Secret `{secret_name}`: {cause}; delete it for a new one"),
            )
        })?;
        let body = json!({
            "adopt": spec.adopt, "name": name, "enabled": spec.enabled,
            "secretKey": credentials.secret_key(),
            "policies": spec.policies.clone().unwrap_or_default(),
            "groups": spec.groups.clone().unwrap_or_default(),
        });
        let (_, fresh) = job.put("user", body).await?;
        if fresh == Fresh::Yes && spec.enabled {
            prove(job, &credentials).await?;
        } else if fresh == Fresh::Yes && tried(job, &credentials).await? == Signature::Known {
            job.world.calls().forget(&job.of);
            return Err(waiting(
                Reason::Probing,
                "it is disabled, and a request signed by it isn't refused yet",
            ));
        }
        let shape = spec.secret.as_ref().and_then(|secret| secret.shape);
        let data = key_secret::data(&credentials, &job.tenant, shape);
        keep(job, &secret_name, data, kept.as_ref()).await?;
        let status = json!({"userName": name, "secretName": secret_name});
        let mut done =
            Done::in_force("a request signed by its key was answered", status, job.tenant.resync);
        if !spec.enabled {
            let message = "spec.enabled is false: it is kept, and its signature is refused";
            done.outcome = Outcome::new(State::Ready, Reason::Disabled, message);
        }
        Ok(done)
    }
}
