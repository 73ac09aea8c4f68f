//! What the workload and its pod show, and how conditions keep their times.

use super::*;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, PodCondition, PodStatus};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let first = conditions(
        &[],
        &Outcome::new(State::Reconciling, Reason::Starting, "a"),
        Some(1),
        at("2026-01-01T00:00:00Z"),
    );
    let second = conditions(
        &first,
        &Outcome::new(State::Reconciling, Reason::Probing, "b"),
        Some(1),
        at("2026-01-02T00:00:00Z"),
    );
    assert_eq!(second[0].last_transition_time, first[0].last_transition_time);
    assert_eq!(second[0].reason, "Probing");
    let third = conditions(
        &second,
        &Outcome::new(State::Ready, Reason::Answering, "c"),
        Some(1),
        at("2026-01-03T00:00:00Z"),
    );
    assert_eq!(
        third.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect::<Vec<_>>(),
        [("Ready", "True"), ("Reconciling", "False"), ("Stalled", "False")]
    );
    assert_eq!(third[0].last_transition_time, Time(at("2026-01-03T00:00:00Z")));
    assert_eq!(third[2].last_transition_time, Time(at("2026-01-01T00:00:00Z")));
}

fn pod(status: PodStatus) -> Pod {
    let mut pod = Pod { status: Some(status), ..Pod::default() };
    pod.metadata.labels = Some([(REVISION_LABEL.to_owned(), "r2".to_owned())].into());
    pod.metadata.uid = Some("u".to_owned());
    pod
}

fn ready(status: &str) -> PodStatus {
    let condition = PodCondition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        ..PodCondition::default()
    };
    PodStatus { conditions: Some(vec![condition]), ..PodStatus::default() }
}

#[test]
fn a_pod_is_tried_only_when_it_is_ready_and_new() {
    let tenant = crate::tenant::build::tests::valid("photos", |_| {});
    let mut suspended = tenant.clone();
    suspended.suspend = true;
    let status = k8s_openapi::api::apps::v1::StatefulSetStatus {
        update_revision: Some("r2".to_owned()),
        ..Default::default()
    };
    let workload = StatefulSet { status: Some(status), ..StatefulSet::default() };
    let mut old = pod(ready("True"));
    old.metadata.labels = Some([(REVISION_LABEL.to_owned(), "r1".to_owned())].into());
    let container = ContainerStatus {
        name: SERVER_CONTAINER.to_owned(),
        container_id: Some("containerd://1".to_owned()),
        ..ContainerStatus::default()
    };
    let mut running = pod(ready("True"));
    running.status.as_mut().unwrap().container_statuses = Some(vec![container]);
    let mut ended = running.clone();
    ended.metadata.annotations =
        Some([(ENDED_ANNOTATION.to_owned(), "containerd://1".to_owned())].into());
    let waiting = ContainerStateWaiting {
        reason: Some("ErrImagePull".to_owned()),
        message: Some("no such image".to_owned()),
    };
    let failing = pod(PodStatus {
        container_statuses: Some(vec![ContainerStatus {
            state: Some(ContainerState { waiting: Some(waiting), ..Default::default() }),
            ..Default::default()
        }]),
        ..PodStatus::default()
    });
    // Drained, and nothing changed: why its server ends is nobody's fault.
    let mut leaving = failing.clone();
    leaving.metadata.deletion_timestamp = Some(Time(at("2026-01-01T00:00:00Z")));
    for (name, tenant, pod, expected) in [
        ("no pod", &tenant, None, (State::Reconciling, Reason::Starting)),
        ("not ready", &tenant, Some(&pod(ready("False"))), (State::Reconciling, Reason::Starting)),
        ("old template", &tenant, Some(&old), (State::Reconciling, Reason::RollingOut)),
        ("old image", &tenant, Some(&ended), (State::Reconciling, Reason::RollingOut)),
        ("a pod that goes", &tenant, Some(&leaving), (State::Reconciling, Reason::RollingOut)),
        ("no image", &tenant, Some(&failing), (State::Reconciling, Reason::PodFailing)),
        ("suspended", &suspended, None, (State::AtRest, Reason::Suspended)),
        (
            "stopping",
            &suspended,
            Some(&pod(ready("True"))),
            (State::Reconciling, Reason::Suspended),
        ),
    ] {
        let PodState::NotReady(outcome) = pod_state(tenant, &workload, pod) else {
            panic!("{name}: ready")
        };
        assert_eq!((outcome.state, outcome.reason), expected, "{name}");
    }
    let state = pod_state(&tenant, &workload, Some(&running));
    assert_eq!(state, PodState::Ready { run: "u containerd://1".to_owned() });
}
