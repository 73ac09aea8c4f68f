//! Why a request would be decided as it would: who, what, on what, in which circumstances → the decision with its reasons.

use std::collections::BTreeMap;

use coffer_policy::{Action, Context, ContextKey, Key, Outcome, Resource};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::authorize::{self, Caller, Decision, Identity, context};
use crate::s3::bucket_policy;

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl Admin {
    /// Explains a decision. Nothing is done, and nothing but the decision is told.
    pub(super) async fn explain(&self, call: &Call) -> Result<Answer, Refusal> {
        let (key, user) = (call.one("accessKey")?, call.one("user")?);
        let name = match (key, user) {
            ("", "") => return Err(fault::invalid_request("Name a `user` or an `accessKey`.")),
            (name, "") | ("", name) => name,
            (_, _) => {
                return Err(fault::invalid_request("Name a `user` or an `accessKey`, not both."));
            }
        };
        let action = Action::parse(call.one("action")?)
            .ok_or_else(|| fault::invalid_request("There is no such action."))?;
        let resource = match call.one("resource")? {
            "" => "*",
            resource => resource,
        };
        let on = Resource::parse(resource).ok_or_else(|| {
            fault::invalid_request("The resource is neither `*` nor an ARN of S3 or KMS.")
        })?;
        let asked: BTreeMap<String, Values> =
            if call.body.is_empty() { BTreeMap::new() } else { call.json()? };
        let snapshot = match &self.iam {
            Some(iam) => iam.snapshot(),
            None => std::sync::Arc::default(),
        };
        let is_user = !user.is_empty();
        if is_user && !self.is_root(name) && snapshot.user(name).is_none() {
            return Err(Refusal::new(
                "XMinioAdminNoSuchUser",
                404,
                "The specified user does not exist.",
            ));
        }
        if !is_user
            && !self.is_root(name)
            && snapshot.user(name).is_none()
            && snapshot.access_key(name).is_none()
        {
            return Err(super::access_key::no_such_access_key());
        }
        let identity = if name == self.root_name() {
            Identity::Root
        } else {
            match snapshot.signer(name, call.now) {
                Some(signer) => Identity::Signer(signer),
                None => {
                    return answer(&json!({
                        "decision": "Deny",
                        "reasons": [format!(
                            "`{name}` signs nothing now: it is disabled or has expired, or the user that it belongs to is disabled"
                        )],
                    }));
                }
            }
        };
        let caller = Caller::new(identity, snapshot, call.caller.root_s3());
        let mut context = Context::new();
        context.set(Key::AwsCurrentTime, call.now.to_string());
        context.set(Key::AwsEpochTime, call.now.as_second().to_string());
        context.set(Key::AwsSecureTransport, "true");
        context::identity(&mut context, &caller);
        for (name, values) in &asked {
            let key = ContextKey::parse(name)
                .map_err(|unknown| Refusal::new("InvalidRequest", 400, unknown.to_string()))?;
            match values {
                Values::One(value) => context.set(key, value.as_str()),
                Values::Many(values) => context.set_all(key, values.iter().map(String::as_str)),
            };
        }
        let bucket = match on {
            Resource::S3(path) => path.split('/').next().unwrap_or_default().parse().ok(),
            Resource::All | Resource::Kms(_) => None,
        };
        let policies = match &bucket {
            Some(bucket) => {
                bucket_policy::in_force(&self.store, caller.snapshot(), &[bucket]).await?
            }
            None => Vec::new(),
        };
        let policy = policies.first().map(AsRef::as_ref);
        let decision = authorize::decide_in(&caller, action, on, &context, policy);
        let by = decision.by.as_ref().map(|by| {
            json!({
                "layer": by.layer.name(),
                "policy": by.policy,
                "statement": by.statement,
                "sid": by.sid,
            })
        });
        answer(&json!({
            "decision": decision.outcome.name(),
            "action": action.name(),
            "resource": resource,
            "by": by,
            "lacking": decision.lacking.map(coffer_policy::Layer::name),
            "reasons": [reason(&caller, &decision)],
        }))
    }
}

/// The decision in words.
fn reason(caller: &Caller, decision: &Decision) -> String {
    let statement = decision.by.as_ref().map(|by| {
        let sid = by.sid.as_ref().map(|sid| format!(" (`{sid}`)")).unwrap_or_default();
        format!("statement {}{sid} of the {} `{}`", by.statement, by.layer.name(), by.policy)
    });
    if *decision == Decision::SHUT_OUT {
        return "root's keys are for the admin API alone on this server".to_owned();
    }
    match (decision.outcome, statement, decision.lacking) {
        (Outcome::Allow, None, _) if caller.is_owner() => {
            "the root identity may do everything".to_owned()
        }
        (Outcome::Allow, Some(statement), _) => {
            format!("{statement} allows it, and nothing denies it")
        }
        (Outcome::Allow, None, _) => "nothing denies it".to_owned(),
        (Outcome::Deny, Some(statement), _) => format!("{statement} denies it"),
        (Outcome::Deny, None, _) => "it is denied".to_owned(),
        (Outcome::DefaultDeny, _, Some(lacking)) => {
            format!("nothing denies it, but no {} allows it", lacking.name())
        }
        (Outcome::DefaultDeny, _, None) => "nothing allows it".to_owned(),
    }
}
