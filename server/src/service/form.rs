//! The way of a form, which a page in a browser sends: what others say in their head, it says in its fields.

use http::header;
use http::request::Parts;
use http::{Method, Response};
use jiff::Timestamp;
use s3s::Body;

use super::head::{MAX_UPLOAD, number};
use super::wire::bare_uri;
use super::{Lent, Service};
use crate::accept::Peer;
use crate::answer::{Ids, Refusal};
use crate::audit::Trail;
use crate::authenticate::{DecodedBody, OpenForm};
use crate::authorize;
use crate::operation::Operation;
use crate::route::Target;
use crate::s3::post_form::{Upload, location};
use crate::s3::{self, encryption};

impl Service {
    /// Carries out a form: its fields say who sent it and what they ask for, its file is put as by a PutObject.
    #[expect(
        clippy::too_many_arguments,
        reason = "the seam between the head's way and the form's: each is one fact of it"
    )]
    pub(super) async fn post(
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
}
