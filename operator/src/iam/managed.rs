//! What all these resources have in common: their way, and what the server's refusals mean for them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use http::{Method, StatusCode};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::world::Called;
use super::{Access, Key, Of, Standing, World};
use crate::causes::with_causes;
use crate::control::{self, CallError};
use crate::tenant::status::{self, Outcome, State};

/// How soon what a resource waits for is looked for again.
pub const SOON: Duration = Duration::from_secs(1);

/// A resource in a Tenant.
pub trait Managed:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its kind.
    const KIND: &'static str;

    /// The Tenant that it names.
    fn tenant_ref(&self) -> &TenantRef;

    /// Its status as JSON.
    fn status(&self) -> Value;

    /// The bucket that is to be deleted with it.
    fn deletes(&self) -> Option<String> {
        None
    }

    /// Makes it so, and tries it.
    fn apply(&self, job: &Job<'_>) -> impl Future<Output = Result<Done, Outcome>> + Send;

    /// Which one it is.
    fn of(&self) -> Of {
        Of {
            kind: Self::KIND,
            namespace: self.namespace().unwrap_or_default(),
            name: self.name_any(),
            uid: self.uid().unwrap_or_default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// How it is.
    pub outcome: Outcome,
    /// Fields of the status beside the conditions.
    pub status: Map<String, Value>,
    /// When to look again at the latest.
    pub again: Duration,
}

impl Done {
    /// It is so, and was tried.
    pub fn in_force(message: impl Into<String>, status: Value, again: Duration) -> Self {
        Self::told(Outcome::new(State::Ready, Reason::InForce, message), status, again)
    }

    /// It is as `outcome` says, with these fields of the status.
    pub fn told(outcome: Outcome, status: Value, again: Duration) -> Self {
        let status = match status {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self { outcome, status, again }
    }
}

/// It stays as it is until somebody acts.
pub fn stalled(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::new(State::Stalled, reason, message)
}

/// It is waiting for something.
pub fn waiting(reason: Reason, message: impl Into<String>) -> Outcome {
    Outcome::new(State::Reconciling, reason, message)
}

/// By which a resource can't go before what it has made.
#[async_trait]
pub trait Hold: Send + Sync {
    /// Holds it, or does already. Nothing is made before, so that one that isn't held has made nothing.
    ///
    /// # Errors
    /// It can't be held now: then nothing may be made.
    async fn hold(&self) -> Result<(), Outcome>;
}

/// One resource on its way.
#[expect(missing_debug_implementations, reason = "the world has none")]
pub struct Job<'a> {
    /// Which one.
    pub of: Of,
    /// Its Tenant.
    pub tenant: Arc<Access>,
    /// Where it lives.
    pub world: &'a dyn World,
    /// By which it is held. None while it is being removed: then nothing is made.
    hold: Option<&'a dyn Hold>,
    /// The time.
    pub now: Timestamp,
}

/// Whether an answer is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// The call was made.
    Yes,
    /// It is that of an earlier call.
    No,
}

impl Job<'_> {
    /// Calls, if anything differs from the last call or it is time to put drift back.
    ///
    /// # Errors
    /// What the server's refusal means.
    pub async fn put(&self, call: &str, body: Value) -> Result<(Value, Fresh), Outcome> {
        if let Some(hold) = self.hold {
            hold.hold().await?;
        }
        let body = self.signed(call, body);
        let hash = self.hash(call, &body);
        let calls = self.world.calls();
        if let Some(last) = calls.last(&self.of)
            && last.hash == hash
            && last.at.elapsed() < self.tenant.resync
        {
            return Ok((last.answer, Fresh::No));
        }
        calls.forget(&self.of);
        let Access { target, identity, .. } = self.tenant.as_ref();
        let answer = control::call(target, identity, Method::PUT, call, &body)
            .await
            .map_err(|cause| meaning(&cause))?;
        calls.learn(&self.of, Called { hash, answer: answer.clone(), at: Instant::now() });
        Ok((answer, Fresh::Yes))
    }

    /// Calls, whatever was answered before.
    ///
    /// # Errors
    /// What the server's refusal means.
    pub async fn ask(&self, call: &str, body: Value) -> Result<Value, Outcome> {
        self.world.calls().forget(&self.of);
        self.put(call, body).await.map(|(answer, _)| answer)
    }

    /// Whether the last call was another one.
    pub fn differs(&self, call: &str, body: Value) -> bool {
        let hash = self.hash(call, &self.signed(call, body));
        self.world.calls().last(&self.of).is_none_or(|last| last.hash != hash)
    }

    /// A body with for whom it is put, and how far that may go.
    fn signed(&self, call: &str, mut body: Value) -> Value {
        if let Some(members) = body.as_object_mut() {
            let owner = json!({"resource": self.of.path(), "uid": self.of.uid});
            members.insert("owner".to_owned(), owner);
            // What other hands made, and the Tenant's own resources, isn't for other namespaces to take over.
            if self.tenant.key.namespace != self.of.namespace
                && let Some(adopt) = members.remove("adopt")
            {
                members.insert("reclaim".to_owned(), adopt);
            }
            let boundary = self.tenant.boundary.as_deref();
            let is_it = call == "policy" && members.get("name") == Some(&json!(boundary));
            // It holds everything but itself.
            if !is_it && call != "release" {
                members.insert("boundary".to_owned(), json!(boundary));
            }
        }
        body
    }

    fn hash(&self, call: &str, body: &Value) -> Vec<u8> {
        let text = format!("{}\0{}\0{call}\0{body}", self.tenant.key, self.tenant.run);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        hash.as_ref().to_vec()
    }

    /// The documents of all policies that are in force, by name.
    ///
    /// # Errors
    /// What the server's refusal means.
    pub async fn documents(&self) -> Result<Map<String, Value>, Outcome> {
        let Access { target, identity, .. } = self.tenant.as_ref();
        match control::call(target, identity, Method::GET, "policies", &Value::Null).await {
            Ok(Value::Object(documents)) => Ok(documents),
            Ok(_) => Err(waiting(Reason::TenantNotReady, "the server's answer can't be read")),
            Err(cause) => Err(meaning(&cause)),
        }
    }
}

