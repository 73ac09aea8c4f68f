//! May this caller do that? One function answers for every operation, from one table, before any handler runs.
//!
//! Handlers ask again, by the same function, only for what they learn later: the source of a copy, each key of a multi-delete.

pub mod caller;
pub mod context;
pub mod later;
pub mod table;

use std::sync::Arc;

use coffer_policy::{
    Action, Context, Key, Layer, Named, Outcome, Policies, Request, Resource as PolicyResource,
};
use coffer_sse::context::Context as EncryptionContext;
use coffer_sse::kms::KeyName;
use coffer_store::{BucketName, ObjectKey};

use crate::answer::Refusal;
use crate::iam::Snapshot;
use crate::iam::entity::BucketPolicy;
use crate::iam::name::Name;
use crate::operation::Operation;
use crate::route::{Target, parameters};
pub use caller::{Caller, Identity, RootS3};
use context::Facts;
use later::Later;
use table::On;

/// What an action is done to.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// The tenant as a whole.
    Service,
    /// A bucket.
    Bucket(&'a BucketName),
    /// An object, there or not.
    Object(&'a BucketName, &'a ObjectKey),
}

/// The proof that an operation on a target was allowed. Only [`authorize`] makes one; the S3 service refuses a request without it.
#[derive(Clone, Debug)]
pub struct Authorized {
    operation: Operation,
    target: Target,
    /// What is copied from, as policies see it.
    source: Option<String>,
    question: Arc<Question>,
}

/// All that a decision is made from, but for action and resource.
#[derive(Debug)]
struct Question {
    caller: Caller,
    /// `None` where no policy is asked.
    context: Option<Context<'static>>,
    /// The policies of the buckets that the request names, as they were when it came.
    buckets: Vec<Arc<BucketPolicy>>,
    later: Arc<Later>,
}

/// A decision, and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it is.
    pub outcome: Outcome,
    /// The statement that decided; `None` if none did.
    pub by: Option<By>,
    /// Of a default deny, the layer that would have had to allow and didn't.
    pub lacking: Option<Layer>,
}

/// Where a statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The layer of its policy.
    pub layer: Layer,
    /// The policy's name.
    pub policy: String,
    /// The statement's place, from 0.
    pub statement: usize,
    /// Its `Sid`, if it has one.
    pub sid: Option<String>,
}

impl Decision {
    /// Without any policy: the caller is root.
    const OWNER: Self = Self { outcome: Outcome::Allow, by: None, lacking: None };
    /// Nothing is allowed, whatever policies say.
    const NOBODY: Self = Self { outcome: Outcome::DefaultDeny, by: None, lacking: None };
    /// Denied by no statement: root's keys aren't good for S3 here.
    pub const SHUT_OUT: Self = Self { outcome: Outcome::Deny, by: None, lacking: None };

    /// What the client is told of a denial.
    fn refusal(&self) -> Refusal {
        if *self == Self::SHUT_OUT { Refusal::root_shut_out() } else { Refusal::access_denied() }
    }
}

impl Authorized {
    /// What was allowed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What it was allowed on.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Who it was allowed.
    pub fn caller(&self) -> &Caller {
        &self.question.caller
    }

    /// Whether this is the source that was decided about: nobody may read the header differently than policies did.
    pub fn copies_from(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        self.source.as_deref() == Some(&format!("/{}/{}", bucket.as_str(), key.as_str()))
    }

    /// Asks for what only the handler knows: another action on another resource, by the same caller.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub fn also(&self, action: Action, resource: Resource<'_>) -> Result<(), Refusal> {
        let decision = self.question.decide(action, resource);
        self.question.later.note(decision)
    }

    /// What is asked and named while the operation is carried out, for who tells of it afterwards.
    pub fn later(&self) -> Arc<Later> {
        Arc::clone(&self.question.later)
    }

    /// What it copies from, as `bucket` and `key`, if that can be read.
    pub fn copied_from(&self) -> Option<(BucketName, ObjectKey)> {
        let (bucket, key) = self.source.as_deref()?.strip_prefix('/')?.split_once('/')?;
        Some((bucket.to_owned().try_into().ok()?, key.to_owned().try_into().ok()?))
    }

    /// Asks whether the caller may use a key of the KMS, by the request or by its bucket's default; `client` is the encryption context
    /// that the object's writer gave.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub fn may_use(
        &self,
        action: Action,
        key: &KeyName,
        client: &EncryptionContext,
    ) -> Result<(), Refusal> {
        // Root asks nobody.
        let Some(context) = &self.question.context else { return Ok(()) };
        let mut context = context.clone();
        context.set(Key::KmsViaService, "s3");
        for (name, value) in client.iter() {
            context.set(Key::KmsEncryptionContext.of(name), value.to_owned());
        }
        context
            .set_all(Key::KmsEncryptionContextKeys, client.iter().map(|(name, _)| name.to_owned()));
        let resource = PolicyResource::Kms(key.as_str());
        let decision = decide_in(&self.question.caller, action, resource, &context, None);
        self.question.later.note(decision)
    }
}

