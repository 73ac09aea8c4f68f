//! Reads manifests as the API server would: unknown fields refused, schema, CEL rules, then the Rust types.

mod any_resource;
mod schema;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use coffer_crds::{API_VERSION, GROUP, Tenant};
use k8s_openapi::ByteString;
use serde::Deserialize as _;
use serde_json::Value;

use crate::iam::{Doors, Of};
use crate::tenant::found::SecretData;
pub use any_resource::{AnyResource, resources};

/// No file of manifests is larger.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The namespace; `default` where the manifest has none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a set of files says.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The Tenants that are valid.
    pub tenants: BTreeMap<Key, Tenant>,
    /// What is to be in Tenants.
    pub resources: BTreeMap<Of, AnyResource>,
    /// The Secrets, which Tenants may name.
    pub secrets: BTreeMap<Key, SecretData>,
    /// The `ConfigMap`s, which Tenants and policies may name.
    pub config_maps: BTreeMap<Key, SecretData>,
    /// Everything that isn't valid.
    pub problems: Vec<Problem>,
    /// Objects of other kinds: theirs is another program.
    pub skipped: Vec<String>,
}

impl Manifests {
    /// Whom a Tenant lets in, if it is among them.
    pub fn doors(&self, tenant: &Key) -> Doors<'_> {
        self.tenants.get(tenant).map_or(Doors::Unknown, Doors::of)
    }

    /// The texts of a `ConfigMap`.
    pub fn texts(&self, config_map: &Key) -> Option<BTreeMap<String, String>> {
        let data = self.config_maps.get(config_map)?;
        let text = |bytes: &ByteString| String::from_utf8(bytes.0.clone()).ok();
        Some(data.iter().filter_map(|(key, bytes)| Some((key.clone(), text(bytes)?))).collect())
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The object in it, as far as it has a name.
    pub object: Option<String>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// By what a change of a file is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// The state of each file, to see whether they must be read again.
pub fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let mut stamps = BTreeMap::new();
    for path in paths {
        for file in files(path).unwrap_or_else(|_unreadable| vec![path.clone()]) {
            let metadata = fs::metadata(&file).ok();
            let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            stamps.insert(
                file,
                Stamp {
                    modified,
                    length: metadata.map(|metadata| metadata.len()).unwrap_or_default(),
                },
            );
        }
    }
    stamps
}

/// Reads and validates all files. `known` gives the Tenant that was accepted before, for rules about changes.
pub fn read(paths: &[PathBuf], known: impl Fn(&str, &Key) -> Option<Value>) -> Manifests {
    let mut manifests = Manifests::default();
    for path in paths {
        match files(path) {
            Ok(files) => files.iter().for_each(|file| read_file(file, &known, &mut manifests)),
            Err(cause) => manifests.problems.push(Problem {
                file: path.clone(),
                object: None,
                text: format!("can't be read: {cause}"),
            }),
        }
    }
    manifests
}

/// The file, or the manifests in a folder and below, in the order of their names.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let manifest =
            path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if hidden {
            continue;
        }
        if entry.file_type()?.is_dir() {
            found.extend(files(&path)?);
        } else if manifest {
            found.push(path);
        }
    }
    Ok(found)
}

fn read_file(file: &Path, known: &impl Fn(&str, &Key) -> Option<Value>, manifests: &mut Manifests) {
    let problem = |text: String| Problem { file: file.to_owned(), object: None, text };
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > LARGEST_FILE => {
            manifests.problems.push(problem(format!("larger than {LARGEST_FILE} bytes; split it")));
            return;
        }
        Ok(_) => {}
        Err(cause) => {
            manifests.problems.push(problem(format!("can't be read: {cause}")));
            return;
        }
    }
    match fs::read_to_string(file) {
        Ok(text) => read_text(file, &text, known, manifests),
        Err(cause) => manifests.problems.push(problem(format!("can't be read: {cause}"))),
    }
}

/// Reads and validates the documents of one text.
pub(super) fn read_text(
    file: &Path,
    text: &str,
    known: &impl Fn(&str, &Key) -> Option<Value>,
    manifests: &mut Manifests,
) {
    for document in serde_yaml::Deserializer::from_str(text) {
        // By way of YAML's own value, which refuses doubled keys.
        let value =
            serde_yaml::Value::deserialize(document).and_then(serde_yaml::from_value::<Value>);
        match value {
            Ok(Value::Null) => {}
            Ok(value) => read_object(file, &value, known, manifests),
            Err(cause) => {
                let text = format!("isn't YAML of an object: {cause}");
                manifests.problems.push(Problem { file: file.to_owned(), object: None, text });
                // The parser doesn't go on after an error.
                break;
            }
        }
    }
}

