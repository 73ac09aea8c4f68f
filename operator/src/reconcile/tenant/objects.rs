//! Reads what a Tenant has, and makes the cluster hold what was built.

use coffer_crds::Tenant;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tracing::info;

use super::super::by_name::by_name;
use super::super::{Context, Failure, KIND};
use super::report::{publish_to, tenant_reference};
use super::{iam_key, roll};
use crate::apply::{Applier, ApplyError, Done, difference};
use crate::event::Weight;
use crate::ownership::{self, Mark};
use crate::tenant::audit::ValidAudit;
use crate::tenant::build::Objects;
use crate::tenant::found::{Found, SecretData};
use crate::tenant::invalid::Invalid;
use crate::tenant::kms::Provider;
use crate::tenant::status;
use crate::tenant::validate::ValidTenant;

/// On the pod: which versions of its Secrets it should have. A changed pod makes the kubelet deliver at once.
const DELIVERED_ANNOTATION: &str = "coffer.dev/delivered";

/// What the cluster holds of a Tenant after everything was applied.
pub(super) struct Applied {
    pub(super) workload: StatefulSet,
    pub(super) service: Service,
    pub(super) pod: Option<Pod>,
    /// Versions of the Secrets that the pod mounts.
    pub(super) secrets: String,
    /// Why the volume doesn't grow, where it should.
    pub(super) growth: Option<Failure>,
}

/// Why objects may differ from what was built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The spec was changed.
    Spec,
    /// The spec is as it was: this operator builds otherwise, or something was changed by another hand.
    Operator,
}

impl Cause {
    pub(super) fn of(tenant: &Tenant) -> Self {
        let seen = tenant.status.as_ref().and_then(|status| status.observed_generation);
        if seen == tenant.metadata.generation { Self::Operator } else { Self::Spec }
    }
}

/// The Secrets of a Tenant, as objects.
pub(super) struct Secrets {
    authority: Option<Secret>,
    tls: Option<Secret>,
    root: Option<Secret>,
    iam: Option<Secret>,
    kms: Option<Secret>,
    kms_ca: Option<ConfigMap>,
    audit_token: Option<Secret>,
    audit_ca: Option<Secret>,
    audit_ca_map: Option<ConfigMap>,
    control: Option<Secret>,
}

impl Secrets {
    pub(super) fn data(&self) -> Found {
        let data = |secret: &Option<Secret>| {
            secret.as_ref().map(|secret| secret.data.clone().unwrap_or_default())
        };
        Found {
            authority: data(&self.authority),
            tls: data(&self.tls),
            root: data(&self.root),
            iam: data(&self.iam),
            kms: data(&self.kms),
            kms_ca: self.kms_ca.as_ref().map(bytes),
            audit_token: data(&self.audit_token),
            audit_ca: data(&self.audit_ca).or_else(|| self.audit_ca_map.as_ref().map(bytes)),
            control: data(&self.control),
        }
    }
}