/// Decides about all that the operation of `target` asks for. `told` is the last decision that was made, for the audit record.
///
/// # Errors
/// `AccessDenied` when one of the actions isn't allowed.
pub fn authorize(
    caller: Caller,
    target: &Target,
    facts: &Facts<'_>,
    told: &mut Option<Decision>,
) -> Result<Authorized, Refusal> {
    let context = (!caller.is_owner()).then(|| context::context(&caller, target, facts));
    let buckets = facts.buckets.to_vec();
    let question = Question { caller, context, buckets, later: Arc::default() };
    let names_version = names_version(facts.head.uri.query().unwrap_or_default());
    let extra = table::extra(target.operation, &facts.head.headers);
    for need in table::needs(target.operation).iter().chain(&extra) {
        let resource = match (need.on, &target.bucket, &target.key) {
            (On::Service, _, _) => Resource::Service,
            (On::Bucket, Some(bucket), _) => Resource::Bucket(bucket),
            (On::Object, Some(bucket), Some(key)) => Resource::Object(bucket, key),
            // Whatever the keys are.
            (On::Keys, Some(bucket), _) if question.caller.is_shut_out_of(need.action) => {
                Resource::Bucket(bucket)
            }
            // Each key is asked for by the handler. Strangers are allowed something by the bucket's policy alone.
            (On::Keys, Some(bucket), _)
                if !matches!(question.caller.identity(), Identity::Anonymous)
                    || question.policy_of(bucket).is_some() =>
            {
                continue;
            }
            // A route that doesn't name what its operation is for can't be decided, so it is denied.
            (On::Bucket, None, _) | (On::Object | On::Keys, _, _) => {
                return Err(Refusal::access_denied());
            }
        };
        let action = if names_version { table::of_version(need.action) } else { need.action };
        let decision = question.decide(action, resource);
        let refusal = (decision.outcome != Outcome::Allow).then(|| decision.refusal());
        *told = Some(decision);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Ok(Authorized {
        operation: target.operation,
        target: target.clone(),
        source: context::copy_source(&facts.head.headers),
        question: Arc::new(question),
    })
}

/// Read as the wire library reads it: the name may be written in escapes.
fn names_version(query: &str) -> bool {
    parameters(query).any(|(name, _)| name == "versionId")
}

impl Question {
    fn decide(&self, action: Action, resource: Resource<'_>) -> Decision {
        let Some(context) = &self.context else { return of_owner(&self.caller, action) };
        let name = match resource {
            Resource::Service => "*".to_owned(),
            Resource::Bucket(bucket) => bucket.as_str().to_owned(),
            Resource::Object(bucket, key) => format!("{}/{}", bucket.as_str(), key.as_str()),
        };
        let bucket = match resource {
            Resource::Service => None,
            Resource::Bucket(bucket) | Resource::Object(bucket, _) => self.policy_of(bucket),
        };
        decide_in(&self.caller, action, PolicyResource::S3(&name), context, bucket)
    }

    fn policy_of(&self, bucket: &BucketName) -> Option<&BucketPolicy> {
        let is_it = |policy: &&Arc<BucketPolicy>| policy.bucket.as_str() == bucket.as_str();
        self.buckets.iter().find(is_it).map(Arc::as_ref)
    }
}

/// Whether the caller is the control identity, for the calls that are made for it. No policy is asked, for it or against it.
pub fn control(caller: &Caller) -> Decision {
    match caller.identity() {
        Identity::Control => Decision::OWNER,
        Identity::Root | Identity::Anonymous | Identity::Signer(_) => Decision::NOBODY,
    }
}

/// The decision about what is in no bucket, or in one that has no policy.
pub fn decide(
    caller: &Caller,
    action: Action,
    resource: PolicyResource<'_>,
    context: &Context<'_>,
) -> Decision {
    decide_in(caller, action, resource, context, None)
}

/// The one decision, for every API: whose policies have a say is told here. `bucket` is the policy of the resource's bucket.
///
/// Root is not held by it: whoever locks everyone out of a bucket needs somebody to let them in again. But its keys may be shut out of
/// S3 as a whole, and then it lets itself in by making a user.
pub fn decide_in(
    caller: &Caller,
    action: Action,
    resource: PolicyResource<'_>,
    context: &Context<'_>,
    bucket: Option<&BucketPolicy>,
) -> Decision {
    if caller.is_owner() || caller.is_shut_out_of(action) {
        return of_owner(caller, action);
    }
    if matches!(caller.identity(), Identity::Control) {
        return Decision::NOBODY;
    }
    let snapshot = caller.snapshot();
    let (identity, groups) = match caller.user() {
        Some(user) => (snapshot.policies_of(user), snapshot.group_policies_of(user)),
        None => (Vec::new(), Vec::new()),
    };
    // What an access key may do at most is what its own policy says.
    let limit = caller
        .access_key()
        .and_then(|key| Some(Named { name: key.name.as_str(), policy: key.policy.as_ref()? }));
    let boundary = caller.user().and_then(|user| snapshot.ceiling_of(user));
    let boundary = boundary.map(|name| named(snapshot, name));
    // A boundary that isn't there any more holds everything back.
    if matches!(boundary, Some(None)) {
        return Decision { lacking: Some(Layer::Boundary), ..Decision::NOBODY };
    }
    let policies = Policies {
        identity: &identity,
        groups: &groups,
        boundary: boundary.flatten(),
        limits: limit.as_slice(),
        bucket: bucket.map(|bucket| Named { name: bucket.bucket.as_str(), policy: &bucket.policy }),
        ..Policies::default()
    };
    let principal = caller.principal();
    let request = Request { principal: &principal, action, resource, context };
    let decision = coffer_policy::decide(&policies, &request);
    // What a policy of a resource gives is held to its boundary, whoever gets it.
    let given = decision.by.filter(|_| decision.outcome == Outcome::Allow);
    let ceiling = given.and_then(|by| match by.layer {
        // Whoever has a boundary was held to it already, but for what buckets give.
        Layer::Identity | Layer::Group if policies.boundary.is_some() => None,
        Layer::Identity | Layer::Group => snapshot.ceiling_of_policy(by.policy),
        Layer::Bucket => bucket.and_then(|bucket| snapshot.ceiling_of_bucket(&bucket.bucket)),
        Layer::Boundary | Layer::Session | Layer::Limit => None,
    });
    if let Some(ceiling) = ceiling {
        let within = named(snapshot, ceiling).is_some_and(|ceiling| {
            let both: Vec<Named<'_>> = limit.into_iter().chain([ceiling]).collect();
            let policies = Policies { limits: &both, ..policies };
            coffer_policy::decide(&policies, &request).outcome == Outcome::Allow
        });
        if !within {
            // Others may give it. Nothing denies it, or it wouldn't have been given.
            let free = |named: &&Named<'_>| snapshot.ceiling_of_policy(named.name).is_none();
            let own: Vec<Named<'_>> = identity.iter().filter(free).copied().collect();
            let of_groups: Vec<Named<'_>> = groups.iter().filter(free).copied().collect();
            let bucket = policies.bucket.filter(|_| {
                bucket.is_some_and(|it| snapshot.ceiling_of_bucket(&it.bucket).is_none())
            });
            let policies = Policies { identity: &own, groups: &of_groups, bucket, ..policies };
            return told(coffer_policy::decide(&policies, &request));
        }
    }
    told(decision)
}

/// The decision where no policy is asked.
fn of_owner(caller: &Caller, action: Action) -> Decision {
    if caller.is_shut_out_of(action) { Decision::SHUT_OUT } else { Decision::OWNER }
}

fn named<'a>(snapshot: &'a Snapshot, name: &'a Name) -> Option<Named<'a>> {
    Some(Named { name: name.as_str(), policy: snapshot.policy(name.as_str())? })
}

fn told(decision: coffer_policy::Decision<'_>) -> Decision {
    let coffer_policy::Decision { outcome, by, lacking } = decision;
    let by = by.map(|by| By {
        layer: by.layer,
        policy: by.policy.to_owned(),
        statement: by.statement,
        sid: by.sid.map(str::to_owned),
    });
    Decision { outcome, by, lacking }
}

#[cfg(test)]
mod tests;
