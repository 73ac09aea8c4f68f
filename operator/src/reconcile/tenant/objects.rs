//! Reads what a Tenant has, and makes the cluster hold what was built.

use coffer_crds::Tenant;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tracing::info;

use super::super::by_name::by_name;
use super::super::{Context, Failure, KIND};
use super::report::{publish_to, tenant_reference};
use super::volume::{self, Held, Volume};
use super::{iam_key, roll};
use crate::apply::{Applier, ApplyError, Done};
use crate::event::Weight;
use crate::ownership::{self, Mark};
use crate::tenant::audit::ValidAudit;
use crate::tenant::build::{CertificateObjects, Objects};
use crate::tenant::found::{Found, SecretData};
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
    /// The claim of the volume.
    pub(super) volume: Volume,
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

/// What holds a Tenant's certificates, as objects.
pub(super) struct Kept {
    authority: Option<Secret>,
    ca: Option<ConfigMap>,
    tls: Option<Secret>,
    control_authority: Option<Secret>,
    control: Option<ConfigMap>,
}

impl Kept {
    /// The same as data.
    pub(super) fn data(&self) -> Found {
        let Self { authority, ca, tls, control_authority, control: _ } = self;
        Found {
            authority: data(authority.as_ref()),
            ca: ca.as_ref().map(bytes),
            tls: data(tls.as_ref()),
            control: data(control_authority.as_ref()),
            ..Found::default()
        }
    }
}

/// Secrets and `ConfigMap`s that the spec names, and the Tenant's other keys, as objects.
pub(super) struct Named {
    root: Option<Secret>,
    iam: Option<Secret>,
    kms: Option<Secret>,
    kms_ca: Option<ConfigMap>,
    audit_token: Option<Secret>,
    audit_ca: Option<Secret>,
    audit_ca_map: Option<ConfigMap>,
}

impl Named {
    /// The same as data.
    pub(super) fn data(&self) -> Found {
        let Self { root, iam, kms, kms_ca, audit_token, audit_ca, audit_ca_map } = self;
        Found {
            root: data(root.as_ref()),
            iam: data(iam.as_ref()),
            kms: data(kms.as_ref()),
            kms_ca: kms_ca.as_ref().map(bytes),
            audit_token: data(audit_token.as_ref()),
            audit_ca: data(audit_ca.as_ref()).or_else(|| audit_ca_map.as_ref().map(bytes)),
            ..Found::default()
        }
    }
}

fn data(secret: Option<&Secret>) -> Option<SecretData> {
    secret.map(|secret| secret.data.clone().unwrap_or_default())
}

async fn secret(
    tenant: &ValidTenant,
    name: &str,
    context: &Context,
) -> Result<Option<Secret>, Failure> {
    by_name(&context.client, &tenant.namespace, name).await
}

/// Reads what holds the Tenant's certificates. None of it is named by the spec.
pub(super) async fn find_kept(tenant: &ValidTenant, context: &Context) -> Result<Kept, Failure> {
    let names = tenant.names();
    let of = [names.authority(), names.tls(), names.control_authority()];
    let [authority, tls, control_authority] = &of;
    let (authority, tls, control_authority) = tokio::try_join!(
        secret(tenant, authority, context),
        secret(tenant, tls, context),
        secret(tenant, control_authority, context),
    )?;
    for secret in [&authority, &tls, &control_authority].into_iter().flatten() {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    let config_maps = &context.stores.config_maps;
    let mut ca = config_maps.find(&tenant.namespace, &names.ca());
    if authority.is_none() && ca.is_none() {
        // All that is left of a lost authority is what clients trust: that it isn't there is asked, not assumed.
        ca = by_name(&context.client, &tenant.namespace, &names.ca()).await?;
    }
    let control = config_maps.find(&tenant.namespace, &names.control());
    for config_map in [&ca, &control].into_iter().flatten() {
        ownership::check("ConfigMap", &config_map.metadata, tenant, Mark::Owner)?;
    }
    Ok(Kept { authority, ca, tls, control_authority, control })
}

/// Reads what the spec names, and the Tenant's other keys, by name.
pub(super) async fn find_named(tenant: &ValidTenant, context: &Context) -> Result<Named, Failure> {
    let asked = async |name: Option<&str>| match name {
        Some(name) => secret(tenant, name, context).await,
        None => Ok(None),
    };
    let asked_map = async |name: Option<&str>| match name {
        Some(name) => by_name::<ConfigMap>(&context.client, &tenant.namespace, name).await,
        None => Ok(None),
    };
    let provider = tenant.kms.as_ref().map(|kms| &kms.provider);
    let kms_ca = provider.and_then(Provider::ca).map(|(_, reference)| reference.name.as_str());
    let audit = ValidAudit::names(tenant.audit.as_ref());
    let (root_name, iam_name) = (tenant.root_secret_name(), tenant.names().iam());
    let (root, iam, kms, kms_ca, audit_token, audit_ca, audit_ca_map) = tokio::try_join!(
        asked(Some(&root_name)),
        asked(Some(&iam_name)),
        asked(provider.and_then(Provider::secret).map(|secret| secret.name)),
        asked_map(kms_ca),
        asked(audit.token),
        asked(audit.ca_secret),
        asked_map(audit.ca_config_map),
    )?;
    if let (None, Some(secret)) = (&tenant.root_secret, &root) {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Owner)?;
    }
    if let Some(secret) = &iam {
        ownership::check("Secret", &secret.metadata, tenant, Mark::Label)?;
    }
    Ok(Named { root, iam, kms, kms_ca, audit_token, audit_ca, audit_ca_map })
}

