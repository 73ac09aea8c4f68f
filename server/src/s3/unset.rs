//! Configurations that nobody can set yet read as ones that are not set on AWS.

use bytes::Bytes;
use coffer_store::Store;
use http::{HeaderValue, Response, header};
use s3s::Body;

use super::bucket::OWNER_ID;
use super::fault;
use super::get::only_null;
use crate::answer::Refusal;
use crate::authorize::Authorized;
use crate::operation::Unset;
use crate::route::parameters;

pub(super) const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Answers for the bucket or object that was authorized, which has to be there.
pub(super) async fn answer(
    store: &Store,
    unset: Unset,
    authorized: &Authorized,
    query: &str,
) -> Result<Response<Body>, Refusal> {
    let target = authorized.target();
    let Some(bucket) = &target.bucket else { return Err(Refusal::access_denied()) };
    match &target.key {
        None => drop(store.bucket(bucket).await.map_err(|error| fault::refusal(&error))?),
        Some(key) => {
            let found = store.object(bucket, key).await;
            drop(found.map_err(|error| super::look_up_failed(authorized, bucket, &error))?);
            let version = parameters(query).find(|(name, _)| name == "versionId");
            only_null(version.map(|(_, value)| value))?;
        }
    }
    let document = match unset {
        Unset::Missing(code, message) => return Err(Refusal::new(code, 404, message)),
        Unset::WithoutLock => {
            return Err(Refusal::new(
                "InvalidRequest",
                400,
                "Bucket is missing Object Lock Configuration",
            ));
        }
        Unset::Empty(root) => format!("<{root} xmlns=\"{XMLNS}\"/>"),
        Unset::Document(document) => document.to_owned(),
        Unset::PrivateAcl => format!(
            "<AccessControlPolicy xmlns=\"{XMLNS}\"><Owner><ID>{OWNER_ID}</ID><DisplayName>coffer</DisplayName></Owner>\
             <AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:type=\"CanonicalUser\"><ID>{OWNER_ID}</ID><DisplayName>coffer</DisplayName></Grantee>\
             <Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
        ),
    };
    let body = Bytes::from(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{document}"));
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Ok(response)
}
