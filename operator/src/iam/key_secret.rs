//! Secrets with keys, in the shapes that clients read.

use std::collections::BTreeMap;

use coffer_crds::condition::Reason;
use coffer_crds::reference::{KeySecret, KeyShape};
use k8s_openapi::ByteString;
use serde_json::json;

use super::managed::{stalled, waiting};
use super::{Access, Job, Kept};
use crate::causes::with_causes;
use crate::control::{self, Signature};
use crate::root_credentials::{ACCESS_KEY, RootCredentials, SECRET_KEY};
use crate::tenant::found::SecretData;
use crate::tenant::status::Outcome;

/// The Secret's name.
pub fn name(secret: Option<&KeySecret>, of: &str) -> String {
    secret.and_then(|secret| secret.name.clone()).unwrap_or_else(|| format!("{of}-keys"))
}

/// What a Secret holds for clients of `tenant` that use these keys.
pub fn data(credentials: &RootCredentials, tenant: &Access, shape: Option<KeyShape>) -> SecretData {
    let (key, secret) = (credentials.access_key(), credentials.secret_key());
    let (endpoint, region) = (tenant.endpoint.as_str(), tenant.target.region.as_str());
    let mut texts = BTreeMap::from([
        (ACCESS_KEY, key.to_owned()),
        (SECRET_KEY, secret.to_owned()),
        ("endpoint", endpoint.to_owned()),
        ("region", region.to_owned()),
        ("ca.crt", tenant.target.roots.clone()),
    ]);
    match shape {
        None => {}
        Some(KeyShape::Aws) => texts.extend([
            (
                "credentials",
                format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"),
            ),
            ("config", format!("[default]\nregion = {region}\nendpoint_url = {endpoint}\n")),
        ]),
        Some(KeyShape::Env) => texts.extend([
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_REGION", region.to_owned()),
        ]),
        Some(KeyShape::Mc) => {
            let alias = json!({
                "url": endpoint, "accessKey": key, "secretKey": secret, "api": "S3v4", "path": "auto",
            });
            let config = json!({"version": "10", "aliases": {"coffer": alias}});
            texts.extend([("config.json", config.to_string())]);
        }
    }
    texts.into_iter().map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).collect()
}

/// A text in a Secret.
pub fn text(data: &SecretData, name: &str) -> Option<String> {
    String::from_utf8(data.get(name)?.0.clone()).ok()
}

/// The resource's own Secret, if there is one.
pub(super) async fn find(job: &Job<'_>, name: &str) -> Result<Option<Kept>, Outcome> {
    let kept = job.world.secret(&job.of, name).await?;
    if kept.as_ref().is_some_and(|kept| !kept.owned) {
        let message = format!(
            "spec.secret.name: the Secret `{name}` exists and isn't this resource's; choose another name, or delete it"
        );
        return Err(stalled(Reason::NotOwned, message));
    }
    Ok(kept)
}

/// Makes the Secret hold this, where it doesn't.
pub(super) async fn keep(
    job: &Job<'_>,
    name: &str,
    data: SecretData,
    old: Option<&Kept>,
) -> Result<(), Outcome> {
    if old.is_some_and(|old| old.data == data) {
        return Ok(());
    }
    job.world.write_secret(&job.of, name, data, old).await
}

/// Whether a request signed by these keys is taken as theirs.
pub(super) async fn tried(
    job: &Job<'_>,
    credentials: &RootCredentials,
) -> Result<Signature, Outcome> {
    control::knows(&job.tenant.target, credentials.credentials(), job.now).await.map_err(|cause| {
        let message = format!("the signed request isn't answered: {}", with_causes(&cause));
        waiting(Reason::Probing, message)
    })
}

/// Nothing but a request that was taken as theirs is a proof.
pub(super) async fn prove(job: &Job<'_>, credentials: &RootCredentials) -> Result<(), Outcome> {
    let failed = match tried(job, credentials).await {
        Ok(Signature::Known) => return Ok(()),
        Ok(Signature::Unknown(code)) => {
            let message = format!("a request signed by it was answered {code}; it is tried again");
            waiting(Reason::Probing, message)
        }
        Err(outcome) => outcome,
    };
    job.world.calls().forget(&job.of);
    Err(failed)
}
