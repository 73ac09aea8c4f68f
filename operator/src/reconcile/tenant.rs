//! One Tenant's reconciliation.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use coffer_crds::condition::{ConditionType, Reason};
use coffer_crds::tenant::TenantStatus;
use coffer_crds::{API_VERSION, Tenant};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{info, warn};

use super::memory::{Proof, Standing};
use super::{Context, Failure, KIND, StatusError};
use crate::apply::{Applier, ApplyError, Done, difference};
use crate::authority::renewal;
use crate::causes::with_causes;
use crate::control::{self, Target};
use crate::event::Weight;
use crate::ownership::{self, Mark};
use crate::tenant::build::service::CLIENT_PORT;
use crate::tenant::build::{MANAGER, Objects, build};
use crate::tenant::dereference::{Found, Material, material};
use crate::tenant::status::{self, Outcome, PodState, State};
use crate::tenant::validate::{Invalid, ValidTenant, validate};
use crate::watch;

/// On the pod: which versions of its Secrets it should have. A changed pod makes the kubelet deliver at once.
const DELIVERED_ANNOTATION: &str = "coffer.dev/delivered";
/// How soon after a failed proof it is tried again.
const PROBE: Duration = Duration::from_millis(200);
/// How long a proof may fail after new certificates or credentials before the Tenant stops being ready.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(20);
/// How often everything is looked at where Secrets are watched.
const REST: Duration = Duration::from_mins(5);

/// What the cluster holds of a Tenant after everything was applied.
struct Applied {
    workload: StatefulSet,
    service: Service,
    pod: Option<Pod>,
    /// Versions of the Secrets that the pod mounts.
    secrets: String,
    /// Why the volume doesn't grow, where it should.
    growth: Option<Failure>,
}

/// Reconciles a Tenant and writes its status.
pub(super) async fn reconcile(tenant: &Tenant, context: &Context) -> Result<Action, StatusError> {
    let uid = tenant.uid().unwrap_or_default();
    if tenant.metadata.deletion_timestamp.is_some() {
        // What is owned goes with it; there is nothing outside the API to clean up.
        context.memory.forget(&uid);
        context.health.metrics.forget(&tenant.namespace().unwrap_or_default(), &tenant.name_any());
        return Ok(Action::await_change());
    }
    match Box::pin(steps(tenant, context)).await {
        Ok((status, outcome, pause)) => {
            let stalled = status::holds(
                status.conditions.as_deref().unwrap_or_default(),
                ConditionType::Stalled,
            );
            write_status(tenant, status, &outcome, context).await?;
            if !stalled {
                context.memory.fine(&uid);
            }
            Ok(Action::requeue(pause))
        }
        Err(failure) => {
            let outcome = failure.outcome();
            context.health.metrics.failed(KIND, outcome.reason.as_str());
            let mut status = tenant.status.clone().unwrap_or_default();
            status.observed_generation = tenant.metadata.generation;
            status.conditions = Some(conditions(tenant, &outcome));
            write_status(tenant, status, &outcome, context).await?;
            let pause = context.memory.backoff(&uid, rand::random());
            Ok(match (outcome.state, outcome.reason) {
                (State::Stalled, Reason::InvalidSpec) => Action::await_change(),
                // What a person puts right isn't always seen by a watch.
                (State::Stalled, _) => Action::requeue(pause.max(context.poll)),
                (State::Ready | State::Reconciling | State::AtRest, _) => Action::requeue(pause),
            })
        }
    }
}

/// A Tenant that this version can't read: an older or newer schema let it in.
pub(super) async fn unreadable(
    invalid: &InvalidObject,
    context: &Context,
) -> Result<Action, StatusError> {
    context.health.metrics.failed(KIND, Reason::InvalidSpec.as_str());
    let message = format!(
        "spec: can't be read: {}; correct it or install this version's definitions",
        invalid.error
    );
    let outcome = Outcome::new(State::Stalled, Reason::InvalidSpec, message);
    warn!(why = outcome.message, "unreadable");
    let now = now();
    let (namespace, name) = (
        invalid.metadata.namespace.clone().unwrap_or_default(),
        invalid.metadata.name.clone().unwrap_or_default(),
    );
    let generation = invalid.metadata.generation;
    let status = TenantStatus {
        observed_generation: generation,
        conditions: Some(status::conditions(&[], &outcome, generation, now)),
        ..TenantStatus::default()
    };
    patch_status(&namespace, &name, invalid.metadata.uid.as_deref(), &status, context).await?;
    Ok(Action::await_change())
}

