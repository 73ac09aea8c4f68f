//! The decision: explicit deny first, then who allows, then what limits.
//!
//! Sources: AWS IAM user guide, "Policy evaluation logic" and "How AWS enforcement code logic evaluates requests to allow or
//! deny access" (single account), with its table of how resource-based policies go with boundaries and sessions.

use crate::action::{Action, Family, On};
use crate::context::Context;
use crate::policy::{Policy, Verdict};
use crate::principal::{Closeness, Principal, PrincipalKind};
use crate::resource::Resource;

/// Who wants to do what with what, in which circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The caller.
    pub principal: &'a Principal<'a>,
    /// What it wants to do.
    pub action: Action,
    /// With what. Admin and STS actions, and S3's actions on the tenant, are about all, whatever stands here.
    pub resource: Resource<'a>,
    /// What else is known.
    pub context: &'a Context<'a>,
}

/// A policy and its name.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The name that a decision tells.
    pub name: &'a str,
    /// The policy.
    pub policy: &'a Policy,
}

/// Every policy that has a say in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    /// Attached to the caller, or to its parent.
    pub identity: &'a [Named<'a>],
    /// Attached to the caller's groups.
    pub groups: &'a [Named<'a>],
    /// The session's policies: one of them must allow. `None` if the session has none of its own, or there is no session.
    pub session: Option<&'a [Named<'a>]>,
    /// The permissions boundary of the caller. As on AWS it limits identity policies, and not what a bucket policy allows a user.
    pub boundary: Option<Named<'a>>,
    /// What limits everything, bucket policies too: each must allow. An access key's own policy, a tenant's ceiling.
    pub limits: &'a [Named<'a>],
    /// The bucket's policy.
    pub bucket: Option<Named<'a>>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What it is.
    pub outcome: Outcome,
    /// The statement that decided; `None` if none did: nothing allowed, or the caller is the tenant's root.
    pub by: Option<By<'a>>,
    /// Of a [`Outcome::DefaultDeny`], the layer that would have had to allow and didn't.
    pub lacking: Option<Layer>,
}

/// Allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A statement allows, and nothing denies or limits.
    Allow,
    /// A statement denies.
    Deny,
    /// Nothing denies, but not all that must allow do.
    DefaultDeny,
}

impl Outcome {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::DefaultDeny => "DefaultDeny",
        }
    }
}

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// The layer of its policy.
    pub layer: Layer,
    /// The policy's name.
    pub policy: &'a str,
    /// The statement's place, from 0.
    pub statement: usize,
    /// Its `Sid`, if it has one.
    pub sid: Option<&'a str>,
}

/// The layers of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Attached to the caller.
    Identity,
    /// Attached to a group.
    Group,
    /// The permissions boundary.
    Boundary,
    /// The session's policies.
    Session,
    /// A limit on everything.
    Limit,
    /// The bucket's policy.
    Bucket,
}

impl Layer {
    /// Its name, for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity policy",
            Self::Group => "group policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Limit => "access key policy",
            Self::Bucket => "bucket policy",
        }
    }
}

impl Decision<'_> {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        self.outcome == Outcome::Allow
    }
}

/// Decides. Allocates nothing; the order of policies and statements changes only which statement is named.
pub fn decide<'a>(policies: &Policies<'a>, request: &Request<'_>) -> Decision<'a> {
    match weigh(policies, request) {
        Ok(decision) => decision,
        Err(by) => Decision { outcome: Outcome::Deny, by: Some(by), lacking: None },
    }
}

