//! The volume claim of a Tenant: it may only grow, and where it held data no empty one silently takes its place.

use coffer_crds::Tenant;
use coffer_crds::condition::Reason;
use coffer_crds::tenant::VolumeClaimStatus;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;

use super::super::by_name::by_name;
use super::super::failure::ABANDONED_ANNOTATION;
use super::super::{Context, Failure};
use crate::apply::{Applier, ApplyError, Done, difference};
use crate::ownership::{self, Mark};
use crate::tenant::invalid::Invalid;
use crate::tenant::status::{Outcome, State};
use crate::tenant::validate::ValidTenant;

/// What is known of the claim that held the data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    status: Option<&'a VolumeClaimStatus>,
    /// The uid of a claim that a person gave up.
    abandoned: Option<&'a str>,
}

impl<'a> Held<'a> {
    pub(super) fn of(tenant: &'a Tenant) -> Self {
        let status = tenant.status.as_ref().and_then(|status| status.volume_claim.as_ref());
        let abandoned = tenant.annotations().get(ABANDONED_ANNOTATION).map(String::as_str);
        Self { status, abandoned }
    }

    /// What was known before, unless a person gave it up.
    pub(super) fn remembered(&self) -> Option<VolumeClaimStatus> {
        self.missed().and(self.status).cloned()
    }

    /// The uid of the claim that must be there.
    fn missed(&self) -> Option<&'a str> {
        let uid = self.status.and_then(|status| status.uid.as_deref())?;
        (self.abandoned != Some(uid)).then_some(uid)
    }
}

/// The claim after it was applied.
#[derive(Debug)]
pub(super) struct Volume {
    /// What the status says of it.
    pub(super) status: Option<VolumeClaimStatus>,
    /// What is the matter with it, though the Tenant may work.
    pub(super) trouble: Option<Outcome>,
    leaves: bool,
}

impl Volume {
    /// Whether it is being deleted: it goes once no pod uses it.
    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }
}

/// Makes, adopts or grows the claim. Our claim that can't be made so holds up nothing else; without one of ours no pod may start.
pub(super) async fn apply(
    applier: &Applier<'_>,
    built: &PersistentVolumeClaim,
    held: Held<'_>,
    context: &Context,
) -> Result<Volume, Failure> {
    let (tenant, name) = (applier.tenant, built.name_any());
    let mut live = context.stores.claims.find(&tenant.namespace, &name);
    if let (None, Some(uid)) = (&live, held.missed()) {
        // What isn't seen yet is there nevertheless.
        live = by_name(&context.client, &tenant.namespace, &name).await?;
        if live.is_none() {
            let (tenant, uid) = (tenant.name.clone(), uid.to_owned());
            return Err(Failure::VolumeLost { tenant, name, uid });
        }
    }
    let Some(live) = live else {
        let (made, done) = applier.apply(built, None, Mark::Label).await?;
        context.wrote(done);
        return Ok(Volume { status: status(&made), trouble: None, leaves: false });
    };
    ownership::check("PersistentVolumeClaim", &live.metadata, tenant, Mark::Label)?;
    if live.metadata.deletion_timestamp.is_some() {
        let trouble = Some(being_deleted(tenant, &live));
        return Ok(Volume { status: status(&live), trouble, leaves: true });
    }
    let known = status(&live);
    match grow(applier, built, live).await {
        Ok((made, done)) => {
            context.wrote(done);
            Ok(Volume { status: status(&made), trouble: None, leaves: false })
        }
        Err(trouble) => Ok(Volume { status: known, trouble: Some(trouble), leaves: false }),
    }
}

/// Applies the claim, which may only grow, and only once it has its volume.
async fn grow(
    applier: &Applier<'_>,
    built: &PersistentVolumeClaim,
    live: PersistentVolumeClaim,
) -> Result<(PersistentVolumeClaim, Done), Outcome> {
    let mut built = built.clone();
    if let Some(refused) = refused(&built, &live) {
        return Err(Failure::Invalid(refused).outcome());
    }
    let mut grows = false;
    if let (Some(there), Some(wanted)) = (size_of(&live), size_of(&built)) {
        grows = difference::compare(&wanted.0, &there.0) == Some(std::cmp::Ordering::Greater);
        if !is_bound(&live)
            && let Some(size) = size_of_mut(&mut built)
        {
            *size = there.clone();
            grows = false;
        }
    }
    applier.apply(&built, Some(live), Mark::Label).await.map_err(|cause| {
        of_failure(&cause, grows).unwrap_or_else(|| Failure::from(cause).outcome())
    })
}

