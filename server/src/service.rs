//! A request's way, from its head to its answer: route → authenticate → authorize → the operation. It never goes back.

mod head;
mod running;
mod backoff;
mod wire;
mod unread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_policy::{Action, Outcome, Resource};
use coffer_store::{BucketName, IndexHealth, Store};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use jiff::Timestamp;
use s3s::Body;
use tokio::time::Instant;
use tracing::debug;

use crate::accept::Peer;
use crate::admin::{self, Admin};
use crate::answer::{self, Ids, Refusal};
use crate::audit::{Audit, Ending, Trail};
use crate::authenticate::{Authenticated, Authenticator, Caller, DecodedBody, OpenForm};
use crate::authorize::context::Facts;
use crate::authorize::{self, Authorized};
use crate::config::Limits;
use crate::encrypt::Encryption;
use crate::encrypt::keys::Keys;
use crate::iam::entity::BucketPolicy;
use crate::metrics::Metrics;
use crate::operation::{Operation, Support};
use crate::route::admin::{Permission, Row};
use crate::route::{self, Domains, Health, Route, Target};
use crate::s3::document::Rooms;
use crate::s3::post_form::{Upload, location};
use crate::s3::{self, S3, bucket_policy, encryption};
use backoff::Backoff;
use head::{MAX_UPLOAD, check_blanks, check_size, content_length, host, number};
pub use running::Answer;
pub(crate) use running::slow_down;
use running::{Places, Running};
pub(crate) use unread::Lent;
use unread::Rest;
use wire::bare_uri;

/// The S3 side of the server: everything that a request meets behind the connection.
#[derive(Debug)]
pub struct Service {
    authenticator: Authenticator,
    admin: Admin,
    domains: Domains,
    store: Store,
    s3: S3,
    /// The keys of the KMS, to tell how many are kept.
    keys: Option<Arc<Keys>>,
    host_id: Arc<str>,
    places: Places,
    documents: Rooms,
    backoff: Backoff,
    limits: Limits,
    metrics: Arc<Metrics>,
    audit: Arc<Audit>,
    draining: AtomicBool,
}