/// Reads what the Tenant names and what is kept for it, by name.
pub(super) async fn find(tenant: &ValidTenant, context: &Context) -> Result<Secrets, Failure> {
    let names = tenant.names();
    let read =
        async |name: String| by_name::<Secret>(&context.client, &tenant.namespace, &name).await;
    let asked = async |name: Option<&str>| match name {
        Some(name) => by_name::<Secret>(&context.client, &tenant.namespace, name).await,
        None => Ok(None),
    };
    let asked_map = async |name: Option<&str>| match name {
        Some(name) => by_name::<ConfigMap>(&context.client, &tenant.namespace, name).await,
        None => Ok(None),
    };
    let provider = tenant.kms.as_ref().map(|kms| &kms.provider);
    let kms_ca = provider.and_then(Provider::ca).map(|(_, reference)| reference.name.as_str());
    let audit = ValidAudit::names(tenant.audit.as_ref());
    let (authority, tls, root, iam, control, kms, kms_ca, audit_token, audit_ca, audit_ca_map) = tokio::try_join!(
        read(names.authority()),
        read(names.tls()),
        read(tenant.root_secret_name()),
        read(names.iam()),
        read(names.control_authority()),
        asked(provider.and_then(Provider::secret).map(|secret| secret.name)),
        asked_map(kms_ca),
        asked(audit.token),
        asked(audit.ca_secret),
        asked_map(audit.ca_config_map),
    )?;
    for secret in [&authority, &tls, &control].into_iter().flatten() {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    if let (None, Some(secret)) = (&tenant.root_secret, &root) {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    if let Some(secret) = &iam {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Label)?;
    }
    Ok(Secrets {
        authority,
        tls,
        root,
        iam,
        kms,
        kms_ca,
        audit_token,
        audit_ca,
        audit_ca_map,
        control,
    })
}

fn bytes(config_map: &ConfigMap) -> SecretData {
    let texts = config_map.data.iter().flatten();
    let texts = texts.map(|(key, text)| (key.clone(), ByteString(text.clone().into_bytes())));
    texts.chain(config_map.binary_data.clone().into_iter().flatten()).collect()
}

/// Applies all objects in their order: what the pod needs comes before it.
#[expect(clippy::too_many_lines, reason = "one list of all objects, in their order")]
pub(super) async fn apply(
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
        iam,
        control_authority,
        control,
        root,
        service,
        pods_service,
        network_policy,
        disruption_budget,
        workload,
    } = built;
    let named_versions = [
        version(found.kms.as_ref()),
        version(found.kms_ca.as_ref()),
        version(found.audit_token.as_ref()),
        version(found.audit_ca.as_ref()),
        version(found.audit_ca_map.as_ref()),
    ];
    let (stores, names) = (&context.stores, tenant.names());
    let at = &tenant.namespace;
    let applier = Applier { client: &context.client, tenant, memory: &context.applied };
    let wrote = |done| {
        if done != Done::Unchanged {
            context.health.metrics.wrote(KIND);
        }
    };

    let live = stores.service_accounts.find(at, &names.main());
    wrote(applier.apply(service_account, live, Mark::Owner).await?.1);
    let live = stores.claims.find(at, &names.data());
    let ours = live
        .as_ref()
        .is_some_and(|live| ownership::check("", &live.metadata, tenant, Mark::Label).is_ok());
    // Our volume that can't grow holds up nothing else; without one of ours no pod may start.
    let grown = match apply_claim(&applier, claim, live).await {
        Err(failure) if !ours => return Err(failure),
        outcome => outcome,
    };
    wrote(applier.apply(authority, found.authority, Mark::Owner).await?.1);
    let live = stores.config_maps.find(at, &names.ca());
    wrote(applier.apply(ca, live, Mark::Owner).await?.1);
    wrote(applier.apply(control_authority, found.control, Mark::Owner).await?.1);
    let live = stores.config_maps.find(at, &names.control());
    let (control, done) = applier.apply(control, live, Mark::Owner).await?;
    wrote(done);
    let (tls, done) = applier.apply(tls, found.tls, Mark::Owner).await?;
    wrote(done);
    let (iam, done) = iam_key::apply(tenant, iam, found.iam, context).await?;
    wrote(done);
    let mut root_version = found.root.as_ref().and_then(kube::ResourceExt::resource_version);
    if let Some(root) = root {
        let (root, done) = applier.apply(root, found.root, Mark::Owner).await?;
        wrote(done);
        root_version = root.resource_version();
    }
    let live = stores.services.find(at, &names.main());
    let (service, done) = applier.apply(service, live, Mark::Owner).await?;
    wrote(done);
    let live = stores.services.find(at, &names.pods());
    wrote(applier.apply(pods_service, live, Mark::Owner).await?.1);
    let live = stores.network_policies.find(at, &names.main());
    match (network_policy, live) {
        (Some(built), live) => wrote(applier.apply(built, live, Mark::Owner).await?.1),
        (None, Some(live))
            if ownership::check("NetworkPolicy", &live.metadata, tenant, Mark::Owner).is_ok() =>
        {
            delete(&live, tenant, context).await?;
            context.health.metrics.wrote(KIND);
        }
        (None, _) => {}
    }
    let live = stores.disruption_budgets.find(at, &names.main());
    wrote(applier.apply(disruption_budget, live, Mark::Owner).await?.1);

    let mut secrets = format!(
        "{}.{}.{}.{}",
        tls.resource_version().unwrap_or_default(),
        root_version.unwrap_or_default(),
        iam.resource_version().unwrap_or_default(),
        control.resource_version().unwrap_or_default()
    );
    for version in named_versions.into_iter().flatten() {
        secrets = format!("{secrets}.{version}");
    }
    let pod = stores.pods.find(at, &names.pod());
    deliver(tenant, pod.as_ref(), &secrets, context).await?;

    let live = stores.workloads.find(at, &names.main());
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
        info!(why, "rolls out");
        let reference = tenant_reference(tenant);
        publish_to(
            reference,
            Weight::Normal,
            "RollingOut",
            &format!("the server is started anew: {why}"),
            context,
        )
        .await;
    }
    roll::roll(tenant, &workload, pod.as_ref(), context).await?;
    let growth = grown.map(wrote).err();
    Ok(Applied { workload, service, pod, secrets, growth })
}

fn version(object: Option<&impl kube::ResourceExt>) -> Option<String> {
    object.and_then(kube::ResourceExt::resource_version)
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

pub(super) async fn delete<K>(
    live: &K,
    tenant: &ValidTenant,
    context: &Context,
) -> Result<(), Failure>
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
