//! Who asks, and the principals that a bucket policy names.

use crate::fault::Problem;
use crate::limit;

/// The caller of a request.
///
/// For a session or an access key, `parent` is the user on whose behalf it acts: a policy that names the user means it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// What kind of caller.
    pub kind: PrincipalKind,
    /// Its name: a user's name, a session's name. Empty for anonymous callers.
    pub name: &'a str,
    /// Its ARN, such as `arn:aws:iam:::user/alice` or `arn:aws:sts:::assumed-role/ROLE/SESSION`. Empty for anonymous callers.
    pub arn: &'a str,
    /// On whose behalf it acts.
    pub parent: Option<Parent<'a>>,
}

/// A user on whose behalf another identity acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The user's name.
    pub name: &'a str,
    /// The user's ARN.
    pub arn: &'a str,
}

/// The kinds of callers, named as in `aws:PrincipalType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// Nobody signed.
    Anonymous,
    /// A user, or an access key of one.
    User,
    /// A session with temporary credentials.
    AssumedRole,
    /// The tenant's root. Whether policies are asked at all for it is the caller's to decide.
    Account,
}

impl PrincipalKind {
    /// Its name as the value of `aws:PrincipalType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::User => "User",
            Self::AssumedRole => "AssumedRole",
            Self::Account => "Account",
        }
    }
}

impl Principal<'static> {
    /// Who didn't sign.
    pub const ANONYMOUS: Self =
        Self { kind: PrincipalKind::Anonymous, name: "", arn: "", parent: None };
}

/// Principals as a policy lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Principals {
    pub(crate) everyone: bool,
    pub(crate) listed: Box<[Listed]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Name(Box<str>),
    Arn(Box<str>),
    /// All of an account: `arn:aws:iam::ID:root` or the ID.
    Account(Box<str>),
}

/// How closely a policy names a caller. It decides what else limits an Allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    /// Only by the account: that leaves it to the account's own policies.
    Account,
    /// By the role or user behind the session.
    Behind,
    /// Itself.
    Itself,
}

impl Principals {
    /// How closely they name the caller; `None` if they don't.
    pub(crate) fn closeness(&self, principal: &Principal<'_>) -> Option<Closeness> {
        let listed = self.listed.iter().filter_map(|listed| listed.closeness(principal)).max();
        let everyone = self.everyone.then_some(match principal.kind {
            PrincipalKind::AssumedRole => Closeness::Behind,
            PrincipalKind::Anonymous | PrincipalKind::User | PrincipalKind::Account => {
                Closeness::Itself
            }
        });
        listed.max(everyone)
    }
}

impl Listed {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::Principal(text.to_owned());
        if text.len() > limit::PATTERN {
            return Err(Problem::TooLongText { found: text.len(), max: limit::PATTERN });
        }
        if text.contains(['*', '?']) {
            return Err(Problem::PrincipalWildcard(text.to_owned()));
        }
        if text.is_empty() || text.contains("${") || text.trim() != text {
            return Err(bad());
        }
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Account(text.into()));
        }
        if !text.starts_with("arn:") {
            return Ok(Self::Name(text.into()));
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &[_, "aws", service, "", account, rest] = parts.as_slice() else { return Err(bad()) };
        let kind = rest.split_once('/').filter(|(_, name)| !name.is_empty()).map(|(kind, _)| kind);
        match (service, kind) {
            ("iam", None) if rest == "root" => Ok(Self::Account(account.into())),
            ("iam", Some("user" | "role")) | ("sts", Some("assumed-role" | "federated-user")) => {
                Ok(Self::Arn(text.into()))
            }
            _ => Err(bad()),
        }
    }

    fn closeness(&self, principal: &Principal<'_>) -> Option<Closeness> {
        if principal.kind == PrincipalKind::Anonymous {
            return None;
        }
        let parent = principal.parent.as_ref();
        match self {
            Self::Name(name) => {
                if principal.kind == PrincipalKind::User && *principal.name == **name {
                    return Some(Closeness::Itself);
                }
                parent.filter(|parent| *parent.name == **name).map(|_| Closeness::Behind)
            }
            Self::Arn(arn) => {
                if *principal.arn == **arn {
                    return Some(Closeness::Itself);
                }
                let behind = parent.is_some_and(|parent| *parent.arn == **arn)
                    || is_role_of(arn, principal.arn);
                behind.then_some(Closeness::Behind)
            }
            Self::Account(account) => {
                if principal.arn.split(':').nth(4) != Some(account) {
                    return None;
                }
                Some(match principal.kind {
                    PrincipalKind::Account => Closeness::Itself,
                    PrincipalKind::User | PrincipalKind::AssumedRole | PrincipalKind::Anonymous => {
                        Closeness::Account
                    }
                })
            }
        }
    }
}

