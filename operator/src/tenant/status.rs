//! What the cluster shows becomes conditions. Pure: time is an argument.

use coffer_crds::Tenant;
use coffer_crds::condition::{ConditionType, Reason};
use coffer_crds::tenant::{CertificateStatus, KmsStatus, NextCaStatus, TenantStatus};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use crate::authority::{CertificateFacts, rotation};
use crate::kms_probe::Seen;
use crate::settings::Settings;
use crate::tenant::build::workload::SERVER_CONTAINER;
use crate::tenant::dereference::Certificates;
use crate::tenant::kms::ValidKms;
use crate::tenant::validate::ValidTenant;

/// On the pod, by the StatefulSet: the revision of its template.
pub const REVISION_LABEL: &str = "controller-revision-hash";
/// On the pod, where its image was changed: the container that ran until then.
pub const ENDED_ANNOTATION: &str = "coffer.dev/ended-container";
/// The longest message of a condition that the schema takes.
const LONGEST_MESSAGE: usize = 1000;

/// How a Tenant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it is ready, on its way, stuck or at rest.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

/// The four ways a Tenant can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was tried and works.
    Ready,
    /// It is on its way; no one needs to act.
    Reconciling,
    /// Nothing more happens until someone acts.
    Stalled,
    /// It shall not run, and doesn't.
    AtRest,
}

impl Outcome {
    /// An outcome.
    pub fn new(state: State, reason: Reason, message: impl Into<String>) -> Self {
        Self { state, reason, message: message.into() }
    }
}

/// What the pod shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodState {
    /// The pod is ready and of the newest template: it may be tried.
    Ready {
        /// The pod's uid and its container's id.
        run: String,
    },
    /// It can't be tried yet.
    NotReady(Outcome),
}

/// Reads the workload and its pod.
pub fn pod_state(tenant: &ValidTenant, workload: &StatefulSet, pod: Option<&Pod>) -> PodState {
    let status = workload.status.clone().unwrap_or_default();
    let not_ready =
        |state, reason, message: &str| PodState::NotReady(Outcome::new(state, reason, message));
    if tenant.suspend {
        return match pod {
            None => not_ready(
                State::AtRest,
                Reason::Suspended,
                "spec.suspend is true: no pod runs, the data is kept",
            ),
            Some(_) => not_ready(
                State::Reconciling,
                Reason::Suspended,
                "spec.suspend is true: the pod is being stopped",
            ),
        };
    }
    let Some(pod) = pod else {
        return not_ready(State::Reconciling, Reason::Starting, "waiting for the pod to be made");
    };
    let revision = pod.labels().get(REVISION_LABEL);
    let newest = status.update_revision.is_some() && revision == status.update_revision.as_ref();
    let seen = status.observed_generation >= workload.metadata.generation;
    if pod.metadata.deletion_timestamp.is_some() {
        return not_ready(
            State::Reconciling,
            Reason::RollingOut,
            "the pod is being deleted; the next one is made once it is gone",
        );
    }
    if let Some(failure) = failure(pod) {
        return PodState::NotReady(failure);
    }
    if !seen || !newest {
        return not_ready(
            State::Reconciling,
            Reason::RollingOut,
            "the pod is being replaced, because its template changed",
        );
    }
    if is_ending(pod) {
        return not_ready(
            State::Reconciling,
            Reason::RollingOut,
            "the server is being started anew, because its image changed",
        );
    }
    if !is_ready(pod) {
        return not_ready(
            State::Reconciling,
            Reason::Starting,
            "waiting for the server to be ready",
        );
    }
    let (pod, container) = (pod.uid().unwrap_or_default(), container_id(pod).unwrap_or_default());
    PodState::Ready { run: format!("{pod} {container}") }
}

/// Whether the container whose image was changed still runs.
pub fn is_ending(pod: &Pod) -> bool {
    let ended = pod.annotations().get(ENDED_ANNOTATION);
    ended.is_some_and(|ended| container_id(pod) == Some(ended.as_str()))
}

/// The id of the server's container, if there is one.
pub fn container_id(pod: &Pod) -> Option<&str> {
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    containers.find(|container| container.name == SERVER_CONTAINER)?.container_id.as_deref()
}

