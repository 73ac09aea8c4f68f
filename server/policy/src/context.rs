//! What is known of a request beside its principal, action and resource.

use std::borrow::Cow;

use crate::key::{ContextKey, Key, Suffix};

/// The condition keys of one request and their values.
///
/// Keys are typed, so that a name that a client sends can't become the key that the server makes: the server says
/// `context.set(Key::AwsSourceIp, …)`. Values may be borrowed. Looking up allocates nothing.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// By key, one more than the place of its first entry; 0 if it has none.
    first: [u16; Key::ALL.len()],
    entries: Vec<Entry<'a>>,
}

#[derive(Clone, Debug)]
struct Entry<'a> {
    key: Key,
    suffix: Cow<'a, str>,
    values: Values<'a>,
}

#[derive(Clone, Debug)]
enum Values<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self { first: [0; Key::ALL.len()], entries: Vec::new() }
    }
}

impl<'a> Context<'a> {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the one value of a key, in place of what it had.
    pub fn set(
        &mut self,
        key: impl Into<ContextKey<'a>>,
        value: impl Into<Cow<'a, str>>,
    ) -> &mut Self {
        self.put(key.into(), Values::One(value.into()));
        self
    }

    /// Sets the values of a key, in place of what it had. Without values the key counts as absent.
    pub fn set_all<V: Into<Cow<'a, str>>>(
        &mut self,
        key: impl Into<ContextKey<'a>>,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        self.put(key.into(), Values::Many(values.into_iter().map(Into::into).collect()));
        self
    }

    /// The values of a key; none if it is absent.
    pub fn values<'c>(&'c self, key: ContextKey<'_>) -> &'c [Cow<'a, str>] {
        let place = self.first.get(key.key.number()).copied().unwrap_or_default();
        let Some(start) = usize::from(place).checked_sub(1) else { return &[] };
        let entries = self.entries.get(start..).unwrap_or_default();
        let values = match key.key.suffix() {
            Suffix::None => entries.first().map(|entry| &entry.values),
            Suffix::Colon => find(entries, key, |a, b| a == b),
            Suffix::Slash => find(entries, key, |a, b| a == b)
                .or_else(|| find(entries, key, str::eq_ignore_ascii_case)),
        };
        match values {
            None => &[],
            Some(Values::One(value)) => std::slice::from_ref(value),
            Some(Values::Many(values)) => values,
        }
    }

    fn put(&mut self, key: ContextKey<'a>, values: Values<'a>) {
        for entry in &mut self.entries {
            if entry.key == key.key && entry.suffix == key.suffix {
                entry.values = values;
                return;
            }
        }
        if let Some(first) = self.first.get_mut(key.key.number())
            && *first == 0
            // A request has no 65,535 keys: its head is bounded.
            && let Ok(place) = u16::try_from(self.entries.len().saturating_add(1))
        {
            *first = place;
        }
        self.entries.push(Entry { key: key.key, suffix: Cow::Borrowed(key.suffix), values });
    }
}

fn find<'c, 'a>(
    entries: &'c [Entry<'a>],
    key: ContextKey<'_>,
    same: impl Fn(&str, &str) -> bool,
) -> Option<&'c Values<'a>> {
    entries
        .iter()
        .find(|entry| entry.key == key.key && same(&entry.suffix, key.suffix))
        .map(|entry| &entry.values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ContextKey<'_> {
        ContextKey::parse(text).unwrap()
    }

    #[test]
    fn a_key_of_a_family_is_found_by_its_suffix() {
        let mut context = Context::new();
        context
            .set(key("jwt:sub"), "s")
            .set(key("aws:username"), "alice")
            .set(key("jwt:Sub"), "S")
            .set(key("s3:ExistingObjectTag/Team"), "T")
            .set(key("s3:ExistingObjectTag/team"), "t")
            .set_all(key("jwt:groups"), ["a", "b"]);
        for (name, expected) in [
            ("jwt:sub", &["s"][..]),
            ("jwt:Sub", &["S"]),
            // What is of a token counts letter for letter.
            ("jwt:SUB", &[]),
            ("jwt:groups", &["a", "b"]),
            ("AWS:UserName", &["alice"]),
            // Tags do so first.
            ("s3:ExistingObjectTag/Team", &["T"]),
            ("s3:ExistingObjectTag/team", &["t"]),
            ("s3:ExistingObjectTag/TEAM", &["T"]),
            ("s3:ExistingObjectTag/other", &[]),
            ("aws:userid", &[]),
        ] {
            assert_eq!(context.values(key(name)), expected, "{name}");
        }
        // Set again, and no other one with it.
        context.set(key("jwt:sub"), "again").set_all(key("jwt:groups"), Vec::<&str>::new());
        assert_eq!(context.values(key("jwt:sub")), ["again"]);
        assert_eq!(context.values(key("jwt:Sub")), ["S"]);
        assert!(context.values(key("jwt:groups")).is_empty());
    }
}