impl Service {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each is one part, put together once")]
    pub fn new(
        authenticator: Authenticator,
        admin: Admin,
        domains: Domains,
        store: Store,
        encryption: Encryption,
        region: String,
        limits: Limits,
        metrics: Arc<Metrics>,
        audit: Arc<Audit>,
    ) -> Self {
        Self {
            authenticator,
            admin,
            domains,
            keys: encryption.keys.clone(),
            s3: S3::new(store.clone(), encryption, region),
            store,
            host_id: format!("{:016x}", rand::random::<u64>()).into(),
            places: Places::new(limits.requests),
            documents: Rooms::default(),
            backoff: Backoff::new(limits.failed_signatures_per_minute),
            limits,
            metrics,
            audit,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on the readiness probe says no, so that no new client is sent here.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Answers one request, to the end, whether its client waits for it or not.
    ///
    /// What answers a stream of HTTP/2 is dropped where it stands when the stream is reset, and so it could be between a change and
    /// what is told of it. A request of HTTP/1.1 is read on only once it was answered.
    pub async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Response<Answer> {
        if request.version() != Version::HTTP_2 {
            return self.answer(request, peer).await;
        }
        let answering = tokio::spawn(async move { self.answer(request, peer).await });
        match answering.await {
            Ok(answer) => answer,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being taken down, and this with it.
                Err(_cancelled) => std::future::pending().await,
            },
        }
    }

    /// Answers one request. Whatever happens in it, there is an answer.
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Answer> {
        let ids = Ids {
            request: format!("{:016X}", rand::random::<u64>()),
            host: Arc::clone(&self.host_id),
        };
        let (head, body) = request.into_parts();
        let method = head.method.clone();
        let resource = head.uri.path().to_owned();
        let (body, unread) = unread::lend(&head, body);
        let mut running = None;
        let (source, Peer { tls, cipher, .. }) = (peer.address.ip(), &peer);
        let trail = Trail::begin(ids.request.clone(), source, *tls, *cipher);
        let mut ending = Ending::new(trail, Arc::clone(&self.audit));
        let answered = self.run(head, body, &ids, &peer, &mut running, ending.trail()).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(refusal) => {
                ending.trail().code = Some(refusal.code().to_owned());
                debug!(peer = %peer.address, id = ids.request, code = refusal.code(), "refused");
                refusal.into_response(&method, &resource, &ids)
            }
        };
        if !response.status().is_success() && unread.read_away().await == Rest::Some {
            // The client must not take the connection for another request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let headers = response.headers_mut();
        headers.insert(header::SERVER, HeaderValue::from_static("Coffer"));
        for (name, value) in [("x-amz-request-id", &*ids.request), ("x-amz-id-2", &*ids.host)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        // What a client stored may be a page: a browser must neither guess its type nor run it.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        );
        if let Some(answer::Code(code)) = response.extensions_mut().remove() {
            ending.trail().code = Some(code);
        }
        ending.answered(response.status());
        response.map(|body| Answer::new(body, running, ending))
    }

    async fn run(
        &self,
        mut head: Parts,
        body: Lent,
        ids: &Ids,
        peer: &Peer,
        running: &mut Option<Running>,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        check_size(&head, &self.limits)?;
        check_blanks(&head.headers)?;
        let host = host(&mut head)?;
        let query = head.uri.query().unwrap_or_default();
        let route = route::route(
            &head.method,
            head.uri.path(),
            query,
            &head.headers,
            host.as_deref(),
            &self.domains,
        )?;
        match &route {
            Route::Health(health) => return Ok(self.health(*health).await),
            Route::Metrics => trail.operation = Some("metrics"),
            Route::Admin(row) => trail.operation = Some(row.path),
            Route::S3(target) => trail.asks(target),
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the edge: one reading of the clock for each request"
        )]
        let now = Timestamp::now();
        trail.at(now);
        let admitted = self.places.take(peer).map(|place| *running = Some(place));
        let target = match route {
            Route::Health(health) => return Ok(self.health(health).await),
            Route::Metrics => {
                admitted?;
                return self.scrape(&head, peer, now, trail).await;
            }
            Route::Admin(row) => {
                admitted.map_err(Refusal::in_json)?;
                let answer = self.administer(row, &head, body, peer, now, trail).await;
                return answer.map_err(Refusal::in_json);
            }
            Route::S3(target) => target,
        };
        admitted?;
        let host_bucket = target.host_bucket(head.uri.path());
        let authenticate = || self.authenticator.authenticate(&head, host_bucket, now);
        let caller = match self.guarded(&head, peer, authenticate)? {
            Caller::Known(caller) => caller,
            Caller::InForm => {
                return self.post(head, body, &target, host, peer, now, ids, trail).await;
            }
        };
        trail.is_from(&caller.caller, caller.scheme);
        let buckets = self.bucket_policies(&caller, &target, &head.headers).await?;
        let facts = self.facts(&head, peer, &caller, now, &buckets);
        let told = &mut trail.decision;
        let authorized = authorize::authorize(caller.caller.clone(), &target, &facts, told)?;
        trail.later = Some(authorized.later());
        s3::supported::check(&head.headers, &target)?;
        encryption::asked::only_in_headers(head.uri.query().unwrap_or_default())?;
        let encryption = encryption::asked::take(&mut head.headers, target.operation, peer.tls)?;
        match target.operation.support() {
            Support::Later(sentence) => Err(Refusal::not_implemented(sentence)),
            Support::Unset(unset) => {
                let query = head.uri.query().unwrap_or_default();
                self.s3.unset(unset, &authorized, query).await
            }
            Support::Built if target.operation == Operation::PostObject => Err(Refusal::new(
                "PreconditionFailed",
                412,
                "At least one of the preconditions you specified did not hold: a bucket POST must be of the enclosure type multipart/form-data.",
            )),
            Support::Built => {
                let length = content_length(&head, &target)?;
                self.admin.admit(&authorized, &head, length).await?;
                let body = DecodedBody::new(body, &caller.payload, length, &self.limits);
                if is_about_policy(target.operation) {
                    return self.policy(&head, body, length, &authorized, now).await;
                }
                let resource = head.uri.path().to_owned();
                let policy = deletes_policy(&authorized, &caller);
                let answer = self
                    .wire(
                        head,
                        body,
                        length,
                        authorized,
                        encryption,
                        peer.connected.source(),
                        now,
                        &resource,
                        ids,
                    )
                    .await?;
                if let (Some(iam), Some(policy)) = (self.authenticator.iam(), policy)
                    && answer.status().is_success()
                {
                    bucket_policy::forget(iam, &policy).await;
                }
                Ok(answer)
            }
        }
    }

    /// The policies of the buckets that a request names, as its target or as what it copies from.
    async fn bucket_policies(
        &self,
        caller: &Authenticated,
        target: &Target,
        headers: &HeaderMap,
    ) -> Result<Vec<Arc<BucketPolicy>>, Refusal> {
        let source = authorize::context::copy_source(headers).and_then(|source| {
            source.split('/').nth(1).and_then(|name| name.parse::<BucketName>().ok())
        });
        let source = source.filter(|source| target.bucket.as_ref() != Some(source));
        let named: Vec<&BucketName> = target.bucket.iter().chain(&source).collect();
        bucket_policy::in_force(&self.store, caller.caller.snapshot(), &named).await
    }

    /// Carries out an operation on a bucket's policy, which is no XML.
    async fn policy(
        &self,
        head: &Parts,
        body: DecodedBody,
        length: Option<u64>,
        authorized: &Authorized,
        now: Timestamp,
    ) -> Result<Response<Body>, Refusal> {
        let trailers = body.trailers();
        let longest = bucket_policy::LONGEST;
        let document =
            s3::document::read_as_is(body, length, longest, bucket_policy::too_large).await?;
        let operation = authorized.operation();
        s3::document::check_digests(&document, &head.headers, &trailers, operation)?;
        let iam = self.authenticator.iam().map(Arc::as_ref);
        bucket_policy::answer(&self.store, iam, authorized, &document, now).await
    }

    /// Answers a request of the admin API. Its body is read once its head was authenticated and authorized.
    async fn administer(
        &self,
        row: &'static Row,
        head: &Parts,
        body: Lent,
        peer: &Peer,
        now: Timestamp,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let (authenticated, secret) = if row.permission == Permission::Control {
            let certificate = peer.certificate.as_deref();
            (self.authenticator.authenticate_control(head, certificate, now)?, None)
        } else {
            let authenticate = || self.authenticator.authenticate_admin(head, now);
            let (authenticated, secret) = self.guarded(head, peer, authenticate)?;
            (authenticated, Some(secret))
        };
        trail.is_from(&authenticated.caller, authenticated.scheme);
        let facts = self.facts(head, peer, &authenticated, now, &[]);
        let context = authorize::context::common(&authenticated.caller, &facts);
        let length = number(head, "content-length")?;
        let body = DecodedBody::new(body, &authenticated.payload, length, &self.limits);
        let caller = authenticated.caller;
        let request = admin::Request { row, head, caller, secret, context, now, length, body };
        self.admin.answer(request, &mut trail.decision).await
    }

    /// Carries out a form: its fields say who sent it and what they ask for, its file is put as by a PutObject.
    #[expect(
        clippy::too_many_arguments,
        reason = "the seam between the head's way and the form's: each is one fact of it"
    )]
    async fn post(
        &self,
        mut head: Parts,
        body: Lent,
        target: &Target,
        host: Option<String>,
        peer: &Peer,
        now: Timestamp,
        ids: &Ids,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        // Only a bucket takes forms; for all else nobody has signed this request.
        let (Operation::PostObject, Some(bucket)) = (target.operation, &target.bucket) else {
            return Err(Refusal::access_denied());
        };
        let resource = head.uri.path().to_owned();
        let length = number(&head, "content-length")?;
        let form = OpenForm::read(&head, body, self.limits.patience()).await?;
        let authenticate =
            || self.authenticator.authenticate_form(&form.fields, bucket.as_str(), now);
        let (caller, lengths) = self.guarded(&head, peer, authenticate)?;
        trail.is_from(&caller.caller, caller.scheme);
        let Upload { target: object, headers, success } = Upload::of(&form.fields, bucket)?;
        trail.key = object.key.as_ref().map(|key| key.as_str().to_owned());
        // What a form sets, it sets by its fields; whence and by which program it comes, the browser says.
        let mut headers = headers;
        for name in [header::REFERER, header::USER_AGENT] {
            let said: Vec<_> = head.headers.get_all(&name).iter().cloned().collect();
            headers.remove(&name);
            for value in said {
                headers.append(&name, value);
            }
        }
        let form_headers = std::mem::replace(&mut head.headers, headers);
        let buckets = self.bucket_policies(&caller, &object, &head.headers).await?;
        let facts = self.facts(&head, peer, &caller, now, &buckets);
        let told = &mut trail.decision;
        let authorized = authorize::authorize(caller.caller.clone(), &object, &facts, told)?;
        trail.later = Some(authorized.later());
        let mut headers = std::mem::replace(&mut head.headers, form_headers);
        s3::supported::check(&headers, &object)?;
        let encryption = encryption::asked::take(&mut headers, object.operation, peer.tls)?;
        self.admin.admit(&authorized, &head, length).await?;
        let form = form.within(*lengths.start()..=(*lengths.end()).min(MAX_UPLOAD))?;
        let body = DecodedBody::of_form(form, self.limits.patience());
        let host_bucket = target.host_bucket(&resource);
        let location = location(&host.unwrap_or_default(), &object, host_bucket);
        head.method = Method::PUT;
        head.uri = bare_uri(&object.path, "")?;
        head.headers = headers;
        let source = peer.connected.source();
        let put = self
            .wire(head, body, None, authorized, encryption, source, now, &resource, ids)
            .await?;
        Ok(if put.status().is_success() { success.answer(put, &object, &location) } else { put })
    }

    /// What policies may ask about a request.
    fn facts<'a>(
        &'a self,
        head: &'a Parts,
        peer: &Peer,
        caller: &Authenticated,
        now: Timestamp,
        buckets: &'a [Arc<BucketPolicy>],
    ) -> Facts<'a> {
        Facts {
            head,
            source: peer.address.ip(),
            tls: peer.tls,
            now,
            scheme: caller.scheme,
            signed_at: caller.signed_at,
            region: self.authenticator.region(),
            buckets,
        }
    }

    /// Who sent the request; who has guessed too often isn't even looked at.
    fn guarded<T>(
        &self,
        head: &Parts,
        peer: &Peer,
        authenticate: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (source, who) = (peer.connected.source(), self.backoff.claimed(head));
        let instant = Instant::now();
        self.backoff.admit(source, who, instant)?;
        let caller = authenticate();
        match &caller {
            Ok(_) => self.backoff.succeeded(source, who, instant),
            Err(refusal) if backoff::is_failure(refusal) => {
                self.backoff.failed(source, who, instant);
            }
            Err(_) => {}
        }
        caller
    }

    /// What the server counts, for whoever may know.
    async fn scrape(
        &self,
        head: &Parts,
        peer: &Peer,
        now: Timestamp,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let authenticate = || self.authenticator.authenticate_scraper(head, now);
        let caller = self.guarded(head, peer, authenticate)?;
        trail.is_from(&caller.caller, caller.scheme);
        let context =
            authorize::context::common(&caller.caller, &self.facts(head, peer, &caller, now, &[]));
        let action = Action::AdminPrometheus;
        let decision = authorize::decide(&caller.caller, action, Resource::All, &context);
        let is_allowed = decision.outcome == Outcome::Allow;
        trail.decision = Some(decision);
        if !is_allowed {
            return Err(Refusal::access_denied());
        }
        let health = self.store.health().await;
        if let Some(keys) = &self.keys {
            self.metrics.kms().keeps(keys.kept());
        }
        let text = self.metrics.text(&health).map_err(|_never_on_a_string| {
            Refusal::new("InternalError", 500, "The metrics can't be written.")
        })?;
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        );
        Ok(response)
    }

    async fn health(&self, health: Health) -> Response<Body> {
        let ready = match health {
            Health::Live => is_alive(self.store.index_health()),
            Health::Ready => {
                !self.draining.load(Ordering::Relaxed)
                    && self.store.health().await.index == IndexHealth::Usable
            }
        };
        let mut response = Response::new(Body::empty());
        if !ready {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
                .headers_mut()
                .insert("x-minio-server-status", HeaderValue::from_static("offline"));
        }
        response
    }
}

fn is_about_policy(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::GetBucketPolicy
            | Operation::GetBucketPolicyStatus
            | Operation::PutBucketPolicy
            | Operation::DeleteBucketPolicy
    )
}

/// The policy that goes with what the operation deletes.
fn deletes_policy(authorized: &Authorized, caller: &Authenticated) -> Option<Arc<BucketPolicy>> {
    let bucket = authorized.target().bucket.as_ref()?;
    let deletes = authorized.operation() == Operation::DeleteBucket;
    caller.caller.snapshot().bucket_policy(bucket.as_str()).filter(|_| deletes).cloned()
}

/// Whether it is worth waiting for this process. It isn't once nothing can be written any more until another one is started.
fn is_alive(index: IndexHealth) -> bool {
    match index {
        // A full disk is no reason to be restarted: reads go on, and so do deletes.
        IndexHealth::Usable | IndexHealth::Reopening => true,
        IndexHealth::Stopped => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_can_never_write_again_is_dead() {
        for (index, alive) in [
            (IndexHealth::Usable, true),
            (IndexHealth::Reopening, true),
            (IndexHealth::Stopped, false),
        ] {
            assert_eq!(is_alive(index), alive, "{index:?}");
        }
    }
}
