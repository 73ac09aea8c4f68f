//! One Tenant's reconciliation.

mod objects;
mod volume;
mod iam_key;
mod roll;
mod prove;
mod report;

use std::time::Duration;

use coffer_crds::Tenant;
use coffer_crds::condition::{ConditionType, Reason};
use coffer_crds::tenant::{CertificateStatus, TenantStatus};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use tracing::{info, warn};

use super::{Context, Failure, KIND, StatusError};
use crate::authority::renewal;
use crate::event::Weight;
use crate::iam::Key;
use crate::tenant::build::{self, build};
use crate::tenant::dereference::{Material, certificates, material};
use crate::tenant::status::{self, Outcome, State};
use crate::tenant::validate::{ValidTenant, validate};
use objects::{Cause, apply, apply_certificates, find_kept, find_named};
use prove::prove;
use report::{conditions, patch_status, publish, write_status};
use volume::Held;

/// Reconciles a Tenant and writes its status.
pub(super) async fn reconcile(tenant: &Tenant, context: &Context) -> Result<Action, StatusError> {
    let uid = tenant.uid().unwrap_or_default();
    if tenant.metadata.deletion_timestamp.is_some() {
        // What is owned goes with it; there is nothing outside the API to clean up.
        super::forget(&uid, &key_of(tenant), context);
        return Ok(Action::await_change());
    }
    let mut certificate = None;
    match Box::pin(steps(tenant, &mut certificate, context)).await {
        Ok((status, outcome, pause)) => {
            let stalled = status::holds(
                status.conditions.as_deref().unwrap_or_default(),
                ConditionType::Stalled,
            );
            write_status(tenant, status, &outcome, context).await?;
            if !stalled {
                context.memory.fine(&uid);
            }
            context.memory.available(&uid);
            Ok(Action::requeue(pause))
        }
        Err(failure) => {
            let outcome = failure.outcome();
            context.health.metrics.failed(KIND, outcome.reason.as_str());
            let pause = context.memory.backoff(&uid, rand::random());
            if outcome.reason != Reason::ApiUnavailable {
                context.memory.available(&uid);
            } else if !context.memory.unavailable(&uid) && is_told(tenant) {
                // Most of these are over at the next try, and the Tenant serves as it did.
                warn!(why = outcome.message, "trying again");
                return Ok(Action::requeue(pause));
            }
            // The server of an earlier Tenant of this name isn't this one's either.
            if outcome.state == State::Stalled || outcome.reason == Reason::WaitingForDeletion {
                context.tenants.withdraw(&key_of(tenant));
            }
            let mut status = tenant.status.clone().unwrap_or_default();
            status.observed_generation = tenant.metadata.generation;
            status.certificate = certificate.or(status.certificate);
            status.conditions =
                Some(status::with_kms_as_it_was(tenant, conditions(tenant, &outcome)));
            write_status(tenant, status, &outcome, context).await?;
            Ok(match (outcome.state, outcome.reason) {
                (State::Stalled, Reason::InvalidSpec) => Action::await_change(),
                // What a person puts right isn't always seen by a watch.
                (State::Stalled, _) => Action::requeue(pause.max(context.poll)),
                // Nor is the end of each object.
                (_, Reason::WaitingForDeletion) => Action::requeue(pause.min(context.poll)),
                (State::Ready | State::Reconciling | State::AtRest, _) => Action::requeue(pause),
            })
        }
    }
}

/// Whether anything was said of the Tenant yet.
fn is_told(tenant: &Tenant) -> bool {
    let conditions = tenant.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| !conditions.is_empty())
}

/// A Tenant that this version can't read: an older or newer schema let it in.
pub(super) async fn unreadable(
    invalid: &InvalidObject,
    context: &Context,
) -> Result<Action, StatusError> {
    context.health.metrics.failed(KIND, Reason::InvalidSpec.as_str());
    let message = format!(
        "spec: can't be read: {}; correct it or install this version's definitions",
        invalid.error
    );
    let outcome = Outcome::new(State::Stalled, Reason::InvalidSpec, message);
    warn!(why = outcome.message, "unreadable");
    let now = now();
    let (namespace, name) = (
        invalid.metadata.namespace.clone().unwrap_or_default(),
        invalid.metadata.name.clone().unwrap_or_default(),
    );
    let generation = invalid.metadata.generation;
    let status = TenantStatus {
        observed_generation: generation,
        conditions: Some(status::conditions(&[], &outcome, generation, now)),
        ..TenantStatus::default()
    };
    patch_status(&namespace, &name, invalid.metadata.uid.as_deref(), &status, context).await?;
    Ok(Action::await_change())
}

