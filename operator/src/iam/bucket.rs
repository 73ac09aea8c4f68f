//! A Bucket: a bucket in a Tenant, with its policy, quota and encryption.

use coffer_crds::Bucket;
use coffer_crds::bucket::BucketCoverage;
use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use coffer_crds::tenant::DeletionPolicy;
use coffer_policy::access::{self, To};
use coffer_policy::{Kind, Policy};
use serde_json::{Value, json};

use super::managed::{Managed, stalled};
use super::{Done, Job};
use crate::quantity::{bytes, short};
use crate::tenant::status::Outcome;

/// The name of a Bucket's bucket.
pub fn name(bucket: &Bucket) -> String {
    let own = || bucket.metadata.name.clone().unwrap_or_default();
    bucket.spec.bucket_name.clone().unwrap_or_else(own)
}

/// Its policy, if it has one.
///
/// # Errors
/// What is wrong with it, with line and remedy.
pub fn policy(bucket: &Bucket) -> Result<Option<Policy>, String> {
    let Some(document) = &bucket.spec.policy else { return Ok(None) };
    let name = name(bucket);
    let parsed = Policy::parse(Kind::Bucket(&name), document.as_bytes());
    parsed.map(Some).map_err(|errors| format!("spec.policy: {errors}"))
}

/// The most bytes that it may hold; 0: as many as there is room for.
///
/// # Errors
/// What is wrong with it.
pub fn quota(bucket: &Bucket) -> Result<u64, String> {
    let Some(text) = &bucket.spec.quota else { return Ok(0) };
    bytes(text)
        .ok_or_else(|| format!("spec.quota: `{text}` isn't a number of bytes below 2^63; lower it"))
}

impl Managed for Bucket {
    const KIND: &'static str = "Bucket";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    fn deletes(&self) -> Option<String> {
        (self.spec.deletion_policy == DeletionPolicy::Delete).then(|| name(self))
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let name = name(self);
        let policy = policy(self).map_err(|why| stalled(Reason::InvalidSpec, why))?;
        let quota = quota(self).map_err(|why| stalled(Reason::InvalidSpec, why))?;
        let document = policy.as_ref().map(Policy::document);
        let body = json!({
            "adopt": self.spec.adopt,
            "name": name,
            "policy": document,
            "quota": quota,
            "tags": self.spec.tags.clone().unwrap_or_default(),
            "encryption": self.spec.encryption,
            "requireEncryption": self.spec.require_encryption,
        });
        let (answer, _) = job.put("bucket", body).await?;
        let asks = self.spec.encryption.is_some() || self.spec.require_encryption;
        if asks && answer.get("protected") != Some(&Value::Bool(true)) {
            let message = "spec.encryption, spec.requireEncryption: the Tenant's server is too old for them; set the Tenant's spec.image to this version's";
            return Err(stalled(Reason::Refused, message));
        }
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        // Until the server has looked again, what it was stays told.
        let before = self.status.clone().unwrap_or_default();
        let coverage = match answer.get("coverage").and_then(coverage) {
            // Nothing protects nothing.
            Some(coverage) => Some(coverage).filter(|it| *it != BucketCoverage::default()),
            None => before.coverage,
        };
        let status = json!({
            "encrypted": coverage.as_ref().and_then(encrypted),
            "coverage": coverage,
            "bucketName": name,
            "public": policy.as_ref().map_or_else(|| "No".to_owned(), public),
            "objects": number("objects"),
            "usage": short(number("bytes")),
        });
        let message = if asks {
            "the server has it with this policy, quota, tags and encryption"
        } else {
            "the server has it with this policy, quota and tags"
        };
        Ok(Done::in_force(message, status, job.tenant.resync))
    }
}

/// What the server has found out, without what is nothing.
fn coverage(told: &Value) -> Option<BucketCoverage> {
    let mut coverage: BucketCoverage = serde_json::from_value(told.clone()).ok()?;
    coverage.damaged = coverage.damaged.filter(|damaged| *damaged > 0);
    coverage.keys = coverage.keys.filter(|keys| !keys.is_empty());
    Some(coverage)
}

/// How much of it is encrypted, in a column's words; nothing of an empty bucket.
fn encrypted(coverage: &BucketCoverage) -> Option<String> {
    let BucketCoverage { plain, customers, damaged, keys } = coverage;
    let keys = keys.iter().flatten().map(|key| key.objects);
    let encrypted = keys.chain([*customers, damaged.unwrap_or(0)]).fold(0, i64::saturating_add);
    let all = encrypted.saturating_add(*plain);
    let percent = i128::from(encrypted).checked_mul(100)?.checked_div(i128::from(all))?;
    Some(format!("{percent}%"))
}

/// Whether strangers may do anything, in a column's words.
fn public(policy: &Policy) -> String {
    let public = access::public(policy);
    let what = match (public.reads(), public.writes()) {
        (false, false) if !public.is_public() => return "No".to_owned(),
        (true, false) => "Read",
        (false, true) => "Write",
        (true, true) | (false, false) => "Read,Write",
    };
    let everyone = public.grants.iter().any(|grant| grant.to == To::Everyone);
    format!("{what}:{}", if everyone { "Everyone" } else { "SignedIn" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_says_how_much_is_encrypted_and_never_too_much() {
        let key =
            |objects| json!({"name": "a", "objects": objects, "oldest": null, "newest": null});
        for (claim, plain, customers, keys, expected) in [
            ("nothing is there", 0, 0, vec![], None),
            ("all", 0, 1, vec![key(2)], Some("100%")),
            ("nothing", 3, 0, vec![], Some("0%")),
            ("one of many isn't", 1, 0, vec![key(999_999)], Some("99%")),
            ("one of many is", 999_999, 0, vec![key(1)], Some("0%")),
            ("half", 3, 1, vec![key(1), key(1)], Some("50%")),
        ] {
            let told = json!({"plain": plain, "customers": customers, "damaged": 0, "keys": keys});
            let coverage = coverage(&told).unwrap();
            assert_eq!(coverage.damaged, None);
            assert_eq!(encrypted(&coverage).as_deref(), expected, "{claim}");
        }
        assert_eq!(coverage(&Value::Null), None);
    }

    #[test]
    fn a_column_says_what_strangers_may() {
        let statement = |action: &str, more: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"{action}","Resource":"arn:aws:s3:::photos/*"{more}}}]}}"#
            )
        };
        let signed = r#","Condition":{"StringEquals":{"aws:PrincipalType":"User"}}"#;
        for (action, more, expected) in [
            ("s3:GetObject", "", "Read:Everyone"),
            ("s3:PutObject", "", "Write:Everyone"),
            ("s3:*", signed, "Read,Write:SignedIn"),
        ] {
            let document = statement(action, more);
            let policy = Policy::parse(Kind::Bucket("photos"), document.as_bytes()).unwrap();
            assert_eq!(public(&policy), expected, "{document}");
        }
    }
}
