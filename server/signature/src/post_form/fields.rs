//! The fields of a form.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

use crate::Refusal;

use super::{POLICY, SIGNATURE, V2_SIGNATURE};

/// What stands for the file's name in any field.
const FILENAME: &str = "${filename}";

/// The fields of a form in their order: names in any case, none twice.
///
/// Its `Debug` shows names alone: the values may hold signatures and tokens.
#[derive(Clone, Default)]
pub struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Adds a field.
    ///
    /// # Errors
    /// [`Refusal::InvalidArgument`] if it is there already.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let name = name.to_ascii_lowercase();
        if self.get(&name).is_some() {
            return Err(Refusal::InvalidArgument(Cow::Owned(format!(
                "the form has the field `{}` twice; send it once",
                name.escape_default()
            ))));
        }
        self.0.push((name, Zeroizing::new(value.to_owned())));
        Ok(())
    }

    /// A field's value; `name` in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All of them in their order, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the file's name wherever a field says `${filename}`: what follows its last
    /// slash or backslash, as some browsers send a path.
    pub fn name_file(&mut self, filename: &str) {
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        for (field, value) in &mut self.0 {
            let signed = [POLICY, SIGNATURE, V2_SIGNATURE].contains(&field.as_str());
            if !signed && value.contains(FILENAME) {
                *value = Zeroizing::new(value.replace(FILENAME, name));
            }
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_in_any_case_and_there_once() {
        let mut fields = Fields::default();
        assert!(fields.is_empty());
        fields.push("Content-Type", "text/plain").unwrap();
        assert_eq!(fields.get("content-type"), Some("text/plain"));
        assert_eq!(fields.push("content-TYPE", "x").unwrap_err().code(), "InvalidArgument");
        assert_eq!((fields.len(), fields.is_empty()), (1, false));
        assert_eq!(format!("{fields:?}"), "[\"content-type\"]");
    }

    #[test]
    fn a_files_name_is_what_follows_its_last_slash() {
        for (filename, key) in [
            ("a.txt", "in/a.txt/a.txt"),
            ("/home/a b/c", "in/c/c"),
            ("C:\\Users\\x.txt", "in/x.txt/x.txt"),
            ("..", "in/../.."),
            ("a/", "in//"),
            ("", "in//"),
            ("${filename}", "in/${filename}/${filename}"),
        ] {
            let mut fields = Fields::default();
            fields.push("key", "in/${filename}/${filename}").unwrap();
            fields.push("policy", "${filename}").unwrap();
            fields.name_file(filename);
            assert_eq!(fields.get("key"), Some(key), "{filename}");
            assert_eq!(fields.get("policy"), Some("${filename}"), "{filename}");
        }
    }
}
