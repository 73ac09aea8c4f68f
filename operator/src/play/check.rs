//! `--check`: only validates, for use in CI.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use coffer_policy::Outcome;
use jiff::Timestamp;
use serde_json::Map;

use super::manifests::{self, AnyResource, Manifests, resources};
use crate::iam::access_key::Terms;
use crate::iam::managed::{not_let_in, tenant_of};
use crate::iam::model::{Asking, Model, run};
use crate::iam::world::inhabits;
use crate::iam::{Inhabitants, Key, Managed as _, Of, Resources, bucket, policy, user};
use crate::settings::Settings;
use crate::tenant::validate::{ValidTenant, validate};

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
    let mut tenants = BTreeMap::new();
    for (key, tenant) in &manifests.tenants {
        match validate(tenant, settings) {
            Ok(valid) => {
                report.lines.push(format!("Tenant {key}: valid"));
                tenants.insert(key.clone(), valid);
            }
            Err(cause) => report.problems.push(format!("Tenant {key}: {cause}")),
        }
    }
    inhabitants(&manifests, &tenants, &mut report);
    report.lines.extend(
        manifests.skipped.iter().map(|object| format!("{object}: not checked, another program's")),
    );
    if manifests.tenants.is_empty() && manifests.resources.is_empty() && report.problems.is_empty()
    {
        report.problems.push("no Tenant in the given files".to_owned());
    }
    report
}

