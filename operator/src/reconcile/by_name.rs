//! Reads an object that a resource names, in that one's own namespace and nowhere else.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;

use super::Failure;
use crate::play::manifests::is_dns_subdomain;

/// The object of this name, if there is one.
///
/// # Errors
/// [`Failure::Name`] when it is no name, [`Failure::Api`] when the object can't be read.
pub(super) async fn by_name<K>(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<K>, Failure>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let kind = K::kind(&());
    // The name becomes a part of the request's path as it is, so `../../other/secrets/a` would lead out of the namespace.
    if !is_dns_subdomain(name) {
        return Err(Failure::Name { kind: kind.into_owned(), name: name.to_owned() });
    }
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await;
    found.map_err(|cause| Failure::Api { what: format!("{kind} `{name}`"), cause: Box::new(cause) })
}