/// Dereference → validate → build → apply → prove.
async fn steps(
    tenant: &Tenant,
    context: &Context,
) -> Result<(TenantStatus, Outcome, Duration), Failure> {
    let valid = validate(tenant, &context.settings)?;
    let found = find(&valid, context).await?;
    let material = material(&valid, &found.data(), now(), &mut rand::rng())?;
    let metrics = &context.health.metrics;
    metrics.certificate(&valid.namespace, &valid.name, material.server_facts.not_after);
    let objects = build(&valid, &material);
    let applied = Box::pin(apply(&valid, &objects, found, Cause::of(tenant), context)).await?;
    if !material.made.is_empty() {
        let what = material.made.join(", ");
        info!(what, "made");
        publish(tenant, Weight::Normal, "Issued", &what, context).await;
    }
    let (outcome, pause) = prove(tenant, &valid, &material, &applied, context).await?;
    let generation = tenant.metadata.generation;
    let mut conditions = conditions(tenant, &outcome);
    let mut pause = pause;
    if status::roll_reason(&applied.workload, &objects.workload).is_some() {
        // Its turn comes after another Tenant's.
        pause = pause.min(context.poll);
    }
    if let Some(failure) = &applied.growth {
        // It serves, but isn't what was asked for: Ready and Stalled are both true.
        let message =
            format!("spec.storage.embedded.size: {failure}; let the StorageClass allow expansion");
        let failure = Outcome::new(State::Stalled, Reason::VolumeNotGrown, message);
        context.health.metrics.failed(KIND, failure.reason.as_str());
        status::overlay(&mut conditions, tenant.status.as_ref(), &failure, now());
        pause = pause.max(context.memory.backoff(&valid.uid, rand::random())).max(context.poll);
    }
    let status = status::status(
        &valid,
        &material,
        &context.settings,
        &applied.workload,
        conditions,
        generation,
    );
    let pause = pause.min(until_renewal(&valid, &material));
    Ok((status, outcome, pause))
}

/// Why objects may differ from what was built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The spec was changed.
    Spec,
    /// The spec is as it was: this operator builds otherwise, or something was changed by another hand.
    Operator,
}

impl Cause {
    fn of(tenant: &Tenant) -> Self {
        let seen = tenant.status.as_ref().and_then(|status| status.observed_generation);
        if seen == tenant.metadata.generation { Self::Operator } else { Self::Spec }
    }
}

/// The Secrets of a Tenant, as objects.
struct Secrets {
    authority: Option<Secret>,
    tls: Option<Secret>,
    root: Option<Secret>,
}

impl Secrets {
    fn data(&self) -> Found {
        let data = |secret: &Option<Secret>| {
            secret.as_ref().map(|secret| secret.data.clone().unwrap_or_default())
        };
        Found { authority: data(&self.authority), tls: data(&self.tls), root: data(&self.root) }
    }
}

