//! CVE-2026-22822, CVE-2026-42875, CVE-2025-55196, CVE-2026-55225, GHSA-rf84-wr5g-m3rp, CVE-2026-41174: a reference that is read with the
//! operator's rights. Nothing that a resource names is ever read in another namespace than its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_crds::definition;
use coffer_crds::{
    AccessKey, Bucket, KeyRotation, Policy, PolicyBinding, PolicyTest, Tenant, User,
};
use coffer_operator::iam::{Managed, Tenants};
use coffer_operator::reconcile;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::control::Server;
use super::tenant;

/// What `vault`, another namespace, keeps under the name that is given everywhere.
const CANARY: &str = "Y2FuYXJ5c2VjcmV0";

/// What each kind needs besides what it names.
fn spec(kind: &str) -> Value {
    match kind {
        "Policy" | "User" | "Bucket" => json!({}),
        "PolicyTest" => json!({"cases": [{
            "name": "a", "as": {"user": "anna"}, "action": "s3:GetObject", "expect": "Deny",
        }]}),
        "AccessKey" => json!({"user": "anna"}),
        "PolicyBinding" => {
            json!({"policies": ["look"], "subjects": [{"kind": "User", "name": "anna"}]})
        }
        "KeyRotation" => json!({"to": "next"}),
        _ => json!({"storage": {"embedded": {"size": "1Gi"}}}),
    }
}

/// What lies beside a reference of a Tenant, which can't be without it.
fn beside(path: &str) -> Value {
    let (mine, certificates) = (json!({"name": "mine"}), json!({"name": "certificates"}));
    let https = "https://a.example.com";
    let kms = |provider: &str, settings: Value| {
        let mut kms = json!({"defaultKey": "photos"});
        kms[provider] = settings;
        json!({"kms": kms})
    };
    let vault = |auth: Value| {
        kms("vault", json!({"address": https, "caConfigMapRef": certificates, "auth": auth}))
    };
    let hook = |certificates: Value| {
        let mut webhook = certificates;
        webhook["endpoint"] = json!(https);
        json!({"audit": {"webhook": webhook}})
    };
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["kms", "vault", "auth", "appRole", _] => vault(json!({"appRole": {"secretRef": mine}})),
        ["kms", "vault", ..] => vault(json!({"token": {"secretRef": mine}})),
        ["kms", "awsKms", ..] => kms(
            "awsKms",
            json!({"region": "eu", "caConfigMapRef": certificates, "credentialsSecretRef": mine}),
        ),
        ["kms", provider @ ("kmip" | "kes"), ..] => {
            let address = if *provider == "kmip" { "a.example.com" } else { https };
            kms(
                provider,
                json!({
                    "address": address, "caConfigMapRef": certificates, "clientCertificateSecretRef": mine,
                }),
            )
        }
        ["kms", ..] => kms("static", json!({"secretRef": mine})),
        ["audit", _, "caSecretRef"] => hook(json!({"caSecretRef": mine})),
        ["audit", ..] => hook(json!({"caConfigMapRef": certificates})),
        _ => json!({}),
    }
}

/// Sets what a path leads to.
fn set(at: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(at, |at, part| &mut at[part]);
    *place = value;
}

/// A resource of the namespace `shop` that names this.
fn naming(kind: &str, path: &str, reference: Value) -> Value {
    let mut spec = spec(kind);
    if kind == "Tenant" {
        for (name, value) in beside(path).as_object().unwrap() {
            spec[name] = value.clone();
        }
    } else {
        spec["tenantRef"] = json!({"name": "photos"});
    }
    set(&mut spec, path, reference);
    json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "photos", "namespace": "shop", "uid": "u-9", "generation": 1, "resourceVersion": "7"},
        "spec": spec,
    })
}

/// All fields of a kind that name an object which the operator reads.
fn references(kind: &str) -> BTreeSet<String> {
    let definitions = definition::all().unwrap();
    let found = definitions.iter().find(|definition| definition.kind() == kind).unwrap();
    let mut all = BTreeSet::new();
    collect(&found.schema().unwrap()["properties"]["spec"], "", &mut all);
    if matches!(kind, "User" | "AccessKey") {
        all.insert("secret".to_owned());
    }
    all
}

fn collect(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // Kubernetes' own parts of a pod name nothing that the operator reads.
        if name.ends_with("Ref") {
            all.insert(path);
        } else {
            collect(inner, &path, all);
        }
    }
}

async fn reconciled<K: Managed>(cluster: &Cluster, ready: &Arc<Tenants>, resource: &Value) {
    let work = cluster.work(ready.clone(), Arc::default());
    let watched: DeserializeGuard<K> = serde_json::from_value(resource.clone()).unwrap();
    assert!(watched.0.is_ok(), "{:?}", watched.0.err());
    reconcile::managed::reconcile(Arc::new(watched), work).await.unwrap();
}