/// The decision, or the first statement that denies.
fn weigh<'a>(policies: &Policies<'a>, request: &Request<'_>) -> Result<Decision<'a>, By<'a>> {
    let Policies { identity, groups, session, boundary, limits, bucket } = policies;
    let round = Round { request, resource: resource(request) };
    let kind = request.principal.kind;
    let (mut own, mut in_boundary, mut in_session, mut in_limits) = (None, true, true, true);
    // Nobody signed: no identity's policy is meant, neither to allow nor to deny.
    if kind != PrincipalKind::Anonymous {
        own = round.any(Layer::Identity, identity)?;
        let group = round.any(Layer::Group, groups)?;
        own = own.or(group);
        if let Some(boundary) = boundary {
            in_boundary = round.one(Layer::Boundary, boundary)?.is_some();
        }
        if let Some(session) = session {
            in_session = round.any(Layer::Session, session)?.is_some();
        }
    }
    for limit in *limits {
        in_limits &= round.one(Layer::Limit, limit)?.is_some();
    }
    let shared = match bucket {
        Some(bucket) => round.one(Layer::Bucket, bucket)?,
        None => None,
    };

    let own = match kind {
        PrincipalKind::Account => Some(None),
        PrincipalKind::Anonymous | PrincipalKind::User | PrincipalKind::AssumedRole => {
            own.map(|(_, by)| Some(by))
        }
    };
    // An account that is named leaves it to its own policies.
    let shared = shared.filter(|(closeness, _)| *closeness != Closeness::Account);
    // What a bucket allows the session itself comes on top of the session. What it allows the role or user behind it is what
    // that one has, and so within boundary and session. A user that is named is not held by its boundary.
    let shared_lacks = shared.map(|(closeness, _)| match (kind, closeness) {
        (PrincipalKind::AssumedRole, Closeness::Itself) | (PrincipalKind::Anonymous, _) => None,
        (_, Closeness::Itself) => (!in_session).then_some(Layer::Session),
        (_, Closeness::Behind | Closeness::Account) => lacking(in_boundary, in_session),
    });
    let own_lacks = own.map(|_| lacking(in_boundary, in_session));
    let allow = |by| Decision { outcome: Outcome::Allow, by, lacking: None };
    let refuse = |layer| Decision { outcome: Outcome::DefaultDeny, by: None, lacking: Some(layer) };
    Ok(match (own_lacks, shared_lacks) {
        (None, None) => {
            refuse(if kind == PrincipalKind::Anonymous { Layer::Bucket } else { Layer::Identity })
        }
        _ if !in_limits => refuse(Layer::Limit),
        (Some(None), _) => allow(own.flatten()),
        (_, Some(None)) => allow(shared.map(|(_, by)| by)),
        (Some(Some(layer)), _) | (None, Some(Some(layer))) => refuse(layer),
    })
}

fn lacking(in_boundary: bool, in_session: bool) -> Option<Layer> {
    match (in_boundary, in_session) {
        (true, true) => None,
        (false, _) => Some(Layer::Boundary),
        (true, false) => Some(Layer::Session),
    }
}

/// What the request is about, as policies see it.
fn resource<'a>(request: &Request<'a>) -> Resource<'a> {
    match (request.action.family(), request.action.on(), request.resource) {
        (Family::Admin | Family::Sts, ..) => Resource::All,
        // AWS's own examples list all buckets on `arn:aws:s3:::*`.
        (Family::S3, On::Account, _) | (Family::S3, _, Resource::All) => Resource::S3("*"),
        (Family::S3 | Family::Kms, _, resource) => resource,
    }
}

struct Round<'r> {
    request: &'r Request<'r>,
    resource: Resource<'r>,
}

type Allowed<'a> = Option<(Closeness, By<'a>)>;

impl Round<'_> {
    /// The first Allow of several policies.
    ///
    /// # Errors
    /// A Deny of any of them.
    fn any<'a>(&self, layer: Layer, policies: &[Named<'a>]) -> Result<Allowed<'a>, By<'a>> {
        let mut allowed = None;
        for named in policies {
            let one = self.one(layer, named)?;
            allowed = allowed.or(one);
        }
        Ok(allowed)
    }

    fn one<'a>(&self, layer: Layer, named: &Named<'a>) -> Result<Allowed<'a>, By<'a>> {
        let Verdict { deny, allow } = named.policy.judge(self.request, self.resource);
        let by = |number: u16| {
            let statement = usize::from(number);
            By { layer, policy: named.name, statement, sid: named.policy.sid(statement) }
        };
        match deny {
            Some(number) => Err(by(number)),
            None => Ok(allow.map(|(closeness, number)| (closeness, by(number)))),
        }
    }
}
