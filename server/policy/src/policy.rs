//! A compiled policy: immutable, shared, indexed by what a request asks for.

mod index;

use std::fmt;
use std::sync::Arc;

use crate::action::{Action, ActionSet};
use crate::condition::Condition;
use crate::context::Context;
use crate::document::{Effect, Polarity};
use crate::evaluate::Request;
use crate::fault::ParseErrors;
use crate::parse;
use crate::pattern::Match;
use crate::principal::{Closeness, Principal, Principals};
use crate::resource::{Resource, ResourcePattern};

use index::Index;

/// What a policy is attached to. It decides whether statements name principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A user, group, session, access key, or a boundary: no `Principal`.
    Identity,
    /// A bucket, whichever: every statement has a `Principal` or `NotPrincipal`.
    Resource,
    /// The bucket of this name. As on AWS, its policy may speak of this bucket only, and each action must have a resource that
    /// it can act on.
    Bucket(&'a str),
}

/// A policy. A clone costs a counter.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

struct Inner {
    text: Box<str>,
    statements: Box<[Statement]>,
    index: Index,
}

impl Policy {
    /// Reads and compiles a document.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line, column, path and remedy. Nothing is ignored: an unknown element,
    /// operator, key, action, service or principal is an error, and so is a member that is given twice.
    pub fn parse(kind: Kind<'_>, text: &[u8]) -> Result<Self, ParseErrors> {
        parse::parse(kind, text)
    }

    /// Its canonical JSON: parsed again, it is the same policy with the same text.
    pub fn document(&self) -> &str {
        &self.0.text
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.0.statements.len()
    }

    /// Whether it has none; a parsed policy has at least one.
    pub fn is_empty(&self) -> bool {
        self.0.statements.is_empty()
    }

    /// The `Sid` of a statement, if it has one that isn't empty.
    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.0.statements.get(statement)?.sid.as_deref()
    }

    /// All actions that some statement of this effect is about, on whatever resource and under whatever condition.
    pub fn actions(&self, effect: Effect) -> ActionSet {
        let mut set = ActionSet::EMPTY;
        for statement in self.0.statements.iter().filter(|statement| statement.effect == effect) {
            set.add(&statement.actions);
        }
        set
    }

    pub(crate) fn new(text: String, statements: Vec<Statement>) -> Self {
        let index = Index::new(&statements);
        Self(Arc::new(Inner { text: text.into(), statements: statements.into(), index }))
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.0.statements
    }

    /// What it says about a request: its first Deny that applies, and its first Allow among those that name the caller closest.
    pub(crate) fn judge(&self, request: &Request<'_>, resource: Resource<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        self.0.index.candidates(request.action, resource, |number| {
            let Some(statement) = self.0.statements.get(usize::from(number)) else { return };
            if verdict.settles(number, statement) {
                return;
            }
            if let Some(closeness) = statement.applies(request, resource) {
                verdict.add(number, statement.effect, closeness);
            }
        });
        verdict
    }
}

/// Equal are policies of the same canonical text.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Policy {}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.0.text).finish()
    }
}

/// What one policy says about one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) deny: Option<u16>,
    pub(crate) allow: Option<(Closeness, u16)>,
}

impl Verdict {
    /// Whether this statement can't change it any more.
    fn settles(self, number: u16, statement: &Statement) -> bool {
        match (statement.effect, &statement.who) {
            (Effect::Deny, _) => self.deny.is_some_and(|deny| deny <= number),
            (Effect::Allow, Who::Holder) => self.allow.is_some_and(|(_, allow)| allow <= number),
            (Effect::Allow, Who::Only(_) | Who::AllBut(_)) => {
                self.allow.is_some_and(|(closeness, allow)| {
                    closeness == Closeness::Itself && allow <= number
                })
            }
        }
    }

    fn add(&mut self, number: u16, effect: Effect, closeness: Closeness) {
        match effect {
            Effect::Deny => self.deny = Some(self.deny.map_or(number, |deny| deny.min(number))),
            Effect::Allow => {
                let better = self.allow.is_none_or(|(before, allow)| {
                    closeness > before || (closeness == before && number < allow)
                });
                if better {
                    self.allow = Some((closeness, number));
                }
            }
        }
    }
}

/// A compiled statement.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) who: Who,
    pub(crate) actions: ActionSet,
    pub(crate) resources: Resources,
    pub(crate) conditions: Box<[Condition]>,
}

/// Whom a statement is about.
#[derive(Debug)]
pub(crate) enum Who {
    /// Whoever it is attached to.
    Holder,
    Only(Principals),
    AllBut(Principals),
}

/// What a statement is about.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) polarity: Polarity,
    pub(crate) patterns: Box<[ResourcePattern]>,
}

impl Statement {
    /// How closely it names the caller, if it applies to the request.
    fn applies(&self, request: &Request<'_>, resource: Resource<'_>) -> Option<Closeness> {
        if !self.actions.contains(request.action) {
            return None;
        }
        if !self.resources.include(resource, self.effect, request.context) {
            return None;
        }
        let closeness = self.who.closeness(request.principal)?;
        self.conditions
            .iter()
            .all(|condition| condition.holds(self.effect, request.context))
            .then_some(closeness)
    }

