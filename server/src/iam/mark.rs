//! Marks: for which resource something was made. What has none was made by another hand, and no resource overwrites it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::draft::Holder;
use super::name::Name;

/// What a mark is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marked {
    /// A policy.
    Policy(Name),
    /// A user.
    User(Name),
    /// A group that was made because a resource named it; it goes once none does.
    Group(Name),
    /// An access key.
    AccessKey(Name),
    /// A bucket.
    Bucket(Name),
    /// The attachments of a resource that makes nothing else; its own name.
    Binding(Name),
}

/// The resource that something was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// `Kind/namespace/name`: one that is made anew under its name goes on with what the earlier one had. Without a kind, it has let go.
    pub resource: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// The namespace of the resource; none for what is nobody's in particular.
    pub fn namespace(&self) -> Option<&str> {
        self.resource.split('/').nth(1)
    }

    /// This one once it has let go of what it keeps, as a bucket that outlives its resource: what it put there is held to its boundary
    /// still, and a resource of its namespace may take it up again.
    #[must_use]
    pub fn let_go(&self) -> Self {
        let rest = self.resource.split_once('/').map(|(_, rest)| rest).unwrap_or_default();
        // No resource is of no kind, so this is no resource's own.
        Self { resource: format!("/{rest}"), uid: self.uid.clone() }
    }

    /// Whether it has let go.
    pub fn has_let_go(&self) -> bool {
        self.resource.starts_with('/')
    }
}

/// For which resource something was made, and what that wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// On what.
    pub of: Marked,
    /// For which one.
    pub owner: Owner,
    /// The policy beyond which it may give nothing.
    pub ceiling: Option<Name>,
    /// Of a bucket, its number: one that is made later by the same name isn't this one.
    pub number: u64,
    /// The attachments that it makes.
    pub attached: BTreeSet<(Holder, Name)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) form: u32,
    owner: Owner,
    ceiling: Option<String>,
    number: u64,
    attached: Vec<(HolderRecord, String)>,
}

#[derive(Serialize, Deserialize)]
enum HolderRecord {
    User(String),
    Group(String),
}

impl Marked {
    fn parts(&self) -> (char, &Name) {
        match self {
            Self::Policy(name) => ('p', name),
            Self::User(name) => ('u', name),
            Self::Group(name) => ('g', name),
            Self::AccessKey(name) => ('k', name),
            Self::Bucket(name) => ('b', name),
            Self::Binding(name) => ('a', name),
        }
    }

    /// Kind and name, for a person.
    pub fn shown(&self) -> String {
        let kind = match self {
            Self::Policy(_) => "policy",
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::AccessKey(_) => "access key",
            Self::Bucket(_) => "bucket",
            Self::Binding(_) => "binding",
        };
        format!("{kind} `{}`", self.parts().1)
    }
}

pub(super) fn key(of: &Marked) -> Vec<u8> {
    let (letter, name) = of.parts();
    format!("m{letter}{name}").into_bytes()
}

pub(super) fn record(mark: &Mark, form: u32) -> Record {
    let Mark { of: _, owner, ceiling, number, attached } = mark;
    let attached = attached.iter().map(|(holder, policy)| {
        let holder = match holder {
            Holder::User(name) => HolderRecord::User(name.as_str().to_owned()),
            Holder::Group(name) => HolderRecord::Group(name.as_str().to_owned()),
        };
        (holder, policy.as_str().to_owned())
    });
    Record {
        form,
        owner: owner.clone(),
        ceiling: ceiling.as_ref().map(|name| name.as_str().to_owned()),
        number: *number,
        attached: attached.collect(),
    }
}

/// The mark in the row of this name, which is without its first letter.
pub(super) fn opened(name: &str, record: Record) -> Option<Mark> {
    let Record { form: _, owner, ceiling, number, attached } = record;
    let mut chars = name.chars();
    let kind = chars.next()?;
    let name = Name::kept(chars.as_str());
    let of = match kind {
        'p' => Marked::Policy(name),
        'u' => Marked::User(name),
        'g' => Marked::Group(name),
        'k' => Marked::AccessKey(name),
        'b' => Marked::Bucket(name),
        'a' => Marked::Binding(name),
        _ => return None,
    };
    let attached = attached.into_iter().map(|(holder, policy)| {
        let holder = match holder {
            HolderRecord::User(name) => Holder::User(Name::kept(&name)),
            HolderRecord::Group(name) => Holder::Group(Name::kept(&name)),
        };
        (holder, Name::kept(&policy))
    });
    let ceiling = ceiling.map(|name| Name::kept(&name));
    Some(Mark { of, owner, ceiling, number, attached: attached.collect() })
}
