//! From a Tenant as written to a Tenant as meant: every default filled in, every text parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coffer_crds::tenant::{
    DeletionPolicy, Limits, MinVersion, PullPolicy, Resources, RootS3Access, ServiceType,
    SignatureV2,
};
use coffer_crds::{Tenant, TenantSpec};
use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::authority::SubjectName;
use crate::settings::Settings;
use crate::tenant::ObjectNames;
use crate::tenant::audit::ValidAudit;
use crate::tenant::invalid::Invalid;
use crate::tenant::kms::ValidKms;

/// After how long what another hand changed is put back, where the Tenant says nothing.
const RESYNC: Duration = Duration::from_mins(5);

/// A Tenant whose every field has a meaning. Only [`validate`] makes one.
#[derive(Clone, Debug)]
pub struct ValidTenant {
    /// The Tenant's name.
    pub name: String,
    /// The Tenant's namespace.
    pub namespace: String,
    /// The Tenant's uid, by which its objects know their owner.
    pub uid: String,
    /// The image to run.
    pub image: String,
    /// When to pull it, where the Tenant says so.
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets to pull it with.
    pub image_pull_secrets: Vec<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// The volume's size.
    pub size: Quantity,
    /// The volume's class, where the Tenant says so.
    pub storage_class: Option<String>,
    /// All names of the server certificate, in a fixed order.
    pub subject_names: BTreeSet<SubjectName>,
    /// How long a server certificate lives.
    pub certificate_life: Duration,
    /// Where the external keys are, if anywhere.
    pub kms: Option<ValidKms>,
    /// Where audit records go, if anywhere.
    pub audit: Option<ValidAudit>,
    /// The oldest TLS version.
    pub min_version: MinVersion,
    /// Domains of buckets' own names.
    pub domains: Vec<String>,
    /// The type of the Service.
    pub service_type: ServiceType,
    /// Annotations of the Service.
    pub service_annotations: BTreeMap<String, String>,
    /// What strangers may take, where the Tenant says so.
    pub limits: Option<Limits>,
    /// Whether Signature Version 2 is taken.
    pub signature_v2: SignatureV2,
    /// Whether root's keys may use S3.
    pub root_s3_access: RootS3Access,
    /// The Secret with root credentials that the user brings; none: they are generated.
    pub root_secret: Option<String>,
    /// Whether a `NetworkPolicy` is made.
    pub network_policy: bool,
    /// CPU and memory.
    pub resources: Resources,
    /// Labels that a node must have.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Rules for nodes and neighbours.
    pub affinity: Option<Affinity>,
    /// Taints that are tolerated.
    pub tolerations: Option<Vec<Toleration>>,
    /// Spread over zones.
    pub topology_spread: Option<Vec<TopologySpreadConstraint>>,
    /// The pod's priority.
    pub priority_class: Option<String>,
    /// Labels of the pod besides our own.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pod besides our own.
    pub pod_annotations: BTreeMap<String, String>,
    /// Which other namespaces may name it.
    pub allowed_namespaces: Option<LabelSelector>,
    /// The policy beyond which nothing that resources make can go.
    pub policy_boundary: Option<String>,
    /// How long a key of an AccessKey may live at most.
    pub max_key_lifetime: Option<Duration>,
    /// After how long what another hand changed is put back.
    pub resync: Duration,
    /// Whether the pod is stopped.
    pub suspend: bool,
    /// What becomes of the data.
    pub deletion_policy: DeletionPolicy,
    /// How long the server waits for open requests at its end.
    pub drain: Duration,
}

impl ValidTenant {
    /// The names of the Tenant's objects.
    pub fn names(&self) -> ObjectNames {
        ObjectNames::new(&self.name)
    }

    /// The Secret with the root credentials, brought or generated.
    pub fn root_secret_name(&self) -> String {
        self.root_secret.clone().unwrap_or_else(|| self.names().root())
    }

    /// The full DNS name of the Service for clients.
    pub fn service_host(&self, settings: &Settings) -> String {
        format!("{}.{}.svc.{}", self.name, self.namespace, settings.cluster_domain)
    }
}

