//! A new image: a pod goes, another comes.

use std::time::{Duration, Instant};

use coffer_tests::clients::{go, python};
use coffer_tests::cluster::{self, client, eventually, get, namespace, tenant, wait_ready};

#[tokio::test]
async fn d1_an_image_change_is_out_for_seconds() {
    cluster::install();
    namespace("roll");
    cluster::apply(&tenant("roll", "photos", ""));
    wait_ready("roll", "photos");
    let photos = client("roll", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    let before = get("pod", "roll", "photos-0")["metadata"]["uid"].clone();
    cluster::apply(&tenant(
        "roll",
        "photos",
        "image: cluster.test/coffer:next\nimagePullPolicy: Never",
    ));

    // As SDKs do: a request that fails is sent again, with a growing pause.
    let deadline = Instant::now() + Duration::from_secs(60);
    let (mut out, mut longest) = (None::<Instant>, Duration::ZERO);
    let mut replaced = false;
    while Instant::now() < deadline && !(replaced && out.is_none()) {
        let answer = photos.reconnecting().try_send("GET", "/album", "", &[], "").await;
        match (answer.is_ok_and(|answer| answer.status == 200), out) {
            (true, Some(since)) => {
                longest = longest.max(since.elapsed());
                out = None;
            }
            (false, None) => out = Some(Instant::now()),
            (true, None) | (false, Some(_)) => {}
        }
        let uid = get("pod", "roll", "photos-0")["metadata"]["uid"].clone();
        replaced = uid.is_string()
            && uid != before
            && get("pod", "roll", "photos-0")["status"]["containerStatuses"][0]["ready"] == true;
    }
    println!("out for {longest:?}");
    assert!(replaced, "the pod wasn't replaced");
    assert!(longest < Duration::from_secs(5), "out for {longest:?}");
    wait_ready("roll", "photos");
    eventually("its image", Duration::from_secs(10), async || {
        (get("pod", "roll", "photos-0")["spec"]["containers"][0]["image"]
            == "cluster.test/coffer:next")
            .then_some(())
    })
    .await;
}

/// With the retries that SDKs have by default, nobody sees the roll.
#[tokio::test]
async fn d2_no_sdk_sees_a_roll() {
    cluster::install();
    namespace("sdk");
    cluster::apply(&tenant("sdk", "photos", ""));
    wait_ready("sdk", "photos");
    let photos = client("sdk", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    let folder = tempfile::TempDir::new().unwrap();
    let ca = folder.path().join("ca.crt");
    let roots = cluster::kubectl(&[
        "get",
        "configmap",
        "photos-ca",
        "-n",
        "sdk",
        "-o",
        "jsonpath={.data.ca\\.crt}",
    ]);
    std::fs::write(&ca, roots).unwrap();
    let stop = folder.path().join("stop");
    let script = "
import boto3, os, sys, time
s3 = boto3.client('s3')
sent = 0
while not os.path.exists(sys.argv[1]):
    s3.put_object(Bucket='album', Key='k%d' % (sent % 50), Body=b'x' * 5000)
    s3.get_object(Bucket='album', Key='k%d' % (sent % 50))['Body'].read()
    sent += 2
print(sent)
";
    let boto3 = std::process::Command::new(python("python"))
        .args(["-c", script])
        .arg(&stop)
        .env("AWS_ENDPOINT_URL", "https://photos.sdk.svc")
        .env("AWS_CA_BUNDLE", &ca)
        .env("AWS_ACCESS_KEY_ID", cluster::secret("sdk", "photos-root", "accessKey"))
        .env("AWS_SECRET_ACCESS_KEY", cluster::secret("sdk", "photos-root", "secretKey"))
        .env("AWS_REGION", "us-east-1")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // minio-go through `mc`, a process for each request.
    let mc = std::process::Command::new("sh")
        .arg("-c")
        .arg("mkdir -p $MC_CONFIG_DIR/certs/CAs && cp $CA $MC_CONFIG_DIR/certs/CAs/ && sent=0 && while [ ! -e $STOP ]; do echo hello | $MC pipe -q t/album/mc >/dev/null && [ $($MC cat t/album/mc) = hello ] || exit 1; sent=$((sent + 2)); done; echo $sent")
        .env("MC", go("mc"))
        .env("CA", &ca)
        .env("STOP", &stop)
        .env("MC_CONFIG_DIR", folder.path().join("mc"))
        .env(
            "MC_HOST_t",
            format!(
                "https://{}:{}@photos.sdk.svc",
                cluster::secret("sdk", "photos-root", "accessKey"),
                cluster::secret("sdk", "photos-root", "secretKey")
            ),
        )
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster::apply(&tenant(
        "sdk",
        "photos",
        "image: cluster.test/coffer:next\nimagePullPolicy: Never",
    ));
    eventually("the new pod", Duration::from_secs(60), async || {
        let pod = get("pod", "sdk", "photos-0");
        let new = pod["spec"]["containers"][0]["image"] == "cluster.test/coffer:next";
        (new && pod["status"]["containerStatuses"][0]["ready"] == true).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::write(&stop, "").unwrap();
    for (name, child) in [("boto3", boto3), ("mc", mc)] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        println!(
            "{name} sent {} requests across the roll, none failed",
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
}
