//! A Policy: an IAM policy in a Tenant. It is parsed before it is sent, and its tests are run: a bad one leaves what is in force.

use coffer_crds::Policy;
use coffer_crds::condition::Reason;
use coffer_crds::policy::{Effect, Statement};
use coffer_crds::reference::TenantRef;
use coffer_policy::Kind;
use serde_json::{Map, Value, json};

use super::managed::{Managed, stalled, waiting};
use super::model::{Model, failing};
use super::{Done, Job, Key};
use crate::tenant::status::Outcome;

/// The name of a Policy's policy.
pub fn name(policy: &Policy) -> String {
    let own = || policy.metadata.name.clone().unwrap_or_default();
    policy.spec.policy_name.clone().unwrap_or_else(own)
}

/// The document of a Policy that has it in itself.
pub fn document(policy: &Policy) -> Option<String> {
    match (&policy.spec.document, &policy.spec.statements) {
        (Some(document), _) => Some(document.clone()),
        (None, Some(statements)) => {
            let statements: Vec<Value> = statements.iter().map(statement).collect();
            Some(json!({"Version": "2012-10-17", "Statement": statements}).to_string())
        }
        (None, None) => None,
    }
}

fn statement(statement: &Statement) -> Value {
    let Statement { sid, effect, actions, not_actions, resources, not_resources, conditions } =
        statement;
    let effect = match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    let members = [
        ("Sid", json!(sid)),
        ("Effect", json!(effect)),
        ("Action", json!(actions)),
        ("NotAction", json!(not_actions)),
        ("Resource", json!(resources)),
        ("NotResource", json!(not_resources)),
        ("Condition", json!(conditions)),
    ];
    let said = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(said.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// The canonical text of a document.
///
/// # Errors
/// What is wrong with it, with line, path and remedy.
pub fn parse(document: &str) -> Result<String, String> {
    coffer_policy::Policy::parse(Kind::Identity, document.as_bytes())
        .map(|policy| policy.document().to_owned())
        .map_err(|errors| errors.to_string())
}

/// Whether a Policy of this namespace may set the policy of this name, in a Tenant with this boundary.
///
/// # Errors
/// Why not.
pub fn may_be_named(
    name: &str,
    boundary: Option<&str>,
    namespace: &str,
    tenant: &Key,
) -> Result<(), String> {
    if boundary != Some(name) || tenant.namespace == namespace {
        return Ok(());
    }
    Err(format!(
        "`{name}` is the Tenant's policy boundary, which only a Policy of the Tenant's own namespace may set; choose another name"
    ))
}

impl Managed for Policy {
    const KIND: &'static str = "Policy";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let name = name(self);
        let boundary = job.tenant.boundary.as_deref();
        may_be_named(&name, boundary, &job.of.namespace, &job.tenant.key)
            .map_err(|why| stalled(Reason::BeyondBoundary, why))?;
        let document = found(self, job).await?;
        let document = parse(&document).map_err(|why| {
            stalled(
                Reason::InvalidSpec,
                format!("{}: {why}; the policy in force stays", field(self)),
            )
        })?;
        let body = json!({"adopt": self.spec.adopt, "name": name, "document": document});
        if job.differs("policy", body.clone()) {
            passes(job, &name, &document).await?;
        }
        let (answer, _) = job.put("policy", body).await?;
        if answer.get("document").and_then(Value::as_str) != Some(&document) {
            job.world.calls().forget(&job.of);
            return Err(waiting(
                Reason::Probing,
                "the server has another document; it is put again",
            ));
        }
        let status = json!({"policyName": name});
        Ok(Done::in_force("the server has exactly this document", status, job.tenant.resync))
    }
}

/// The field with the document.
fn field(policy: &Policy) -> &'static str {
    match (&policy.spec.document, &policy.spec.statements) {
        (Some(_), _) => "spec.document",
        (None, Some(_)) => "spec.statements",
        (None, None) => "spec.documentFrom",
    }
}

/// The document, wherever it is.
async fn found(policy: &Policy, job: &Job<'_>) -> Result<String, Outcome> {
    if let Some(document) = document(policy) {
        return Ok(document);
    }
    let Some(from) = &policy.spec.document_from else {
        return Err(stalled(
            Reason::InvalidSpec,
            "spec: no document; set statements, document or documentFrom",
        ));
    };
    let (name, key) = (&from.config_map_ref.name, &from.config_map_ref.key);
    match job.world.config_map(&job.of.namespace, name).await? {
        None => Err(waiting(Reason::ReferenceNotFound, format!("spec.documentFrom.configMapRef: there is no ConfigMap `{name}`; it is waited for"))),
        Some(data) => data.get(key).cloned().ok_or_else(|| {
            stalled(Reason::ReferenceInvalid, format!("spec.documentFrom.configMapRef: the ConfigMap `{name}` has no key `{key}`; add it"))
        }),
    }
}

/// Runs the tests that are about it, if it would change what is in force.
async fn passes(job: &Job<'_>, name: &str, document: &str) -> Result<(), Outcome> {
    let in_force = job.documents().await?;
    if in_force.get(name).and_then(Value::as_str) == Some(document) {
        return Ok(());
    }
    let tenant = &job.tenant;
    let inhabitants = job.world.inhabitants(&tenant.key);
    let with = |wished: bool| {
        let mut model = Model::new(&inhabitants, &in_force, wished);
        model.put(name, document);
        model.bound(tenant.boundary.as_deref());
        failing(&model, &inhabitants, job.now)
    };
    let failed: Vec<_> = with(false).into_iter().filter(|failed| failed.involves(name)).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    // Two edits may fit together only: then all that is wished must pass.
    if with(true).is_empty() {
        return Ok(());
    }
    Err(stalled(
        Reason::TestFailed,
        format!(
            "{}; the policy in force stays{}",
            first.told(&job.of.namespace),
            more(failed.len())
        ),
    ))
}

fn more(failed: usize) -> String {
    match failed {
        0 | 1 => String::new(),
        failed => format!(" ({} more cases fail)", failed - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_set_by_the_tenants_own_namespace_alone() {
        let tenant = Key { namespace: "team".to_owned(), name: "photos".to_owned() };
        for (claim, name, boundary, namespace, expected) in [
            ("no boundary", "ceiling", None, "guest", true),
            ("another policy", "look", Some("ceiling"), "guest", true),
            ("its own", "ceiling", Some("ceiling"), "team", true),
            ("of another", "ceiling", Some("ceiling"), "guest", false),
        ] {
            let may = may_be_named(name, boundary, namespace, &tenant);
            assert_eq!(may.is_ok(), expected, "{claim}: {may:?}");
        }
    }
}