/// Reads what the Tenant names and what is kept for it, by name.
async fn find(tenant: &ValidTenant, context: &Context) -> Result<Secrets, Failure> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &tenant.namespace);
    let names = tenant.names();
    let read = |name: String| {
        let api = api.clone();
        async move {
            let failed =
                |cause| Failure::Api { what: format!("Secret `{name}`"), cause: Box::new(cause) };
            api.get_opt(&name).await.map_err(failed)
        }
    };
    let (authority, tls, root) = tokio::try_join!(
        read(names.authority()),
        read(names.tls()),
        read(tenant.root_secret_name())
    )?;
    for secret in [authority.as_ref(), tls.as_ref()].into_iter().flatten() {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    if let (None, Some(secret)) = (&tenant.root_secret, &root) {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    Ok(Secrets { authority, tls, root })
}

/// Applies all objects in their order: what the pod needs comes before it.
async fn apply(
    tenant: &ValidTenant,
    built: &Objects,
    found: Secrets,
    cause: Cause,
    context: &Context,
) -> Result<Applied, Failure> {
    let Objects {
        service_account,
        claim,
        authority,
        ca,
        tls,
        root,
        service,
        pods_service,
        network_policy,
        disruption_budget,
        workload,
    } = built;
    let (stores, names) = (&context.stores, tenant.names());
    let at = &tenant.namespace;
    let applier = Applier { client: &context.client, tenant, memory: &context.applied };
    let wrote = |done| {
        if done != Done::Unchanged {
            context.health.metrics.wrote(KIND);
        }
    };

    let live = watch::find(&stores.service_accounts, at, &names.main());
    wrote(applier.apply(service_account, live, Mark::Owner).await?.1);
    let live = watch::find(&stores.claims, at, &names.data());
    let ours = live
        .as_ref()
        .is_some_and(|live| ownership::check("", &live.metadata, tenant, Mark::Label).is_ok());
    // Our volume that can't grow holds up nothing else; without one of ours no pod may start.
    let grown = match apply_claim(&applier, claim, live).await {
        Err(failure) if !ours => return Err(failure),
        outcome => outcome,
    };
    wrote(applier.apply(authority, found.authority, Mark::Owner).await?.1);
    let live = watch::find(&stores.config_maps, at, &names.ca());
    wrote(applier.apply(ca, live, Mark::Owner).await?.1);
    let (tls, done) = applier.apply(tls, found.tls, Mark::Owner).await?;
    wrote(done);
    let mut root_version = found.root.as_ref().and_then(kube::ResourceExt::resource_version);
    if let Some(root) = root {
        let (root, done) = applier.apply(root, found.root, Mark::Owner).await?;
        wrote(done);
        root_version = root.resource_version();
    }
    let live = watch::find(&stores.services, at, &names.main());
    let (service, done) = applier.apply(service, live, Mark::Owner).await?;
    wrote(done);
    let live = watch::find(&stores.services, at, &names.pods());
    wrote(applier.apply(pods_service, live, Mark::Owner).await?.1);
    let live = watch::find(&stores.network_policies, at, &names.main());
    match (network_policy, live) {
        (Some(built), live) => wrote(applier.apply(built, live, Mark::Owner).await?.1),
        (None, Some(live))
            if ownership::check("NetworkPolicy", live.meta(), tenant, Mark::Owner).is_ok() =>
        {
            delete(&live, tenant, context).await?;
            context.health.metrics.wrote(KIND);
        }
        (None, _) => {}
    }
    let live = watch::find(&stores.disruption_budgets, at, &names.main());
    wrote(applier.apply(disruption_budget, live, Mark::Owner).await?.1);

    let secrets = format!(
        "{}.{}",
        tls.resource_version().unwrap_or_default(),
        root_version.unwrap_or_default()
    );
    let pod = watch::find(&stores.pods, at, &names.pod());
    deliver(tenant, pod.as_ref(), &secrets, context).await?;

    let live = watch::find(&stores.workloads, at, &names.main());
    let why = live.as_ref().and_then(|live| status::roll_reason(live, workload));
    let (workload, done, why) = match live {
        // The spec is as it was: the roll is for the operator's own sake, and waits for that of another Tenant.
        Some(live)
            if why.is_some()
                && cause == Cause::Operator
                && !context.memory.may_roll(&tenant.uid) =>
        {
            (live, Done::Unchanged, None)
        }
        live => {
            let (workload, done) = Box::pin(applier.apply(workload, live, Mark::Owner)).await?;
            (workload, done, why)
        }
    };
    wrote(done);
    if let Some(why) = why {
        info!(why, "the pod is replaced");
        let reference = tenant_reference(tenant);
        publish_to(
            reference,
            Weight::Normal,
            "RollingOut",
            &format!("the pod is replaced: {why}"),
            context,
        )
        .await;
    }
    let growth = grown.map(wrote).err();
    Ok(Applied { workload, service, pod, secrets, growth })
}

/// Applies the claim, which may only grow, and only once it has its volume.
async fn apply_claim(
    applier: &Applier<'_>,
    built: &PersistentVolumeClaim,
    live: Option<PersistentVolumeClaim>,
) -> Result<Done, Failure> {
    let mut built = built.clone();
    if let Some(live) = &live
        && let (Some(there), Some(wanted)) = (size_of(live), size_of(&built))
    {
        if difference::compare(&wanted.0, &there.0) == Some(std::cmp::Ordering::Less) {
            return Err(Failure::Invalid(Invalid {
                field: "spec.storage.embedded.size",
                problem: format!(
                    "{} is less than the {} of the volume claim that is kept",
                    wanted.0, there.0
                ),
                remedy: "ask for at least as much",
            }));
        }
        let bound =
            live.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
        if !bound && let Some(size) = size_of_mut(&mut built) {
            *size = there.clone();
        }
    }
    Ok(applier.apply(&built, live, Mark::Label).await?.1)
}

fn size_of(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

fn size_of_mut(claim: &mut PersistentVolumeClaim) -> Option<&mut Quantity> {
    claim.spec.as_mut()?.resources.as_mut()?.requests.as_mut()?.get_mut("storage")
}

/// Has the kubelet deliver changed Secrets to the pod in a moment instead of a minute.
async fn deliver(
    tenant: &ValidTenant,
    pod: Option<&Pod>,
    secrets: &str,
    context: &Context,
) -> Result<(), Failure> {
    let Some(pod) = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    if pod.annotations().get(DELIVERED_ANNOTATION).map(String::as_str) == Some(secrets) {
        return Ok(());
    }
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &tenant.namespace);
    let patch =
        json!({"metadata": {"uid": pod.uid(), "annotations": {DELIVERED_ANNOTATION: secrets}}});
    match api.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        // It was replaced in between; the new one mounts what there is.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(cause) => {
            Err(Failure::Api { what: format!("Pod `{}`", pod.name_any()), cause: Box::new(cause) })
        }
    }
}