/// What a failed call means for a resource.
fn meaning(cause: &CallError) -> Outcome {
    let (status, code) = match cause {
        CallError::Probe(cause) => {
            let message = format!("the Tenant doesn't answer: {}", with_causes(cause));
            return waiting(Reason::TenantNotReady, message);
        }
        CallError::Refused { status, code, message: _ } => (*status, code.as_str()),
    };
    let said = cause.to_string();
    match code {
        "CofferNotOwned" => stalled(Reason::NotOwned, said),
        "CofferNoKms" => stalled(Reason::NoKms, said),
        "CofferKeyUnusable" => stalled(Reason::KmsKeyUnusable, said),
        "CofferKmsUnavailable" => waiting(Reason::KmsUnreachable, said),
        "CofferRotationRunning" => waiting(Reason::Queued, said),
        "CofferUnbounded" => stalled(Reason::BeyondBoundary, said),
        "XMinioIAMPolicyInUse" => stalled(Reason::InUse, said),
        "XMinioAdminNoSuchUser" | "XMinioAdminNoSuchPolicy" | "XMinioAdminNoSuchGroup" => {
            waiting(Reason::ReferenceNotFound, format!("{said}; it is waited for"))
        }
        _ if status == StatusCode::BAD_REQUEST || status == StatusCode::CONFLICT => {
            stalled(Reason::Refused, said)
        }
        "XMinioIAMActionNotAllowed" | "XMinioInvalidIAMCredentials" => {
            stalled(Reason::Refused, said)
        }
        code => {
            let message = format!("the Tenant answered {status} ({code}): {said}");
            waiting(Reason::TenantNotReady, message)
        }
    }
}

/// A resource after one step.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// How it is.
    pub outcome: Outcome,
    /// Its whole status.
    pub status: Value,
    /// When to look again at the latest.
    pub again: Duration,
    /// Its Tenant, whose other resources may wait for it; none where that doesn't let it in.
    pub tenant: Option<Key>,
}

/// The Tenant that a resource names.
pub fn tenant_of(reference: &TenantRef, own: &str) -> Key {
    let namespace = reference.namespace.clone().unwrap_or_else(|| own.to_owned());
    Key { namespace, name: reference.name.clone() }
}

/// What is told to a resource of a namespace that its Tenant doesn't let in, or where there is no such Tenant: both are the same to it.
pub fn not_let_in(tenant: &Key, namespace: &str) -> String {
    format!(
        "spec.tenantRef: no Tenant `{tenant}` lets in the namespace `{namespace}`; have its spec.allowedNamespaces select it"
    )
}