/// Whether the pod is ready in the eyes of its kubelet.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why the pod can't start, in Kubernetes's words.
fn failure(pod: &Pod) -> Option<Outcome> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        let message = condition.message.as_deref().unwrap_or_default();
        return Some(Outcome::new(
            State::Reconciling,
            Reason::PodFailing,
            format!("no node takes the pod: {message}"),
        ));
    }
    status.container_statuses.iter().flatten().find_map(container_failure)
}

fn container_failure(container: &ContainerStatus) -> Option<Outcome> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting
        .reason
        .as_deref()
        .filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))?;
    let message = waiting.message.as_deref().unwrap_or_default();
    let ended = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let code = ended
        .map(|ended| format!(" (it last ended with code {})", ended.exit_code))
        .unwrap_or_default();
    let remedy = match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            "; correct spec.image or spec.imagePullSecrets"
        }
        "CrashLoopBackOff" => "; see `kubectl logs`",
        _ => "",
    };
    Some(Outcome::new(
        State::Reconciling,
        Reason::PodFailing,
        format!("the server can't start: {reason}{code}: {message}{remedy}"),
    ))
}

/// The three conditions of an outcome. A condition that doesn't change keeps its time.
pub fn conditions(
    old: &[Condition],
    outcome: &Outcome,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    [
        (ConditionType::Ready, outcome.state == State::Ready),
        (ConditionType::Reconciling, outcome.state == State::Reconciling),
        (ConditionType::Stalled, outcome.state == State::Stalled),
    ]
    .into_iter()
    .map(|(kind, holds)| {
        let status = if holds { "True" } else { "False" };
        let before = old.iter().find(|condition| condition.type_ == kind.as_str());
        let since = before
            .filter(|before| before.status == status)
            .map(|before| before.last_transition_time.clone());
        Condition {
            type_: kind.as_str().to_owned(),
            status: status.to_owned(),
            reason: outcome.reason.as_str().to_owned(),
            message: outcome.message.chars().take(LONGEST_MESSAGE).collect(),
            observed_generation: generation,
            last_transition_time: since.unwrap_or(Time(now)),
        }
    })
    .collect()
}

/// Whether the KMS works. While nobody can try it, nothing is known.
pub fn kms_reachable(
    old: &[Condition],
    seen: &Seen,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let kind = ConditionType::KmsReachable.as_str();
    let status = match seen.reason {
        Reason::KmsAnswering => "True",
        Reason::KmsUntried => "Unknown",
        _ => "False",
    };
    let before = old.iter().find(|condition| condition.type_ == kind);
    let since = before
        .filter(|before| before.status == status)
        .map(|before| before.last_transition_time.clone());
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: seen.reason.as_str().to_owned(),
        message: seen.message.chars().take(LONGEST_MESSAGE).collect(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

/// Adds what was last known of the KMS, where a reconciliation stopped before it was tried.
pub fn with_kms_as_it_was(tenant: &Tenant, mut conditions: Vec<Condition>) -> Vec<Condition> {
    let old = tenant.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_it = |condition: &&Condition| condition.type_ == ConditionType::KmsReachable.as_str();
    let kms = old.into_iter().flatten().find(is_it).filter(|_| tenant.spec.kms.is_some());
    conditions.extend(kms.cloned());
    conditions
}

/// What is said of the KMS.
pub fn kms(kms: &ValidKms, seen: &Seen) -> KmsStatus {
    KmsStatus {
        provider: Some(kms.provider.name().to_owned()),
        reachable: (seen.reason != Reason::KmsUntried).then(|| seen.is_good()),
        note: kms.provider.note(),
    }
}

/// Puts one more failure over conditions that may otherwise be ready.
pub fn overlay(
    conditions: &mut [Condition],
    old: Option<&TenantStatus>,
    failure: &Outcome,
    now: Timestamp,
) {
    let old = old.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let generation = conditions.first().and_then(|condition| condition.observed_generation);
    let failed = self::conditions(old, failure, generation, now);
    for condition in
        conditions.iter_mut().filter(|condition| condition.type_ == ConditionType::Stalled.as_str())
    {
        if let Some(failed) = failed.iter().find(|failed| failed.type_ == condition.type_) {
            condition.clone_from(failed);
        }
    }
}

/// Whether a condition is true.
pub fn holds(conditions: &[Condition], kind: ConditionType) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == kind.as_str() && condition.status == "True")
}

