//! A Tenant whose root may not use S3 becomes ready nevertheless: its proof is another question.

use http::StatusCode;

use crate::stage::{Stage, tenant};

#[tokio::test]
async fn a_tenant_is_ready_whose_root_is_shut_out_of_s3() {
    let closed = "  rootS3Access: Disabled\n";
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", closed))]);
    let root = stage.client("env").await;
    let refused = root.send("PUT", "/photos", "", &[], "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.text().contains("root's keys are for the admin API alone"),
        "{}",
        refused.text()
    );
    let info = root.send("GET", "/minio/admin/v3/info", "", &[], "").await;
    assert_eq!(info.status, StatusCode::OK, "{}", info.text());
    // And back: another server, which takes root's key.
    stage.write("photos.yaml", &tenant("photos", ""));
    let begin = std::time::Instant::now();
    loop {
        let put = root.try_send("PUT", "/photos", "", &[], "").await;
        if put.is_ok_and(|answer| answer.status == StatusCode::OK) {
            break;
        }
        assert!(begin.elapsed().as_secs() < 30, "{}{}", stage.out(), stage.err());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(stage.err(), "");
}