/// Brings a resource one step further. What it makes is removed with it by `hold`.
pub async fn step<K: Managed>(
    resource: &K,
    world: &dyn World,
    hold: &dyn Hold,
    now: Timestamp,
) -> Stepped {
    let (done, tenant) = match job(resource, world, hold, now).await {
        Ok(job) => (resource.apply(&job).await, Some(job.tenant.key.clone())),
        Err(outcome) => (Err(outcome), None),
    };
    let old = resource.status();
    let conditions: Vec<Condition> = old
        .get("conditions")
        .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
        .unwrap_or_default();
    let generation = resource.meta().generation;
    let mut status = match old {
        Value::Object(old) => old,
        _ => Map::new(),
    };
    let (outcome, again) = match done {
        Ok(Done { outcome, status: mut fields, again }) => {
            // What is nothing any more goes.
            fields.retain(|_, value| !value.is_null());
            status.retain(|name, _| fields.contains_key(name));
            status.extend(fields);
            (outcome, again)
        }
        // What it was stays told.
        Err(outcome) => (outcome, SOON),
    };
    status.insert("observedGeneration".to_owned(), json!(generation));
    let conditions = status::conditions(&conditions, &outcome, generation, now);
    status.insert("conditions".to_owned(), json!(conditions));
    Stepped { outcome, status: Value::Object(status), again, tenant }
}

async fn job<'a, K: Managed>(
    resource: &K,
    world: &'a dyn World,
    hold: &'a dyn Hold,
    now: Timestamp,
) -> Result<Job<'a>, Outcome> {
    let of = resource.of();
    let reference = resource.tenant_ref();
    let key = tenant_of(reference, &of.namespace);
    match world.tenant(&key, &of.namespace).await {
        // Who isn't let in learns nothing of what is there.
        Standing::Gone if key.namespace == of.namespace => Err(waiting(
            Reason::ReferenceNotFound,
            format!("spec.tenantRef: there is no Tenant `{key}`; it is waited for"),
        )),
        Standing::Gone | Standing::NotAllowed(_) => {
            Err(stalled(Reason::NotAllowed, not_let_in(&key, &of.namespace)))
        }
        Standing::NotReady => Err(waiting(
            Reason::TenantNotReady,
            format!("the Tenant `{key}` isn't ready; it is waited for"),
        )),
        Standing::Ready(tenant) => Ok(Job { of, tenant, world, hold: Some(hold), now }),
    }
}

/// How far the removal of what a resource has made has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// All of it is gone.
    All,
    /// Some of it is, and the rest goes with the next call.
    Part,
}

/// Removes what a resource has made in this Tenant, with the data in `bucket`. Once the Tenant is gone there is nothing to remove.
///
/// # Errors
/// Why it isn't removed yet.
pub async fn release(
    of: Of,
    key: &Key,
    bucket: Option<String>,
    world: &dyn World,
    now: Timestamp,
) -> Result<Released, Outcome> {
    let tenant = match world.tenant(key, &of.namespace).await {
        Standing::Gone => {
            world.calls().forget(&of);
            return Ok(Released::All);
        }
        // What it made while it was let in is its own to remove.
        Standing::Ready(tenant) | Standing::NotAllowed(Some(tenant)) => tenant,
        Standing::NotReady if key.namespace == of.namespace => {
            let message = format!(
                "the Tenant `{key}` doesn't answer; what was made there is removed once it does"
            );
            return Err(waiting(Reason::TenantNotReady, message));
        }
        // As it is told while it lives: not whether there is such a Tenant.
        Standing::NotReady | Standing::NotAllowed(None) => {
            let message = format!(
                "spec.tenantRef: no Tenant `{key}` answers the namespace `{}`; what was made there is removed once one does",
                of.namespace
            );
            return Err(waiting(Reason::TenantNotReady, message));
        }
    };
    world.calls().forget(&of);
    let job = Job { of, tenant, world, hold: None, now };
    let (answer, _) = job.put("release", json!({ "bucket": bucket })).await?;
    world.calls().forget(&job.of);
    if answer.get("remaining") != Some(&Value::Bool(true)) {
        return Ok(Released::All);
    }
    // One that goes on deleting is asked again at once; one that can't, as where others write meanwhile, isn't.
    match answer.get("deleted").and_then(Value::as_u64) {
        Some(1..) => Ok(Released::Part),
        Some(0) | None => Err(deleting()),
    }
}

/// A bucket is being deleted.
pub fn deleting() -> Outcome {
    waiting(Reason::Deleting, "the bucket's objects are being deleted")
}