/// Says how a request of a user would be decided, from what the manifests say alone.
///
/// # Errors
/// Everything that isn't valid, or why it can't be told.
pub fn explain(
    paths: &[PathBuf],
    user: &str,
    action: &str,
    resource: &str,
    context: &BTreeMap<String, Vec<String>>,
) -> Result<String, Vec<String>> {
    let manifests = manifests::read(paths, |_, _| None);
    let mut problems: Vec<String> = manifests.problems.iter().map(ToString::to_string).collect();
    let resources = gathered(&manifests, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let of_name = resources.users.iter().filter(|it| user::name(it) == user);
    let tenants: BTreeSet<Key> = of_name
        .filter_map(|it| {
            let tenant = tenant_of(&it.spec.tenant_ref, &it.of().namespace);
            inhabits(it, &tenant, manifests.doors(&tenant)).then_some(tenant)
        })
        .collect();
    let tenant = match Vec::from_iter(&tenants).as_slice() {
        [tenant] => (*tenant).clone(),
        [] => {
            return Err(vec![format!("there is no User of the name `{user}` in the given files")]);
        }
        [_, _, ..] => {
            return Err(vec![format!(
                "several Tenants have a user `{user}`; name the files of one"
            )]);
        }
    };
    let inhabitants = Inhabitants::of(&tenant, manifests.doors(&tenant), resources);
    let model = modelled(&manifests, &inhabitants, &tenant);
    let asking = Asking::User(user);
    let (outcome, why) =
        model.decide(&asking, action, resource, context, now()).map_err(|why| vec![why])?;
    let outcome = match outcome {
        Outcome::Allow => "Allow",
        Outcome::Deny | Outcome::DefaultDeny => "Deny",
    };
    Ok(format!("{outcome}: in Tenant {tenant}, {why}"))
}

fn modelled(manifests: &Manifests, inhabitants: &Inhabitants, tenant: &Key) -> Model {
    let mut model = Model::new(inhabitants, &Map::new(), true);
    let iam = manifests.tenants.get(tenant).and_then(|tenant| tenant.spec.iam.as_ref());
    model.bound(iam.and_then(|iam| iam.policy_boundary.as_deref()));
    model
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn problem(of: &Of, why: &str) -> String {
    format!("{} {}/{}: {why}", of.kind, of.namespace, of.name)
}

/// What decisions depend on, with each document in its place, and what is wrong with it.
fn gathered(manifests: &Manifests, problems: &mut Vec<String>) -> Resources {
    let mut resources = resources(manifests.resources.values());
    for policy in &mut resources.policies {
        if let Some(from) = policy.spec.document_from.take() {
            let (namespace, reference) = (policy.of().namespace, from.config_map_ref);
            let key = Key { namespace, name: reference.name.clone() };
            let texts = manifests.texts(&key);
            policy.spec.document = texts.and_then(|mut texts| texts.remove(&reference.key));
            if policy.spec.document.is_none() {
                let why = format!(
                    "spec.documentFrom: no ConfigMap `{key}` with the key `{}` in the given files",
                    reference.key
                );
                problems.push(problem(&policy.of(), &why));
            }
        }
        if let Some(Err(why)) = policy::document(policy).as_deref().map(policy::parse) {
            problems.push(problem(&policy.of(), &why));
        }
    }
    for bucket in &resources.buckets {
        let found = [bucket::policy(bucket).err(), bucket::quota(bucket).err()];
        problems.extend(found.iter().flatten().map(|why| problem(&bucket.of(), why)));
    }
    resources
}

/// What needs a KMS, in Tenants of the given files that have none.
fn without_kms(manifests: &Manifests) -> Vec<String> {
    let mut problems = Vec::new();
    for (of, resource) in &manifests.resources {
        let (reference, field) = match resource {
            AnyResource::Bucket(bucket) if bucket.spec.encryption.is_some() => {
                (&bucket.spec.tenant_ref, "spec.encryption")
            }
            AnyResource::KeyRotation(rotation) => (&rotation.spec.tenant_ref, "spec.tenantRef"),
            AnyResource::Bucket(_)
            | AnyResource::Policy(_)
            | AnyResource::PolicyTest(_)
            | AnyResource::User(_)
            | AnyResource::PolicyBinding(_)
            | AnyResource::AccessKey(_) => continue,
        };
        let key = tenant_of(reference, &of.namespace);
        if manifests.tenants.get(&key).is_some_and(|tenant| tenant.spec.kms.is_none()) {
            problems
                .push(problem(of, &format!("{field}: the Tenant `{key}` has no spec.kms; set it")));
        }
    }
    problems
}

/// What Tenants of the given files don't take from where it is, or as it is.
fn refused(manifests: &Manifests, tenants: &BTreeMap<Key, ValidTenant>) -> Vec<String> {
    let mut problems = Vec::new();
    for (of, resource) in &manifests.resources {
        let key = resource.tenant();
        if !manifests.doors(&key).let_in(&key, &of.namespace) {
            problems.push(problem(of, &not_let_in(&key, &of.namespace)));
            continue;
        }
        let tenant = tenants.get(&key);
        let boundary = tenant.and_then(|tenant| tenant.policy_boundary.as_deref());
        let longest = tenant.and_then(|tenant| tenant.max_key_lifetime);
        let told = match resource {
            AnyResource::Policy(it) => {
                policy::may_be_named(&policy::name(it), boundary, &of.namespace, &key)
            }
            AnyResource::AccessKey(it) => Terms::of(&it.spec, now())
                .and_then(|terms| terms.within(longest, now()))
                .map_err(|outcome| outcome.message),
            AnyResource::PolicyTest(_)
            | AnyResource::User(_)
            | AnyResource::PolicyBinding(_)
            | AnyResource::Bucket(_)
            | AnyResource::KeyRotation(_) => Ok(()),
        };
        problems.extend(told.err().map(|why| problem(of, &why)));
    }
    problems
}

/// Checks what is to be in Tenants, and runs the PolicyTests: on what the manifests say alone.
fn inhabitants(manifests: &Manifests, tenants: &BTreeMap<Key, ValidTenant>, report: &mut Report) {
    let resources = gathered(manifests, &mut report.problems);
    let named: BTreeSet<Key> = manifests.resources.values().map(AnyResource::tenant).collect();
    for tenant in &named {
        let inhabitants = Inhabitants::of(tenant, manifests.doors(tenant), resources.clone());
        let model = modelled(manifests, &inhabitants, tenant);
        for test in &inhabitants.all().tests {
            let of = test.of();
            let failed = run(&model, test, now());
            let told = failed.iter().map(|failed| problem(&of, &failed.told(&of.namespace)));
            report.problems.extend(told);
        }
    }
    report.problems.extend(refused(manifests, tenants));
    report.problems.extend(without_kms(manifests));
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
