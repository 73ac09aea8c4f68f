//! What the accounts may do, by the API server's own word: nothing more than is written down in `golden/`.

use std::path::PathBuf;
use std::time::Duration;

use coffer_tests::cluster::{
    self, OPERATOR, SYSTEM, can, condition, eventually, get, kubectl, namespace, recorded,
    secrets_read_by, tenant, wait_ready,
};
use serde_json::{Value, json};

/// Compares with a file of `tests/cluster/golden`.
fn assert_golden(name: &str, is: &str) {
    let file: PathBuf = cluster::repository().join("tests/cluster/golden").join(name);
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept.trim() == is.trim(),
        "{name}: review the change, and write it to {}\n{is}",
        file.display()
    );
}

/// The rules of a role as YAML, without what the cluster adds to it.
fn rules(kind: &str, namespace: &str, name: &str) -> String {
    serde_yaml::to_string(&get(kind, namespace, name)["rules"]).unwrap()
}

/// All that `kubectl auth can-i --list` says, in an order of its own.
fn rights(user: &str, namespace: &str) -> String {
    let listed = kubectl(&["auth", "can-i", "--list", "-n", namespace, &format!("--as={user}")]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = listed.lines().skip(1).map(words).collect();
    lines.sort();
    // Several roles may give the same.
    lines.dedup();
    lines.join("\n")
}

/// Every binding of the cluster that gives something to an account: `KIND NAMESPACE/NAME -> ROLE`.
fn bindings(namespace: &str, account: &str) -> Vec<String> {
    let all = kubectl(&["get", "clusterrolebindings,rolebindings", "-A", "-o", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let groups =
        [format!("system:serviceaccounts:{namespace}"), "system:serviceaccounts".to_owned()];
    let mut found: Vec<String> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|binding| {
            binding["subjects"].as_array().into_iter().flatten().any(|subject| {
                let its = subject["kind"] == "ServiceAccount"
                    && subject["name"] == account
                    && subject["namespace"] == namespace;
                its || groups.contains(&text(&subject["name"]))
            })
        })
        .map(|binding| {
            let (metadata, role) = (&binding["metadata"], &binding["roleRef"]);
            format!(
                "{} {}/{} -> {} {}",
                text(&binding["kind"]),
                text(&metadata["namespace"]),
                text(&metadata["name"]),
                text(&role["kind"]),
                text(&role["name"])
            )
        })
        .collect();
    found.sort();
    found
}

/// CVE-2025-66623: an operator that may read every Secret of the cluster hands that to whoever takes it over. No role of ours lists or
/// watches them.
#[tokio::test]
async fn h1_the_operator_reads_secrets_by_name_alone() {
    cluster::install();
    namespace("anywhere");
    let cluster_role = "coffer-system-coffer-operator";
    assert_golden("cluster-role.yaml", &rules("clusterrole", SYSTEM, cluster_role));
    assert_golden("lease-role.yaml", &rules("role", SYSTEM, "coffer-operator-lease"));
    assert_eq!(
        bindings(SYSTEM, "coffer-operator"),
        [
            format!("ClusterRoleBinding /{cluster_role} -> ClusterRole {cluster_role}"),
            "ClusterRoleBinding /system:service-account-issuer-discovery -> ClusterRole system:service-account-issuer-discovery"
                .to_owned(),
            format!("RoleBinding {SYSTEM}/coffer-operator-lease -> Role coffer-operator-lease"),
        ]
    );
    assert_golden("operator-in-a-namespace.txt", &rights(OPERATOR, "anywhere"));
    assert_golden("operator-at-home.txt", &rights(OPERATOR, SYSTEM));
    let role = get("clusterrole", SYSTEM, cluster_role);
    for rule in role["rules"].as_array().unwrap() {
        let has = |field: &str, word: &str| {
            rule[field].as_array().into_iter().flatten().any(|it| it == word)
        };
        for field in ["apiGroups", "resources", "verbs"] {
            assert!(!has(field, "*"), "{rule}");
        }
        for verb in ["list", "watch", "delete", "update", "deletecollection"] {
            assert!(!(has("resources", "secrets") && has("verbs", verb)), "{rule}");
        }
        for verb in ["escalate", "bind", "impersonate"] {
            assert!(!has("verbs", verb), "{rule}");
        }
    }
    for (verb, kind, expected) in [
        ("get", "secrets", true),
        ("list", "secrets", false),
        ("watch", "secrets", false),
        ("delete", "secrets", false),
        ("create", "clusterroles", false),
        ("create", "rolebindings", false),
        ("create", "pods", false),
        ("create", "pods/exec", false),
        ("create", "serviceaccounts/token", false),
        ("update", "tenants", false),
        ("patch", "tenants", false),
        ("delete", "tenants", false),
        ("list", "tenants", true),
        ("get", "nodes", false),
        ("impersonate", "users", false),
    ] {
        for namespace in ["-A", "anywhere", SYSTEM] {
            assert_eq!(can(OPERATOR, verb, kind, namespace), expected, "{verb} {kind} {namespace}");
        }
    }
}

/// CVE-2021-41266: a token of the cluster in a pod is what an attacker of the server is after. There is none, and its account has no
/// rights.
#[tokio::test]
async fn h2_pods_of_tenants_can_do_nothing_in_the_cluster() {
    cluster::install();
    namespace("rights");
    cluster::apply(&tenant("rights", "photos", ""));
    wait_ready("rights", "photos");
    let pod = get("pod", "rights", "photos-0");
    assert_eq!(pod["spec"]["serviceAccountName"], "photos");
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    let account = get("serviceaccount", "rights", "photos");
    assert_eq!(account["automountServiceAccountToken"], false);
    let volumes = pod["spec"]["volumes"].to_string();
    assert!(!volumes.contains("serviceAccountToken"), "{volumes}");
    let containers = ["containers", "initContainers"].map(|kind| pod["spec"][kind].clone());
    for container in containers.iter().filter_map(Value::as_array).flatten() {
        let mounts = container["volumeMounts"].to_string();
        assert!(!mounts.contains("/var/run/secrets/kubernetes.io"), "{mounts}");
    }
    let user = "system:serviceaccount:rights:photos";
    assert_eq!(
        bindings("rights", "photos"),
        [
            "ClusterRoleBinding /system:service-account-issuer-discovery -> ClusterRole system:service-account-issuer-discovery"
        ]
    );
    // No more than an account has that nobody has given anything.
    let nobody = rights("system:serviceaccount:rights:nobody", "rights");
    assert_eq!(rights(user, "rights"), nobody);
    assert_golden("tenant.txt", &nobody);
    for (verb, kind) in [
        ("get", "secrets"),
        ("list", "secrets"),
        ("list", "pods"),
        ("get", "configmaps"),
        ("get", "tenants"),
        ("create", "serviceaccounts/token"),
    ] {
        for namespace in ["rights", SYSTEM, "-A"] {
            assert!(!can(user, verb, kind, namespace), "{verb} {kind} in {namespace}");
        }
    }
}

/// CVE-2026-42876: a Secret of the name that an operator uses, of the type that the cluster fills with an account's token. It is neither
/// read for what it isn't, nor overwritten, nor taken over.
#[tokio::test]
async fn h3_a_token_in_a_secret_of_our_name_is_not_ours() {
    cluster::install();
    namespace("tokens");
    cluster::apply(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: victim, namespace: tokens}\n",
    );
    cluster::apply(&tenant("tokens", "host", ""));
    let secrets = [
        "root-root",
        "tls-tls",
        "authority-authority",
        "control-control-ca",
        "iam-iam",
        "anna-keys",
    ];
    for name in secrets {
        cluster::apply(&format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata:\n  name: {name}\n  namespace: tokens\n  \
             annotations: {{kubernetes.io/service-account.name: victim}}\n"
        ));
    }
    let mut before = Vec::new();
    for name in secrets {
        let (secret, _) =
            eventually("the cluster has filled it", Duration::from_secs(20), async || {
                let secret = get("secret", "tokens", name);
                secret["data"]["token"].is_string().then_some(secret)
            })
            .await;
        before.push(secret);
    }
    wait_ready("tokens", "host");
    let tenants = ["root", "tls", "authority", "control", "iam"];
    for name in tenants {
        cluster::apply(&tenant("tokens", name, ""));
    }
    cluster::apply(
        "apiVersion: coffer.dev/v1alpha1\nkind: User\nmetadata: {name: anna, namespace: tokens}\nspec: {tenantRef: {name: host}}\n",
    );
    for (name, secret) in tenants.iter().zip(secrets) {
        let (message, _) = eventually(secret, Duration::from_secs(30), async || {
            let (status, reason, message) = condition("tokens", name, "Stalled");
            (status == "True" && reason == "NotOwned").then_some(message)
        })
        .await;
        assert!(message.contains(&format!("Secret `{secret}`")), "{message}");
        assert!(get("pod", "tokens", &format!("{name}-0")).is_null(), "{name} runs");
    }
    let (message, _) = eventually("the user's", Duration::from_secs(30), async || {
        let conditions = get("user.coffer.dev", "tokens", "anna")["status"]["conditions"].clone();
        let stalled = conditions.as_array()?.iter().find(|it| it["type"] == "Stalled")?.clone();
        (stalled["status"] == "True" && stalled["reason"] == "NotOwned")
            .then(|| stalled["message"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert!(message.contains("anna-keys"), "{message}");
    // Looked at again and again, they are as they were, to the revision.
    tokio::time::sleep(Duration::from_secs(8)).await;
    for (name, before) in secrets.iter().zip(before) {
        assert_eq!(get("secret", "tokens", name), before, "{name}");
        let token = before["data"]["token"].as_str().unwrap_or_default().to_owned();
        let told = kubectl(&[
            "get",
            "tenants,users.coffer.dev,configmaps,events",
            "-n",
            "tokens",
            "-o",
            "json",
        ]);
        assert!(!told.contains(&token), "the token in {name} is told");
    }
    kubectl(&["delete", "user.coffer.dev", "anna", "-n", "tokens", "--timeout=60s"]);
}

/// A reference leads nowhere but into its own namespace: what another one has of that name is never asked for.
#[tokio::test]
async fn h4_a_reference_reads_nothing_in_another_namespace() {
    cluster::install();
    namespace("refers");
    namespace("referred");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": "referred"},
        "stringData": {"accessKey": "another-key", "secretKey": "another-secret"},
    });
    cluster::apply(&secret.to_string());
    let since = recorded();
    cluster::apply(&tenant("refers", "photos", "rootCredentials: {secretRef: {name: mine}}"));
    // Of a Tenant that isn't there, and of one that doesn't let it in.
    cluster::apply(
        "apiVersion: coffer.dev/v1alpha1\nkind: User\nmetadata: {name: anna, namespace: refers}\nspec: {tenantRef: {name: photos, namespace: referred}}\n",
    );
    eventually("it is missed", Duration::from_secs(30), async || {
        let (status, reason, _) = condition("refers", "photos", "Stalled");
        (status == "True" && reason == "ReferenceNotFound").then_some(())
    })
    .await;
    // Some rounds of reading by name.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let read = secrets_read_by(OPERATOR, since);
    assert!(
        read.iter().any(|read| read == "get refers/mine"),
        "nothing is in the record: {read:?}"
    );
    let elsewhere: Vec<&String> =
        read.iter().filter(|read| !read.starts_with("get refers/")).collect();
    assert!(elsewhere.iter().all(|read| !read.contains(" referred/")), "{elsewhere:?}");
    assert!(read.iter().all(|read| read.starts_with("get ")), "{read:?}");
    kubectl(&["delete", "user.coffer.dev", "anna", "-n", "refers", "--timeout=60s"]);
}
