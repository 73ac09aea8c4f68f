//! What the caller's account is: its name, its policy, its buckets.

use coffer_policy::{Action, Key, Outcome, Resource};
use serde_json::{Value, json};

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::authorize;
use crate::iam::Snapshot;
use crate::s3::bucket_policy;

/// Root's policy, which isn't asked: what allows everything.
pub(super) fn everything() -> Value {
    let policy = coffer_policy::built_in::policy("consoleAdmin");
    policy.and_then(|policy| serde_json::from_str(policy.document()).ok()).unwrap_or_default()
}

/// All statements of all policies that a user has.
pub(super) fn effective(snapshot: &Snapshot, user: &str) -> Value {
    let mut statements = Vec::new();
    if let Some(user) = snapshot.user(user) {
        let own = snapshot.policies_of(user);
        for named in own.into_iter().chain(snapshot.group_policies_of(user)) {
            let document: Option<Value> = serde_json::from_str(named.policy.document()).ok();
            match document.and_then(|mut document| document.get_mut("Statement").map(Value::take)) {
                Some(Value::Array(mut more)) => statements.append(&mut more),
                Some(one) => statements.push(one),
                None => {}
            }
        }
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

impl Admin {
    /// The caller's account.
    pub(super) async fn account_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let policy = match (call.caller.user(), call.limit().and_then(|key| key.policy.as_ref())) {
            (_, Some(policy)) => serde_json::from_str(policy.document()).unwrap_or_default(),
            (Some(user), None) => effective(call.snapshot(), user.name.as_str()),
            (None, None) => everything(),
        };
        let mut context = call.context();
        context.set(Key::S3Prefix, "").set(Key::S3Delimiter, "/");
        let mut buckets = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.list_buckets("", after.as_deref(), 1000).await;
            let page = page.map_err(|failed| fault::store(&failed))?;
            for bucket in page.buckets {
                let name = bucket.name.as_str();
                let policies = [&bucket.name];
                let policies =
                    bucket_policy::in_force(&self.store, call.snapshot(), &policies).await?;
                let policy = policies.first().map(AsRef::as_ref);
                let may = |action, resource: &str| {
                    let resource = Resource::S3(resource);
                    let decision =
                        authorize::decide_in(&call.caller, action, resource, &context, policy);
                    decision.outcome == Outcome::Allow
                };
                let read =
                    may(Action::S3ListBucket, name) || may(Action::S3GetBucketLocation, name);
                let write = may(Action::S3PutObject, &format!("{name}/"));
                if !read && !write {
                    continue;
                }
                let quota = call.snapshot().quota(name, bucket.created);
                let quota = quota
                    .map(|bytes| json!({ "quota": bytes, "size": bytes, "quotatype": "hard" }));
                let usage = self.store.usage(&bucket.name).await;
                let usage = usage.map_err(|failed| fault::store(&failed))?;
                buckets.push(json!({
                    "name": name,
                    "size": usage.bytes,
                    "objects": usage.objects,
                    "details": { "versioning": false, "versioningSuspended": false, "locking": false, "replication": false, "tags": null, "quota": quota },
                    "created": bucket.created.to_string(),
                    "access": { "read": read, "write": write },
                }));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        answer(&json!({
            "AccountName": self.parent_name(&call.parent()),
            "Server": { "Type": "Erasure", "OnlineDisks": {}, "OfflineDisks": {} },
            "Policy": policy,
            "Buckets": buckets,
        }))
    }
}
