//! Ready means proven: a signed request to the Tenant's Service was answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use coffer_crds::Tenant;
use coffer_crds::condition::Reason;

use super::super::memory::{Proof, Standing};
use super::super::{Context, Failure};
use super::now;
use super::objects::Applied;
use crate::causes::with_causes;
use crate::control::{self, Target};
use crate::iam::Key;
use crate::kms_probe::{Seen, Subject};
use crate::tenant::audit::ValidAudit;
use crate::tenant::build::service::CLIENT_PORT;
use crate::tenant::dereference::{Material, MaterialError};
use crate::tenant::status::{self, Outcome, PodState, State};
use crate::tenant::validate::ValidTenant;

/// How soon after a failed proof it is tried again.
const PROBE: Duration = Duration::from_millis(200);
/// How long a proof may fail after new certificates or credentials before the Tenant stops being ready.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(20);
/// How often everything is looked at where Secrets are watched.
const REST: Duration = Duration::from_mins(5);

/// Whether the Tenant works: a signed request to its Service is answered. Also says when to look again.
pub(super) async fn prove(
    tenant: &Tenant,
    valid: &ValidTenant,
    material: &Material,
    applied: &Applied,
    context: &Context,
) -> Result<(Outcome, Duration), Failure> {
    let watched = context.secret_namespaces.contains(&valid.namespace);
    // A ConfigMap of another hand bears no label of ours, and nobody watches it.
    let named = ValidAudit::names(valid.audit.as_ref()).ca_config_map.is_some();
    let rest = if watched && !named { REST } else { context.poll };
    let key = Key { namespace: valid.namespace.clone(), name: valid.name.clone() };
    let run = match status::pod_state(valid, &applied.workload, applied.pod.as_ref()) {
        PodState::NotReady(outcome) => {
            if outcome.state == State::AtRest {
                context.memory.end_roll(&valid.uid);
            }
            context.tenants.withdraw(&key);
            return Ok((outcome, rest));
        }
        PodState::Ready { run } => run,
    };
    let proof = Proof {
        pod: run.clone(),
        generation: tenant.metadata.generation,
        secrets: applied.secrets.clone(),
    };
    let answering =
        || Outcome::new(State::Ready, Reason::Answering, "a signed request over TLS was answered");
    let standing = context.memory.standing(&valid.uid, &proof);
    let Some(target) = target(valid, material, applied, context) else {
        return Ok((
            Outcome::new(State::Reconciling, Reason::Starting, "waiting for the Service's address"),
            PROBE,
        ));
    };
    let answers = || {
        let endpoint = format!("https://{}", target.host);
        let tenants = &context.tenants;
        let published = tenants.publish(valid, material, target.clone(), endpoint, &run, now());
        published.map_err(|cause| {
            let name = valid.names().control_authority();
            Failure::Material(MaterialError::Authority { name, cause })
        })
    };
    if standing == Standing::Proven {
        answers()?;
        return Ok((answering(), rest));
    }
    match control::prove(&target, &material.root, valid.root_s3_access, now()).await {
        Ok(()) => {
            context.memory.prove(&valid.uid, proof);
            answers()?;
            Ok((answering(), rest))
        }
        Err(_)
            if standing == Standing::Renewing
                && context.memory.failing(&valid.uid) < RENEWAL_PATIENCE =>
        {
            Ok((answering(), PROBE))
        }
        Err(cause) => {
            let failing = context.memory.failing(&valid.uid);
            context.tenants.withdraw(&key);
            let pause = if failing < RENEWAL_PATIENCE { PROBE } else { context.poll };
            let message = format!("the signed request isn't answered yet: {}", with_causes(&cause));
            Ok((Outcome::new(State::Reconciling, Reason::Probing, message), pause))
        }
    }
}

/// Where the Tenant's Service is, once it has an address.
fn target(
    valid: &ValidTenant,
    material: &Material,
    applied: &Applied,
    context: &Context,
) -> Option<Target> {
    let ip = applied.service.spec.as_ref()?.cluster_ip.as_deref()?.parse::<IpAddr>().ok()?;
    Some(Target {
        // By address: a name that was asked for before it existed stays unknown to DNS for a while.
        address: SocketAddr::new(ip, CLIENT_PORT),
        host: valid.service_host(&context.settings),
        port: CLIENT_PORT,
        roots: material.authority.roots(),
        region: valid.region.clone(),
    })
}

/// What the Tenant's server finds when it tries its KMS, and when to look again; `None` without a KMS.
///
/// Whatever it is, the Tenant stays as ready as it is: what needs no key goes on.
pub(super) async fn kms(
    valid: &ValidTenant,
    material: &Material,
    applied: &Applied,
    context: &Context,
) -> Option<(Seen, Duration)> {
    let Some(kms) = &valid.kms else {
        context.kms.forget(&valid.uid);
        return None;
    };
    let untried = |message: String| Seen { reason: Reason::KmsUntried, message };
    let run = match status::pod_state(valid, &applied.workload, applied.pod.as_ref()) {
        PodState::Ready { run } => run,
        PodState::NotReady(outcome) => {
            let why = format!("no server runs that could ask the KMS: {}", outcome.message);
            // A change of the pod wakes the Tenant.
            return Some((untried(why), REST));
        }
    };
    let Some(target) = target(valid, material, applied, context) else {
        return Some((untried("waiting for the Service's address".to_owned()), PROBE));
    };
    let key = kms.default_key.as_deref().unwrap_or_default();
    let about = format!("{run} {} {key}", applied.secrets);
    let subject = Subject { about, target, root: material.root.clone() };
    let (seen, pause) = context.kms.look(&valid.uid, kms, subject, now()).await;
    Some((seen.unwrap_or_else(|| untried("the KMS is being tried".to_owned())), pause))
}
