//! The control authority of a Tenant: it signs the client certificate by which the operator is known to the Tenant's server,
//! and nothing else. Its key is in a Secret that no pod mounts; the client certificates are in memory alone.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};

use super::self_signed::{ROOT_LIFE, issuer, parameters, private};
use super::{AuthorityError, CA_CERTIFICATES, CertificateFacts, KeyedCertificate, PrivateKey};
use crate::tenant::found::SecretData;

/// How long a client certificate lives.
pub const CLIENT_LIFE: Duration = Duration::from_hours(1);
const KEY: &str = "ca.key";

/// The URI by which a Tenant's server knows its operator.
pub fn name(namespace: &str, tenant: &str) -> String {
    format!("coffer://control/{namespace}/{tenant}")
}

/// The authority in the data of a Secret; `None` if it can't be used or is in the last third of its life: then it is made
/// anew, as only the operator and the server need to know it.
pub fn parse(data: &SecretData, now: Timestamp) -> Option<KeyedCertificate> {
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    let (certificate, key) = (text(CA_CERTIFICATES)?, text(KEY)?);
    let facts = CertificateFacts::parse(&certificate)?;
    let pair = KeyPair::from_pem(&key).ok()?;
    let fits = facts.public_key == pair.public_key_raw();
    let fresh = now >= facts.not_before
        && facts.not_after.duration_since(now).unsigned_abs() > ROOT_LIFE / 3
        && now < facts.not_after;
    (fits && fresh).then(|| KeyedCertificate { certificate, key: PrivateKey::from_pem(key) })
}

/// The data of the Secret that holds it.
pub fn to_data(authority: &KeyedCertificate) -> SecretData {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    SecretData::from([
        (CA_CERTIFICATES.to_owned(), bytes(&authority.certificate)),
        (KEY.to_owned(), bytes(authority.key.reveal())),
    ])
}

/// A new authority for a Tenant.
///
/// # Errors
/// [`AuthorityError`] when a key or certificate can't be made.
pub fn new(
    tenant: &str,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<KeyedCertificate, AuthorityError> {
    let mut params = parameters(&format!("Coffer control of {tenant}"), now, ROOT_LIFE, rng)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(KeyedCertificate { certificate: params.self_signed(&key)?.pem(), key: private(&key) })
}

/// A client certificate of this URI.
///
/// # Errors
/// [`AuthorityError`] when the authority can't be read or a certificate can't be made.
pub fn client_certificate(
    authority: &KeyedCertificate,
    uri: &str,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<KeyedCertificate, AuthorityError> {
    let mut params = parameters("coffer-operator", now, CLIENT_LIFE, rng)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &issuer(authority)?)?.pem();
    Ok(KeyedCertificate { certificate, key: private(&key) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn an_authority_is_kept_until_its_last_third() {
        let mut rng = StdRng::seed_from_u64(1);
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let made = new("photos", now, &mut rng).unwrap();
        let data = to_data(&made);
        let after =
            |days: i64| now.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        for (claim, days, kept) in [("new", 0, true), ("later", 2400, true), ("due", 2500, false)] {
            assert_eq!(parse(&data, after(days)).is_some(), kept, "{claim}");
        }
        assert!(parse(&SecretData::new(), now).is_none());
        let mut mixed = data;
        mixed.insert(KEY.to_owned(), to_data(&new("photos", now, &mut rng).unwrap())[KEY].clone());
        assert!(parse(&mixed, now).is_none());
        assert!(client_certificate(&made, &name("team", "photos"), now, &mut rng).is_ok());
    }
}