async fn delete<K>(live: &K, tenant: &ValidTenant, context: &Context) -> Result<(), Failure>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &tenant.namespace);
    let preconditions = Some(Preconditions { uid: live.uid(), resource_version: None });
    match api
        .delete(&live.name_any(), &DeleteParams { preconditions, ..DeleteParams::default() })
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(cause) => Err(Failure::Apply(ApplyError::Api {
            kind: K::kind(&()).into_owned(),
            name: live.name_any(),
            cause: Box::new(cause),
        })),
    }
}

/// Whether the Tenant works: a signed request to its Service is answered. Also says when to look again.
async fn prove(
    tenant: &Tenant,
    valid: &ValidTenant,
    material: &Material,
    applied: &Applied,
    context: &Context,
) -> Result<(Outcome, Duration), Failure> {
    let rest =
        if context.secret_namespaces.contains(&valid.namespace) { REST } else { context.poll };
    let pod = match status::pod_state(valid, &applied.workload, applied.pod.as_ref()) {
        PodState::NotReady(outcome) => {
            if outcome.state == State::AtRest {
                context.memory.end_roll(&valid.uid);
            }
            return Ok((outcome, rest));
        }
        PodState::Ready { uid } => uid,
    };
    let proof =
        Proof { pod, generation: tenant.metadata.generation, secrets: applied.secrets.clone() };
    let answering =
        || Outcome::new(State::Ready, Reason::Answering, "a signed request over TLS was answered");
    let standing = context.memory.standing(&valid.uid, &proof);
    if standing == Standing::Proven {
        return Ok((answering(), rest));
    }
    let cluster_ip = applied.service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    let Some(ip) = cluster_ip.and_then(|ip| ip.parse::<IpAddr>().ok()) else {
        return Ok((
            Outcome::new(State::Reconciling, Reason::Starting, "waiting for the Service's address"),
            PROBE,
        ));
    };
    let target = Target {
        // By address: a name that was asked for before it existed stays unknown to DNS for a while.
        address: SocketAddr::new(ip, CLIENT_PORT),
        host: valid.service_host(&context.settings),
        port: CLIENT_PORT,
        roots: material.authority.roots().to_owned(),
        region: valid.region.clone(),
    };
    match control::list_buckets(&target, &material.root, now()).await {
        Ok(()) => {
            context.memory.prove(&valid.uid, proof);
            Ok((answering(), rest))
        }
        Err(_)
            if standing == Standing::Renewing
                && context.memory.failing(&valid.uid) < RENEWAL_PATIENCE =>
        {
            Ok((answering(), PROBE))
        }
        Err(cause) => {
            let failing = context.memory.failing(&valid.uid);
            let pause = if failing < RENEWAL_PATIENCE { PROBE } else { context.poll };
            let message = format!("the signed request isn't answered yet: {}", with_causes(&cause));
            Ok((Outcome::new(State::Reconciling, Reason::Probing, message), pause))
        }
    }
}

