//! A new image: a pod goes, another comes.

use std::time::{Duration, Instant};

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