/// What the operator asked an API server for on behalf of a resource: paths, and bodies with those that a Tenant's server got.
async fn asked(kind: &str, resource: &Value) -> (Vec<String>, String, Cluster) {
    let cluster = Cluster::start();
    for name in ["root", "mine"] {
        let data = json!({"data": {
            "accessKey": CANARY, "secretKey": CANARY, "token": CANARY, "photos": CANARY, "ca.crt": CANARY,
        }});
        cluster.set(&format!("/api/v1/namespaces/vault/secrets/{name}"), data.clone());
        cluster.set(&format!("/api/v1/namespaces/vault/configmaps/{name}"), data);
    }
    let mut there = tenant();
    there["metadata"]["namespace"] = json!("vault");
    cluster.set("tenants/there", there.clone());
    cluster.set("tenants/photos", tenant());
    let ready = Arc::new(Tenants::default());
    let server = Server::start(&cluster, &tenant(), &ready).await;
    let other = Server::start(&cluster, &there, &ready).await;
    match kind {
        "Policy" => reconciled::<Policy>(&cluster, &ready, resource).await,
        "PolicyTest" => reconciled::<PolicyTest>(&cluster, &ready, resource).await,
        "User" => reconciled::<User>(&cluster, &ready, resource).await,
        "AccessKey" => reconciled::<AccessKey>(&cluster, &ready, resource).await,
        "PolicyBinding" => reconciled::<PolicyBinding>(&cluster, &ready, resource).await,
        "Bucket" => reconciled::<Bucket>(&cluster, &ready, resource).await,
        "KeyRotation" => reconciled::<KeyRotation>(&cluster, &ready, resource).await,
        _ => {
            let watched: DeserializeGuard<Tenant> =
                serde_json::from_value(resource.clone()).unwrap();
            assert!(watched.0.is_ok(), "{:?}", watched.0.err());
            reconcile::reconcile(Arc::new(watched), cluster.context()).await.unwrap();
        }
    }
    assert_eq!(other.all(), Vec::new(), "the other Tenant's server is called");
    let bodies = format!("{:?}{:?}", cluster.all_bodies(), server.all());
    (cluster.take_paths(), bodies, cluster)
}

const KINDS: [&str; 8] = [
    "Tenant",
    "Policy",
    "PolicyTest",
    "User",
    "AccessKey",
    "PolicyBinding",
    "Bucket",
    "KeyRotation",
];

#[test]
fn each_kind_is_among_them() {
    let definitions = definition::all().unwrap();
    let kinds: BTreeSet<&str> = definitions.iter().map(definition::Definition::kind).collect();
    assert_eq!(kinds, BTreeSet::from(KINDS));
    assert!(references("Tenant").contains("kms.vault.auth.appRole.secretRef"));
}

#[tokio::test]
async fn what_is_named_in_another_namespace_is_never_read() {
    for kind in KINDS {
        for path in references(kind) {
            let claim = format!("{kind}: spec.{path}");
            let is_tenant = path == "tenantRef";
            let mut reference = json!({"name": "root", "namespace": "vault"});
            if is_tenant {
                reference["name"] = json!("photos");
            }
            if path == "documentFrom.configMapRef" {
                reference["key"] = json!("token");
            }
            let (paths, bodies, cluster) = asked(kind, &naming(kind, &path, reference)).await;
            let strays: Vec<&String> = paths.iter().filter(|path| path.contains("vault")).collect();
            assert_eq!(strays, Vec::<&String>::new(), "{claim}");
            assert!(!bodies.contains(CANARY) && !bodies.contains("canarysecret"), "{claim}");
            let plural = format!("{}/photos", plural(kind));
            if is_tenant {
                // Neither whether it is there nor what is in it.
                assert_eq!(paths.len(), 2, "{claim}: a status and an event, not {paths:?}");
                let told = cluster.condition_of(&plural, "Stalled");
                assert_eq!(told, ("True".to_owned(), "NotAllowed".to_owned()), "{claim}");
            } else if path != "secret" {
                let (_, reason) = cluster.condition_of(&plural, "Ready");
                assert_eq!(reason, "ReferenceNotFound", "{claim}");
            }
        }
    }
}

/// A name becomes a part of a request's path. The schema refuses these; the operator doesn't rely on it.
#[tokio::test]
async fn no_name_leads_out_of_the_namespace() {
    for name in ["../../vault/secrets/root", "root/../../../vault/secrets/root", "root?x=vault"] {
        for kind in KINDS {
            for path in references(kind) {
                if path == "tenantRef" {
                    continue;
                }
                let claim = format!("{kind}: spec.{path}: {name}");
                let reference = json!({"name": name, "key": "token"});
                let (paths, _, cluster) = asked(kind, &naming(kind, &path, reference)).await;
                let strays: Vec<&String> = paths
                    .iter()
                    .filter(|path| path.contains("..") || path.contains("vault"))
                    .collect();
                assert_eq!(strays, Vec::<&String>::new(), "{claim}");
                let told = cluster.condition_of(&format!("{}/photos", plural(kind)), "Stalled");
                assert_eq!(told, ("True".to_owned(), "InvalidSpec".to_owned()), "{claim}");
            }
        }
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "Policy" => "policies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    }
}