fn until_renewal(tenant: &ValidTenant, material: &Material) -> Duration {
    let due = renewal::due(material.server_facts.not_after, tenant.certificate_life);
    Duration::try_from(due.duration_since(now()))
        .unwrap_or_default()
        .saturating_add(Duration::from_millis(500))
}

fn conditions(
    tenant: &Tenant,
    outcome: &Outcome,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let old =
        tenant.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    status::conditions(&old, outcome, tenant.metadata.generation, now())
}

/// Writes the status if it differs, and an event if the Tenant got ready, stuck, or into another state.
async fn write_status(
    tenant: &Tenant,
    status: TenantStatus,
    outcome: &Outcome,
    context: &Context,
) -> Result<(), StatusError> {
    let old = tenant.status.clone().unwrap_or_default();
    if old == status {
        return Ok(());
    }
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    patch_status(&namespace, &name, tenant.metadata.uid.as_deref(), &status, context).await?;
    context.health.metrics.wrote(KIND);
    let before = status::told(old.conditions.as_deref().unwrap_or_default());
    for (reason, message) in status::told(status.conditions.as_deref().unwrap_or_default()) {
        if before.iter().any(|(known, _)| *known == reason) {
            continue;
        }
        info!(reason, why = message, "now");
        let good = outcome.state != State::Stalled
            && outcome.reason != Reason::PodFailing
            && reason == outcome.reason.as_str();
        let weight = if good { Weight::Normal } else { Weight::Warning };
        publish(tenant, weight, reason, message, context).await;
    }
    Ok(())
}

async fn patch_status(
    namespace: &str,
    name: &str,
    uid: Option<&str>,
    status: &TenantStatus,
    context: &Context,
) -> Result<(), StatusError> {
    let api: Api<kube::core::DeserializeGuard<Tenant>> =
        Api::namespaced(context.client.clone(), namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "uid": uid}, "status": status,
    });
    match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await {
        Ok(_) => Ok(()),
        // It is gone, or another of its name is there: nothing to say.
        Err(kube::Error::Api(answer))
            if answer.code == 404 || (answer.code == 409 && answer.message.contains("uid")) =>
        {
            Ok(())
        }
        Err(cause) => Err(StatusError {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            cause: Box::new(cause),
        }),
    }
}

fn tenant_reference(tenant: &ValidTenant) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(KIND.to_owned()),
        name: Some(tenant.name.clone()),
        namespace: Some(tenant.namespace.clone()),
        uid: Some(tenant.uid.clone()),
        ..Default::default()
    }
}

async fn publish(tenant: &Tenant, weight: Weight, reason: &str, note: &str, context: &Context) {
    publish_to(tenant.object_ref(&()), weight, reason, note, context).await;
}

async fn publish_to(
    reference: ObjectReference,
    weight: Weight,
    reason: &str,
    note: &str,
    context: &Context,
) {
    // An event is a courtesy: without it everything still works, and the status says the same.
    if let Err(cause) = context.events.write(reference, weight, reason, note, now()).await {
        warn!(%cause, "an event couldn't be written");
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}