/// Whether `session`, as `arn:aws:sts::A:assumed-role/R/S`, is one of `role`, as `arn:aws:iam::A:role/R`.
fn is_role_of(role: &str, session: &str) -> bool {
    let Some((account, rest)) =
        session.strip_prefix("arn:aws:sts::").and_then(|rest| rest.split_once(":assumed-role/"))
    else {
        return false;
    };
    let Some((name, _session)) = rest.split_once('/') else { return false };
    let Some((role_account, path)) =
        role.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"))
    else {
        return false;
    };
    // A role's ARN has its path, its sessions' ARNs don't.
    role_account == account && path.rsplit('/').next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_their_condition_key_has_them() {
        use PrincipalKind::{Account, Anonymous, AssumedRole, User};
        let names = [Anonymous, User, AssumedRole, Account].map(PrincipalKind::name);
        assert_eq!(names, ["Anonymous", "User", "AssumedRole", "Account"]);
    }

    const ALICE: Principal<'_> = Principal {
        kind: PrincipalKind::User,
        name: "alice",
        arn: "arn:aws:iam:::user/alice",
        parent: None,
    };
    const SESSION: Principal<'_> = Principal {
        kind: PrincipalKind::AssumedRole,
        name: "ci",
        arn: "arn:aws:sts::123456789012:assumed-role/deploy/ci",
        parent: Some(Parent { name: "alice", arn: "arn:aws:iam:::user/alice" }),
    };
    const ROOT: Principal<'_> = Principal {
        kind: PrincipalKind::Account,
        name: "root",
        arn: "arn:aws:iam::123456789012:root",
        parent: None,
    };

    #[test]
    fn a_principal_is_read_or_refused() {
        let name = |text: &str| Some(Listed::Name(text.into()));
        let arn = |text: &str| Some(Listed::Arn(text.into()));
        let account = |text: &str| Some(Listed::Account(text.into()));
        let longest = "a".repeat(limit::PATTERN);
        let longer = "a".repeat(limit::PATTERN + 1);
        for (text, expected) in [
            ("alice", name("alice")),
            ("123456789012", account("123456789012")),
            ("1234567890123", name("1234567890123")),
            ("arn:aws:iam::123456789012:root", account("123456789012")),
            ("arn:aws:iam:::user/a/b", arn("arn:aws:iam:::user/a/b")),
            ("arn:aws:iam:::role/a", arn("arn:aws:iam:::role/a")),
            ("arn:aws:sts::1:assumed-role/a/b", arn("arn:aws:sts::1:assumed-role/a/b")),
            ("arn:aws:sts::1:federated-user/a", arn("arn:aws:sts::1:federated-user/a")),
            (longest.as_str(), name(&longest)),
            (longer.as_str(), None),
            ("", None),
            (" alice", None),
            ("alice ", None),
            ("${aws:username}", None),
            ("al*", None),
            ("al?ce", None),
            ("arn:aws:iam:::user/", None),
            ("arn:aws:iam:::group/a", None),
            ("arn:aws:iam:eu-west-1::user/a", None),
            ("arn:other:iam:::user/a", None),
            ("arn:aws:sts:::root", None),
            ("arn:aws:iam", None),
        ] {
            assert_eq!(Listed::parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_caller_is_named_closely_or_not() {
        for (text, caller, expected) in [
            ("alice", ALICE, Some(Closeness::Itself)),
            ("alic", ALICE, None),
            ("arn:aws:iam:::user/alice", ALICE, Some(Closeness::Itself)),
            ("arn:aws:iam::123456789012:user/alice", ALICE, None),
            ("arn:aws:iam:::root", ALICE, Some(Closeness::Account)),
            ("alice", SESSION, Some(Closeness::Behind)),
            ("ci", SESSION, None),
            ("arn:aws:iam:::user/alice", SESSION, Some(Closeness::Behind)),
            ("arn:aws:iam::123456789012:role/deploy", SESSION, Some(Closeness::Behind)),
            ("arn:aws:iam::123456789012:role/path/deploy", SESSION, Some(Closeness::Behind)),
            ("arn:aws:iam::123456789013:role/deploy", SESSION, None),
            ("arn:aws:sts::123456789012:assumed-role/deploy/ci", SESSION, Some(Closeness::Itself)),
            ("123456789012", SESSION, Some(Closeness::Account)),
            ("123456789012", ROOT, Some(Closeness::Itself)),
            ("alice", Principal::ANONYMOUS, None),
        ] {
            assert_eq!(
                Listed::parse(text).unwrap().closeness(&caller),
                expected,
                "{text} {caller:?}"
            );
        }
    }
}
