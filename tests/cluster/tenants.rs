//! Tenants that can't work say why, and hold up nobody.

use std::time::Duration;

use coffer_tests::cluster::{
    self, condition, eventually, get, kubectl, namespace, tenant, wait_ready,
};

#[tokio::test]
async fn b1_five_broken_tenants_say_what_is_wrong() {
    cluster::install();
    namespace("broken");
    cluster::apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: half, namespace: broken}\nstringData: {accessKey: onlythis}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: taken, namespace: broken}\nspec: {ports: [{port: 1}]}\n",
    );
    for (name, spec) in [
        ("no-secret", "rootCredentials: {secretRef: {name: missing}}"),
        ("half-secret", "rootCredentials: {secretRef: {name: half}}"),
        ("taken", ""),
        ("no-image", "image: cluster.test/absent:1\nimagePullPolicy: Never"),
        ("no-node", "nodeSelector: {nowhere: 'true'}"),
    ] {
        cluster::apply(&tenant("broken", name, spec));
    }
    cluster::apply(&tenant("broken", "fine", ""));
    wait_ready("broken", "fine");
    for (name, reason, words) in [
        ("no-secret", "ReferenceNotFound", "missing"),
        ("half-secret", "ReferenceInvalid", "secretKey"),
        ("taken", "NotOwned", "taken"),
        ("no-image", "PodFailing", "ErrImageNeverPull"),
        ("no-node", "PodFailing", "node"),
    ] {
        let said = eventually(name, Duration::from_secs(60), async || {
            let (status, found, message) = condition("broken", name, "Ready");
            (status == "False" && found == reason && message.contains(words)).then_some(())
        });
        let in_time = tokio::time::timeout(Duration::from_secs(61), said).await;
        assert!(in_time.is_ok(), "{name}: {:?}", condition("broken", name, "Ready"));
    }
    let listed = kubectl(&["get", "tenants", "-n", "broken"]);
    println!("{listed}");
    for reason in ["ReferenceNotFound", "ReferenceInvalid", "NotOwned", "PodFailing", "Answering"] {
        assert!(listed.contains(reason), "{listed}");
    }
    // A remedy heals without a restart of anything.
    cluster::apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: missing, namespace: broken}\nstringData: {accessKey: chosenkey, secretKey: chosen-secret-1}\n",
    );
    wait_ready("broken", "no-secret");
    // The foreign Service is as it was.
    assert_eq!(get("service", "broken", "taken")["spec"]["ports"][0]["port"], 1);
}

/// Root credentials change under the server: the new ones work within seconds, nothing restarts.
#[tokio::test]
async fn b4_root_credentials_are_replaced_without_lock_out() {
    cluster::install();
    namespace("credentials");
    let secret = |key: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: mine, namespace: credentials}}\nstringData: {{accessKey: mykey, secretKey: {key}}}\n"
        )
    };
    cluster::apply(&secret("first-secret"));
    cluster::apply(&tenant("credentials", "photos", "rootCredentials: {secretRef: {name: mine}}"));
    wait_ready("credentials", "photos");
    let started = get("pod", "credentials", "photos-0")["metadata"]["uid"].clone();
    cluster::apply(&secret("second-secret"));
    let roots = kubectl(&[
        "get",
        "configmap",
        "photos-ca",
        "-n",
        "credentials",
        "-o",
        "jsonpath={.data.ca\\.crt}",
    ]);
    let client = coffer_tests::client::Client::new(
        "photos.credentials.svc",
        443,
        roots.as_bytes(),
        coffer_signature::Credentials {
            access_key_id: "mykey".parse().unwrap(),
            secret_key: coffer_signature::SecretKey::new("second-secret".to_owned()),
            session_token: None,
        },
    );
    let ((), took) = eventually("the new secret", Duration::from_secs(20), async || {
        (client.send("GET", "/", "", &[], "").await.status == 200).then_some(())
    })
    .await;
    println!("new root credentials served after {took:?}");
    assert_eq!(get("pod", "credentials", "photos-0")["metadata"]["uid"], started);
    wait_ready("credentials", "photos");
}

/// `suspend` ends the pod and keeps the data.
#[tokio::test]
async fn b5_a_suspended_tenant_keeps_its_data() {
    cluster::install();
    namespace("suspended");
    cluster::apply(&tenant("suspended", "photos", ""));
    wait_ready("suspended", "photos");
    let photos = cluster::client("suspended", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    cluster::apply(&tenant("suspended", "photos", "suspend: true"));
    eventually("no pod", Duration::from_secs(60), async || {
        get("pod", "suspended", "photos-0").is_null().then_some(())
    })
    .await;
    eventually("its reason", Duration::from_secs(20), async || {
        (condition("suspended", "photos", "Ready").1 == "Suspended").then_some(())
    })
    .await;
    cluster::apply(&tenant("suspended", "photos", "suspend: false"));
    eventually("the bucket", Duration::from_secs(60), async || {
        let answer = photos.try_send("HEAD", "/album", "", &[], "").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// A Tenant that comes again while the earlier one's objects are still being deleted waits for that, and takes up the data.
#[tokio::test]
async fn b6_a_tenant_that_comes_again_at_once_gets_ready() {
    cluster::install();
    namespace("again");
    cluster::apply(&tenant("again", "photos", ""));
    wait_ready("again", "photos");
    let photos = cluster::client("again", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    let uid = || get("tenant", "again", "photos")["metadata"]["uid"].clone();
    let earlier = uid();
    kubectl(&["delete", "tenant", "photos", "-n", "again", "--wait=false"]);
    cluster::apply(&tenant("again", "photos", ""));
    eventually("it is ready", Duration::from_secs(90), async || {
        let (status, reason, message) = condition("again", "photos", "Stalled");
        assert_ne!(status, "True", "{reason}: {message}");
        (uid() != earlier && condition("again", "photos", "Ready").0 == "True").then_some(())
    })
    .await;
    let service = get("service", "again", "photos");
    assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], uid());
    let photos = cluster::client("again", "photos");
    assert_eq!(photos.send("HEAD", "/album", "", &[], "").await.status, 200, "its data is there");
}
