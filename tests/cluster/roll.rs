//! A new image: a pod goes, another comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::clients::python;
use coffer_tests::cluster::{self, client, eventually, get, namespace, tenant, wait_ready};

/// For how long a Tenant of one pod is out while it gets a new image.
const OUT_FOR_AN_IMAGE: Duration = Duration::from_secs(3);
/// And while it gets another pod, which is placed, mounted and started anew.
const OUT_FOR_A_POD: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn d1_a_new_image_is_out_for_less_than_three_seconds() {
    cluster::install();
    namespace("roll");
    cluster::apply(&tenant("roll", "photos", ""));
    wait_ready("roll", "photos");
    let photos = client("roll", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);

    let images = ["cluster.test/coffer:test", "cluster.test/coffer:next"];
    let image = cluster::best_of_three("out for a new image", OUT_FOR_AN_IMAGE, async |number| {
        let image = images[usize::from(number) % images.len()];
        let (pod, container) = running("roll");
        let watch = Outage::watch(&photos);
        let applied = Instant::now();
        cluster::apply(&tenant("roll", "photos", &format!("image: {image}")));
        let (same_pod, _) = another("roll", &container).await;
        println!("{image} after {:?}", applied.elapsed());
        let out = watch.end().await;
        assert_eq!(same_pod, pod, "the pod was replaced for its image");
        wait_ready("roll", "photos");
        out
    })
    .await;

    let template = cluster::best_of_three("out for a new pod", OUT_FOR_A_POD, async |number| {
        let (pod, container) = running("roll");
        let watch = Outage::watch(&photos);
        let applied = Instant::now();
        let more = format!(
            "image: cluster.test/coffer:next\npodTemplate: {{labels: {{team: photos-{number}}}}}"
        );
        cluster::apply(&tenant("roll", "photos", &more));
        let (other_pod, _) = another("roll", &container).await;
        println!("new template after {:?}", applied.elapsed());
        let out = watch.end().await;
        assert_ne!(other_pod, pod, "the pod has the old template");
        wait_ready("roll", "photos");
        out
    })
    .await;
    for outage in [image, template] {
        assert!(outage > Duration::from_millis(20), "the roll was not seen: {outage:?}");
    }
}

/// The pod's uid and its container's id.
fn running(namespace: &str) -> (String, String) {
    let pod = get("pod", namespace, "photos-0");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&pod["metadata"]["uid"]), text(&pod["status"]["containerStatuses"][0]["containerID"]))
}

/// Waits until another container than `container` is ready.
async fn another(namespace: &str, container: &str) -> (String, String) {
    eventually("another container", Duration::from_secs(60), async || {
        let pod = get("pod", namespace, "photos-0");
        let ready = pod["status"]["containerStatuses"][0]["ready"] == true;
        let running = running(namespace);
        (ready && !running.1.is_empty() && running.1 != container).then_some(running)
    })
    .await
    .0
}

/// Asks without a pause, and tells the longest time without an answer.
struct Outage {
    stop: Arc<AtomicBool>,
    longest: tokio::task::JoinHandle<Duration>,
}

impl Outage {
    fn watch(client: &Client) -> Self {
        let (client, stop) = (client.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let longest = tokio::spawn(async move {
            let (mut out, mut longest) = (None::<Instant>, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) || out.is_some() {
                let asked = Instant::now();
                // A connection to a pod that is gone may hang until it is given up.
                let fresh = client.reconnecting();
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
        });
        Self { stop, longest }
    }

    async fn end(self) -> Duration {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.stop.store(true, Ordering::Relaxed);
        self.longest.await.unwrap()
    }
}

/// With an SDK's retries nobody sees the roll: boto3 has its default of five attempts, minio-go its default of ten.
#[tokio::test]
async fn d2_an_sdk_with_retries_sees_no_roll() {
    cluster::install();
    namespace("sdk");
    cluster::apply(&tenant("sdk", "photos", ""));
    wait_ready("sdk", "photos");
    let photos = client("sdk", "photos");
    let (_, container) = running("sdk");
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
    time.sleep(0.05)
print(sent)
";
    let stop = stop.to_str().unwrap();
    let mut boto3 = std::process::Command::new(python("python"));
    boto3.args(["-c", script, stop]);
    let mut minio_go = std::process::Command::new(coffer_tests::clients::go("minio-go-steady"));
    minio_go.args(["photos.sdk.svc", "album", stop]);
    let started = [("boto3", boto3), ("minio-go", minio_go)].map(|(name, mut command)| {
        let child = command
            .env("AWS_ENDPOINT_URL", "https://photos.sdk.svc")
            .env("AWS_CA_BUNDLE", &ca)
            .env("SSL_CERT_FILE", &ca)
            .env("AWS_ACCESS_KEY_ID", cluster::secret("sdk", "photos-root", "accessKey"))
            .env("AWS_SECRET_ACCESS_KEY", cluster::secret("sdk", "photos-root", "secretKey"))
            .env("AWS_REGION", "us-east-1")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        (name, child)
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster::apply(&tenant("sdk", "photos", "image: cluster.test/coffer:next"));
    another("sdk", &container).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::write(stop, "").unwrap();
    for (name, client) in started {
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let sent = String::from_utf8_lossy(&output.stdout);
        println!("{name} sent {} requests across the roll, none failed", sent.trim());
    }
}
