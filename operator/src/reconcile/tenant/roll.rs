//! How a changed template reaches the pod: a new image where it is, anything else by a new pod.
//!
//! A StatefulSet replaces its pod for any change, and while the only pod of a volume is replaced nobody answers: for 2 to
//! 3.5 s, most of which the kubelet and two controllers wait for each other. But the image of a running pod can be changed:
//! the kubelet ends the container and starts the next one beside the same volumes and under the same address, in a fraction
//! of a second. So the StatefulSet waits for deletions (`OnDelete`), and what it would have done is decided here.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::{Context, Failure, KIND};
use super::objects::delete;
use crate::tenant::build::workload::TEMPLATE_ANNOTATION;
use crate::tenant::status::{ENDED_ANNOTATION, REVISION_LABEL, container_id};
use crate::tenant::validate::ValidTenant;

/// What brings a pod to the template.
#[derive(Debug, PartialEq)]
enum Step {
    /// Nothing: it is there, on its way, or not yet known where to.
    Wait,
    /// The pod is changed where it is.
    InPlace(Value),
    /// The pod goes, and the StatefulSet makes the next one.
    Replace,
}

/// Brings the pod to the workload's template.
pub(super) async fn roll(
    tenant: &ValidTenant,
    workload: &StatefulSet,
    pod: Option<&Pod>,
    context: &Context,
) -> Result<(), Failure> {
    let Some(pod) = pod else { return Ok(()) };
    match step(workload, pod) {
        Step::Wait => return Ok(()),
        Step::InPlace(patch) => {
            let api: Api<Pod> = Api::namespaced(context.client.clone(), &tenant.namespace);
            let name = pod.name_any();
            match api.patch(&name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(_) => {}
                // It was replaced in between: the new one has the new template.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
                Err(cause) => {
                    let what = format!("Pod `{name}`");
                    return Err(Failure::Api { what, cause: Box::new(cause) });
                }
            }
        }
        Step::Replace => delete(pod, tenant, context).await?,
    }
    context.health.metrics.wrote(KIND);
    Ok(())
}

fn step(workload: &StatefulSet, pod: &Pod) -> Step {
    let (Some(spec), Some(status)) = (&workload.spec, &workload.status) else { return Step::Wait };
    let seen = status.observed_generation >= workload.metadata.generation;
    let (true, Some(revision)) = (seen, &status.update_revision) else { return Step::Wait };
    let going = pod.metadata.deletion_timestamp.is_some() || spec.replicas == Some(0);
    if going || pod.labels().get(REVISION_LABEL) == Some(revision) {
        return Step::Wait;
    }
    let annotated = spec.template.metadata.as_ref().and_then(|it| it.annotations.as_ref());
    let wanted = annotated.and_then(|annotations| annotations.get(TEMPLATE_ANNOTATION));
    if wanted.is_none() || pod.annotations().get(TEMPLATE_ANNOTATION) != wanted {
        return Step::Replace;
    }
    let containers = spec.template.spec.iter().flat_map(|pod| &pod.containers);
    let images: Vec<Value> = containers
        .map(|container| json!({"name": container.name, "image": container.image}))
        .collect();
    Step::InPlace(json!({
        "metadata": {
            "uid": pod.metadata.uid,
            // It is now what the StatefulSet would make, who then counts it so.
            "labels": {REVISION_LABEL: revision},
            "annotations": {ENDED_ANNOTATION: container_id(pod).unwrap_or_default()},
        },
        "spec": {"containers": images},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(image: &str, template: &str) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "spec": {
                "replicas": 1, "selector": {}, "serviceName": "s",
                "template": {
                    "metadata": {"annotations": {TEMPLATE_ANNOTATION: template}},
                    "spec": {"containers": [{"name": "server", "image": image}]},
                },
            },
            "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "r2"},
        }))
        .unwrap()
    }

    fn pod(revision: &str, template: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "uid": "u", "labels": {REVISION_LABEL: revision},
                "annotations": {TEMPLATE_ANNOTATION: template},
            },
            "status": {"containerStatuses": [{
                "name": "server", "containerID": "containerd://1", "image": "a", "imageID": "a",
                "ready": true, "restartCount": 0,
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn only_an_image_is_changed_in_place() {
        let in_place = json!({
            "metadata": {
                "uid": "u", "labels": {REVISION_LABEL: "r2"},
                "annotations": {ENDED_ANNOTATION: "containerd://1"},
            },
            "spec": {"containers": [{"name": "server", "image": "b"}]},
        });
        let (mut unseen, mut suspended) = (workload("b", "t"), workload("b", "t"));
        unseen.metadata.generation = Some(3);
        suspended.spec.as_mut().unwrap().replicas = Some(0);
        let mut leaving = pod("r1", "t");
        leaving.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let (image, more) = (workload("b", "t"), workload("b", "t2"));
        let (old, new) = (pod("r1", "t"), pod("r2", "t"));
        for (name, workload, pod, expected) in [
            ("an image", &image, &old, Step::InPlace(in_place)),
            ("more than that", &more, &old, Step::Replace),
            ("nothing", &image, &new, Step::Wait),
            ("not seen by the StatefulSet", &unseen, &old, Step::Wait),
            ("suspended", &suspended, &old, Step::Wait),
            ("a pod that goes", &image, &leaving, Step::Wait),
        ] {
            assert_eq!(step(workload, pod), expected, "{name}");
        }
    }
}
