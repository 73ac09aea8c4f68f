//! From what was found the material that a Tenant's objects are built of: authority, server certificate, root credentials.

use jiff::Timestamp;

use crate::authority::{
    Authority, AuthorityError, CA_CERTIFICATES, CertificateFacts, KeyedCertificate,
    ServerCertificate, control, renewal, rotation, self_signed,
};
use crate::iam_key::{IamKey, IamKeyError};
use crate::root_credentials::{RootCredentials, RootCredentialsError};
use crate::tenant::audit::{self, AuditReferenceError};
use crate::tenant::found::{Found, value};
use crate::tenant::kms::{self, KmsReferenceError};
use crate::tenant::validate::ValidTenant;

/// Authorities and the server's certificate.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Root and intermediate.
    pub authority: Authority,
    /// The server certificate.
    pub server: ServerCertificate,
    /// What the server certificate says of itself.
    pub server_facts: CertificateFacts,
    /// What the root that signs says of itself.
    pub root_facts: CertificateFacts,
    /// The control authority.
    pub control: KeyedCertificate,
    /// What was made anew, as sentences for events and logs.
    pub made: Vec<String>,
}

/// What the objects are built of.
#[derive(Clone, Debug)]
pub struct Material {
    /// Root and intermediate.
    pub authority: Authority,
    /// What the server certificate says of itself.
    pub server_facts: CertificateFacts,
    /// What the root that signs says of itself.
    pub root_facts: CertificateFacts,
    /// The control authority.
    pub control: KeyedCertificate,
    /// The root identity's keys.
    pub root: RootCredentials,
    /// The key that identities and policies are sealed by.
    pub iam: IamKey,
    /// What was made anew besides certificates, as sentences for events and logs.
    pub made: Vec<String>,
}

/// Why there is no material.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The Secret that the Tenant names doesn't exist.
    #[error(
        "spec.rootCredentials.secretRef: Secret `{0}` doesn't exist; create it with the keys `accessKey` and `secretKey`"
    )]
    RootMissing(String),
    /// The Secret with the root credentials can't be used.
    #[error("Secret `{name}`: {cause}")]
    RootInvalid {
        /// The Secret's name.
        name: String,
        /// What is wrong with it.
        cause: RootCredentialsError,
    },
    /// The Secret with the key of identities and policies can't be used.
    #[error("Secret `{name}`: {cause}")]
    IamKey {
        /// The Secret's name.
        name: String,
        /// What is wrong with it.
        cause: IamKeyError,
    },
    /// What the KMS needs can't be used.
    #[error(transparent)]
    Kms(#[from] KmsReferenceError),
    /// What the audit webhook needs can't be used.
    #[error(transparent)]
    Audit(#[from] AuditReferenceError),
    /// The authority's Secret can't be used.
    #[error(
        "Secret `{name}`: {cause}; restore it, or delete it for a new authority, whose root clients must then load (docs/certificates.md)"
    )]
    Authority {
        /// The Secret's name.
        name: String,
        /// What is wrong with it.
        cause: AuthorityError,
    },
}

/// Of certificates keeps what is good, makes what is missing or due. It needs nothing that the spec names: whatever becomes of
/// that, a server that runs shall not run out of its certificate.
///
/// # Errors
/// [`MaterialError::Authority`] when a person must act.
pub fn certificates(
    tenant: &ValidTenant,
    found: &Found,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<Certificates, MaterialError> {
    let refused = |cause| MaterialError::Authority { name: tenant.names().authority(), cause };
    let names = &tenant.subject_names;
    let published = found.ca.as_ref().map(|data| value(data, CA_CERTIFICATES));
    let data = found.authority.as_ref();
    let (authority, changes) =
        rotation::authority(&tenant.name, data, published, names, now, rng).map_err(refused)?;
    let mut made: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let life = tenant.certificate_life;
    let fault = renewal::fault(found.tls.as_ref(), &authority, names, life, now);
    let kept = found.tls.as_ref().and_then(ServerCertificate::parse).filter(|_| fault.is_none());
    let server = if let Some(kept) = kept {
        kept
    } else {
        let reason = fault.unwrap_or(renewal::Fault::SecretMissing);
        made.push(format!("issued the server certificate: {reason}"));
        self_signed::new_server_certificate(&tenant.name, &authority, names, life, now, rng)
            .map_err(refused)?
    };
    let kept = found.control.as_ref().and_then(|data| control::parse(data, now));
    let control = if let Some(kept) = kept {
        kept
    } else {
        made.push("made the control authority".to_owned());
        control::new(&tenant.name, now, rng).map_err(refused)?
    };
    let facts = |pem: &str, key| {
        CertificateFacts::parse(pem).ok_or_else(|| refused(AuthorityError::Unreadable(key)))
    };
    Ok(Certificates {
        server_facts: facts(&server.chain, "tls.crt")?,
        root_facts: facts(&authority.root.certificate, "root.crt")?,
        authority,
        server,
        control,
        made,
    })
}

/// Looks through what the spec names, and makes the keys that are missing.
///
/// # Errors
/// [`MaterialError`] when a person must act.
pub fn material(
    tenant: &ValidTenant,
    found: &Found,
    certificates: Certificates,
    rng: &mut impl rand::CryptoRng,
) -> Result<Material, MaterialError> {
    if let Some(kms) = &tenant.kms {
        kms::check(kms, found.kms.as_ref(), found.kms_ca.as_ref())?;
    }
    if let Some(audit) = &tenant.audit {
        audit::check(audit, found)?;
    }
    let mut made = Vec::new();
    let root = root_credentials(tenant, found, &mut made, rng)?;
    let iam = iam_key(tenant, found, &mut made, rng)?;
    let Certificates { authority, server: _, server_facts, root_facts, control, made: _ } =
        certificates;
    Ok(Material { authority, server_facts, root_facts, control, root, iam, made })
}

fn root_credentials(
    tenant: &ValidTenant,
    found: &Found,
    made: &mut Vec<String>,
    rng: &mut impl rand::CryptoRng,
) -> Result<RootCredentials, MaterialError> {
    let name = tenant.root_secret_name();
    match (&found.root, &tenant.root_secret) {
        (Some(data), _) => {
            RootCredentials::parse(data).map_err(|cause| MaterialError::RootInvalid { name, cause })
        }
        (None, Some(_)) => Err(MaterialError::RootMissing(name)),
        (None, None) => {
            made.push("generated root credentials".to_owned());
            RootCredentials::generate(rng)
                .map_err(|cause| MaterialError::RootInvalid { name, cause })
        }
    }
}

fn iam_key(
    tenant: &ValidTenant,
    found: &Found,
    made: &mut Vec<String>,
    rng: &mut impl rand::CryptoRng,
) -> Result<IamKey, MaterialError> {
    if let Some(data) = &found.iam {
        let name = tenant.names().iam();
        return IamKey::parse(data).map_err(|cause| MaterialError::IamKey { name, cause });
    }
    made.push("generated the key that identities and policies are sealed by".to_owned());
    Ok(IamKey::generate(rng))
}