    pub(crate) fn includes(&self, action: Action) -> bool {
        self.actions.contains(action)
    }
}

impl Who {
    fn closeness(&self, principal: &Principal<'_>) -> Option<Closeness> {
        match self {
            Self::Holder => Some(Closeness::Itself),
            Self::Only(principals) => principals.closeness(principal),
            // To be left out, a caller must be named itself; that its account is named isn't enough.
            Self::AllBut(principals) => match principals.closeness(principal) {
                Some(Closeness::Itself | Closeness::Behind) => None,
                Some(Closeness::Account) | None => Some(Closeness::Itself),
            },
        }
    }
}

impl Resources {
    /// Whether the statement is about this resource. What an unresolved variable leaves open never helps an Allow.
    fn include(&self, resource: Resource<'_>, effect: Effect, context: &Context<'_>) -> bool {
        let mut unresolved = false;
        for pattern in &self.patterns {
            match pattern.matches(resource, context) {
                Match::Yes => return self.polarity == Polarity::Listed,
                Match::No => {}
                Match::Unresolved => unresolved = true,
            }
        }
        match self.polarity {
            Polarity::Listed => false,
            Polarity::AllBut => !unresolved || effect == Effect::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind<'_>, statements: &str) -> Policy {
        Policy::parse(kind, format!(r#"{{"Statement":[{statements}]}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn a_policy_tells_what_is_in_it() {
        let one = r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}"#;
        let other = r#"{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}"#;
        let (both, single) =
            (parse(Kind::Identity, &format!("{one},{other}")), parse(Kind::Identity, one));
        assert_eq!((both.len(), single.len(), both.is_empty()), (2, 1, false));
        assert!(Policy::new(String::new(), Vec::new()).is_empty());
        let actions = |effect| both.actions(effect).iter().collect::<Vec<_>>();
        assert_eq!(actions(Effect::Allow), [Action::S3GetObject, Action::S3PutObject]);
        assert_eq!(actions(Effect::Deny), [Action::S3DeleteObject]);
        assert_ne!(both, single);
        assert_eq!(single, parse(Kind::Identity, &format!(" {one} ")));
        assert_eq!(format!("{single:?}"), format!("Policy({:?})", single.document()));
    }

    #[test]
    fn a_statement_that_can_change_nothing_is_left_out() {
        let deny =
            parse(Kind::Identity, r#"{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}"#);
        let allow =
            parse(Kind::Identity, r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
        let only = parse(
            Kind::Bucket("b"),
            r#"{"Effect":"Allow","Principal":{"AWS":"alice"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#,
        );
        let denied = Verdict { deny: Some(3), allow: None };
        let allowed = |closeness| Verdict { deny: None, allow: Some((closeness, 3)) };
        for (name, verdict, policy, settled) in [
            ("nothing yet", Verdict::default(), &deny, [false, false, false]),
            ("a Deny", denied, &deny, [false, true, true]),
            ("an Allow beside a Deny", denied, &allow, [false, false, false]),
            ("an Allow", allowed(Closeness::Itself), &allow, [false, true, true]),
            ("a Deny beside an Allow", allowed(Closeness::Itself), &deny, [false, false, false]),
            ("an Allow by name", allowed(Closeness::Itself), &only, [false, true, true]),
            ("a closer one may come", allowed(Closeness::Behind), &only, [false, false, false]),
        ] {
            let found = [2, 3, 4].map(|number| verdict.settles(number, &policy.statements()[0]));
            assert_eq!(found, settled, "{name}");
        }
    }

    #[test]
    fn the_closest_allow_counts_and_of_those_the_first() {
        use Closeness::{Account, Behind, Itself};
        let mut verdict = Verdict::default();
        for (number, closeness, expected) in [
            (5, Account, (Account, 5)),
            (7, Account, (Account, 5)),
            (4, Account, (Account, 4)),
            (6, Behind, (Behind, 6)),
            (1, Account, (Behind, 6)),
            (3, Behind, (Behind, 3)),
            (9, Itself, (Itself, 9)),
            (2, Behind, (Itself, 9)),
            (8, Itself, (Itself, 8)),
        ] {
            verdict.add(number, Effect::Allow, closeness);
            assert_eq!(verdict.allow, Some(expected), "{number}");
        }
        for (number, first) in [(5, 5), (7, 5), (2, 2)] {
            verdict.add(number, Effect::Deny, Account);
            assert_eq!((verdict.deny, verdict.allow), (Some(first), Some((Itself, 8))));
        }
    }

    /// Of very many statements only those are looked at that may be about the resource.
    #[test]
    fn the_index_names_few_and_never_too_few() {
        let bucket = |n: usize| format!("{}{n:03}", "b".repeat(n % 20 + 1));
        let statement = |n: usize| {
            format!(
                r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::{}/*"}}"#,
                bucket(n)
            )
        };
        let all: Vec<String> = (0..200).map(statement).collect();
        let policy = parse(Kind::Identity, &all.join(","));
        for n in 0..200 {
            let object = format!("{}/a", bucket(n));
            let mut found = Vec::new();
            policy.0.index.candidates(Action::S3GetObject, Resource::S3(&object), |number| {
                found.push(usize::from(number));
            });
            assert!(found.contains(&n) && found.len() <= 3, "{object}: {found:?}");
        }
    }
}
