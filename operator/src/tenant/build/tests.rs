//! Golden: every object of a few Tenants, as YAML. Keys and certificates are left out, they differ each time.

use coffer_crds::tenant::{DeletionPolicy, Tls};
use coffer_crds::{Tenant, TenantSpec};
use jiff::Timestamp;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::json;

use super::*;
use crate::settings::Settings;
use crate::tenant::dereference::{self, material};
use crate::tenant::found::Found;
use crate::tenant::validate::validate;

/// A valid Tenant, with its spec changed.
pub(crate) fn valid(name: &str, change: impl FnOnce(&mut TenantSpec)) -> ValidTenant {
    let spec = json!({"storage": {"embedded": {"size": "10Gi"}}});
    let mut tenant = Tenant::new(name, serde_json::from_value(spec).unwrap());
    tenant.metadata.namespace = Some("shop".to_owned());
    tenant.metadata.uid = Some("6c1f3a52-0000-4000-8000-000000000001".to_owned());
    change(&mut tenant.spec);
    validate(&tenant, &Settings::example()).unwrap()
}

fn built(tenant: &ValidTenant) -> Objects {
    made(tenant).1
}

fn made(tenant: &ValidTenant) -> (CertificateObjects, Objects) {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let found = Found {
        root: tenant.root_secret.as_ref().map(|_| {
            crate::root_credentials::RootCredentials::generate(&mut StdRng::seed_from_u64(1))
                .unwrap()
                .to_data()
        }),
        ..Found::default()
    };
    let mut rng = StdRng::seed_from_u64(1);
    let made = dereference::certificates(tenant, &found, now, &mut rng).unwrap();
    let material = material(tenant, &found, made.clone(), &mut rng).unwrap();
    (certificates(tenant, &made), build(tenant, &material))
}

/// All objects as one YAML text, values of Secrets replaced by their keys.
fn yaml((certificates, objects): (CertificateObjects, Objects)) -> String {
    let CertificateObjects { authority, ca, control_authority, control, tls } = certificates;
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
    } = objects;
    let mut values = vec![
        serde_json::to_value(service_account).unwrap(),
        serde_json::to_value(claim).unwrap(),
        serde_json::to_value(authority).unwrap(),
        serde_json::to_value(ca).unwrap(),
        serde_json::to_value(tls).unwrap(),
        serde_json::to_value(iam).unwrap(),
        serde_json::to_value(control_authority).unwrap(),
        serde_json::to_value(control).unwrap(),
        serde_json::to_value(service).unwrap(),
        serde_json::to_value(pods_service).unwrap(),
        serde_json::to_value(disruption_budget).unwrap(),
        serde_json::to_value(workload).unwrap(),
    ];
    values.extend(root.map(|root| serde_json::to_value(root).unwrap()));
    values.extend(network_policy.map(|policy| serde_json::to_value(policy).unwrap()));
    for value in &mut values {
        for data in value["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut()) {
            *data = json!("…");
        }
    }
    values
        .iter()
        .flat_map(|value| ["---\n".to_owned(), serde_yaml::to_string(value).unwrap()])
        .collect()
}

#[test]
fn a_tenant_of_defaults() {
    insta::assert_snapshot!(yaml(made(&valid("photos", |_| {}))));
}

#[test]
fn a_tenant_with_everything_set() {
    let tenant = valid("photos", |spec| {
        *spec = serde_json::from_value(json!({
            "image": "registry.example.com/coffer:2",
            "imagePullPolicy": "Always",
            "imagePullSecrets": [{"name": "pull"}],
            "region": "eu-central-1",
            "storage": {"embedded": {"size": "1Ti", "storageClassName": "fast"}},
            "tls": {"issuer": {"selfSigned": {}}, "duration": "24h", "additionalNames": ["s3.example.org", "192.0.2.1"], "minVersion": "1.3"},
            "domains": ["s3.example.com", "s3.internal.example.com"],
            "exposure": {"serviceType": "LoadBalancer", "annotations": {"lb.example.com/pool": "a: \"b\"\n${x} {{y}}"}},
            "limits": {"connections": 100, "connectionsPerSource": 20, "requests": 64, "requestsPerSource": 16, "idleSeconds": 10,
                "headers": 64, "headBytes": 16384, "queryBytes": 8192, "chunkBytes": 1_048_576, "http2Streams": 32, "http2Resets": 8,
                "failedSignaturesPerMinute": 0, "faultyConnectionsPerMinute": 0},
            "signatureV2": "Disabled",
            "rootS3Access": "Disabled",
            "rootCredentials": {"secretRef": {"name": "mine"}},
            "networkPolicy": {"enabled": false},
            "resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "nodeSelector": {"disk": "ssd"},
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}},
            "tolerations": [{"key": "storage", "operator": "Exists", "effect": "NoSchedule"}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            "priorityClassName": "high",
            "podTemplate": {"labels": {"team": "shop"}, "annotations": {"scrape": "true"}},
            "suspend": true,
            "deletionPolicy": "Delete"
        }))
        .unwrap();
    });
    insta::assert_snapshot!(yaml(made(&tenant)));
}