fn bytes(config_map: &ConfigMap) -> SecretData {
    let texts = config_map.data.iter().flatten();
    let texts = texts.map(|(key, text)| (key.clone(), ByteString(text.clone().into_bytes())));
    texts.chain(config_map.binary_data.clone().into_iter().flatten()).collect()
}

/// Versions of what holds certificates and the pod mounts.
pub(super) struct Certified {
    tls: Option<String>,
    control: Option<String>,
}

/// Applies what holds the certificates, before everything else: clients' roots before a certificate that they have signed.
pub(super) async fn apply_certificates(
    tenant: &ValidTenant,
    built: &CertificateObjects,
    kept: Kept,
    context: &Context,
) -> Result<Certified, Failure> {
    let CertificateObjects { authority, ca, control_authority, control, tls } = built;
    let applier = Applier { client: &context.client, tenant, memory: &context.applied };
    let wrote = |done| context.wrote(done);
    wrote(applier.apply(authority, kept.authority, Mark::Owner).await?.1);
    wrote(applier.apply(ca, kept.ca, Mark::Owner).await?.1);
    wrote(applier.apply(control_authority, kept.control_authority, Mark::Owner).await?.1);
    let (control, done) = applier.apply(control, kept.control, Mark::Owner).await?;
    wrote(done);
    let (tls, done) = applier.apply(tls, kept.tls, Mark::Owner).await?;
    wrote(done);
    Ok(Certified { tls: tls.resource_version(), control: control.resource_version() })
}

/// Applies all other objects in their order: what the pod needs comes before it.
pub(super) async fn apply(
    tenant: &ValidTenant,
    built: &Objects,
    found: Named,
    certified: Certified,
    held: Held<'_>,
    cause: Cause,
    context: &Context,
) -> Result<Applied, Failure> {
    let Objects {
        service_account,
        claim,
        iam,
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
    let wrote = |done| context.wrote(done);

    let live = stores.service_accounts.find(at, &names.main());
    wrote(applier.apply(service_account, live, Mark::Owner).await?.1);
    let volume = volume::apply(&applier, claim, held, context).await?;
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
        certified.tls.unwrap_or_default(),
        root_version.unwrap_or_default(),
        iam.resource_version().unwrap_or_default(),
        certified.control.unwrap_or_default()
    );
    for version in named_versions.into_iter().flatten() {
        secrets = format!("{secrets}.{version}");
    }
    let pod = stores.pods.find(at, &names.pod());
    deliver(tenant, pod.as_ref(), &secrets, context).await?;

    let live = stores.workloads.find(at, &names.main());
    let why = live.as_ref().and_then(|live| status::roll_reason(live, workload));
    let (workload, done, why) = match live {
        // The data goes with the pod.
        Some(live) if volume.leaves() => (live, Done::Unchanged, None),
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
    if !volume.leaves() {
        roll::roll(tenant, &workload, pod.as_ref(), context).await?;
    }
    Ok(Applied { workload, service, pod, secrets, volume })
}

fn version(object: Option<&impl kube::ResourceExt>) -> Option<String> {
    object.and_then(kube::ResourceExt::resource_version)
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