/// Dereference → validate → build → apply → prove: for the certificates first, which need nothing that the spec names. What is
/// known of them is left in `certificate`, whatever becomes of the rest.
async fn steps(
    tenant: &Tenant,
    certificate: &mut Option<CertificateStatus>,
    context: &Context,
) -> Result<(TenantStatus, Outcome, Duration), Failure> {
    let valid = validate(tenant, &context.settings)?;
    let kept = Box::pin(find_kept(&valid, context)).await?;
    let certificates = certificates(&valid, &kept.data(), now(), &mut rand::rng())?;
    let objects = build::certificates(&valid, &certificates);
    let certified = Box::pin(apply_certificates(&valid, &objects, kept, context)).await?;
    let ends = (certificates.server_facts.not_after, certificates.root_facts.not_after);
    context.health.metrics.certificate(&valid.namespace, &valid.name, ends.0, ends.1);
    *certificate = Some(status::certificate(&certificates));
    issued(tenant, &certificates.made, context).await;

    let named = Box::pin(find_named(&valid, context)).await?;
    let material = material(&valid, &named.data(), certificates, &mut rand::rng())?;
    let objects = build(&valid, &material);
    let (held, cause) = (Held::of(tenant), Cause::of(tenant));
    let applied = Box::pin(apply(&valid, &objects, named, certified, held, cause, context)).await?;
    issued(tenant, &material.made, context).await;
    let (outcome, pause) = prove(tenant, &valid, &material, &applied, context).await?;
    let generation = tenant.metadata.generation;
    let mut conditions = conditions(tenant, &outcome);
    let mut pause = pause;
    if status::roll_reason(&applied.workload, &objects.workload).is_some() {
        // Its turn comes after another Tenant's.
        pause = pause.min(context.poll);
    }
    if let Some(trouble) = &applied.volume.trouble {
        // It serves, but isn't what was asked for: Ready and Stalled are both true.
        context.health.metrics.failed(KIND, trouble.reason.as_str());
        status::overlay(&mut conditions, tenant.status.as_ref(), trouble, now());
        pause = pause.max(context.memory.backoff(&valid.uid, rand::random())).max(context.poll);
    }
    let kms = prove::kms(&valid, &material, &applied, context).await;
    if let Some((seen, again)) = &kms {
        let old = tenant.status.as_ref().and_then(|status| status.conditions.as_deref());
        let old = old.unwrap_or_default();
        conditions.push(status::kms_reachable(old, seen, generation, now()));
        pause = pause.min(*again);
    }
    let mut status = status::status(
        &valid,
        &context.settings,
        &applied.workload,
        applied.pod.as_ref(),
        conditions,
        generation,
    );
    status.certificate.clone_from(certificate);
    status.volume_claim = applied.volume.status.clone().or_else(|| held.remembered());
    status.kms = kms.and_then(|(seen, _)| Some(status::kms(valid.kms.as_ref()?, &seen)));
    let pause = pause.min(until_renewal(&valid, &material));
    Ok((status, outcome, pause))
}

/// Says what was made anew.
async fn issued(tenant: &Tenant, made: &[String], context: &Context) {
    if !made.is_empty() {
        let what = made.join(", ");
        info!(what, "made");
        publish(tenant, Weight::Normal, "Issued", &what, context).await;
    }
}

fn key_of(tenant: &Tenant) -> Key {
    Key { namespace: tenant.namespace().unwrap_or_default(), name: tenant.name_any() }
}

fn until_renewal(tenant: &ValidTenant, material: &Material) -> Duration {
    let due = renewal::due(material.server_facts.not_after, tenant.certificate_life);
    Duration::try_from(due.duration_since(now()))
        .unwrap_or_default()
        .saturating_add(Duration::from_millis(500))
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}
