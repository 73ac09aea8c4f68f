//! The archive itself: its files and what is in them, read within bounds.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;
use zip::write::SimpleFileOptions;

use super::refused;
use crate::answer::Refusal;

/// Where the files of an archive lie.
const FOLDER: &str = "iam-assets/";
const FILES: [&str; 8] = [
    "policies.json",
    "users.json",
    "groups.json",
    "svcaccts.json",
    "user_mappings.json",
    "group_mappings.json",
    "stsuser_mappings.json",
    "all.json",
];
/// The most bytes that one file of an archive may become.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// The most entries of an archive.
const MAX_FILES: usize = 16;
/// The most identities and policies of an archive.
const MAX_ENTITIES: usize = 50_000;

/// A user.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedUser {
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) secret_key: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed_secret_key: Option<String>,
    pub(super) status: String,
}

/// A group.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedGroup {
    #[serde(rename = "version")]
    pub(super) _version: u32,
    pub(super) status: String,
    pub(super) members: Option<Vec<String>>,
    #[serde(rename = "updatedAt")]
    pub(super) _updated_at: String,
}

/// An access key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchivedKey {
    pub(super) parent: String,
    pub(super) access_key: String,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) secret_key: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed_secret_key: Option<String>,
    #[serde(default)]
    pub(super) claims: Option<BTreeMap<String, Value>>,
    pub(super) session_policy: Option<Value>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) expiration: Option<String>,
}

/// Who has which policies.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mapping {
    #[serde(rename = "version")]
    pub(super) _version: u32,
    pub(super) policy: String,
    #[serde(rename = "updatedAt")]
    pub(super) _updated_at: String,
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn is_none(secret: &Option<Zeroizing<String>>) -> bool {
    secret.is_none()
}

/// An archive that was read.
pub(super) struct Archive {
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) users: BTreeMap<String, ArchivedUser>,
    pub(super) groups: BTreeMap<String, ArchivedGroup>,
    pub(super) keys: BTreeMap<String, ArchivedKey>,
    pub(super) user_mappings: BTreeMap<String, Mapping>,
    pub(super) group_mappings: BTreeMap<String, Mapping>,
    pub(super) session_mappings: BTreeMap<String, Mapping>,
}

/// Writes an archive of these files.
pub(super) fn zipped(
    files: &[(&str, Zeroizing<Vec<u8>>)],
) -> zip::result::ZipResult<Zeroizing<Vec<u8>>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(format!("{FOLDER}{name}"), SimpleFileOptions::default())?;
        writer.write_all(text)?;
    }
    Ok(Zeroizing::new(writer.finish()?.into_inner()))
}

/// Reads an archive within bounds: how many files, which, how large.
pub(super) fn read(bytes: &[u8]) -> Result<Archive, Refusal> {
    let announced = announced(bytes)
        .filter(|files| *files <= MAX_FILES)
        .ok_or_else(|| refused("it is no zip archive, or has too many files"))?;
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|_error| refused("it is no zip archive"))?;
    // Of two files with one name the library shows the last; another reader may take the first.
    if zip.len() != announced {
        return Err(refused("it has a file twice, or not those that it announces"));
    }
    let mut files: BTreeMap<String, Zeroizing<Vec<u8>>> = BTreeMap::new();
    for at in 0..zip.len() {
        let file = zip.by_index(at).map_err(|_error| refused("a file of it can't be read"))?;
        let name = file.name().strip_prefix(FOLDER).unwrap_or_default().to_owned();
        if !FILES.contains(&name.as_str()) {
            return Err(refused("it has a file that isn't part of such archives"));
        }
        let mut text = Zeroizing::new(Vec::new());
        let read = file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut text);
        let read = read.map_err(|_error| refused("a file of it can't be read"))?;
        if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(refused("a file of it is too large"));
        }
        files.insert(name, text);
    }
    if files.is_empty() {
        return Err(refused("it is empty"));
    }
    let archive = Archive {
        policies: file(&files, "policies.json")?,
        users: file(&files, "users.json")?,
        groups: file(&files, "groups.json")?,
        keys: file(&files, "svcaccts.json")?,
        user_mappings: file(&files, "user_mappings.json")?,
        group_mappings: file(&files, "group_mappings.json")?,
        session_mappings: file(&files, "stsuser_mappings.json")?,
    };
    let entities = archive.policies.len()
        + archive.users.len()
        + archive.groups.len()
        + archive.keys.len()
        + archive.user_mappings.len()
        + archive.group_mappings.len()
        + archive.session_mappings.len();
    if entities > MAX_ENTITIES {
        return Err(refused("it has more than 50000 identities and policies"));
    }
    Ok(archive)
}

fn file<T: DeserializeOwned>(
    files: &BTreeMap<String, Zeroizing<Vec<u8>>>,
    name: &str,
) -> Result<BTreeMap<String, T>, Refusal> {
    match files.get(name) {
        None => Ok(BTreeMap::new()),
        // `null` is what an empty map looks like to the programs of the field.
        Some(text) => serde_json::from_slice::<Option<BTreeMap<String, T>>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|_secret_text_inside| refused(format!("`{name}` isn't what it should be"))),
    }
}

/// How many files the end of the archive announces: reading the directory of a million takes memory.
fn announced(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"PK\x05\x06";
    const LARGE_END: &[u8] = b"PK\x06\x07";
    // The record has 22 bytes, and a comment of at most 65,535 behind it.
    let tail = bytes.get(bytes.len().saturating_sub(22 + 65_535)..).unwrap_or_default();
    let at = tail.windows(END.len()).rposition(|four| four == END)?;
    if tail.windows(LARGE_END.len()).any(|four| four == LARGE_END) {
        return None;
    }
    let count = tail.get(at.saturating_add(10)..at.saturating_add(12))?;
    count.try_into().ok().map(u16::from_le_bytes).map(usize::from)
}

#[cfg(test)]
mod tests {
    use coffer_fuzzing::fuzz;

    use super::*;

    #[test]
    fn fuzzed_archives_are_read_within_bounds_or_refused() {
        let text = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let users = r#"{"u":{"secretKey":"a-good-secret","status":"enabled"}}"#;
        let examples = [
            zipped(&[("users.json", text(users)), ("policies.json", text("{}"))]),
            zipped(&[("groups.json", text("null"))]),
        ]
        .map(|archive| archive.unwrap().to_vec());
        assert!(examples.iter().all(|archive| read(archive).is_ok()));
        fuzz!(examples, b"PK\x01\x02\x03\x04\x05\x06\x00\x08{}\"\xff", |bytes: &[u8]| {
            if let Ok(archive) = read(bytes) {
                assert!(archive.users.len() + archive.policies.len() <= MAX_ENTITIES);
            }
        });
    }
}
