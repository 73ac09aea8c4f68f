//! `--check`: only validates, for use in CI.

use std::path::PathBuf;

use super::manifests;
use crate::settings::Settings;
use crate::tenant::validate::validate;

/// What `--check` found.
#[derive(Debug)]
pub struct Report {
    /// One line for each object.
    pub lines: Vec<String>,
    /// One line for each problem.
    pub problems: Vec<String>,
}

/// Validates all manifests as the API server and the operator would.
pub fn check(paths: &[PathBuf], settings: &Settings) -> Report {
    let manifests = manifests::read(paths, |_| None);
    let mut report = Report {
        lines: Vec::new(),
        problems: manifests.problems.iter().map(ToString::to_string).collect(),
    };
    for (key, tenant) in &manifests.tenants {
        match validate(tenant, settings) {
            Ok(_) => report.lines.push(format!("Tenant {key}: valid")),
            Err(cause) => report.problems.push(format!("Tenant {key}: {cause}")),
        }
    }
    report.lines.extend(
        manifests.skipped.iter().map(|object| format!("{object}: not checked, another program's")),
    );
    if manifests.tenants.is_empty() && report.problems.is_empty() {
        report.problems.push("no Tenant in the given files".to_owned());
    }
    report
}
