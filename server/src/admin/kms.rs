//! The KMS, as `mc admin kms` asks about it and the operator tries it.
//!
//! What is tried is always tried at the service, never answered from what is kept.

use std::sync::Arc;

use coffer_policy::{Action, Resource};
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{KeyName, KeyStatus, KmsError};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tracing::warn;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::encrypt::keys::Keys;
use crate::encrypt::measured::kind;
use crate::route::admin::KMS_CALLS;

/// What "unknown" looks like to clients.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// A key that there needn't be: who says so answers.
const ANY_KEY: &str = "coffer-probe";

/// The KMS of a tenant.
#[derive(Clone, Debug)]
pub struct Kms {
    /// The keys that it is asked for.
    pub keys: Arc<Keys>,
    /// What kind it is.
    pub name: &'static str,
    /// Where it is.
    pub endpoint: String,
}

impl Admin {
    /// Whether the KMS answers.
    pub(super) async fn kms_status(&self) -> Result<Answer, Refusal> {
        let Kms { keys, name, endpoint } = self.kms()?;
        let any = ANY_KEY.parse().ok();
        let key = keys.default_key().cloned().or(any).ok_or_else(Refusal::access_denied)?;
        let mut told = json!({
            "name": name,
            "default-key-id": keys.default_key().map(KeyName::as_str).unwrap_or_default(),
            "endpoints": { endpoint: "online" },
            "state": {},
        });
        match keys.kms().key_status(&key).await {
            Ok(KeyStatus::Enabled | KeyStatus::Disabled) | Err(KmsError::NoSuchKey(_)) => {}
            Err(error) => {
                tell(&mut told, "error", &error);
                if let Some(state) = told.pointer_mut("/endpoints") {
                    *state = json!({ endpoint: "offline" });
                }
            }
        }
        answer(&told)
    }

    /// The version of this API's server.
    pub(super) fn kms_version(&self) -> Result<Answer, Refusal> {
        self.kms()?;
        answer(&json!({ "version": env!("CARGO_PKG_VERSION") }))
    }

    /// What can be asked.
    pub(super) fn kms_apis(&self) -> Result<Answer, Refusal> {
        self.kms()?;
        let call = |(method, path): &(&str, &str)| json!({ "Method": method, "Path": path, "MaxBody": 0, "Timeout": 15 });
        answer(&KMS_CALLS.iter().map(call).collect::<Vec<_>>())
    }

    /// Creates an external key.
    pub(super) async fn create_kms_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let (kms, key) = self.kms_key(call, Action::KmsCreateKey)?;
        kms.keys.kms().create_key(&key).await.map_err(|error| refusal(&error))?;
        Ok(Answer::Done)
    }

    /// The external keys whose names are like `pattern`.
    pub(super) async fn list_kms_keys(&self, call: &Call) -> Result<Answer, Refusal> {
        let kms = self.kms()?;
        let pattern = call.one("pattern")?;
        let names = kms.keys.kms().list_keys().await.map_err(|error| refusal(&error))?;
        let is_wanted = |name: &&KeyName| pattern.is_empty() || is_like(name.as_str(), pattern);
        let entry = |name: &KeyName| json!({ "name": name.as_str(), "createdAt": NEVER });
        answer(&names.iter().filter(is_wanted).map(entry).collect::<Vec<_>>())
    }

    /// Makes a data key under an external key, and opens it: what fails is in the answer.
    pub(super) async fn kms_key_status(&self, call: &Call) -> Result<Answer, Refusal> {
        let (kms, key) = self.kms_key(call, Action::KmsKeyStatus)?;
        let mut told = json!({ "key-id": key.as_str() });
        let context: Context =
            [("coffer".to_owned(), "key-status".to_owned())].into_iter().collect();
        match kms.keys.kms().generate_data_key(&key, &context).await {
            Err(error) => tell(&mut told, "encryption-error", &error),
            Ok(made) => {
                let opened = kms.keys.kms().open_data_key(&key, &made.sealed, &context).await;
                match opened {
                    Ok(opened) if is_same(&opened, &made.plain) => {}
                    Ok(_) => tell(&mut told, "decryption-error", &KmsError::Invalid(key)),
                    Err(error) => tell(&mut told, "decryption-error", &error),
                }
            }
        }
        answer(&told)
    }

    fn kms(&self) -> Result<&Kms, Refusal> {
        self.kms.as_ref().ok_or_else(|| {
            Refusal::not_implemented("KMS is not configured; set the Tenant's spec.kms.")
        })
    }

    /// The key that a call is about, the default one if it names none, if the caller may do `action` to it.
    fn kms_key(&self, call: &Call, action: Action) -> Result<(&Kms, KeyName), Refusal> {
        let name = call.one("key-id")?;
        // Decided by the name as it is: who may not is told nothing, not even whether there is a KMS.
        let default = self.kms.as_ref().and_then(|kms| kms.keys.default_key());
        let asked = match name {
            "" => default.map(KeyName::as_str).unwrap_or_default(),
            name => name,
        };
        if !call.may_on(action, Resource::Kms(asked)) {
            return Err(Refusal::access_denied());
        }
        let kms = self.kms()?;
        if asked.is_empty() {
            return Err(fault::invalid_argument(
                "This call needs a key: name one as `key-id`, or set the Tenant's spec.kms.defaultKey.",
            ));
        }
        let key = asked.parse().map_err(|_unusable| {
            fault::invalid_argument(
                "A key's name has 1 to 128 letters, digits and `_`, and between them `.` and `-`.",
            )
        })?;
        Ok((kms, key))
    }
}

fn is_same(one: &PlainKey, other: &PlainKey) -> bool {
    one.expose().ct_eq(other.expose()).into()
}

/// Says in an answer what failed, for a person and for the operator.
fn tell(told: &mut Value, name: &str, error: &KmsError) {
    warn!(error = error as &dyn std::error::Error, "the KMS was tried and fails");
    if let Some(members) = told.as_object_mut() {
        members.insert(name.to_owned(), error.to_string().into());
        members.insert("error-kind".to_owned(), kind(error).into());
    }
}

/// A failure in the codes that `mc` knows.
fn refusal(error: &KmsError) -> Refusal {
    let (code, status) = match error {
        KmsError::NoSuchKey(_) => ("kms:KeyNotFound", 404),
        KmsError::Disabled(_) => ("kms:KeyDisabled", 400),
        KmsError::Denied(_) => ("kms:NotAuthorized", 403),
        KmsError::Unreachable(_) => ("kms:Unreachable", 503),
        KmsError::Exists(_) => ("XMinioKMSKeyExists", 409),
        KmsError::Unsupported(_) => ("kms:NotSupported", 501),
        KmsError::Invalid(_) => ("kms:InvalidCiphertextException", 400),
        KmsError::Settings(_) | KmsError::Answer(_) => ("kms:InternalError", 500),
    };
    if status >= 500 || status == 403 {
        warn!(error = error as &dyn std::error::Error, "the KMS refuses");
    }
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Refusal::new(code, status, format!("{text}."))
}

/// Whether a name is like a pattern, in which `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut left) = name.strip_prefix(begin) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*", "photos", true),
            ("photos", "photos", true),
            ("photo", "photos", false),
            ("p*", "photos", true),
            ("*s", "photos", true),
            ("p*t*s", "photos", true),
            ("p*x*s", "photos", false),
            ("a*", "photos", false),
            ("photos*s", "photos", false),
            ("**", "photos", true),
        ] {
            assert_eq!(is_like(name, pattern), expected, "{pattern}");
        }
    }
}
