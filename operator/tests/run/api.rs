//! An API server over HTTP that holds a Tenant and a lease, takes whatever is written, and can tell that the Tenant is gone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the operator is known by to this server alone.
pub(crate) const TOKEN: &str = "canary-of-the-operators-token";

type Answer = Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

#[derive(Default)]
struct State {
    /// Who holds the lease, once it is there.
    lease: Mutex<Option<Value>>,
    is_gone: watch::Sender<bool>,
}

/// The server.
pub(crate) struct Api {
    address: SocketAddr,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

impl Api {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        runtime.spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&served);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(answer(request, &state).await) }
                    });
                    // Whoever ends in the middle of a watch is missed by nobody.
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(connection), service)
                            .await,
                    );
                });
            }
        });
        Self { address, state, _runtime: runtime }
    }

    pub(crate) fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "a", "user": {"token": TOKEN}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        })
        .to_string()
    }

    /// From now on the Tenant isn't there.
    pub(crate) fn delete_tenant(&self) {
        self.state.is_gone.send_replace(true);
    }

    /// Gives the lease to someone.
    pub(crate) fn hold(&self, holder: &str) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "coffer-operator", "namespace": "coffer-system", "resourceVersion": "1"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 600},
        });
        *self.state.lease.lock().unwrap() = Some(lease);
    }

    /// Who holds the lease.
    pub(crate) fn holder(&self) -> String {
        let lease = self.state.lease.lock().unwrap();
        lease.as_ref().unwrap()["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    }
}

fn tenant() -> Value {
    json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": "Tenant",
        "metadata": {"name": "photos", "namespace": "shop", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"storage": {"embedded": {"size": "1Gi"}}},
    })
}

async fn answer(request: Request<Incoming>, state: &State) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let is_of_tenants = path.ends_with("/tenants");
    let is_of_lease = path.contains("/leases");
    if query.contains("watch=true") {
        return watched(is_of_tenants.then(|| state.is_gone.subscribe()));
    }
    let is_list = path.split('/').count() <= 5;
    match (parts.method, is_of_lease) {
        (Method::GET, true) => match state.lease.lock().unwrap().clone() {
            Some(lease) => plain(StatusCode::OK, &lease),
            None => missing(),
        },
        (Method::POST | Method::PUT, true) => {
            *state.lease.lock().unwrap() = Some(body.clone());
            plain(StatusCode::OK, &stamped(body))
        }
        (Method::GET, false) if is_list => {
            let there = is_of_tenants && !*state.is_gone.borrow();
            let items = if there { vec![tenant()] } else { Vec::new() };
            let list = json!({
                "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items,
            });
            plain(StatusCode::OK, &list)
        }
        (Method::GET, false) => missing(),
        (Method::POST, false) => plain(StatusCode::CREATED, &stamped(body)),
        (_, _) => plain(StatusCode::OK, &stamped(body)),
    }
}

fn stamped(mut object: Value) -> Value {
    object["metadata"]["uid"] = json!("u-2");
    object["metadata"]["resourceVersion"] = json!("2");
    object
}

fn missing() -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found",
    });
    plain(StatusCode::NOT_FOUND, &status)
}

fn plain(status: StatusCode, json: &Value) -> Answer {
    let frame = Ok(Frame::data(Bytes::from(json.to_string())));
    let mut response = Response::new(StreamBody::new(stream::once(async { frame }).boxed()));
    *response.status_mut() = status;
    response
}

/// A watch that never ends; of Tenants, one that tells of the deletion.
fn watched(is_gone: Option<watch::Receiver<bool>>) -> Answer {
    let events = stream::once(async move {
        let Some(mut is_gone) = is_gone else { return std::future::pending().await };
        drop(is_gone.wait_for(|is_gone| *is_gone).await);
        let event = json!({"type": "DELETED", "object": tenant()});
        Ok(Frame::data(Bytes::from(format!("{event}\n"))))
    });
    Response::new(StreamBody::new(events.chain(stream::pending()).boxed()))
}