/// What no claim that is kept can become.
fn refused(built: &PersistentVolumeClaim, live: &PersistentVolumeClaim) -> Option<Invalid> {
    if let (Some(there), Some(wanted)) = (size_of(live), size_of(built))
        && difference::compare(&wanted.0, &there.0) == Some(std::cmp::Ordering::Less)
    {
        return Some(Invalid {
            field: "spec.storage.embedded.size",
            problem: format!(
                "{} is less than the {} of the volume claim that is kept",
                wanted.0, there.0
            ),
            remedy: "ask for at least as much",
        });
    }
    let class = |claim: &PersistentVolumeClaim| claim.spec.as_ref()?.storage_class_name.clone();
    if let (Some(there), Some(wanted)) = (class(live), class(built))
        && there != wanted
    {
        return Some(Invalid {
            field: "spec.storage.embedded.storageClassName",
            problem: format!("`{wanted}` isn't the `{there}` of the volume claim that is kept"),
            remedy: "name that one; to move the data, make another Tenant and copy it",
        });
    }
    None
}

/// What a refusal means while the claim should grow.
fn of_failure(cause: &ApplyError, grows: bool) -> Option<Outcome> {
    let ApplyError::Api { cause: answer, .. } = cause else { return None };
    let kube::Error::Api(status) = answer.as_ref() else { return None };
    if !grows || !matches!(status.code, 403 | 422) || status.message.contains("User \"") {
        return None;
    }
    let remedy = if status.message.contains("resize") {
        "; let the StorageClass allow expansion"
    } else {
        ""
    };
    let message = format!("spec.storage.embedded.size: {cause}{remedy}");
    Some(Outcome::new(State::Stalled, Reason::VolumeNotGrown, message))
}

fn being_deleted(tenant: &ValidTenant, live: &PersistentVolumeClaim) -> Outcome {
    let volume = live.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    let volume = volume.unwrap_or("its volume");
    let message = format!(
        "the PersistentVolumeClaim `{}` is being deleted, which can't be taken back: the data goes with it once the pod \
         `{}` ends, and until then nothing is rolled; copy the data away, or keep the volume: `kubectl patch pv {volume} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'`",
        live.name_any(),
        tenant.names().pod(),
    );
    Outcome::new(State::Stalled, Reason::VolumeBeingDeleted, message)
}

/// What the status says of a claim. One without a volume holds nothing yet.
fn status(claim: &PersistentVolumeClaim) -> Option<VolumeClaimStatus> {
    is_bound(claim).then(|| VolumeClaimStatus {
        name: Some(claim.name_any()),
        uid: claim.uid(),
        volume: claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()),
    })
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

fn size_of(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

fn size_of_mut(claim: &mut PersistentVolumeClaim) -> Option<&mut Quantity> {
    claim.spec.as_mut()?.resources.as_mut()?.requests.as_mut()?.get_mut("storage")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use serde_json::json;

    fn refusal(code: u16, message: &str) -> ApplyError {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        ApplyError::Api {
            kind: "PersistentVolumeClaim".to_owned(),
            name: "photos-data".to_owned(),
            cause: Box::new(kube::Error::Api(Box::new(status))),
        }
    }

    #[test]
    fn only_a_refused_expansion_is_called_so() {
        for (claim, code, message, grows, expected) in [
            ("refused", 403, "only dynamically provisioned pvc can be resized", true, true),
            ("beyond a quota", 403, "exceeded quota: storage", true, true),
            ("nothing to grow", 422, "spec is immutable", false, false),
            ("no right", 403, "User \"op\" cannot patch", true, false),
            ("a conflict", 409, "the object has been modified", true, false),
            ("too many requests", 429, "slow down", true, false),
        ] {
            let found = of_failure(&refusal(code, message), grows);
            assert_eq!(found.is_some(), expected, "{claim}");
            let text = found.map(|it| it.message).unwrap_or_default();
            let told = text.contains("StorageClass");
            assert_eq!(told, expected && message.contains("resize"), "{claim}: {text}");
        }
    }

    #[test]
    fn a_kept_claim_says_what_it_can_not_become() {
        let claim = |size: &str, class: &str| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"spec": {
                "storageClassName": class, "resources": {"requests": {"storage": size}},
            }}))
            .unwrap()
        };
        for (wanted, field) in [
            (claim("2Gi", "slow"), None),
            (claim("3Gi", "slow"), None),
            (claim("1Gi", "slow"), Some("spec.storage.embedded.size")),
            (claim("2Gi", "fast"), Some("spec.storage.embedded.storageClassName")),
        ] {
            let found = refused(&wanted, &claim("2Gi", "slow"));
            assert_eq!(found.as_ref().map(|found| found.field), field);
            let text = found.map(|found| found.to_string()).unwrap_or_default();
            assert!(text.matches("spec.storage").count() <= 1, "{text}");
        }
    }
}
