//! Actions: their names, what they act on, and sets of them.

mod table;

use std::fmt;

use crate::pattern::wildcard_ignoring_case;

pub use table::Action;

/// The API that an action belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `s3:`, on buckets and objects.
    S3,
    /// `admin:`, on the tenant.
    Admin,
    /// `kms:`, on keys.
    Kms,
    /// `sts:`, on the tenant.
    Sts,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 4] = [Self::S3, Self::Admin, Self::Kms, Self::Sts];

    /// What stands before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Admin => "admin",
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }
}

/// What an action acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum On {
    /// The tenant as a whole: no single bucket, object or key.
    Account,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
    /// A key of the KMS.
    Key,
}

/// What an action does, in AWS's five levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Names what is there.
    List,
    /// Reads content or settings.
    Read,
    /// Changes tags only.
    Tagging,
    /// Changes content or settings.
    Write,
    /// Changes who may do what.
    Permissions,
}

impl Action {
    /// The action of this name. Case doesn't count, as on AWS.
    pub fn parse(name: &str) -> Option<Self> {
        let at = table::ROWS.iter().position(|row| row.name.eq_ignore_ascii_case(name))?;
        Self::ALL.get(at).copied()
    }

    /// Its name, such as `s3:GetObject`.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// The API it belongs to.
    pub fn family(self) -> Family {
        self.row().map_or(Family::Admin, |row| row.family)
    }

    /// What it acts on.
    pub fn on(self) -> On {
        self.row().map_or(On::Account, |row| row.on)
    }

    /// What it does.
    pub fn access(self) -> Access {
        self.row().map_or(Access::Permissions, |row| row.access)
    }

    #[expect(clippy::as_conversions, reason = "the number of a variant without fields")]
    pub(crate) const fn number(self) -> u16 {
        self as u16
    }

    fn row(self) -> Option<&'static table::Row> {
        table::ROWS.get(usize::from(self.number()))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const WORDS: usize = 5;
// INVARIANT: every action has its bit.
const _: () = assert!(Action::ALL.len() <= WORDS * 64 && Action::ALL.len() == table::ROWS.len());

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActionSet([u64; WORDS]);

impl ActionSet {
    /// No action.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// All actions whose names `pattern` matches: `*` is any run, `?` one character, case doesn't count.
    pub(crate) fn matching(pattern: &str) -> Self {
        let mut set = Self::EMPTY;
        if !pattern.contains(['*', '?']) {
            return Action::parse(pattern).into_iter().collect();
        }
        for action in Action::ALL {
            if wildcard_ignoring_case(pattern, action.name()) {
                set.insert(*action);
            }
        }
        set
    }

    /// Whether `action` is in it.
    pub fn contains(&self, action: Action) -> bool {
        let (word, bit) = place(action);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Its actions, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Action> + '_ {
        Action::ALL.iter().copied().filter(|action| self.contains(*action))
    }

    pub(crate) fn insert(&mut self, action: Action) {
        let (word, bit) = place(action);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut set = *self;
        for (word, less) in set.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
        set
    }

    /// The actions that are in it while the one before them isn't, or the other way about.
    pub(crate) fn borders(&self) -> Self {
        let mut borders = Self::EMPTY;
        let mut carry = 0;
        for (border, word) in borders.0.iter_mut().zip(self.0) {
            *border = word ^ (word << 1 | carry);
            carry = word >> 63;
        }
        borders
    }

    /// All but these.
    pub(crate) fn complement(&self) -> Self {
        Action::ALL.iter().copied().collect::<Self>().without(self)
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::EMPTY;
        actions.into_iter().for_each(|action| set.insert(action));
        set
    }
}

fn place(action: Action) -> (usize, u64) {
    let number = action.number();
    (usize::from(number >> 6), 1 << (number & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.name()), Some(*action));
            assert_eq!(action.to_string(), action.name());
            assert_eq!(Action::parse(&action.name().to_ascii_uppercase()), Some(*action));
            assert!(action.name().starts_with(action.family().name()), "{action}");
        }
        assert_eq!(Action::parse("s3:GetObjects"), None);
    }

    #[test]
    fn a_set_holds_what_its_pattern_matches() {
        let all = ActionSet::matching("*");
        assert_eq!(all.iter().count(), Action::ALL.len());
        assert!(all.complement().is_empty());
        let gets = ActionSet::matching("s3:get*");
        assert!(gets.contains(Action::S3GetObject) && !gets.contains(Action::S3PutObject));
        assert!(!gets.contains(Action::AdminGetUser));
        assert!(ActionSet::matching("*:Get*").contains(Action::AdminGetUser));
        assert!(ActionSet::matching("s3:?etObject").contains(Action::S3GetObject));
        let exact = ActionSet::matching("S3:getobject");
        assert_eq!(exact.iter().collect::<Vec<_>>(), [Action::S3GetObject]);
    }

    #[test]
    fn borders_are_where_membership_changes() {
        for pattern in ["*", "s3:*", "*:Get*", "*Object*", "admin:ListUsers", "s3:A*"] {
            let set = ActionSet::matching(pattern);
            let borders = set.borders();
            let mut inside = false;
            for action in Action::ALL {
                let changes = set.contains(*action) != inside;
                assert_eq!(borders.contains(*action), changes, "{pattern} {action}");
                inside = set.contains(*action);
            }
        }
    }
}