/// What a KMS adds: settings, volumes, mounts, and where the pod may connect to.
fn of_kms(spec: serde_json::Value) -> serde_json::Value {
    added(&valid("photos", |it| it.kms = Some(serde_json::from_value(spec).unwrap())))
}

/// The same of an audit.
fn of_audit(spec: serde_json::Value) -> serde_json::Value {
    added(&valid("photos", |it| it.audit = Some(serde_json::from_value(spec).unwrap())))
}

fn added(tenant: &ValidTenant) -> serde_json::Value {
    let plain = workload::server(&valid("photos", |_| {}));
    let pod = |workload: StatefulSet| workload.spec.unwrap().template.spec.unwrap();
    let (built, plain) = (pod(workload::server(tenant)), pod(plain));
    let (container, before) = (&built.containers[0], &plain.containers[0]);
    let more = |now: serde_json::Value, before: serde_json::Value| -> Vec<serde_json::Value> {
        let before = before.as_array().unwrap().clone();
        now.as_array().unwrap().iter().filter(|one| !before.contains(one)).cloned().collect()
    };
    json!({
        "env": more(json!(container.env), json!(before.env)),
        "volumes": more(json!(built.volumes), json!(plain.volumes)),
        "mounts": more(json!(container.volume_mounts), json!(before.volume_mounts)),
        "egress": network_policy::guard(tenant).spec.unwrap().egress.unwrap().split_off(1),
        "automountServiceAccountToken": built.automount_service_account_token,
    })
}

