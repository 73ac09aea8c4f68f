//! Whether a certificate must be made anew: an ordered chain of pure checks, each named by the fault that it finds. The
//! first that finds one decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::self_signed::{self, BACKDATE, INTERMEDIATE_LIFE};
use super::{
    Authority, AuthorityError, CertificateFacts, ServerCertificate, SubjectName, public_key,
};

/// Why a server certificate is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is none yet, or its Secret is gone.
    SecretMissing,
    /// A part of the Secret is missing or isn't text.
    SecretIncomplete,
    /// The certificate can't be parsed.
    CertificateUnreadable,
    /// Certificate and private key don't belong together.
    KeyDiffers,
    /// It wasn't signed by the authority's present intermediate, or doesn't carry it.
    IssuerDiffers,
    /// Its names aren't those that the Tenant has now.
    NamesDiffer,
    /// Its life isn't the one that the Tenant asks for.
    DurationDiffers,
    /// It doesn't hold yet: the clock was set back.
    NotYetValid,
    /// Two thirds of its life are over.
    RenewalDue,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretMissing => "there was none",
            Self::SecretIncomplete => "its Secret was incomplete",
            Self::CertificateUnreadable => "it wasn't readable",
            Self::KeyDiffers => "certificate and key didn't belong together",
            Self::IssuerDiffers => "it wasn't signed by the tenant's issuer",
            Self::NamesDiffer => "its names weren't those of the Tenant",
            Self::DurationDiffers => "spec.tls.duration was changed",
            Self::NotYetValid => "it wasn't valid yet",
            Self::RenewalDue => "two thirds of its life were over",
        })
    }
}

/// What the checks look at.
struct Subject<'a> {
    data: Option<&'a BTreeMap<String, ByteString>>,
    authority: &'a Authority,
    names: &'a BTreeSet<SubjectName>,
    life: Duration,
    now: Timestamp,
}

impl Subject<'_> {
    fn certificate(&self) -> Option<ServerCertificate> {
        self.data.and_then(ServerCertificate::parse)
    }

    fn leaf(&self) -> Option<CertificateFacts> {
        CertificateFacts::parse(&self.certificate()?.chain)
    }
}

