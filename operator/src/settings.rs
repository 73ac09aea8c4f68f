//! What holds for all Tenants of one operator.

use std::time::Duration;

/// What holds for all Tenants of one operator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The image of a Tenant that names none: the operator's own.
    pub image: Option<String>,
    /// The cluster's DNS domain, `cluster.local` unless the cluster was set up otherwise.
    pub cluster_domain: String,
    /// How long a server that is told to end waits for its open requests.
    pub drain: Duration,
    /// Names that each server certificate gets besides the Tenant's own; `play` adds this machine.
    pub extra_names: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image: None,
            cluster_domain: "cluster.local".to_owned(),
            drain: Duration::from_secs(20),
            extra_names: Vec::new(),
        }
    }
}

impl Settings {
    /// Settings for examples and golden tests.
    pub fn example() -> Self {
        Self { image: Some("ghcr.io/example/coffer:0.1.0".to_owned()), ..Self::default() }
    }
}
