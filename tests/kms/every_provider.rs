//! The whole server beside each real service that its administrator can stop: under load, slow, stuck, and after it has withdrawn its
//! trust.

use std::time::{Duration, Instant};

use coffer_tests::server::Server;
use serde_json::json;

use crate::aws_kms::Moto;
use crate::gate::{Gate, Way};
use crate::kes::KesApi;
use crate::kmip::PyKmip;
use crate::real_server::{
    CANARY, Load, assert_nothing_plain, assert_told, becomes_well, done, key_status, started,
};

/// A real service.
pub(crate) trait Service {
    /// What a server is told to use it, by way of a port.
    fn settings(&self, port: u16) -> Vec<(&'static str, String)>;

    /// Where it listens.
    fn port(&self) -> u16;

    /// Ends it at once.
    fn stop(&mut self);

    /// Starts it again, with the keys that it had.
    async fn start(&mut self);
}

/// One whose administrator can withdraw the credentials that the server has.
pub(crate) trait Trust: Service {
    /// From now on it refuses the credentials that the server has.
    fn withdraw(&mut self);

    /// They are good again.
    fn give_back(&mut self);
}

async fn beside(service: &impl Service, port: u16, data_keys: &str) -> Server {
    let mut settings = service.settings(port);
    settings.extend([
        ("COFFER_KMS_DEFAULT_KEY", "photos".to_owned()),
        ("COFFER_KMS_DATA_KEYS", data_keys.to_owned()),
        ("COFFER_AUTO_ENCRYPT", "true".to_owned()),
    ]);
    let server = started(&settings).await;
    // The default key isn't there yet.
    assert_eq!(key_status(&server).await["error-kind"], "KeyUnusable");
    done(&server, "POST /minio/kms/v1/key/create?key-id=photos", "").await;
    assert_eq!(key_status(&server).await, json!({"key-id": "photos"}));
    server
}

/// Keys that are in memory go on, others are told as a passing failure, and everything gets well by itself.
async fn stops_and_starts_under_load(mut service: impl Service) {
    let mut server = beside(&service, service.port(), "Cached").await;
    for bucket in ["known", "fresh"] {
        done(&server, &format!("PUT /{bucket}"), "").await;
    }
    done(&server, "PUT /known/0", CANARY).await;
    let load = Load::on(&server, "known");
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.stop();
    assert_told(&server, "PUT /fresh/x", 503, "ServiceUnavailable").await;
    assert_told(&server, "GET /fresh/x", 404, "NoSuchKey").await;
    let told = key_status(&server).await;
    assert_eq!(told["error-kind"], "Unreachable", "{told}");
    assert_eq!(done(&server, "GET /minio/health/ready", "").await.status, 200);
    service.start().await;
    becomes_well(&server, "PUT /fresh/x", Duration::from_secs(20)).await;
    load.end("a bucket whose keys are kept, while the KMS was away").await;

    // A KMS that is down holds up no start. Nothing is kept then.
    service.stop();
    assert!(server.terminate());
    server.launch().await;
    assert_told(&server, "GET /known/0", 503, "ServiceUnavailable").await;
    assert_told(&server, "PUT /known/0", 503, "ServiceUnavailable").await;
    service.start().await;
    becomes_well(&server, "GET /known/0", Duration::from_secs(20)).await;
    assert_eq!(done(&server, "GET /known/0", "").await.text(), CANARY);
    assert_eq!(done(&server, "GET /fresh/x", "").await.text(), CANARY);
    assert_nothing_plain(&server);
    server.assert_discreet();
}

/// A slow service is waited for, a stuck one isn't.
async fn slow_and_stuck(service: impl Service) {
    let gate = Gate::before(service.port()).await;
    let server = beside(&service, gate.port(), "EveryRequest").await;
    done(&server, "PUT /photos", "").await;
    done(&server, "PUT /photos/x", CANARY).await;
    gate.set(Way::Slow);
    done(&server, "PUT /photos/x", CANARY).await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    gate.set(Way::Stuck);
    let begin = Instant::now();
    assert_told(&server, "PUT /photos/x", 503, "ServiceUnavailable").await;
    // 10 s are the provider's bound; more, for a machine that is busy.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(key_status(&server).await["error-kind"], "Unreachable");
    assert_eq!(done(&server, "GET /minio/health/ready", "").await.status, 200);
    gate.set(Way::Open);
    becomes_well(&server, "PUT /photos/x", Duration::from_secs(20)).await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    assert_nothing_plain(&server);
}

/// Withdrawn credentials are told as such; what is in memory goes on; new ones are taken up without a restart.
async fn withdrawn_and_given_back(mut service: impl Trust) {
    let server = beside(&service, service.port(), "Cached").await;
    for bucket in ["known", "fresh"] {
        done(&server, &format!("PUT /{bucket}"), "").await;
    }
    done(&server, "PUT /known/x", CANARY).await;
    service.withdraw();
    let told = key_status(&server).await;
    assert_eq!(told["error-kind"], "Denied", "{told}");
    assert_told(&server, "PUT /fresh/x", 500, "InternalError").await;
    assert_told(&server, "GET /fresh/x", 404, "NoSuchKey").await;
    done(&server, "PUT /known/y", CANARY).await;
    assert_eq!(done(&server, "GET /known/x", "").await.text(), CANARY);
    service.give_back();
    becomes_well(&server, "PUT /fresh/x", Duration::from_secs(20)).await;
    assert_eq!(key_status(&server).await, json!({"key-id": "photos"}));
    assert_nothing_plain(&server);
    server.assert_discreet();
}

#[tokio::test]
async fn kmip_stops_and_starts_under_load() {
    stops_and_starts_under_load(PyKmip::start().await).await;
}

#[tokio::test]
async fn a_slow_kmip_is_waited_for_and_a_stuck_one_is_not() {
    slow_and_stuck(PyKmip::start().await).await;
}

#[tokio::test]
async fn a_withdrawn_certificate_is_told_and_the_next_one_taken_up() {
    withdrawn_and_given_back(PyKmip::start().await).await;
}

#[tokio::test]
async fn aws_kms_stops_and_starts_under_load() {
    stops_and_starts_under_load(Moto::behind_a_gate().await).await;
}

#[tokio::test]
async fn a_slow_aws_kms_is_waited_for_and_a_stuck_one_is_not() {
    slow_and_stuck(Moto::behind_a_gate().await).await;
}

#[tokio::test]
async fn kes_stops_and_starts_under_load() {
    stops_and_starts_under_load(KesApi::start().await).await;
}

#[tokio::test]
async fn a_slow_kes_is_waited_for_and_a_stuck_one_is_not() {
    slow_and_stuck(KesApi::start().await).await;
}

#[tokio::test]
async fn a_client_that_kes_lets_in_no_more_is_told_and_comes_back() {
    withdrawn_and_given_back(KesApi::start().await).await;
}
