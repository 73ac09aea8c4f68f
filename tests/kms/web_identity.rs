//! The login at AWS by a projected token: at moto's STS, and at one of a test's own whose credentials end within seconds.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_server::encrypt::aws_kms::{AwsKms, AwsKmsSettings, AwsLogin};
use coffer_sse::kms::{Kms, KmsError};
use coffer_tests::identity;
use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;

use crate::aws_kms::Moto;
use crate::suite::{self, Creation, context, name};
use crate::tls_service::{Asked, Clients, TlsService};
use crate::unreachable::SHORT;

const ROLE: &str = "arn:aws:iam::123456789012:role/photos";
const TOKEN: &str = "header.good+token/=.signature";

/// STS and KMS at one address: KMS takes what STS gave last.
struct Aws {
    folder: TempDir,
    service: TlsService,
    state: Arc<Mutex<State>>,
}

struct State {
    given: u32,
    life: Duration,
    sts: StatusCode,
    /// KMS refuses what was given so far.
    ended: u32,
}

impl State {
    fn answer(&mut self, asked: &Asked) -> (StatusCode, String) {
        let body = std::str::from_utf8(&asked.body).unwrap();
        if body.starts_with("Action=") { self.sts(asked, body) } else { self.kms(asked) }
    }

    fn sts(&mut self, asked: &Asked, body: &str) -> (StatusCode, String) {
        let fault = |status, code: &str| {
            let text = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            );
            (status, text)
        };
        if self.sts != StatusCode::OK {
            return fault(self.sts, "ServiceUnavailable");
        }
        assert!(!asked.headers.contains_key("authorization"), "the token stands for a signature");
        let field = |name: &str| {
            let pair = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            percent_decoded(pair.unwrap_or_default())
        };
        assert_eq!(field("Action"), "AssumeRoleWithWebIdentity");
        assert_eq!(field("Version"), "2011-06-15");
        assert_eq!(field("RoleArn"), ROLE);
        if field("WebIdentityToken") != TOKEN {
            return fault(StatusCode::BAD_REQUEST, "InvalidIdentityToken");
        }
        self.given += 1;
        let (number, end) = (self.given, now() + self.life);
        let text = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA{number:016}</AccessKeyId>\
             <SecretAccessKey>secret-{number:033}</SecretAccessKey><SessionToken>session-{number}</SessionToken>\
             <Expiration>{end:.3}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        (StatusCode::OK, text)
    }

    fn kms(&self, asked: &Asked) -> (StatusCode, String) {
        let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
        let number: u32 =
            header("x-amz-security-token").trim_start_matches("session-").parse().unwrap();
        assert!(header("authorization").contains(&format!("ASIA{number:016}/")));
        if number <= self.ended {
            let told = json!({"__type": "ExpiredTokenException", "message": "ended"});
            return (StatusCode::BAD_REQUEST, told.to_string());
        }
        assert_eq!(header("x-amz-target"), "TrentService.GenerateDataKey");
        let bytes = STANDARD.encode([7; 32]);
        (StatusCode::OK, json!({"Plaintext": bytes, "CiphertextBlob": bytes}).to_string())
    }
}

#[expect(clippy::disallowed_methods, reason = "what a service does")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.extend(hex::decode(digits).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Aws {
    async fn start(life: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        identity::write(folder.path());
        let state = State { given: 0, life, sts: StatusCode::OK, ended: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let answer = move |asked: Asked| shared.lock().unwrap().answer(&asked);
        let service = TlsService::start(folder.path(), Clients::Anyone, answer).await;
        let aws = Self { folder, service, state };
        aws.token(TOKEN);
        aws
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// As a kubelet swaps it.
    fn token(&self, text: &str) -> PathBuf {
        let file = self.folder.path().join("token");
        std::fs::write(file.with_extension("new"), text).unwrap();
        std::fs::rename(file.with_extension("new"), &file).unwrap();
        file
    }

    fn provider(&self) -> AwsKms {
        let address = Some(format!("https://localhost:{}", self.service.port()));
        AwsKms::new(AwsKmsSettings {
            region: "eu-west-1".to_owned(),
            endpoint: address.clone(),
            ca: self.folder.path().join("ca.crt"),
            login: AwsLogin::WebIdentity {
                role_arn: ROLE.to_owned(),
                token: self.folder.path().join("token"),
                endpoint: address,
            },
            limits: SHORT,
        })
        .unwrap()
    }
}

async fn works(kms: &AwsKms) {
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
}

#[tokio::test]
async fn passes_the_suite_by_motos_sts() {
    let moto = Moto::start().await;
    let token = moto.folder().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let open = || {
        moto.provider_by(AwsLogin::WebIdentity {
            role_arn: ROLE.to_owned(),
            token: token.clone(),
            endpoint: Some(format!("https://localhost:{}", moto.port())),
        })
    };
    suite::run(&open(), &open(), Creation::Works).await;
}

#[tokio::test]
async fn credentials_are_kept_and_made_anew_at_half_of_their_life() {
    let aws = Aws::start(Duration::from_secs(6)).await;
    let kms = aws.provider();
    for _ in 0..10 {
        works(&kms).await;
    }
    assert_eq!(aws.state().given, 1);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    works(&kms).await;
    works(&kms).await;
    assert_eq!(aws.state().given, 2);
    let shown = format!("{kms:?}");
    assert!(!shown.contains("secret-") && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn credentials_that_end_early_are_made_anew_within_the_call() {
    let aws = Aws::start(Duration::from_mins(10)).await;
    let kms = aws.provider();
    works(&kms).await;
    aws.state().ended = 1;
    works(&kms).await;
    assert_eq!(aws.state().given, 2);
    // Once alone: what is refused anew is told.
    aws.state().ended = 3;
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Denied(_))), "{made:?}");
    assert_eq!(aws.state().given, 3);
    works(&kms).await;
}

#[tokio::test]
async fn an_sts_that_is_away_is_noticed_when_credentials_end() {
    let aws = Aws::start(Duration::from_secs(6)).await;
    let kms = aws.provider();
    works(&kms).await;
    aws.state().sts = StatusCode::SERVICE_UNAVAILABLE;
    tokio::time::sleep(Duration::from_millis(3500)).await;
    works(&kms).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Who goes on with what there is asks again after half a minute, or once it has ended.
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Unreachable(_))), "{made:?}");
    aws.state().sts = StatusCode::OK;
    works(&kms).await;
    assert_eq!(aws.state().given, 2);
}

#[tokio::test]
async fn a_token_that_isnt_trusted_is_told_and_the_next_one_taken_up() {
    let aws = Aws::start(Duration::from_mins(10)).await;
    let file = aws.token("another");
    let kms = aws.provider();
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    let Err(KmsError::Denied(why)) = made else { panic!("{made:?}") };
    assert!(why.contains("InvalidIdentityToken"), "{why}");
    std::fs::remove_file(file).unwrap();
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Settings(_))), "{made:?}");
    aws.token(&format!("{TOKEN}\n"));
    works(&kms).await;
}
