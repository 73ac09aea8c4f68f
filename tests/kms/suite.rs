//! What every provider does.

use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};

/// Whether a provider creates keys, or has them from elsewhere: then `photos` and `archive` are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    Works,
    Elsewhere,
}

pub(crate) fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

pub(crate) fn context(bucket: &str) -> Context {
    Context::of_bucket("acme", bucket, &Context::default())
}

/// Runs all of it. `again` is the same service, by connections and a login of its own.
pub(crate) async fn run(kms: &dyn Kms, again: &dyn Kms, creation: Creation) {
    let keys = [name("photos"), name("archive")];
    for key in &keys {
        match creation {
            Creation::Works => kms.create_key(key).await.unwrap(),
            Creation::Elsewhere => {}
        }
    }
    a_key_is_created_once(kms, creation).await;
    keys_have_a_status_and_are_listed(again, &keys).await;
    let key = a_data_key_opens_again(kms, again).await;
    it_opens_as_it_was_sealed_alone(again, &key).await;
    changed_bytes_are_refused(kms, &key.sealed).await;
    an_unknown_key_is_told(kms, &key.sealed).await;
}

/// A service that reads the key from the sealed bytes can say of a changed one only that it gives no access to that.
fn is_refused(opened: &Result<PlainKey, KmsError>) -> bool {
    matches!(opened, Err(KmsError::Invalid(_) | KmsError::Denied(_)))
}

async fn a_key_is_created_once(kms: &dyn Kms, creation: Creation) {
    let again = kms.create_key(&name("photos")).await;
    assert!(matches!(again, Err(KmsError::Exists(_))), "{again:?}");
    if creation == Creation::Elsewhere {
        let created = kms.create_key(&name("new")).await;
        assert!(matches!(created, Err(KmsError::Unsupported(_))), "{created:?}");
    }
}

async fn keys_have_a_status_and_are_listed(kms: &dyn Kms, keys: &[KeyName; 2]) {
    let listed = kms.list_keys().await.unwrap();
    assert!(listed.is_sorted(), "{listed:?}");
    for key in keys {
        assert_eq!(kms.key_status(key).await.unwrap(), KeyStatus::Enabled);
        assert!(listed.contains(key), "{listed:?}");
    }
}

async fn a_data_key_opens_again(kms: &dyn Kms, again: &dyn Kms) -> DataKey {
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    let other = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    assert_ne!(key.plain.expose(), other.plain.expose());
    assert_ne!(key.sealed, other.sealed);
    for kms in [kms, again] {
        let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await.unwrap();
        assert_eq!(opened.expose(), key.plain.expose());
    }
    let text = hex::encode(key.plain.expose());
    assert!(!hex::encode(&key.sealed).contains(&text), "what is kept shows nothing");
    key
}

async fn it_opens_as_it_was_sealed_alone(kms: &dyn Kms, key: &DataKey) {
    let client: Context = [("a".to_owned(), "1".to_owned())].into_iter().collect();
    for (case, key_name, bound) in [
        ("another bucket", "photos", context("c")),
        ("another tenant", "photos", Context::of_bucket("other", "b", &Context::default())),
        ("more in the context", "photos", Context::of_bucket("acme", "b", &client)),
        ("no context", "photos", Context::default()),
        ("another key", "archive", context("b")),
    ] {
        let opened = kms.open_data_key(&name(key_name), &key.sealed, &bound).await;
        assert!(is_refused(&opened), "{case}: {opened:?}");
    }
}

async fn changed_bytes_are_refused(kms: &dyn Kms, sealed: &[u8]) {
    for at in (0..sealed.len()).step_by(7).chain([sealed.len() - 2]) {
        let mut bent = sealed.to_vec();
        bent[at] ^= 4;
        let opened = kms.open_data_key(&name("photos"), &bent, &context("b")).await;
        assert!(is_refused(&opened), "byte {at}: {opened:?}");
    }
    for length in [1, sealed.len() / 2, sealed.len() - 1] {
        let opened = kms.open_data_key(&name("photos"), &sealed[..length], &context("b")).await;
        assert!(is_refused(&opened), "{length} bytes: {opened:?}");
    }
}

async fn an_unknown_key_is_told(kms: &dyn Kms, sealed: &[u8]) {
    let none = name("none");
    let made = kms.generate_data_key(&none, &context("b")).await;
    assert!(matches!(made, Err(KmsError::NoSuchKey(_))), "{made:?}");
    let opened = kms.open_data_key(&none, sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::NoSuchKey(_))), "{opened:?}");
    let status = kms.key_status(&none).await;
    assert!(matches!(status, Err(KmsError::NoSuchKey(_))), "{status:?}");
    let listed = kms.list_keys().await.unwrap();
    assert!(!listed.contains(&none), "asking creates nothing: {listed:?}");
}
