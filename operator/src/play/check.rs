//! `--check`: only validates, for use in CI.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Map;

use super::manifests::{self, Manifests, resources};
use crate::iam::managed::tenant_of;
use crate::iam::model::{Model, run};
use crate::iam::{Key, Managed as _, Of, bucket, policy};
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
    let manifests = manifests::read(paths, |_, _| None);
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
    inhabitants(&manifests, &mut report);
    report.lines.extend(
        manifests.skipped.iter().map(|object| format!("{object}: not checked, another program's")),
    );
    if manifests.tenants.is_empty() && manifests.resources.is_empty() && report.problems.is_empty()
    {
        report.problems.push("no Tenant in the given files".to_owned());
    }
    report
}

/// Checks what is to be in Tenants, and runs the PolicyTests: on what the manifests say alone.
fn inhabitants(manifests: &Manifests, report: &mut Report) {
    let mut resources = resources(manifests.resources.values());
    let mut problem = |of: &Of, why: String| {
        let key = Key { namespace: of.namespace.clone(), name: of.name.clone() };
        report.problems.push(format!("{} {key}: {why}", of.kind));
    };
    for policy in &mut resources.policies {
        if let Some(from) = policy.spec.document_from.take() {
            let (namespace, reference) = (policy.of().namespace, from.config_map_ref);
            let key = Key { namespace, name: reference.name.clone() };
            let data = manifests.config_maps.get(&key).and_then(|data| data.get(&reference.key));
            policy.spec.document = data.cloned();
            if data.is_none() {
                let why = format!(
                    "spec.documentFrom: no ConfigMap `{key}` with the key `{}` in the given files",
                    reference.key
                );
                problem(&policy.of(), why);
            }
        }
        if let Some(Err(why)) = policy::document(policy).as_deref().map(policy::parse) {
            problem(&policy.of(), why);
        }
    }
    for bucket in &resources.buckets {
        if let Err(why) = bucket::policy(bucket) {
            problem(&bucket.of(), why);
        }
    }
    #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
    let now = Timestamp::now();
    for test in &resources.tests {
        let tenant = tenant_of(&test.spec.tenant_ref, &test.of().namespace);
        let mut model = Model::new(&resources, &tenant, &Map::new(), true);
        let iam = manifests.tenants.get(&tenant).and_then(|tenant| tenant.spec.iam.as_ref());
        model.bound(iam.and_then(|iam| iam.policy_boundary.as_deref()));
        let failed = run(&model, test, now);
        for failed in &failed {
            problem(&test.of(), failed.to_string());
        }
    }
    let broken: BTreeSet<String> = report
        .problems
        .iter()
        .filter_map(|it| it.split_once(": "))
        .map(|it| it.0.to_owned())
        .collect();
    for of in manifests.resources.keys() {
        let name = format!("{} {}/{}", of.kind, of.namespace, of.name);
        if !broken.contains(&name) {
            let passed = if of.kind == "PolicyTest" { "all cases pass" } else { "valid" };
            report.lines.push(format!("{name}: {passed}"));
        }
    }
}