#[test]
fn a_kms_adds_settings_and_files() {
    insta::assert_yaml_snapshot!(
        "static_keys",
        of_kms(json!({"static": {"secretRef": {"name": "keys"}}, "defaultKey": "photos"}))
    );
    insta::assert_yaml_snapshot!(
        "vault_by_kubernetes",
        of_kms(json!({
            "vault": {"address": "https://192.0.2.7:8200", "mount": "team/transit", "namespace": "team", "caConfigMapRef": {"name": "vault-ca", "key": "root.pem"},
                "auth": {"kubernetes": {"role": "photos", "mount": "clusters/a", "audience": "https://vault"}}},
            "defaultKey": "photos", "autoEncrypt": true, "requireEncryption": true, "dataKeys": "EveryRequest"
        }))
    );
    insta::assert_yaml_snapshot!(
        "vault_by_approle",
        of_kms(json!({
            "vault": {"address": "https://vault.example.com", "caConfigMapRef": {"name": "vault-ca"}, "auth": {"appRole": {"secretRef": {"name": "role"}}}}
        }))
    );
    insta::assert_yaml_snapshot!(
        "vault_by_token",
        of_kms(json!({
            "vault": {"address": "https://vault.example.com:8200", "caConfigMapRef": {"name": "vault-ca"}, "auth": {"token": {"secretRef": {"name": "token"}}}}
        }))
    );
    insta::assert_yaml_snapshot!(
        "aws_kms",
        of_kms(json!({
            "awsKms": {"region": "eu-west-1", "endpoint": "https://kms.example.com:5443", "caConfigMapRef": {"name": "ca"}, "credentialsSecretRef": {"name": "aws"}},
            "defaultKey": "photos"
        }))
    );
    insta::assert_yaml_snapshot!(
        "aws_kms_of_its_region",
        of_kms(json!({
            "awsKms": {"region": "eu-west-1", "credentialsSecretRef": {"name": "aws"}}
        }))
    );
    insta::assert_yaml_snapshot!(
        "aws_kms_by_web_identity",
        of_kms(json!({
            "awsKms": {"region": "eu-west-1", "webIdentity": {"roleArn": "arn:aws:iam::123456789012:role/photos", "endpoint": "https://192.0.2.8"}}
        }))
    );
    insta::assert_yaml_snapshot!(
        "kmip",
        of_kms(json!({
            "kmip": {"address": "192.0.2.9", "caConfigMapRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}},
            "defaultKey": "photos"
        }))
    );
    insta::assert_yaml_snapshot!(
        "kes",
        of_kms(json!({
            "kes": {"address": "https://kes.example.com:7373", "caConfigMapRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}},
            "defaultKey": "photos"
        }))
    );
}

#[test]
fn an_audit_adds_settings_and_files() {
    insta::assert_yaml_snapshot!("audit_in_the_log", of_audit(json!({"stdout": true})));
    insta::assert_yaml_snapshot!(
        "audit_webhook_with_a_token",
        of_audit(json!({"stdout": true, "webhook": {
            "endpoint": "https://audit.example.com/records", "caConfigMapRef": {"name": "audit-ca", "key": "root.pem"},
            "tokenSecretRef": {"name": "audit", "key": "bearer"}, "queueSize": "1Gi"
        }}))
    );
    insta::assert_yaml_snapshot!(
        "audit_webhook_by_its_address",
        of_audit(
            json!({"webhook": {"endpoint": "https://192.0.2.9:8443", "caSecretRef": {"name": "audit-tls"}}})
        )
    );
}

#[test]
fn the_volume_and_its_key_outlive_their_tenant_unless_they_shall_not() {
    for (name, policy, owners) in
        [("kept", DeletionPolicy::Retain, 0), ("deleted", DeletionPolicy::Delete, 1)]
    {
        let tenant = valid("photos", |spec| spec.deletion_policy = policy);
        let objects = built(&tenant);
        for metadata in [objects.claim.metadata, objects.iam.metadata] {
            assert_eq!(
                metadata.owner_references.map(|owners| owners.len()).unwrap_or_default(),
                owners,
                "{name}"
            );
            assert_eq!(metadata.labels.unwrap()[TENANT_LABEL], "photos", "{name}");
        }
    }
}

#[test]
fn new_certificates_and_credentials_never_replace_the_pod() {
    let usual = built(&valid("photos", |_| {})).workload;
    let renewed = valid("photos", |spec| {
        spec.tls = Some(Tls {
            additional_names: Some(vec!["s3.example.org".to_owned()]),
            ..Tls::default()
        });
    });
    assert_eq!(built(&renewed).workload, usual);
}

#[test]
fn nothing_bears_what_a_gitops_tool_tracks_by() {
    let text = yaml(made(&valid("photos", |_| {})));
    for key in ["app.kubernetes.io/instance", "argocd.argoproj.io", "kustomize.toolkit.fluxcd.io"] {
        assert!(!text.contains(key), "{key}");
    }
}

#[test]
fn the_longest_name_fits_everywhere() {
    let name = "a".repeat(40);
    let (certificates, objects) = made(&valid(&name, |_| {}));
    for name in [
        objects.pods_service.metadata.name,
        objects.claim.metadata.name,
        certificates.authority.metadata.name,
    ] {
        assert!(name.unwrap().len() <= 63);
    }
}

/// CVE-2026-41246, CVE-2019-12303, CVE-2021-25742: text of a user that becomes structure, or another's value.
#[test]
fn any_text_stays_one_value() {
    const PLAIN: &str = "placeholder";
    let with = |text: &str| {
        let tenant = valid("photos", |spec| {
            *spec = serde_json::from_value(json!({
                "image": text, "imagePullSecrets": [{"name": text}], "region": text,
                "storage": {"embedded": {"size": "1Gi", "storageClassName": text}},
                "exposure": {"annotations": {"a": text}},
                "kms": {
                    "vault": {"address": "https://vault.example.com", "mount": text, "namespace": text,
                        "caConfigMapRef": {"name": text, "key": text}, "auth": {"kubernetes": {"role": text, "mount": text, "audience": text}}},
                    "defaultKey": text,
                },
                "audit": {"webhook": {"endpoint": "https://audit.example.com", "caSecretRef": {"name": text, "key": text},
                    "tokenSecretRef": {"name": text, "key": text}}},
                "nodeSelector": {"disk": text},
                "priorityClassName": text,
                "podTemplate": {"labels": {"team": text}, "annotations": {"note": text}},
            }))
            .unwrap();
        });
        json!([
            claim::data(&tenant),
            service::clients(&tenant),
            network_policy::guard(&tenant),
            workload::server(&tenant),
        ])
    };
    let plain = with(PLAIN);
    for text in [
        "a\"b",
        "a'b",
        "a\nb: c",
        "- a",
        "# a",
        "{a: b}",
        "[a]",
        "${HOME}",
        "$(COFFER_DATA)",
        "$$(COFFER_DATA)",
        "{{ .Values.a }}",
        "{{`a`}}",
        "%s",
        "\\",
        "\u{2028}",
        "../../etc",
        "*a",
        "!!binary a",
        "|",
        "",
    ] {
        let mut hostile = 0;
        compare(&plain, &with(text), "", &mut |path, before, after| {
            // Kubernetes' own language in values of variables is the only one that is spoken here.
            let is_variable = path.contains("/env/");
            let text = if is_variable { text.replace('$', "$$") } else { text.to_owned() };
            assert_eq!(after, before.replace(PLAIN, &text), "{path}");
            hostile += usize::from(before != after);
        });
        assert!(hostile > 20, "{text}: only {hostile} values");
    }
}

/// Hands on each text of two values of one shape.
fn compare(
    one: &serde_json::Value,
    other: &serde_json::Value,
    path: &str,
    each: &mut impl FnMut(&str, &str, &str),
) {
    use serde_json::Value::{Array, Object, String};
    match (one, other) {
        (String(one), String(other)) if !path.ends_with(workload::TEMPLATE_ANNOTATION) => {
            each(path, one, other);
        }
        (Array(one), Array(other)) => {
            assert_eq!(one.len(), other.len(), "{path}");
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                compare(one, other, &format!("{path}/{at}"), each);
            }
        }
        (Object(one), Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{path}");
            for (key, one) in one {
                compare(one, &other[key], &format!("{path}/{key}"), each);
            }
        }
        (String(_), String(_)) => {}
        (one, other) => assert_eq!(one, other, "{path}"),
    }
}
