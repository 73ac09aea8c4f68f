//! Makes roots, intermediates and server certificates. Time and serial numbers are arguments; private keys come from the
//! cryptographic library's own generator.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};

use super::{
    Authority, AuthorityError, CertificateFacts, KeyedCertificate, PrivateKey, ServerCertificate,
    SubjectName,
};

/// How long a root lives: 10 years.
pub const ROOT_LIFE: Duration = Duration::from_hours(24 * 3650);
/// How long an intermediate lives: 5 years.
pub const INTERMEDIATE_LIFE: Duration = Duration::from_hours(24 * 1825);
/// How far a certificate's begin lies back, for clients whose clock is late.
pub const BACKDATE: Duration = Duration::from_mins(5);

/// A new root and intermediate for a Tenant.
///
/// # Errors
/// [`AuthorityError`] when a key or certificate can't be made.
pub fn new_authority(
    tenant: &str,
    names: &BTreeSet<SubjectName>,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<Authority, AuthorityError> {
    let root = new_root(tenant, now, rng)?;
    let intermediate = new_intermediate(tenant, &root, names, now, rng)?;
    Ok(Authority { root, intermediate, next: None, previous: Vec::new() })
}

/// A new root for a Tenant.
///
/// # Errors
/// [`AuthorityError`] when a key or certificate can't be made.
pub fn new_root(
    tenant: &str,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<KeyedCertificate, AuthorityError> {
    let mut params = parameters(&format!("Coffer root of {tenant}"), now, ROOT_LIFE, rng)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(KeyedCertificate { certificate: params.self_signed(&key)?.pem(), key: private(&key) })
}

/// A new intermediate under `root` that may sign exactly `names` and what lies below them. It never outlives the root.
///
/// # Errors
/// [`AuthorityError`] when the root can't be read or a certificate can't be made.
pub fn new_intermediate(
    tenant: &str,
    root: &KeyedCertificate,
    names: &BTreeSet<SubjectName>,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<KeyedCertificate, AuthorityError> {
    let life = within(INTERMEDIATE_LIFE, root, now);
    let mut params = parameters(&format!("Coffer issuer of {tenant}"), now, life, rng)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(constraints(names));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &issuer(root)?)?.pem();
    Ok(KeyedCertificate { certificate, key: private(&key) })
}

/// A new server certificate. It never outlives the intermediate.
///
/// # Errors
/// [`AuthorityError`] when the intermediate can't be read or a certificate can't be made.
pub fn new_server_certificate(
    tenant: &str,
    authority: &Authority,
    names: &BTreeSet<SubjectName>,
    life: Duration,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<ServerCertificate, AuthorityError> {
    let life = within(life, &authority.intermediate, now);
    let mut params = parameters(tenant, now, life, rng)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            Ok(match name {
                SubjectName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
                SubjectName::Address(address) => SanType::IpAddress(*address),
            })
        })
        .collect::<Result<_, rcgen::Error>>()?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let leaf = params.signed_by(&key, &issuer(&authority.intermediate)?)?.pem();
    Ok(ServerCertificate {
        chain: format!("{leaf}{}", authority.intermediate.certificate),
        key: private(&key),
    })
}

/// A life that begins now, cut where the issuer ends. Of an issuer that has ended nothing is cut: what it signs is of no use either way.
fn within(life: Duration, issuer: &KeyedCertificate, now: Timestamp) -> Duration {
    let end = CertificateFacts::parse(&issuer.certificate).map(|facts| facts.not_after);
    let left = end.and_then(|end| Duration::try_from(end.duration_since(now)).ok());
    left.filter(|left| !left.is_zero()).map_or(life, |left| left.min(life))
}

/// The smallest set of names under which all of `names` lie: a name covers what is below it.
pub(super) fn permitted(names: &BTreeSet<SubjectName>) -> BTreeSet<SubjectName> {
    let bases: BTreeSet<SubjectName> = names
        .iter()
        .map(|name| match name {
            SubjectName::Dns(name) => {
                SubjectName::Dns(name.strip_prefix("*.").unwrap_or(name).to_owned())
            }
            SubjectName::Address(address) => SubjectName::Address(*address),
        })
        .collect();
    bases
        .iter()
        .filter(|name| !bases.iter().any(|other| lies_below(name, other)))
        .cloned()
        .collect()
}

fn lies_below(name: &SubjectName, base: &SubjectName) -> bool {
    match (name, base) {
        (SubjectName::Dns(name), SubjectName::Dns(base)) => {
            name.strip_suffix(base.as_str()).is_some_and(|front| front.ends_with('.'))
        }
        (SubjectName::Dns(_) | SubjectName::Address(_), _) => false,
    }
}

fn constraints(names: &BTreeSet<SubjectName>) -> NameConstraints {
    let permitted_subtrees: Vec<_> = permitted(names)
        .iter()
        .map(|name| match name {
            SubjectName::Dns(name) => GeneralSubtree::DnsName(name.clone()),
            SubjectName::Address(address) => GeneralSubtree::IpAddress(match address {
                IpAddr::V4(v4) => CidrSubnet::V4(v4.octets(), [0xff; 4]),
                IpAddr::V6(v6) => CidrSubnet::V6(v6.octets(), [0xff; 16]),
            }),
        })
        .collect();
    // A kind of name without a permitted subtree is unconstrained, so addresses are excluded where there are none.
    let has_addresses = names.iter().any(|name| matches!(name, SubjectName::Address(_)));
    let excluded_subtrees = if has_addresses {
        Vec::new()
    } else {
        vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ]
    };
    NameConstraints { permitted_subtrees, excluded_subtrees }
}

pub(super) fn parameters(
    common_name: &str,
    now: Timestamp,
    life: Duration,
    rng: &mut impl rand::CryptoRng,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    let time = |moment: Result<Timestamp, jiff::Error>| {
        let second = moment.ok().and_then(|moment| u64::try_from(moment.as_second()).ok());
        second
            .map(|second| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second))
            .ok_or(AuthorityError::Time(now))
    };
    params.not_before = time(now.checked_sub(BACKDATE))?;
    params.not_after = time(now.checked_add(life))?;
    let mut serial = [0_u8; 16];
    rng.fill_bytes(&mut serial);
    // Positive and never zero, as RFC 5280 asks for.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

pub(super) fn issuer(
    signer: &KeyedCertificate,
) -> Result<Issuer<'static, KeyPair>, AuthorityError> {
    Ok(Issuer::from_ca_cert_pem(&signer.certificate, KeyPair::from_pem(signer.key.reveal())?)?)
}

pub(super) fn private(key: &KeyPair) -> PrivateKey {
    PrivateKey::from_pem(key.serialize_pem())
}
