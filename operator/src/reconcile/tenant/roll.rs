//! How a changed template reaches the pod: a new image where it is, anything else by a new pod.
//!
//! A StatefulSet replaces its pod for any change, and while the only pod of a volume is replaced nobody answers: for 2 to
//! 3.5 s, most of which the kubelet and two controllers wait for each other. But the image of a running pod can be changed:
//! the kubelet ends the container and starts the next one beside the same volumes and under the same address, in a fraction
//! of a second. So the StatefulSet waits for deletions (`OnDelete`), and what it would have done is decided here.
//!
//! One container after the other, the server's first: each holds the listening socket while the other is started anew.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::{Context, Failure, KIND};
use super::objects::delete;
use crate::tenant::build::workload::{SERVER_CONTAINER, TEMPLATE_ANNOTATION};
use crate::tenant::status::{ENDED_ANNOTATION, REVISION_LABEL, container_id, is_ending, is_ready};
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
    let running: BTreeMap<&str, Option<&str>> = images(pod.spec.as_ref()).collect();
    let mut others = images(spec.template.spec.as_ref())
        .filter(|(name, image)| running.get(name) != Some(image));
    let next = others.next();
    let mut annotations = json!({});
    match next {
        Some((SERVER_CONTAINER, _)) => {
            annotations = json!({ENDED_ANNOTATION: container_id(pod).unwrap_or_default()});
        }
        // The server has yet to come back, with the socket that this one holds.
        Some(_) if is_ending(pod) || !is_ready(pod) => return Step::Wait,
        Some(_) | None => {}
    }
    // It is then what the StatefulSet would make, who counts it so.
    let labels =
        if others.next().is_none() { json!({REVISION_LABEL: revision}) } else { json!({}) };
    let changed: Vec<Value> =
        next.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    Step::InPlace(json!({
        "metadata": {"uid": pod.metadata.uid, "labels": labels, "annotations": annotations},
        "spec": {"containers": changed},
    }))
}

/// Each container's name and image, in the order of their change.
fn images(pod: Option<&PodSpec>) -> impl Iterator<Item = (&str, Option<&str>)> {
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    containers.map(|container| (container.name.as_str(), container.image.as_deref()))
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
                    "spec": {"containers": [
                        {"name": "server", "image": image}, {"name": "listener", "image": image},
                    ]},
                },
            },
            "status": {"replicas": 1, "observedGeneration": 2, "updateRevision": "r2"},
        }))
        .unwrap()
    }

    /// A pod whose server's container is the first, with these images of server and listener.
    fn pod(revision: &str, images: [&str; 2], ended: &str, ready: &str) -> Pod {
        let [server, listener] = images;
        serde_json::from_value(json!({
            "metadata": {
                "uid": "u", "labels": {REVISION_LABEL: revision},
                "annotations": {TEMPLATE_ANNOTATION: "t", ENDED_ANNOTATION: ended},
            },
            "spec": {"containers": [
                {"name": "server", "image": server}, {"name": "listener", "image": listener},
            ]},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{
                    "name": "server", "containerID": "1", "image": server, "imageID": "a",
                    "ready": true, "restartCount": 0,
                }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn only_images_are_changed_in_place_the_servers_first() {
        let patch = |container: &str, labels: Value, annotations: Value| {
            Step::InPlace(json!({
                "metadata": {"uid": "u", "labels": labels, "annotations": annotations},
                "spec": {"containers": [{"name": container, "image": "b"}]},
            }))
        };
        let first = patch("server", json!({}), json!({ENDED_ANNOTATION: "1"}));
        let last = patch("listener", json!({REVISION_LABEL: "r2"}), json!({}));
        let (image, more) = (workload("b", "t"), workload("b", "t2"));
        let (mut unseen, mut suspended) = (workload("b", "t"), workload("b", "t"));
        unseen.metadata.generation = Some(3);
        suspended.spec.as_mut().unwrap().replicas = Some(0);
        let old = pod("r1", ["a", "a"], "", "True");
        let mut leaving = old.clone();
        leaving.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        for (name, workload, pod, expected) in [
            ("an image", &image, &old, first),
            ("the server ends", &image, &pod("r1", ["b", "a"], "1", "True"), Step::Wait),
            ("the server starts", &image, &pod("r1", ["b", "a"], "0", "False"), Step::Wait),
            ("the server is back", &image, &pod("r1", ["b", "a"], "0", "True"), last),
            ("both are new", &image, &pod("r2", ["b", "b"], "0", "True"), Step::Wait),
            ("more than images", &more, &old, Step::Replace),
            ("not seen by the StatefulSet", &unseen, &old, Step::Wait),
            ("suspended", &suspended, &old, Step::Wait),
            ("a pod that goes", &image, &leaving, Step::Wait),
        ] {
            assert_eq!(step(workload, pod), expected, "{name}");
        }
    }
}