fn read_object(
    file: &Path,
    value: &Value,
    known: &impl Fn(&str, &Key) -> Option<Value>,
    manifests: &mut Manifests,
) {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let key = Key {
        namespace: Some(text("/metadata/namespace"))
            .filter(|name| !name.is_empty())
            .unwrap_or("default")
            .to_owned(),
        name: text("/metadata/name").to_owned(),
    };
    let object = format!("{kind} {key}");
    let mut problem = |texts: Vec<String>| {
        let make = |text| Problem { file: file.to_owned(), object: Some(object.clone()), text };
        manifests.problems.extend(texts.into_iter().map(make));
    };
    if kind.is_empty() || api_version.is_empty() {
        problem(vec!["`apiVersion` or `kind` is missing; add both".to_owned()]);
        return;
    }
    // A kustomization, for one, has no name: what is another program's is not judged.
    let is_ours = api_version.split('/').next() == Some(GROUP);
    if !is_ours && !matches!((api_version, kind), ("v1", "Secret" | "ConfigMap")) {
        manifests.skipped.push(if key.name.is_empty() { kind.to_owned() } else { object });
        return;
    }
    // Both become folders.
    if !is_dns_label(&key.namespace) || !is_dns_subdomain(&key.name) {
        problem(vec![
            "metadata: name or namespace is missing or isn't a DNS name; give it one".to_owned(),
        ]);
        return;
    }
    let old = || known(kind, &key);
    let twice = || vec!["there are two of this name; remove one".to_owned()];
    match (api_version, kind) {
        (API_VERSION, "Tenant") => match schema::valid::<Tenant>(kind, value, old().as_ref()) {
            Ok(_) if manifests.tenants.contains_key(&key) => problem(twice()),
            Ok(mut tenant) => {
                tenant.metadata.namespace = Some(key.namespace.clone());
                manifests.tenants.insert(key, *tenant);
            }
            Err(texts) => problem(texts),
        },
        (API_VERSION, kind) if AnyResource::KINDS.contains(&kind) => {
            match AnyResource::read(kind, value, old().as_ref(), &key.namespace) {
                Ok(resource) if manifests.resources.contains_key(&resource.of()) => {
                    problem(twice());
                }
                Ok(resource) => {
                    manifests.resources.insert(resource.of(), resource);
                }
                Err(texts) => problem(texts),
            }
        }
        ("v1", "Secret") => match data(value, "data", "stringData") {
            Ok(data) => {
                manifests.secrets.insert(key, data);
            }
            Err(text) => problem(vec![text]),
        },
        ("v1", "ConfigMap") => match data(value, "binaryData", "data") {
            Ok(data) => {
                manifests.config_maps.insert(key, data);
            }
            Err(text) => problem(vec![text]),
        },
        _ => problem(vec![format!(
            "no kind `{kind}` in `{api_version}`; this version knows Tenant, {} of {API_VERSION}",
            AnyResource::KINDS.join(", ")
        )]),
    }
}

/// The data of a Secret or `ConfigMap`: what is base64, and over it what is text.
fn data(value: &Value, encoded: &str, plain: &str) -> Result<SecretData, String> {
    let mut data = SecretData::new();
    for field in [encoded, plain] {
        for (key, text) in value.get(field).and_then(Value::as_object).into_iter().flatten() {
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if key.is_empty() || key.starts_with('.') || !key.bytes().all(fine) {
                return Err(format!(
                    "{field}: key `{key}` may hold letters, digits, `-`, `_` and `.` alone; rename it"
                ));
            }
            let text =
                text.as_str().ok_or_else(|| format!("{field}.{key}: not a string; quote it"))?;
            let bytes = if field == encoded {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                decoded.map_err(|_cause| {
                    format!("{encoded}.{key}: not base64; encode it, or use {plain}")
                })?
            } else {
                text.as_bytes().to_vec()
            };
            data.insert(key.clone(), ByteString(bytes));
        }
    }
    Ok(data)
}

fn is_dns_label(text: &str) -> bool {
    is_dns_subdomain(text) && text.len() <= 63 && !text.contains('.')
}

/// Whether this can be the name of an object.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(fine) && !label.starts_with('-');
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests;
