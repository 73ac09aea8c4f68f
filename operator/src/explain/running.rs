//! `coffer-operator explain` against a Tenant that runs: its server decides, by all that is in force there, whoever made it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use coffer_crds::Tenant;
use coffer_policy::{Action, Resource};
use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use http::Uri;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::{Api, Client};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::authority::CA_CERTIFICATES;
use crate::causes::with_causes;
use crate::control::{self, CallError, ProbeError, Target};
use crate::root_credentials::{RootCredentials, RootCredentialsError};

/// What stands as it is in a query that is signed.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The user.
    pub user: &'a str,
    /// What for.
    pub action: &'a str,
    /// On what.
    pub resource: &'a str,
    /// What else is known of the request.
    pub context: &'a BTreeMap<String, Vec<String>>,
}

/// A server that can be asked.
#[derive(Clone, Debug)]
pub struct Running {
    /// What it is called in an answer.
    shown: String,
    /// Where it may be.
    targets: Vec<Target>,
    credentials: Credentials,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The action isn't one.
    #[error("there is no action `{0}`")]
    Action(String),
    /// The resource isn't one.
    #[error("the resource `{0}` is neither `*` nor an ARN of S3 or KMS")]
    Resource(String),
    /// The endpoint isn't one.
    #[error("--endpoint `{0}`: write it as https://host:port")]
    Endpoint(String),
    /// The endpoint's name has no address.
    #[error("--endpoint: can't find the address of `{host}`")]
    Address {
        /// The name.
        host: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The certificates can't be read.
    #[error("--ca `{}`: can't be read", file.display())]
    Ca {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// No credentials.
    #[error(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY aren't set; set them to a key that is allowed admin:ExplainDecision"
    )]
    NoCredentials,
    /// The access key isn't one.
    #[error("AWS_ACCESS_KEY_ID can't be an access key")]
    AccessKey(#[source] coffer_signature::AccessKeyIdError),
    /// The Tenant isn't named well.
    #[error("--tenant `{0}`: write it as NAMESPACE/NAME")]
    Tenant(String),
    /// The API server doesn't give what is needed.
    #[error("can't read the {what}")]
    Api {
        /// What was to be read.
        what: String,
        /// Why.
        #[source]
        cause: Box<kube::Error>,
    },
    /// There is no kubeconfig, or it can't be used.
    #[error("the cluster can't be asked; set KUBECONFIG, or use --endpoint")]
    Kubeconfig(#[source] Box<kube::Error>),
    /// The Tenant isn't ready to be asked.
    #[error("the Tenant `{tenant}` has no {lacking} yet; wait until it is Ready")]
    NotReady {
        /// Which one.
        tenant: String,
        /// What is lacking.
        lacking: &'static str,
    },
    /// The Secret has no credentials.
    #[error("the Secret `{name}` has no usable root credentials")]
    Root {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: RootCredentialsError,
    },
    /// The server doesn't answer, or refuses to.
    #[error("{0}")]
    Call(String),
}

/// What the server says. What it says beside is for others.
#[derive(Debug, Deserialize)]
struct Answer {
    decision: String,
    by: Option<By>,
    lacking: Option<String>,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct By {
    layer: String,
    policy: String,
    statement: usize,
    sid: Option<String>,
}

impl Running {
    /// The server at a URL, which is trusted by the certificates in a file alone. It is asked with the credentials in the environment.
    ///
    /// # Errors
    /// [`ExplainError`] for what can't be read or isn't set.
    pub async fn at(endpoint: &str, ca: &Path) -> Result<Self, ExplainError> {
        let unusable = || ExplainError::Endpoint(endpoint.to_owned());
        let uri: Uri = endpoint.parse().map_err(|_invalid| unusable())?;
        let is_bare = uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|it| is_bare && !it.as_str().contains('@'));
        let authority = authority.filter(|_| uri.scheme_str() == Some("https"));
        let authority = authority.ok_or_else(unusable)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(443);
        let roots = std::fs::read_to_string(ca)
            .map_err(|cause| ExplainError::Ca { file: ca.to_owned(), cause })?;
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|cause| ExplainError::Address { host: host.clone(), cause })?;
        // The region isn't looked at where the admin API is signed for.
        let region = || std::env::var("AWS_REGION").unwrap_or_else(|_unset| "us-east-1".to_owned());
        let target = |address| Target {
            address,
            host: host.clone(),
            port,
            roots: roots.clone(),
            region: region(),
        };
        Ok(Self {
            shown: format!("at {}", endpoint.trim_end_matches('/')),
            targets: found.map(target).collect(),
            credentials: from_environment()?,
        })
    }

    /// The server of a Tenant, `NAMESPACE/NAME`, in the cluster of the kubeconfig: with the Tenant's root credentials, at the address of its
    /// Service.
    ///
    /// # Errors
    /// [`ExplainError`] for what isn't there or may not be read.
    pub async fn by_kubeconfig(tenant: &str) -> Result<Self, ExplainError> {
        let failed = |cause| ExplainError::Kubeconfig(Box::new(cause));
        Self::of(tenant, Client::try_default().await.map_err(failed)?).await
    }

    async fn of(tenant: &str, client: Client) -> Result<Self, ExplainError> {
        let parts = tenant.split_once('/').filter(|(namespace, name)| {
            !namespace.is_empty() && !name.is_empty() && !name.contains('/')
        });
        let (namespace, name) = parts.ok_or_else(|| ExplainError::Tenant(tenant.to_owned()))?;
        let api = |what: String| move |cause| ExplainError::Api { what, cause: Box::new(cause) };
        let lacks = |lacking| ExplainError::NotReady { tenant: tenant.to_owned(), lacking };

        let tenants: Api<Tenant> = Api::namespaced(client.clone(), namespace);
        let found = tenants.get(name).await.map_err(api(format!("Tenant `{tenant}`")))?;
        let status = found.status.unwrap_or_default();
        let endpoint = status.endpoint.ok_or_else(|| lacks("endpoint"))?;
        let host = endpoint.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let host = host.ok_or_else(|| lacks("endpoint"))?;
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services.get(name).await.map_err(api(format!("Service `{name}`")))?;
        let ip = service.spec.and_then(|spec| spec.cluster_ip?.parse::<IpAddr>().ok());
        let address = SocketAddr::new(ip.ok_or_else(|| lacks("address"))?, 443);
        let ca = status.ca_config_map.ok_or_else(|| lacks("certificates"))?;
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let roots = config_maps.get(&ca).await.map_err(api(format!("ConfigMap `{ca}`")))?;
        let roots = roots.data.and_then(|mut data| data.remove(CA_CERTIFICATES));
        let roots = roots.ok_or_else(|| lacks("certificates"))?;
        let secret = status.root_credentials_secret.ok_or_else(|| lacks("root credentials"))?;
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        let root = secrets.get(&secret).await.map_err(api(format!("Secret `{secret}`")))?;
        let root = RootCredentials::parse(&root.data.unwrap_or_default())
            .map_err(|cause| ExplainError::Root { name: secret, cause })?;
        let region = found.spec.region;
        Ok(Self {
            shown: format!("in Tenant {tenant}"),
            targets: vec![Target { address, host, port: 443, roots, region }],
            credentials: root.credentials().clone(),
        })
    }

    /// Asks, and answers in the words of `explain -f`.
    ///
    /// # Errors
    /// [`ExplainError`] for a question that can't be asked, or no answer.
    pub async fn explain(
        &self,
        question: &Question<'_>,
        now: Timestamp,
    ) -> Result<String, ExplainError> {
        let Question { user, action, resource, context } = question;
        if Action::parse(action).is_none() {
            return Err(ExplainError::Action((*action).to_owned()));
        }
        if Resource::parse(resource).is_none() {
            return Err(ExplainError::Resource((*resource).to_owned()));
        }
        let mut query = String::new();
        for (name, value) in [("action", action), ("resource", resource), ("user", user)] {
            let parted = if query.is_empty() { "" } else { "&" };
            // Writing into a String can't fail.
            let _infallible =
                write!(query, "{parted}{name}={}", utf8_percent_encode(value, ENCODED));
        }
        let body = if context.is_empty() { None } else { Some(serde_json::json!(context)) };
        let mut failed = None;
        for target in &self.targets {
            let asked = control::explain(target, &self.credentials, &query, body.as_ref(), now);
            match asked.await {
                Ok(answer) => return told(answer, &self.shown),
                // A name may have several addresses, of which one answers.
                Err(cause @ CallError::Probe(ProbeError::Connect { .. })) => failed = Some(cause),
                Err(cause) => return Err(ExplainError::Call(said(&cause))),
            }
        }
        let none = || "the endpoint's name has no address".to_owned();
        Err(ExplainError::Call(failed.as_ref().map_or_else(none, said)))
    }
}

fn said(cause: &CallError) -> String {
    match cause {
        CallError::Probe(cause) => with_causes(cause),
        CallError::Refused { status: _, code, message } if message.is_empty() => code.clone(),
        CallError::Refused { status: _, code, message } => format!("{message} ({code})"),
    }
}

fn from_environment() -> Result<Credentials, ExplainError> {
    let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(access_key), Some(secret_key)) =
        (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"))
    else {
        return Err(ExplainError::NoCredentials);
    };
    Ok(Credentials {
        access_key_id: access_key.parse::<AccessKeyId>().map_err(ExplainError::AccessKey)?,
        secret_key: SecretKey::new(secret_key),
        session_token: None,
    })
}

/// The server's answer in the words of `explain -f`.
fn told(answer: serde_json::Value, shown: &str) -> Result<String, ExplainError> {
    let unreadable = || "the server's answer can't be read; is it older than this program?";
    let answer: Answer = serde_json::from_value(answer)
        .map_err(|_invalid| ExplainError::Call(unreadable().to_owned()))?;
    let Answer { decision, by, lacking, mut reasons } = answer;
    let by = by.map(|By { layer, policy, statement, sid }| {
        let sid = sid.map(|sid| format!(" (`{sid}`)")).unwrap_or_default();
        format!("statement {statement}{sid} of the {layer} `{policy}`")
    });
    let outcome = if decision == "Allow" { "Allow" } else { "Deny" };
    let why = match (decision.as_str(), by, lacking) {
        ("Allow", Some(by), _) => format!("{by} allows it"),
        ("Deny", Some(by), _) => format!("{by} denies it"),
        ("DefaultDeny", _, Some(lacking)) => format!("no {lacking} allows it"),
        ("DefaultDeny", _, None) => "no statement decides it".to_owned(),
        // By no policy: it is root, or who may not sign at all.
        ("Allow" | "Deny", None, _) if !reasons.is_empty() => reasons.swap_remove(0),
        (_, _, _) => return Err(ExplainError::Call(unreadable().to_owned())),
    };
    Ok(format!("{outcome}: {shown}, {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_told_as_from_manifests() {
        let by = json!({"layer": "group policy", "policy": "upload", "statement": 2, "sid": "Own"});
        for (answer, expected) in [
            (
                json!({"decision": "Allow", "by": by, "lacking": null, "reasons": ["x"]}),
                "Allow: in Tenant a/b, statement 2 (`Own`) of the group policy `upload` allows it",
            ),
            (
                json!({"decision": "Deny", "by": by}),
                "Deny: in Tenant a/b, statement 2 (`Own`) of the group policy `upload` denies it",
            ),
            (
                json!({"decision": "DefaultDeny", "by": null, "lacking": "identity policy"}),
                "Deny: in Tenant a/b, no identity policy allows it",
            ),
            (
                json!({"decision": "DefaultDeny", "by": null, "lacking": null}),
                "Deny: in Tenant a/b, no statement decides it",
            ),
            (
                json!({"decision": "Allow", "by": null, "reasons": ["root may"]}),
                "Allow: in Tenant a/b, root may",
            ),
            (
                json!({"decision": "Deny", "reasons": ["it is disabled"]}),
                "Deny: in Tenant a/b, it is disabled",
            ),
        ] {
            assert_eq!(told(answer, "in Tenant a/b").unwrap(), expected);
        }
        for other in [
            json!({}),
            json!("Allow"),
            json!({"decision": "Perhaps"}),
            json!({"decision": "Allow"}),
        ] {
            assert!(told(other.clone(), "").is_err(), "{other}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_is_an_https_address_and_no_more() {
        for endpoint in [
            "http://localhost:9000",
            "localhost:9000",
            "https://user:secret@localhost",
            "https://localhost/minio",
            "https://localhost?x=y",
            "",
        ] {
            let refused = Running::at(endpoint, Path::new("/dev/null")).await;
            assert!(matches!(refused, Err(ExplainError::Endpoint(_))), "{endpoint}");
        }
    }

    /// A cluster that has these objects, by their paths.
    fn cluster(objects: Vec<(&'static str, serde_json::Value)>) -> Client {
        type Body = kube::client::Body;
        let (service, mut asked) =
            tower_test::mock::pair::<http::Request<Body>, http::Response<Body>>();
        tokio::spawn(async move {
            while let Some((request, answer)) = asked.next_request().await {
                let found = objects.iter().find(|(path, _)| *path == request.uri().path());
                let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
                let (status, body) = match found {
                    Some((_, object)) => (200, object.clone()),
                    None => (404, missing),
                };
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                answer.send_response(http::Response::builder().status(status).body(body).unwrap());
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_tenants_server_is_found_by_what_the_cluster_has_of_it() {
        let tenant = |status: serde_json::Value| {
            json!({
                "apiVersion": "coffer.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": "photos", "namespace": "team"},
                "spec": {"region": "eu-central-1", "storage": {"embedded": {"size": "1Gi"}}},
                "status": status,
            })
        };
        let status = json!({
            "endpoint": "https://photos.team.svc.cluster.local", "caConfigMap": "photos-ca",
            "rootCredentialsSecret": "photos-root",
        });
        let meta = |name: &str| json!({"name": name, "namespace": "team"});
        let ready = vec![
            ("/apis/coffer.dev/v1alpha1/namespaces/team/tenants/photos", tenant(status.clone())),
            (
                "/api/v1/namespaces/team/services/photos",
                json!({"metadata": meta("photos"), "spec": {"clusterIP": "10.96.7.8"}}),
            ),
            (
                "/api/v1/namespaces/team/configmaps/photos-ca",
                json!({"metadata": meta("photos-ca"), "data": {"ca.crt": "roots"}}),
            ),
            (
                "/api/v1/namespaces/team/secrets/photos-root",
                json!({"metadata": meta("photos-root"), "data": {"accessKey": "cm9vdC1rZXk=", "secretKey": "cm9vdC1zZWNyZXQta2V5"}}),
            ),
        ];
        let found = Running::of("team/photos", cluster(ready.clone())).await.unwrap();
        assert_eq!(found.shown, "in Tenant team/photos");
        assert_eq!(found.credentials.access_key_id.to_string(), "root-key");
        let expected = Target {
            address: "10.96.7.8:443".parse().unwrap(),
            host: "photos.team.svc.cluster.local".to_owned(),
            port: 443,
            roots: "roots".to_owned(),
            region: "eu-central-1".to_owned(),
        };
        assert_eq!(found.targets, [expected]);
        for (at, lacking) in [(0, "Tenant"), (1, "Service"), (2, "ConfigMap"), (3, "Secret")] {
            let mut objects = ready.clone();
            objects.remove(at);
            let refused = Running::of("team/photos", cluster(objects)).await.unwrap_err();
            assert!(
                refused.to_string().starts_with(&format!("can't read the {lacking} ")),
                "{refused}"
            );
        }
        let mut objects = ready.clone();
        objects[0].1 = tenant(json!({}));
        let refused = Running::of("team/photos", cluster(objects)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the Tenant `team/photos` has no endpoint yet; wait until it is Ready"
        );
        for tenant in ["photos", "/photos", "team/", "a/b/c", ""] {
            let refused = Running::of(tenant, cluster(Vec::new())).await;
            assert!(matches!(refused, Err(ExplainError::Tenant(_))), "{tenant}");
        }
    }
}