/// The different reasons that conditions give, each with its message.
pub fn told(conditions: &[Condition]) -> Vec<(&str, &str)> {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for condition in conditions {
        if told.iter().all(|(reason, _)| *reason != condition.reason) {
            told.push((&condition.reason, &condition.message));
        }
    }
    told
}

/// The whole status of a Tenant whose objects were applied.
pub fn status(
    tenant: &ValidTenant,
    settings: &Settings,
    workload: &StatefulSet,
    pod: Option<&Pod>,
    conditions: Vec<Condition>,
    generation: Option<i64>,
) -> TenantStatus {
    TenantStatus {
        observed_generation: generation,
        conditions: Some(conditions),
        endpoint: Some(format!("https://{}", tenant.service_host(settings))),
        replicas: Some(
            workload.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default(),
        ),
        version: pod.and_then(running_image),
        certificate: None,
        root_credentials_secret: Some(tenant.root_secret_name()),
        ca_config_map: Some(tenant.names().ca()),
        kms: None,
        volume_claim: None,
    }
}

/// What is said of the certificates.
pub fn certificate(certificates: &Certificates) -> CertificateStatus {
    let Certificates { authority, server_facts, root_facts, server: _, control: _, made: _ } =
        certificates;
    let next = authority.next.as_ref().and_then(|next| CertificateFacts::parse(&next.certificate));
    CertificateStatus {
        not_after: Some(server_facts.not_after.to_string()),
        serial: Some(server_facts.serial.clone()),
        ca_fingerprint: Some(root_facts.fingerprint.clone()),
        ca_not_after: Some(root_facts.not_after.to_string()),
        next_ca: next.map(|next| NextCaStatus {
            fingerprint: Some(next.fingerprint),
            takes_over: rotation::takes_over_at(authority).map(|at| at.to_string()),
        }),
    }
}

/// The image of the server that runs; none while none does.
fn running_image(pod: &Pod) -> Option<String> {
    let mut statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let status = statuses.find(|container| container.name == SERVER_CONTAINER)?;
    status.state.as_ref()?.running.as_ref()?;
    if is_ending(pod) {
        // The pod asks for the next one already.
        return Some(status.image.clone());
    }
    let mut containers = pod.spec.as_ref()?.containers.iter();
    containers.find(|container| container.name == SERVER_CONTAINER)?.image.clone()
}

/// Which part of the pod's template differs, as a sentence; none where the pod stays.
pub fn roll_reason(live: &StatefulSet, built: &StatefulSet) -> Option<String> {
    let parts = |workload: &StatefulSet| {
        let spec = workload.spec.as_ref()?;
        Some(serde_json::to_value(&spec.template).unwrap_or_default())
    };
    let (live, built) = (parts(live)?, parts(built)?);
    if crate::apply::difference::contains(&live, &built) {
        return None;
    }
    for (name, pointer) in [
        ("image", "/spec/containers/0/image"),
        ("settings", "/spec/containers/0/env"),
        ("resources", "/spec/containers/0/resources"),
        ("probes", "/spec/containers/0/readinessProbe"),
        ("probes", "/spec/containers/0/livenessProbe"),
        ("probes", "/spec/containers/0/startupProbe"),
        ("volumes", "/spec/volumes"),
        ("labels", "/metadata/labels"),
        ("annotations", "/metadata/annotations"),
    ] {
        let at =
            |template: &serde_json::Value| template.pointer(pointer).cloned().unwrap_or_default();
        let (before, after) = (at(&live), at(&built));
        if !crate::apply::difference::contains(&before, &after) {
            return Some(match (before.as_str(), after.as_str()) {
                (Some(before), Some(after)) => {
                    format!("{name} changed from `{before}` to `{after}`")
                }
                _ => format!("{name} changed"),
            });
        }
    }
    Some("scheduling or security settings changed".to_owned())
}

#[cfg(test)]
mod tests;
