//! The folders of a Tenant's Secrets, ConfigMaps and claims: what a cluster would hold.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::{TendError, Tender, Wished};
use crate::play::manifests::Key;
use crate::play::pod::{self, Mode, Written};
use crate::tenant::audit::ValidAudit;
use crate::tenant::build::{CertificateObjects, Objects};
use crate::tenant::dereference::{Certificates, Material, certificates, material};
use crate::tenant::found::{Found, SecretData};
use crate::tenant::kms::Provider;
use crate::tenant::validate::ValidTenant;

impl Tender {
    /// The certificates that the folders hold, and those that are made where they are missing or due.
    pub(super) fn certificates(&self, tenant: &ValidTenant) -> Result<Certificates, TendError> {
        let names = tenant.names();
        let found = Found {
            authority: read(self.folders.secret(&names.authority()))?,
            ca: read(self.folders.config_map(&names.ca()))?,
            tls: read(self.folders.secret(&names.tls()))?,
            control: read(self.folders.secret(&names.control_authority()))?,
            ..Found::default()
        };
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let now = Timestamp::now();
        Ok(certificates(tenant, &found, now, &mut rand::rng())?)
    }

    /// Writes them, the roots before what they have signed.
    pub(super) fn write_certificates(
        &self,
        objects: &CertificateObjects,
    ) -> Result<Written, TendError> {
        let CertificateObjects { authority, ca, control_authority, control, tls } = objects;
        let mut changed = Written::Unchanged;
        changed = self.write_secret(authority)?.or(changed);
        changed = self.write_config_map(ca)?.or(changed);
        changed = self.write_secret(control_authority)?.or(changed);
        changed = self.write_config_map(control)?.or(changed);
        Ok(self.write_secret(tls)?.or(changed))
    }

    fn write_secret(&self, secret: &Secret) -> Result<Written, TendError> {
        let path = self.folders.secret(secret.metadata.name.as_deref().unwrap_or_default());
        let data = secret.data.clone().unwrap_or_default();
        pod::write_volume(&path, &data, Mode::Private)
            .map_err(|cause| TendError::Write { path, cause })
    }

    fn write_config_map(&self, config_map: &ConfigMap) -> Result<Written, TendError> {
        let path = self.folders.config_map(config_map.metadata.name.as_deref().unwrap_or_default());
        let texts = config_map.data.clone().unwrap_or_default().into_iter();
        let data = texts.map(|(key, text)| (key, ByteString(text.into_bytes()))).collect();
        pod::write_volume(&path, &data, Mode::Public)
            .map_err(|cause| TendError::Write { path, cause })
    }

    /// What the folders and the manifests hold, and what is made where it is missing.
    pub(super) fn material(
        &self,
        tenant: &ValidTenant,
        wished: &Wished,
        certificates: Certificates,
    ) -> Result<Material, TendError> {
        let names = tenant.names();
        let kept = |name: &str| read(self.folders.secret(name));
        // As in a cluster: what the manifests hold, else what was there before.
        let brought = |name: &str| {
            let key = Key { namespace: tenant.namespace.clone(), name: name.to_owned() };
            wished.secrets.get(&key).cloned().map_or_else(|| kept(name), |data| Ok(Some(data)))
        };
        let root = match &tenant.root_secret {
            Some(name) => brought(name)?,
            None => kept(&names.root())?,
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
                None => read(path),
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
            root,
            iam: kept(&names.iam())?,
            kms,
            kms_ca,
            audit_token: audit.token.map(&brought).transpose()?.flatten(),
            audit_ca,
            ..Found::default()
        };
        Ok(material(tenant, &found, certificates, &mut rand::rng())?)
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
        for secret in [&objects.iam].into_iter().chain(&objects.root) {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let data = secret.data.clone().unwrap_or_default();
            write(self.folders.secret(name), &data, Mode::Private)?;
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

fn read(path: PathBuf) -> Result<Option<SecretData>, TendError> {
    pod::read_volume(&path).map_err(|cause| TendError::Write { path, cause })
}
