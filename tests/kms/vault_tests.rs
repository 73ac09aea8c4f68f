//! Keys in Vault.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::vault::VaultAuth;
use coffer_sse::kms::{Kms, KmsError};
use serde_json::json;

use crate::suite::{self, Creation, context, name};
use crate::unreachable::SHORT;
use crate::vault::RealVault;

fn assert_denied<T: std::fmt::Debug>(result: &Result<T, KmsError>) {
    assert!(matches!(result, Err(KmsError::Denied(_))), "{result:?}");
}

#[tokio::test]
async fn passes_the_suite() {
    let vault = RealVault::start().await;
    let token = vault.file("token", &vault.token(600).await);
    let open = || vault.provider(VaultAuth::Token { file: token.clone() }, Limits::default());
    suite::run(&open(), &open(), Creation::Works).await;
    let made = vault.read("transit/keys/photos").await;
    assert_eq!(made["data"]["derived"], true, "Vault itself binds the context");
}

/// Keys that people made by hand are seldom derived: Vault ignores the context then.
#[tokio::test]
async fn a_key_that_isnt_derived_is_bound_to_its_context_too() {
    let vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({})).await;
    let token = vault.file("token", &vault.token(600).await);
    let kms = vault.provider(VaultAuth::Token { file: token }, Limits::default());
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await.unwrap();
    assert_eq!(opened.expose(), key.plain.expose());
    let elsewhere = kms.open_data_key(&name("photos"), &key.sealed, &context("c")).await;
    assert!(matches!(elsewhere, Err(KmsError::Invalid(_))), "{elsewhere:?}");
    // What an older version of the key has sealed goes on opening.
    vault.root("transit/keys/photos/rotate", json!({})).await;
    let newer = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    for sealed in [&key.sealed, &newer.sealed] {
        kms.open_data_key(&name("photos"), sealed, &context("b")).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_is_renewed_reread_and_refused() {
    let vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({ "derived": true })).await;
    let short = vault.token(4).await;
    let file = vault.file("token", &short);
    let kms = vault.provider(VaultAuth::Token { file }, Limits::default());
    for _ in 0..8 {
        kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    vault.root("auth/token/revoke", json!({ "token": short })).await;
    assert_denied(&kms.generate_data_key(&name("photos"), &context("b")).await);
    vault.file("token", &vault.token(600).await);
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    vault.file("token", "hvs.wrong");
    assert_denied(&kms.generate_data_key(&name("photos"), &context("b")).await);
    // A token that may not.
    let body = json!({ "policies": ["default"], "ttl": "60s", "no_parent": true });
    let weak = vault.root("auth/token/create", body).await;
    vault.file("token", weak["auth"]["client_token"].as_str().unwrap());
    assert_denied(&kms.generate_data_key(&name("photos"), &context("b")).await);
    assert_denied(&kms.list_keys().await);
    assert_denied(&kms.create_key(&name("new")).await);
}

#[tokio::test]
async fn app_role_logs_in_again_by_itself() {
    let vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({ "derived": true })).await;
    vault.root("sys/auth/approle", json!({ "type": "approle" })).await;
    let role = json!({ "token_policies": "coffer", "token_ttl": "2s", "token_max_ttl": "4s" });
    vault.root("auth/approle/role/coffer", role).await;
    let role_id = vault.read("auth/approle/role/coffer/role-id").await;
    let secret = vault.root("auth/approle/role/coffer/secret-id", json!({})).await;
    let secret = secret["data"]["secret_id"].as_str().unwrap();
    let auth = VaultAuth::AppRole {
        mount: "approle".to_owned(),
        role_id: vault.file("role-id", role_id["data"]["role_id"].as_str().unwrap()),
        secret_id: vault.file("secret-id", "wrong"),
    };
    let kms = vault.provider(auth, Limits::default());
    assert_denied(&kms.generate_data_key(&name("photos"), &context("b")).await);
    vault.file("secret-id", secret);
    // Beyond the longest life of one login.
    for _ in 0..7 {
        kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    kms.keep_session().await.unwrap();
    vault.root("sys/leases/revoke-prefix/auth/approle/login", json!({})).await;
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    assert!(!format!("{kms:?}").contains(secret));
}

/// Vault's methods `jwt` and `kubernetes` are logged in to alike; this one needs no cluster.
#[tokio::test]
async fn a_projected_token_logs_in() {
    let vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({ "derived": true })).await;
    vault.root("sys/auth/kubernetes", json!({ "type": "jwt" })).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let config = json!({ "jwt_validation_pubkeys": [key.public_key_pem()] });
    vault.root("auth/kubernetes/config", config).await;
    let role = json!({
        "role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub",
        "bound_subject": "system:serviceaccount:acme:coffer", "token_policies": ["coffer"],
    });
    vault.root("auth/kubernetes/role/coffer", role).await;
    let token = |audience: &str| {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let claims = json!({
            "sub": "system:serviceaccount:acme:coffer", "aud": audience,
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_000_000_000_u64,
        });
        let text = format!("{}.{}", part(json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der());
        let signature = pair.unwrap().sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let auth = VaultAuth::Kubernetes {
        mount: "kubernetes".to_owned(),
        role: "coffer".to_owned(),
        file: vault.file("projected", &token("another")),
    };
    let kms = vault.provider(auth, Limits::default());
    assert_denied(&kms.generate_data_key(&name("photos"), &context("b")).await);
    vault.file("projected", &token("vault"));
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
}

#[tokio::test]
async fn comes_back_after_vaults_restart() {
    let mut vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({ "derived": true })).await;
    let token = vault.file("token", &vault.token(600).await);
    let kms = vault.provider(VaultAuth::Token { file: token }, SHORT);
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    vault.stop();
    let away = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(away, Err(KmsError::Unreachable(_))), "{away:?}");
    vault.start_sealed().await;
    let sealed = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    let Err(KmsError::Unreachable(why)) = sealed else { panic!("{sealed:?}") };
    assert!(why.contains("sealed"), "{why}");
    vault.unsealed().await;
    let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await.unwrap();
    assert_eq!(opened.expose(), key.plain.expose());
}