/// Gives each field its meaning.
///
/// # Errors
/// [`Invalid`] names the first field that has none. The schema refuses nearly all of these first; an API server that
/// still has an older schema doesn't.
pub fn validate(tenant: &Tenant, settings: &Settings) -> Result<ValidTenant, Invalid> {
    let invalid =
        |field, problem: &str, remedy| Invalid { field, problem: problem.to_owned(), remedy };
    let name = tenant.metadata.name.clone().unwrap_or_default();
    if name.is_empty() || name.len() > coffer_crds::tenant::MAX_NAME {
        return Err(invalid("metadata.name", "not 1 to 40 characters", "choose a shorter name"));
    }
    let namespace = tenant.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let spec = &tenant.spec;
    let tls = spec.tls.clone().unwrap_or_default();
    let exposure = spec.exposure.clone().unwrap_or_default();
    let embedded = &spec.storage.embedded;
    let certificate_life = parse_duration(&tls.duration)
        .filter(|life| (60..=8760 * 3600).contains(&life.as_secs()))
        .ok_or_else(|| {
            invalid(
                "spec.tls.duration",
                "not from 1m to 8760h",
                "choose a life in between, such as `2160h`",
            )
        })?;
    let image = spec.image.clone().or_else(|| settings.image.clone()).ok_or_else(|| {
        invalid(
            "spec.image",
            "missing, and the operator has no default",
            "set it, or COFFER_IMAGE of the operator",
        )
    })?;

    let lifetimes = |text: &String, field| {
        let parsed = parse_duration(text).filter(|life| !life.is_zero());
        parsed.ok_or_else(|| {
            invalid(
                field,
                "not a duration of `1s` at least",
                "write hours, minutes and seconds, such as `24h`",
            )
        })
    };
    let iam = spec.iam.clone();
    let max_key_lifetime = iam.as_ref().and_then(|iam| iam.max_key_lifetime.as_ref());
    let resync = iam.as_ref().map(|iam| &iam.resync_interval);

    Ok(ValidTenant {
        max_key_lifetime: max_key_lifetime
            .map(|text| lifetimes(text, "spec.iam.maxKeyLifetime"))
            .transpose()?,
        resync: resync
            .map(|text| lifetimes(text, "spec.iam.resyncInterval"))
            .transpose()?
            .unwrap_or(RESYNC),
        allowed_namespaces: spec
            .allowed_namespaces
            .as_ref()
            .map(|allowed| allowed.selector.clone()),
        policy_boundary: iam.and_then(|iam| iam.policy_boundary),
        subject_names: subject_names(&name, &namespace, spec, settings)?,
        name,
        namespace,
        uid: tenant.metadata.uid.clone().unwrap_or_default(),
        image,
        image_pull_policy: spec.image_pull_policy,
        image_pull_secrets: spec
            .image_pull_secrets
            .iter()
            .flatten()
            .map(|secret| secret.name.clone())
            .collect(),
        region: spec.region.clone(),
        size: Quantity(embedded.size.clone()),
        storage_class: embedded.storage_class_name.clone(),
        certificate_life,
        kms: spec.kms.as_ref().map(ValidKms::parse).transpose()?,
        audit: spec.audit.as_ref().map(ValidAudit::parse).transpose()?,
        min_version: tls.min_version,
        domains: spec.domains.clone().unwrap_or_default(),
        service_type: exposure.service_type,
        service_annotations: exposure.annotations.unwrap_or_default(),
        limits: spec.limits,
        signature_v2: spec.signature_v2,
        root_s3_access: spec.root_s3_access,
        root_secret: spec.root_credentials.as_ref().map(|root| root.secret_ref.name.clone()),
        network_policy: spec.network_policy.as_ref().is_none_or(|policy| policy.enabled),
        resources: spec.resources.clone().unwrap_or_else(default_resources),
        node_selector: spec.node_selector.clone(),
        affinity: spec.affinity.clone(),
        tolerations: spec.tolerations.clone(),
        topology_spread: spec.topology_spread_constraints.clone(),
        priority_class: spec.priority_class_name.clone(),
        pod_labels: spec
            .pod_template
            .as_ref()
            .and_then(|pod| pod.labels.clone())
            .unwrap_or_default(),
        pod_annotations: spec
            .pod_template
            .as_ref()
            .and_then(|pod| pod.annotations.clone())
            .unwrap_or_default(),
        suspend: spec.suspend,
        deletion_policy: spec.deletion_policy,
        drain: settings.drain,
    })
}

fn default_resources() -> Resources {
    let requests = [("cpu", "100m"), ("memory", "128Mi")];
    Resources {
        requests: Some(
            requests.map(|(name, value)| (name.to_owned(), Quantity(value.to_owned()))).into(),
        ),
        limits: None,
    }
}

/// Every name by which a client may reach the server.
fn subject_names(
    name: &str,
    namespace: &str,
    spec: &TenantSpec,
    settings: &Settings,
) -> Result<BTreeSet<SubjectName>, Invalid> {
    let pods = ObjectNames::new(name).pods();
    let domain = &settings.cluster_domain;
    let mut texts = vec![
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.{domain}"),
        format!("{pods}.{namespace}.svc.{domain}"),
        format!("*.{pods}.{namespace}.svc"),
        format!("*.{pods}.{namespace}.svc.{domain}"),
    ];
    for domain in spec.domains.iter().flatten() {
        texts.push(domain.clone());
        texts.push(format!("*.{domain}"));
    }
    texts.extend(spec.tls.iter().flat_map(|tls| tls.additional_names.iter().flatten()).cloned());
    texts.extend(settings.extra_names.iter().cloned());
    texts
        .iter()
        .map(|text| {
            SubjectName::parse(text).ok_or_else(|| Invalid {
                field: "spec.tls.additionalNames",
                problem: format!("`{text}` is neither a DNS name nor an IP address"),
                remedy: "write a name such as s3.example.com",
            })
        })
        .collect()
}

/// A duration of hours, minutes and seconds, in this order, each at most once.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_hours_minutes_and_seconds() {
        for (text, seconds) in [
            ("2160h", Some(7_776_000)),
            ("1h30m", Some(5400)),
            ("90s", Some(90)),
            ("1h1m1s", Some(3661)),
            ("", None),
            ("1d", None),
            ("1m1h", None),
            ("h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text).map(|life| life.as_secs()), seconds, "{text}");
        }
    }
}
