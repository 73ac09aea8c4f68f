//! The policies that every tenant has. Their names are those that `mc` users know.
//!
//! Two differences: `readonly` reads versions too, which here has an action of its own, as on AWS; and
//! `consoleAdmin` names the Resource `*`, without which admin actions are not granted.

use std::sync::LazyLock;

use crate::policy::{Kind, Policy};

/// Names and documents.
pub const DOCUMENTS: [(&str, &str); 5] = [
    (
        "readonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject","s3:GetObjectVersion"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
    (
        "readwrite",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
    (
        "writeonly",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
    (
        "diagnostics",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:BandwidthMonitor","admin:ConsoleLog","admin:OBDInfo","admin:Profiling","admin:Prometheus","admin:ServerInfo","admin:ServerTrace","admin:TopLocksInfo"],"Resource":["*"]}]}"#,
    ),
    (
        "consoleAdmin",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"],"Resource":["*"]},{"Effect":"Allow","Action":["kms:*"],"Resource":["*"]},{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
];

static POLICIES: LazyLock<Vec<(&'static str, Policy)>> = LazyLock::new(|| {
    DOCUMENTS
        .iter()
        .filter_map(|(name, document)| {
            Some((*name, Policy::parse(Kind::Identity, document.as_bytes()).ok()?))
        })
        .collect()
});

/// All of them, by name.
pub fn policies() -> impl Iterator<Item = (&'static str, &'static Policy)> {
    POLICIES.iter().map(|(name, policy)| (*name, policy))
}

/// The one of this name.
pub fn policy(name: &str) -> Option<&'static Policy> {
    policies().find(|(known, _)| *known == name).map(|(_, policy)| policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_valid_and_canonical() {
        assert_eq!(policies().count(), DOCUMENTS.len());
        for (name, document) in DOCUMENTS {
            assert_eq!(policy(name).unwrap().document(), document, "{name}");
        }
    }
}
