//! A new image: a pod goes, another comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::clients::python;
use coffer_tests::cluster::{self, client, eventually, get, namespace, tenant, wait_ready};

#[tokio::test(flavor = "multi_thread")]
async fn d1_an_image_change_is_out_for_seconds() {
    cluster::install();
    namespace("roll");
    cluster::apply(&tenant("roll", "photos", ""));
    wait_ready("roll", "photos");
    let photos = client("roll", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    let stop = Arc::new(AtomicBool::new(false));
    let watch = {
        let (photos, stop) = (photos.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut out, mut longest) = (None::<Instant>, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) || out.is_some() {
                let asked = Instant::now();
                // A connection to a pod that is gone may hang until it is given up.
                let fresh = photos.reconnecting();
                let request = fresh.try_send("GET", "/album", "", &[], "");
                let answer = tokio::time::timeout(Duration::from_millis(500), request).await;
                if answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200)) {
                    longest = longest.max(out.take().unwrap_or(asked).elapsed());
                } else {
                    out.get_or_insert(asked);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            longest
        })
    };
    let applied = Instant::now();
    cluster::apply(&tenant(
        "roll",
        "photos",
        "image: cluster.test/coffer:next\nimagePullPolicy: Never",
    ));
    eventually("the new pod", Duration::from_secs(60), async || {
        let pod = get("pod", "roll", "photos-0");
        let new = pod["spec"]["containers"][0]["image"] == "cluster.test/coffer:next";
        (new && pod["status"]["containerStatuses"][0]["ready"] == true).then_some(())
    })
    .await;
    let rolled = applied.elapsed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let longest = watch.await.unwrap();
    println!("rolled after {rolled:?}, out for {longest:?}");
    assert!(longest > Duration::from_millis(100), "the roll was not seen: {longest:?}");
    assert!(longest < Duration::from_secs(20), "out for {longest:?}");
    wait_ready("roll", "photos");
}

/// With an SDK's retries nobody sees the roll. boto3's default of five attempts waits for 7.5 s on average and for any time from
/// nothing to 15 s, so it may end before the roll does: it is given ten here.
#[tokio::test]
async fn d2_an_sdk_with_retries_sees_no_roll() {
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
from botocore.config import Config
s3 = boto3.client('s3', config=Config(retries={'max_attempts': 10}))
sent = 0
while not os.path.exists(sys.argv[1]):
    s3.put_object(Bucket='album', Key='k%d' % (sent % 50), Body=b'x' * 5000)
    s3.get_object(Bucket='album', Key='k%d' % (sent % 50))['Body'].read()
    sent += 2
    time.sleep(0.05)
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
    let output = boto3.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!(
        "boto3 sent {} requests across the roll, none failed",
        String::from_utf8_lossy(&output.stdout).trim()
    );
}