type Check = fn(&Subject<'_>) -> Option<Fault>;

/// Each check may rely on those before it.
const CHECKS: [Check; 9] = [
    secret_missing,
    secret_incomplete,
    certificate_unreadable,
    key_differs,
    issuer_differs,
    names_differ,
    duration_differs,
    not_yet_valid,
    renewal_due,
];

/// The first fault of the server certificate in `data`, if any.
pub fn fault(
    data: Option<&BTreeMap<String, ByteString>>,
    authority: &Authority,
    names: &BTreeSet<SubjectName>,
    life: Duration,
    now: Timestamp,
) -> Option<Fault> {
    let subject = Subject { data, authority, names, life, now };
    CHECKS.iter().find_map(|check| check(&subject))
}

/// When a certificate that holds until `not_after` is due, if its life is `life`.
pub fn due(not_after: Timestamp, life: Duration) -> Timestamp {
    not_after.checked_sub(life / 3).unwrap_or(Timestamp::MIN)
}

fn secret_missing(subject: &Subject<'_>) -> Option<Fault> {
    subject.data.is_none().then_some(Fault::SecretMissing)
}

fn secret_incomplete(subject: &Subject<'_>) -> Option<Fault> {
    subject.certificate().is_none().then_some(Fault::SecretIncomplete)
}

fn certificate_unreadable(subject: &Subject<'_>) -> Option<Fault> {
    subject.leaf().is_none().then_some(Fault::CertificateUnreadable)
}

fn key_differs(subject: &Subject<'_>) -> Option<Fault> {
    let (certificate, leaf) = (subject.certificate()?, subject.leaf()?);
    (public_key(&certificate.key) != Some(leaf.public_key)).then_some(Fault::KeyDiffers)
}

fn issuer_differs(subject: &Subject<'_>) -> Option<Fault> {
    let intermediate = &subject.authority.intermediate.certificate;
    let carried = subject.certificate()?.chain.ends_with(intermediate.as_str());
    let signed = signed_by(&subject.leaf()?, intermediate);
    (!carried || !signed).then_some(Fault::IssuerDiffers)
}

fn names_differ(subject: &Subject<'_>) -> Option<Fault> {
    (&subject.leaf()?.names != subject.names).then_some(Fault::NamesDiffer)
}

fn duration_differs(subject: &Subject<'_>) -> Option<Fault> {
    let leaf = subject.leaf()?;
    let asked = subject.life + BACKDATE;
    (leaf.not_after.duration_since(leaf.not_before).unsigned_abs() != asked)
        .then_some(Fault::DurationDiffers)
}

fn not_yet_valid(subject: &Subject<'_>) -> Option<Fault> {
    (subject.leaf()?.not_before > subject.now).then_some(Fault::NotYetValid)
}

fn renewal_due(subject: &Subject<'_>) -> Option<Fault> {
    (due(subject.leaf()?.not_after, subject.life) <= subject.now).then_some(Fault::RenewalDue)
}

fn signed_by(certificate: &CertificateFacts, issuer: &str) -> bool {
    let Some(issuer) = CertificateFacts::parse(issuer) else { return false };
    let (Ok((_, certificate)), Ok((_, issuer))) =
        (X509Certificate::from_der(&certificate.der), X509Certificate::from_der(&issuer.der))
    else {
        return false;
    };
    certificate.issuer() == issuer.subject()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

/// What became of the stored authority.
#[derive(Clone, Debug)]
pub enum AuthorityDecision {
    /// It is as it should be.
    Keep(Authority),
    /// There was none; a new one was made.
    Made(Authority),
    /// The root is kept, the intermediate was made anew.
    Renewed(Authority, IntermediateFault),
}

/// Why an intermediate is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntermediateFault {
    /// It isn't signed by the root.
    IssuerDiffers,
    /// A name of the Tenant lies outside of what it may sign, or it may sign more than that.
    ConstraintsDiffer,
    /// Two thirds of its life are over.
    RenewalDue,
}

impl fmt::Display for IntermediateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssuerDiffers => "it wasn't signed by the root",
            Self::ConstraintsDiffer => "the Tenant's names changed",
            Self::RenewalDue => "two thirds of its life were over",
        })
    }
}

/// Keeps, makes or renews the authority whose Secret holds `data`.
///
/// # Errors
/// [`AuthorityError`] when there is an authority that can't be read: replacing it would cut off every client that trusts
/// it, so a person must decide.
pub fn authority(
    tenant: &str,
    data: Option<&BTreeMap<String, ByteString>>,
    names: &BTreeSet<SubjectName>,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<AuthorityDecision, AuthorityError> {
    let Some(data) = data else {
        return Ok(AuthorityDecision::Made(self_signed::new_authority(tenant, names, now, rng)?));
    };
    let Authority { root, intermediate } = Authority::parse(data)?;
    let unreadable = || AuthorityError::Unreadable(super::INTERMEDIATE_CERTIFICATE);
    let facts = CertificateFacts::parse(&intermediate.certificate).ok_or_else(unreadable)?;
    let fault = if !signed_by(&facts, &root.certificate) {
        IntermediateFault::IssuerDiffers
    } else if facts.permitted != self_signed::permitted(names) {
        IntermediateFault::ConstraintsDiffer
    } else if due(facts.not_after, INTERMEDIATE_LIFE) <= now {
        IntermediateFault::RenewalDue
    } else {
        return Ok(AuthorityDecision::Keep(Authority { root, intermediate }));
    };
    let intermediate = self_signed::new_intermediate(tenant, &root, names, now, rng)?;
    Ok(AuthorityDecision::Renewed(Authority { root, intermediate }, fault))
}

#[cfg(test)]
mod tests;
