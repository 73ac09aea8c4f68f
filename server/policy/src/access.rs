//! Is this bucket policy public, to whom, and by which statement?
//!
//! A policy is public if it allows everyone something, and no condition holds that to values that an owner can fix. The notion
//! and its list of keys are AWS's: S3 user guide, "The meaning of 'public'".

use crate::action::{Access, ActionSet};
use crate::condition::Condition;
use crate::condition::operator::{Comparison, Quantifier, Sense};
use crate::document::{Effect, Polarity};
use crate::key::Key;
use crate::pattern::Pattern;
use crate::policy::{Policy, Statement, Who};
use crate::resource::ResourcePattern;

/// What a bucket policy gives to everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// Each statement that gives something, in the policy's order.
    pub grants: Vec<Grant>,
}

/// What one statement gives to everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The statement's place, from 0.
    pub statement: usize,
    /// Its `Sid`, if it has one.
    pub sid: Option<String>,
    /// To whom.
    pub to: To,
    /// What.
    pub actions: ActionSet,
    /// Whether a condition narrows it, though not enough.
    pub conditional: bool,
}

/// To whom something is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Everyone, signed or not.
    Everyone,
    /// Every user of the tenant: a condition asks for a signature.
    SignedIn,
}

impl Public {
    /// Whether anything is public.
    pub fn is_public(&self) -> bool {
        !self.grants.is_empty()
    }

    /// Whether everyone may do something of this kind.
    pub fn gives(&self, access: Access) -> bool {
        self.grants.iter().any(|grant| grant.actions.iter().any(|action| action.access() == access))
    }

    /// Whether everyone may read or list something.
    pub fn reads(&self) -> bool {
        self.gives(Access::Read) || self.gives(Access::List)
    }

    /// Whether everyone may change something.
    pub fn writes(&self) -> bool {
        self.gives(Access::Write) || self.gives(Access::Tagging) || self.gives(Access::Permissions)
    }
}

/// Looks through a bucket's policy. An unconditional Deny for everyone on everything counts, any other doesn't: it may leave a gap.
pub fn public(policy: &Policy) -> Public {
    let mut denied = ActionSet::EMPTY;
    for statement in policy.statements() {
        if statement.effect == Effect::Deny
            && statement.conditions.is_empty()
            && is_for_everyone(statement)
            && is_on_everything(statement)
        {
            denied.add(&statement.actions);
        }
    }
    let grants = policy
        .statements()
        .iter()
        .enumerate()
        .filter(|(_, statement)| statement.effect == Effect::Allow && is_for_everyone(statement))
        .filter(|(_, statement)| !statement.conditions.iter().any(fixes))
        .filter_map(|(i, statement)| {
            let actions = statement.actions.without(&denied);
            (!actions.is_empty()).then(|| Grant {
                statement: i,
                sid: policy.sid(i).map(ToOwned::to_owned),
                to: if statement.conditions.iter().any(asks_for_signature) {
                    To::SignedIn
                } else {
                    To::Everyone
                },
                actions,
                conditional: !statement.conditions.is_empty(),
            })
        })
        .collect();
    Public { grants }
}

fn is_for_everyone(statement: &Statement) -> bool {
    match &statement.who {
        Who::Only(principals) => principals.everyone,
        // It leaves out somebody.
        Who::AllBut(_) | Who::Holder => false,
    }
}

fn is_on_everything(statement: &Statement) -> bool {
    let all = |pattern: &ResourcePattern| match pattern {
        ResourcePattern::All => true,
        ResourcePattern::S3(pattern) => *pattern == Pattern::Any,
        ResourcePattern::Kms(_) => false,
    };
    statement.resources.polarity == Polarity::Listed && statement.resources.patterns.iter().any(all)
}

/// Keys whose values an owner can fix so that no stranger has them.
const FIXING: [Key; 17] = [
    Key::AwsUserid,
    Key::AwsUsername,
    Key::AwsPrincipalArn,
    Key::AwsGroups,
    Key::AwsSourceArn,
    Key::AwsSourceVpc,
    Key::AwsSourceVpce,
    Key::AwsSourceOwner,
    Key::AwsSourceAccount,
    Key::AwsPrincipalOrgID,
    Key::AwsPrincipalTag,
    Key::S3XAmzServerSideEncryptionAwsKmsKeyId,
    Key::S3DataAccessPointArn,
    Key::LdapUser,
    Key::LdapUsername,
    Key::LdapGroups,
    Key::JwtClaim,
];

/// Whether it must be one of some values that strangers don't have.
fn fixes(condition: &Condition) -> bool {
    let operator = condition.operator();
    if operator.sense == Sense::Not
        || operator.if_exists
        || operator.quantifier == Some(Quantifier::All)
    {
        return false;
    }
    let key = condition.key().key;
    if matches!(key, Key::AwsSourceIp | Key::AwsVpcSourceIp) {
        return condition.widest_range() == Some(0);
    }
    FIXING.contains(&key) && condition.is_fixed()
}

/// Whether no anonymous caller fulfils it: `aws:PrincipalType` must be one that signed.
fn asks_for_signature(condition: &Condition) -> bool {
    let operator = condition.operator();
    operator.comparison == Comparison::String
        && operator.sense == Sense::Is
        && !operator.if_exists
        && operator.quantifier.is_none()
        && condition.key().key == Key::AwsPrincipalType
        && condition.is_fixed()
        && !condition.holds_for("Anonymous")
}
