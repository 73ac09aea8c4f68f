//! The folders of a Tenant's Secrets, ConfigMaps and claims: what a cluster would hold.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::{TendError, Tender, Wished};
use crate::play::manifests::Key;
use crate::play::pod::{self, Mode, Written};
use crate::tenant::audit::ValidAudit;
use crate::tenant::build::Objects;
use crate::tenant::dereference::{Material, material};
use crate::tenant::found::{Found, SecretData};
use crate::tenant::kms::Provider;
use crate::tenant::validate::ValidTenant;

impl Tender {
    /// What the folders and the manifests hold, and what is made where it is missing.
    pub(super) fn material(
        &self,
        tenant: &ValidTenant,
        wished: &Wished,
    ) -> Result<Material, TendError> {
        let names = tenant.names();
        let read = |name: &str| {
            let path = self.folders.secret(name);
            pod::read_volume(&path).map_err(|cause| TendError::Write { path, cause })
        };
        // As in a cluster: what the manifests hold, else what was there before.
        let brought = |name: &str| {
            let key = Key { namespace: tenant.namespace.clone(), name: name.to_owned() };
            wished.secrets.get(&key).cloned().map_or_else(|| read(name), |data| Ok(Some(data)))
        };
        let root = match &tenant.root_secret {
            Some(name) => brought(name)?,
            None => read(&names.root())?,
        };
        let provider = tenant.kms.as_ref().map(|kms| &kms.provider);
        let kms = match provider.and_then(Provider::secret) {
            Some(secret) => brought(secret.name)?,
            None => None,
        };
        let config_map = |name: &str| {
            let path = self.folders.config_map(name);
            let key = Key { namespace: tenant.namespace.clone(), name: name.to_owned() };
            match wished.config_maps.get(&key) {
                Some(data) => Ok(Some(data.clone())),
                None => pod::read_volume(&path).map_err(|cause| TendError::Write { path, cause }),
            }
        };
        let kms_ca = match provider.and_then(Provider::ca) {
            Some((_, reference)) => config_map(&reference.name)?,
            None => None,
        };
        let audit = ValidAudit::names(tenant.audit.as_ref());
        let audit_ca = match (audit.ca_secret, audit.ca_config_map) {
            (Some(name), _) => brought(name)?,
            (None, Some(name)) => config_map(name)?,
            (None, None) => None,
        };
        let found = Found {
            authority: read(&names.authority())?,
            tls: read(&names.tls())?,
            root,
            iam: read(&names.iam())?,
            control: read(&names.control_authority())?,
            kms,
            kms_ca,
            audit_token: audit.token.map(&brought).transpose()?.flatten(),
            audit_ca,
        };
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let now = Timestamp::now();
        Ok(material(tenant, &found, now, &mut rand::rng())?)
    }

    /// Writes what a cluster would hold.
    pub(super) fn write(
        &self,
        objects: &Objects,
        tenant: &ValidTenant,
        wished: &Wished,
    ) -> Result<Written, TendError> {
        let mut changed = Written::Unchanged;
        let mut write = |path: PathBuf, data: &SecretData, mode| {
            match pod::write_volume(&path, data, mode) {
                Ok(Written::Changed) => changed = Written::Changed,
                Ok(Written::Unchanged) => {}
                Err(cause) => return Err(TendError::Write { path, cause }),
            }
            Ok(())
        };
        let secrets = [&objects.iam, &objects.authority, &objects.tls, &objects.control_authority];
        for secret in secrets.into_iter().chain(&objects.root) {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            write(
                self.folders.secret(name),
                secret.data.as_ref().unwrap_or(&SecretData::new()),
                Mode::Private,
            )?;
        }
        let at = |name: &str| Key { namespace: tenant.namespace.clone(), name: name.to_owned() };
        if let Some(name) = &tenant.root_secret
            && let Some(data) = wished.secrets.get(&at(name))
        {
            write(self.folders.secret(name), data, Mode::Private)?;
        }
        let provider = tenant.kms.as_ref().map(|kms| &kms.provider);
        let audit = ValidAudit::names(tenant.audit.as_ref());
        let kms = provider.and_then(Provider::secret).map(|secret| secret.name);
        for name in [kms, audit.token, audit.ca_secret].into_iter().flatten() {
            if let Some(data) = wished.secrets.get(&at(name)) {
                write(self.folders.secret(name), data, Mode::Private)?;
            }
        }
        let kms_ca = provider.and_then(Provider::ca).map(|(_, reference)| reference.name.as_str());
        for name in [kms_ca, audit.ca_config_map].into_iter().flatten() {
            if let Some(data) = wished.config_maps.get(&at(name)) {
                write(self.folders.config_map(name), data, Mode::Public)?;
            }
        }
        for config_map in [&objects.ca, &objects.control] {
            let texts = config_map.data.iter().flatten();
            let bytes = texts
                .map(|(key, text)| (key.clone(), ByteString(text.clone().into_bytes())))
                .collect();
            let name = config_map.metadata.name.as_deref().unwrap_or_default();
            write(self.folders.config_map(name), &bytes, Mode::Public)?;
        }

        let claim = self.folders.claim(&tenant.names().data());
        pod::private_folder(&claim).map_err(|cause| TendError::Write { path: claim, cause })?;
        let path = self.folders.accepted(&tenant.name);
        let json = serde_json::to_vec_pretty(&wished.tenant).unwrap_or_default();
        if std::fs::read(&path).ok().as_deref() != Some(&json) {
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            pod::private_folder(&folder)
                .and_then(|()| pod::write_atomically(&path, &json, Mode::Private))
                .map_err(|cause| TendError::Write { path, cause })?;
            changed = Written::Changed;
        }
        Ok(changed)
    }
}
