//! Events: a sentence beside an object when something about it changed. Each is written once; nothing is aggregated,
//! since they are written on changes alone.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};

use crate::tenant::build::MANAGER;

/// The longest note that the API takes.
const LONGEST_NOTE: usize = 1000;

/// How much a person should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Good to know.
    Normal,
    /// Something should be done.
    Warning,
}

/// Writes events in the name of one operator.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Events {
    client: Client,
    identity: String,
}

impl Events {
    /// Events in the name of the operator `identity`.
    pub fn new(client: &Client, identity: &str) -> Self {
        Self { client: client.clone(), identity: identity.to_owned() }
    }

    /// Writes an event about `regarding`.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn write(
        &self,
        regarding: ObjectReference,
        weight: Weight,
        reason: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let name = regarding.name.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            action: Some("Reconcile".to_owned()),
            reason: Some(reason.to_owned()),
            note: Some(note.chars().take(LONGEST_NOTE).collect()),
            type_: Some(match weight {
                Weight::Normal => "Normal".to_owned(),
                Weight::Warning => "Warning".to_owned(),
            }),
            regarding: Some(regarding),
            reporting_controller: Some(MANAGER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        api.create(&PostParams::default(), &event).await.map(drop)
    }
}
