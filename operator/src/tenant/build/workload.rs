//! The `StatefulSet` of one pod that runs `coffer-server`, under the restricted Pod Security profile.
//!
//! Certificates and credentials are no part of the template: the server loads them anew by itself, so their change
//! never replaces the pod.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
    HTTPGetAction, LocalObjectReference, PersistentVolumeClaimVolumeSource, PodSecurityContext,
    PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource,
    SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use coffer_crds::tenant::{Limits, PullPolicy, RootS3Access};

use super::{audit, kms, labels, owned, selector};
use crate::authority::control;
use crate::tenant::validate::ValidTenant;

/// The port on which the server listens.
pub const PORT: u16 = 9000;
/// The port's name.
pub const PORT_NAME: &str = "https";
/// The server's program in the image.
pub const SERVER: &str = "/usr/local/bin/coffer-server";
/// Where the volume is mounted.
pub const DATA_PATH: &str = "/var/lib/coffer";
/// Where the server certificate is mounted.
pub const TLS_PATH: &str = "/etc/coffer/tls";
/// The program that holds the listening socket, in the same image.
pub const LISTENER: &str = "/usr/local/bin/coffer-listener";
/// Where the two of them meet.
pub const RUN_PATH: &str = "/run/coffer";
/// The setting that says so.
pub const LISTENER_SETTING: &str = "COFFER_LISTENER";
/// The server's container; the other one holds its socket.
pub const SERVER_CONTAINER: &str = "server";
/// Where the root credentials are mounted.
pub const ROOT_CREDENTIALS_PATH: &str = "/etc/coffer/root-credentials";
/// Where the key of identities and policies is mounted.
pub const IAM_KEYS_PATH: &str = "/etc/coffer/iam";
/// Where the control authority's certificate is mounted.
pub const CONTROL_PATH: &str = "/etc/coffer/control";
/// Answers while the server works at all.
pub const LIVE: &str = "/minio/health/live";
/// Answers while the server takes requests.
pub const READY: &str = "/minio/health/ready";

/// On the pod: the hash of its template, less the image. What has the same needs no other pod.
pub const TEMPLATE_ANNOTATION: &str = "coffer.dev/template";

/// What the server needs after draining, until the kubelet kills it.
const AFTER_DRAIN_SECONDS: i64 = 20;
/// How long opening a large index may take before the kubelet starts the container anew.
const STARTUP_SECONDS: i32 = 600;
/// An id that no image and no node uses.
const USER: i64 = 65532;

pub(super) fn server(tenant: &ValidTenant) -> StatefulSet {
    StatefulSet {
        metadata: owned(tenant, tenant.names().main()),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::from(!tenant.suspend)),
            selector: selector(tenant),
            service_name: Some(tenant.names().pods()),
            // With the default a pod that never gets ready blocks its own repair.
            pod_management_policy: Some("Parallel".to_owned()),
            // The operator rolls by itself: a new image takes the pod as it is (`reconcile/tenant/roll.rs`).
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            revision_history_limit: Some(3),
            template: template(tenant),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn template(tenant: &ValidTenant) -> PodTemplateSpec {
    let mut pod_labels = tenant.pod_labels.clone();
    pod_labels.extend(labels(tenant));
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(tenant.pod_annotations.clone()),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(tenant)),
    };
    let hash = hash_without_images(&template);
    let metadata = template.metadata.get_or_insert_default();
    metadata.annotations.get_or_insert_default().insert(TEMPLATE_ANNOTATION.to_owned(), hash);
    template
}

fn hash_without_images(template: &PodTemplateSpec) -> String {
    let mut template = template.clone();
    for container in template.spec.iter_mut().flat_map(|pod| &mut pod.containers) {
        container.image = None;
    }
    // Values of these types always have a JSON form.
    let json = serde_json::to_vec(&template).unwrap_or_default();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &json);
    hex::encode(digest.as_ref().get(..8).unwrap_or_default())
}

fn pod(tenant: &ValidTenant) -> PodSpec {
    let secrets = &tenant.image_pull_secrets;
    let references =
        || secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    PodSpec {
        service_account_name: Some(tenant.names().main()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(
            drain_seconds(tenant).saturating_add(AFTER_DRAIN_SECONDS),
        ),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: (!secrets.is_empty()).then(references),
        node_selector: tenant.node_selector.clone(),
        affinity: tenant.affinity.clone(),
        tolerations: tenant.tolerations.clone(),
        topology_spread_constraints: tenant.topology_spread.clone(),
        priority_class_name: tenant.priority_class.clone(),
        containers: vec![server_container(tenant), listener_container(tenant)],
        volumes: Some(volumes(tenant)),
        ..PodSpec::default()
    }
}

fn volumes(tenant: &ValidTenant) -> Vec<Volume> {
    let mut volumes = vec![
        Volume {
            name: "data".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: tenant.names().data(),
                read_only: None,
            }),
            ..Volume::default()
        },
        secret_volume("tls", tenant.names().tls()),
        secret_volume("root-credentials", tenant.root_secret_name()),
        secret_volume("iam-keys", tenant.names().iam()),
        Volume {
            name: "control".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: tenant.names().control(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "run".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                medium: None,
                size_limit: Some(Quantity("1Mi".to_owned())),
            }),
            ..Volume::default()
        },
    ];
    volumes.extend(tenant.kms.iter().flat_map(kms::volumes));
    volumes.extend(tenant.audit.iter().flat_map(audit::volumes));
    volumes
}

