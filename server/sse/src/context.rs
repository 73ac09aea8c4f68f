//! The encryption context: what a data key is bound to, in the KMS.

use std::collections::BTreeMap;

/// Names and values that a data key is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Context(BTreeMap<String, String>);

/// Why a client's context can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Not an object of texts.
    #[error("the encryption context is no JSON object whose values are texts")]
    Json,
    /// A name that the server sets itself.
    #[error(
        "the encryption context can't set `{0}`; names that begin with `coffer:` or `aws:` are the server's"
    )]
    Reserved(String),
    /// Too long for the services.
    #[error("the encryption context has {0} bytes; give it at most 2048")]
    Length(usize),
}

/// The longest context of a client, as JSON. What AWS's KMS takes in all is 8 KiB.
const MAX_CLIENT: usize = 2048;

impl Context {
    /// What a bucket's key is bound to: its tenant and itself, and what the client gave beside.
    pub fn of_bucket(tenant: &str, bucket: &str, client: &Self) -> Self {
        let mut entries = client.0.clone();
        entries.insert("coffer:tenant".to_owned(), tenant.to_owned());
        entries.insert("coffer:bucket".to_owned(), bucket.to_owned());
        Self(entries)
    }

    /// Reads what a client gave: a JSON object of texts, at most 2048 bytes, with no name of the server's.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn from_client(json: &[u8]) -> Result<Self, ContextError> {
        if json.len() > MAX_CLIENT {
            return Err(ContextError::Length(json.len()));
        }
        let entries: BTreeMap<String, String> =
            serde_json::from_slice(json).map_err(|_error| ContextError::Json)?;
        let context = Self(entries);
        let reserved = |name: &&String| name.starts_with("coffer:") || name.starts_with("aws:");
        if let Some(name) = context.0.keys().find(reserved) {
            return Err(ContextError::Reserved(name.clone()));
        }
        Ok(context)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As JSON, sorted by name, without spaces: the same bytes for the same context.
    pub fn to_json(&self) -> String {
        // Texts are always JSON.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl FromIterator<(String, String)> for Context {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_context_never_stands_for_the_servers() {
        let client = Context::from_client(br#"{"b":"2","a":"1"}"#).unwrap();
        assert_eq!(client.to_json(), r#"{"a":"1","b":"2"}"#);
        let bucket = Context::of_bucket("acme", "photos", &client);
        assert_eq!(
            bucket.to_json(),
            r#"{"a":"1","b":"2","coffer:bucket":"photos","coffer:tenant":"acme"}"#
        );
        assert_ne!(bucket, Context::of_bucket("acme", "photos", &Context::default()));
        for (bad, error) in [
            ("", ContextError::Json),
            ("[]", ContextError::Json),
            (r#"{"a":1}"#, ContextError::Json),
            (r#"{"a":{}}"#, ContextError::Json),
            (r#"{"coffer:tenant":"x"}"#, ContextError::Reserved("coffer:tenant".to_owned())),
            (r#"{"aws:s3:arn":"x"}"#, ContextError::Reserved("aws:s3:arn".to_owned())),
            (&*format!("{{\"a\":\"{}\"}}", "x".repeat(2048)), ContextError::Length(2056)),
        ] {
            assert_eq!(Context::from_client(bad.as_bytes()), Err(error), "{bad}");
        }
        let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(2040));
        assert_eq!(longest.len(), MAX_CLIENT);
        assert!(Context::from_client(longest.as_bytes()).is_ok());
    }

    #[test]
    fn its_entries_are_sorted_by_name() {
        let entries = [("b", "2"), ("a", "1")];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let context: Context = entries.into_iter().map(owned).collect();
        assert_eq!(context.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }
}
