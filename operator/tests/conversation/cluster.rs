//! An API server of a few lines: it keeps objects, gives uids and versions, and notes what was asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use coffer_operator::apply;
use coffer_operator::event::Events;
use coffer_operator::health::Health;
use coffer_operator::kms_probe::Prober;
use coffer_operator::reconcile::{Context, Memory};
use coffer_operator::settings::Settings;
use coffer_operator::watch::{Seen, Stores};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::runtime::{reflector, watcher};
use serde_json::{Value, json};

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    requests: Vec<String>,
    paths: Vec<String>,
    bodies: Vec<(String, Value)>,
    refusals: BTreeMap<String, (u16, String)>,
    writes_left: Option<usize>,
    version: u64,
}

/// The API server, and an operator's context that speaks with it.
pub(crate) struct Cluster {
    state: Arc<Mutex<State>>,
    client: Client,
    context: Mutex<Arc<Context>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let state = Arc::new(Mutex::new(State::default()));
        let served = state.clone();
        tokio::spawn(async move {
            while let Some((request, answer)) = handle.next_request().await {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let kind =
                    parts.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
                let (code, json) = served.lock().unwrap().answer(
                    &parts.method,
                    parts.uri.path(),
                    kind.as_deref().unwrap_or_default(),
                    body,
                );
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(json.to_string().into_bytes()))
                    .unwrap();
                answer.send_response(response);
            }
        });
        let client = Client::new(service, "shop");
        let context = Mutex::new(context(&client, &BTreeMap::new(), Settings::example()));
        Self { state, client, context }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        self.context.lock().unwrap().clone()
    }

    /// A new process that has seen everything there is.
    pub(crate) fn fill_stores(&self) {
        let image = Settings::example().image;
        self.fill_stores_for(&image.unwrap());
    }

    /// The same with another image of the operator's own.
    pub(crate) fn fill_stores_for(&self, image: &str) {
        let objects = self.state.lock().unwrap().objects.clone();
        let settings = Settings { image: Some(image.to_owned()), ..Settings::example() };
        *self.context.lock().unwrap() = context(&self.client, &objects, settings);
    }

    /// From now on what the API server can't do is told at once.
    pub(crate) fn loses_patience(&self) {
        let objects = self.state.lock().unwrap().objects.clone();
        let mut context = context(&self.client, &objects, Settings::example());
        Arc::get_mut(&mut context).unwrap().memory = Memory::with_patience(Duration::ZERO);
        *self.context.lock().unwrap() = context;
    }

    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    pub(crate) fn take_paths(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().paths)
    }

    pub(crate) fn object(&self, name: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(name).cloned()
    }

    pub(crate) fn put(&self, name: &str, mut object: Value) {
        let mut state = self.state.lock().unwrap();
        state.stamp(name, &mut object, "foreign");
        state.objects.insert(name.to_owned(), object);
    }

    pub(crate) fn set(&self, name: &str, object: Value) {
        self.state.lock().unwrap().objects.insert(name.to_owned(), object);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state.lock().unwrap().objects.remove(name);
    }

    pub(crate) fn refuse(&self, request: &str, code: u16, message: &str) {
        self.state.lock().unwrap().refusals.insert(request.to_owned(), (code, message.to_owned()));
    }

    /// From the write after so many on, all fail, but that of the status: as if the process were gone.
    pub(crate) fn fail_after(&self, writes: usize) {
        self.state.lock().unwrap().writes_left = Some(writes);
    }

    pub(crate) fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        state.writes_left = None;
        state.refusals.clear();
    }

    pub(crate) fn all_bodies(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().bodies.clone()
    }

    pub(crate) fn bodies(&self, request: &str) -> Vec<Value> {
        self.all_bodies()
            .into_iter()
            .filter(|(name, _)| name == request)
            .map(|(_, body)| body)
            .collect()
    }

    pub(crate) fn last_body(&self, request: &str) -> Value {
        self.bodies(request).pop().unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        self.last_body("APPLY tenants/photos/status")["status"].clone()
    }

    pub(crate) fn condition(&self, kind: &str) -> (String, String) {
        let status = self.status();
        let conditions = status["conditions"].as_array().unwrap();
        let condition = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
        (
            condition["status"].as_str().unwrap().to_owned(),
            condition["reason"].as_str().unwrap().to_owned(),
        )
    }

    pub(crate) fn message(&self) -> String {
        self.status()["conditions"][0]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn tenant_with_status(&self, tenant: &Value) -> Value {
        let mut tenant = tenant.clone();
        tenant["status"] = self.status();
        tenant
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, kind: &str, body: Value) -> (u16, Value) {
        self.paths.push(path.to_owned());
        let tail: Vec<&str> = path.split("/shop/").nth(1).unwrap_or(path).split('/').collect();
        let verb = match (method.as_str(), kind) {
            ("PATCH", kind) if kind.contains("apply") => "APPLY",
            ("PATCH", _) => "MERGE",
            (verb, _) => verb,
        };
        let named = match tail.as_slice() {
            // The name of an event is made of the time.
            ["events"] => format!("events/{}", body["regarding"]["name"].as_str().unwrap()),
            [resource] => format!("{resource}/{}", body["metadata"]["name"].as_str().unwrap()),
            parts => parts.join("/"),
        };
        let request = format!("{verb} {named}");
        self.requests.push(request.clone());
        if verb != "GET" {
            self.bodies.push((request.clone(), body.clone()));
        }
        if let Some((code, message)) = self.refusals.get(&request) {
            return failure(*code, "Refused", message);
        }
        if verb != "GET" && !named.starts_with("tenants/") && !named.starts_with("events/") {
            if let Some(0) = self.writes_left {
                return failure(500, "InternalError", "gone");
            }
            self.writes_left = self.writes_left.map(|left| left - 1);
        }
        match (verb, self.objects.get(&named).cloned()) {
            ("GET", Some(object)) => (200, object),
            ("POST", Some(_)) => failure(409, "AlreadyExists", "already exists"),
            ("POST", None) => {
                let mut object = body;
                self.stamp(&named, &mut object, "coffer-operator");
                self.objects.insert(named, object.clone());
                (201, object)
            }
            ("PUT", Some(live))
                if live["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] =>
            {
                failure(409, "Conflict", "the object has been modified")
            }
            ("APPLY" | "MERGE" | "PUT", Some(live)) => {
                if verb == "APPLY" && body["metadata"]["uid"] != live["metadata"]["uid"] {
                    return failure(409, "Conflict", "uid mismatch");
                }
                let mut object = live;
                merge(&mut object, &body);
                self.version += 1;
                object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                self.objects.insert(named, object.clone());
                (200, object)
            }
            ("APPLY", None) if named.ends_with("/status") => (200, body),
            _ => failure(404, "NotFound", "not found"),
        }
    }

    fn stamp(&mut self, name: &str, object: &mut Value, manager: &str) {
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name.split('/').nth(1).unwrap());
        metadata["namespace"] = json!("shop");
        metadata["uid"] = json!(format!("uid-{}", self.version));
        metadata["resourceVersion"] = json!(self.version.to_string());
        metadata["managedFields"] = json!([{"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    }
}

fn merge(target: &mut Value, patch: &Value) {
    if let (Some(target), Some(patch)) = (target.as_object_mut(), patch.as_object()) {
        for (key, value) in patch {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    } else {
        *target = patch.clone();
    }
}

fn failure(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
    (code, status)
}

/// An operator that has seen `objects`.
fn context(client: &Client, objects: &BTreeMap<String, Value>, settings: Settings) -> Arc<Context> {
    Arc::new(Context {
        client: client.clone(),
        settings,
        stores: Stores {
            service_accounts: store(objects, "serviceaccounts"),
            claims: store(objects, "persistentvolumeclaims"),
            config_maps: store(objects, "configmaps"),
            services: store(objects, "services"),
            network_policies: store(objects, "networkpolicies"),
            disruption_budgets: store(objects, "poddisruptionbudgets"),
            workloads: store(objects, "statefulsets"),
            pods: store(objects, "pods"),
        },
        memory: Memory::default(),
        kms: Prober::default(),
        applied: apply::Memory::default(),
        events: Events::new(client, "test"),
        tenants: Arc::default(),
        health: Arc::new(Health::default()),
        secret_namespaces: Vec::new(),
        poll: Duration::from_secs(3),
    })
}

fn store<K>(objects: &BTreeMap<String, Value>, resource: &str) -> Seen<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + 'static,
{
    let (store, mut writer) = reflector::store();
    for (name, object) in objects {
        if name.split('/').next() == Some(resource) {
            writer.apply_watcher_event(&watcher::Event::Apply(
                serde_json::from_value(object.clone()).unwrap(),
            ));
        }
    }
    Seen::already(store)
}

/// What base64 makes of a text, to look for it.
#[test]
fn the_canary_is_what_the_tests_look_for() {
    assert_eq!(
        base64::engine::general_purpose::STANDARD.encode("canarysecret"),
        "Y2FuYXJ5c2VjcmV0"
    );
}