fn server_container(tenant: &ValidTenant) -> Container {
    let mut mounts = vec![
        mount("data", DATA_PATH, None),
        mount("tls", TLS_PATH, Some(true)),
        mount("root-credentials", ROOT_CREDENTIALS_PATH, Some(true)),
        mount("iam-keys", IAM_KEYS_PATH, Some(true)),
        mount("control", CONTROL_PATH, Some(true)),
        mount("run", RUN_PATH, None),
    ];
    mounts.extend(tenant.kms.iter().flat_map(kms::mounts));
    mounts.extend(tenant.audit.iter().flat_map(audit::mounts));
    Container {
        env: Some(variables(environment(tenant))),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.to_owned()),
            container_port: i32::from(PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        startup_probe: Some(probe(LIVE, 1, STARTUP_SECONDS)),
        liveness_probe: Some(probe(LIVE, 10, 6)),
        readiness_probe: Some(probe(READY, 1, 2)),
        resources: Some(ResourceRequirements {
            claims: None,
            limits: tenant.resources.limits.clone(),
            requests: tenant.resources.requests.clone(),
        }),
        volume_mounts: Some(mounts),
        ..container(tenant, SERVER_CONTAINER, SERVER)
    }
}

/// Holds the listening socket, so that no connection is refused while the server is started anew.
fn listener_container(tenant: &ValidTenant) -> Container {
    let amounts = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect())
    };
    Container {
        env: Some(variables(listener_environment())),
        resources: Some(ResourceRequirements {
            claims: None,
            limits: amounts(&[("cpu", "50m"), ("memory", "32Mi")]),
            requests: amounts(&[("cpu", "1m"), ("memory", "8Mi")]),
        }),
        volume_mounts: Some(vec![mount("run", RUN_PATH, None)]),
        ..container(tenant, "listener", LISTENER)
    }
}

/// What both containers have in common.
fn container(tenant: &ValidTenant, name: &str, program: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(tenant.image.clone()),
        image_pull_policy: tenant.image_pull_policy.map(PullPolicy::as_str).map(str::to_owned),
        command: Some(vec![program.to_owned()]),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// The server's settings: each is one variable, and each has a flag of the same name.
fn environment(tenant: &ValidTenant) -> BTreeMap<&'static str, String> {
    let mut settings = listener_environment();
    settings.extend([
        ("COFFER_DATA", DATA_PATH.to_owned()),
        ("COFFER_TLS", TLS_PATH.to_owned()),
        ("COFFER_TLS_MIN_VERSION", tenant.min_version.as_str().to_owned()),
        ("COFFER_ROOT_CREDENTIALS", ROOT_CREDENTIALS_PATH.to_owned()),
        ("COFFER_IAM_KEYS", IAM_KEYS_PATH.to_owned()),
        ("COFFER_CONTROL_CA", CONTROL_PATH.to_owned()),
        ("COFFER_CONTROL_NAME", control::name(&tenant.namespace, &tenant.name)),
        ("COFFER_REGION", tenant.region.clone()),
        ("COFFER_DRAIN_SECONDS", drain_seconds(tenant).to_string()),
        ("COFFER_SIGNATURE_V2", tenant.signature_v2.as_str().to_owned()),
        ("COFFER_LOG", "info".to_owned()),
    ]);
    // Without these the server has the same by itself.
    if tenant.root_s3_access != RootS3Access::default() {
        settings.insert("COFFER_ROOT_S3", tenant.root_s3_access.as_str().to_owned());
    }
    let limits = tenant.limits.iter().flat_map(Limits::settings);
    settings.extend(limits.map(|(name, value)| (name, value.to_string())));
    settings.extend(tenant.kms.iter().flat_map(kms::environment));
    settings.extend(tenant.audit.iter().flat_map(audit::environment));
    if !tenant.domains.is_empty() {
        settings.insert("COFFER_DOMAINS", tenant.domains.join(","));
    }
    settings
}

fn listener_environment() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        // Every address of both versions of IP.
        ("COFFER_LISTEN", format!("[::]:{PORT}")),
        (LISTENER_SETTING, format!("{RUN_PATH}/listener")),
    ])
}

fn variables(settings: BTreeMap<&str, String>) -> Vec<EnvVar> {
    let variable = |(name, value): (&str, String)| EnvVar {
        name: name.to_owned(),
        value: Some(literal(&value)),
        value_from: None,
    };
    settings.into_iter().map(variable).collect()
}

/// A text as the value of a variable: the kubelet would put other variables in the place of `$(NAME)`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The text that the kubelet reads in the value of a variable of ours.
pub fn read_literal(value: &str) -> String {
    value.replace("$$", "$")
}

fn drain_seconds(tenant: &ValidTenant) -> i64 {
    i64::try_from(tenant.drain.as_secs()).unwrap_or(i64::MAX)
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PORT_NAME.to_owned()),
            scheme: Some("HTTPS".to_owned()),
            host: None,
            http_headers: None,
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

pub(super) fn secret_volume(name: &str, secret: String) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            // Read by the pod's group alone.
            default_mode: Some(0o440),
            items: None,
            optional: None,
        }),
        ..Volume::default()
    }
}

pub(super) fn config_map_volume(name: &str, config_map: String) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map,
            default_mode: Some(0o444),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(super) fn mount(name: &str, path: &str, read_only: Option<bool>) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
        ..VolumeMount::default()
    }
}
