//! Whether a certificate must be made anew: an ordered chain of pure checks, each named by the fault that it finds. The
//! first that finds one decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::self_signed::BACKDATE;
use super::{
    Authority, CertificateFacts, KeyedCertificate, ServerCertificate, SubjectName, certificates_of,
    public_key, rotation,
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
    let is_fine = (carried && signed) || is_of_a_previous_root(subject);
    (!is_fine).then_some(Fault::IssuerDiffers)
}

/// Whether a root signed it whose key was lost a while ago: it stays until its own renewal, so that clients have that long to take
/// the new root.
fn is_of_a_previous_root(subject: &Subject<'_>) -> bool {
    let Some(certificate) = subject.certificate() else { return false };
    // A third one is one too many.
    let certificates: Option<Vec<String>> = certificates_of(&certificate.chain).take(3).collect();
    let Some([leaf, intermediate]) = certificates.as_deref() else { return false };
    let (Some(leaf), Some(facts)) =
        (CertificateFacts::parse(leaf), CertificateFacts::parse(intermediate))
    else {
        return false;
    };
    rotation::is_noticed(subject.authority, subject.now)
        && signed_by(&leaf, intermediate)
        && leaf.not_after <= facts.not_after
        && subject.authority.previous.iter().any(|root| signed_by(&facts, root))
}

fn names_differ(subject: &Subject<'_>) -> Option<Fault> {
    (&subject.leaf()?.names != subject.names).then_some(Fault::NamesDiffer)
}

fn duration_differs(subject: &Subject<'_>) -> Option<Fault> {
    let leaf = subject.leaf()?;
    let asked = subject.life + BACKDATE;
    let lives = leaf.not_after.duration_since(leaf.not_before).unsigned_abs();
    // One that was cut at the intermediate's end lives as long as it can.
    let is_cut = lives < asked && ends(&subject.authority.intermediate) == Some(leaf.not_after);
    (lives != asked && !is_cut).then_some(Fault::DurationDiffers)
}

fn not_yet_valid(subject: &Subject<'_>) -> Option<Fault> {
    (subject.leaf()?.not_before > subject.now).then_some(Fault::NotYetValid)
}

fn renewal_due(subject: &Subject<'_>) -> Option<Fault> {
    let not_after = subject.leaf()?.not_after;
    // Another one that would end at the same moment is none.
    let gains = ends(&subject.authority.intermediate) != Some(not_after);
    (gains && due(not_after, subject.life) <= subject.now).then_some(Fault::RenewalDue)
}

fn ends(issuer: &KeyedCertificate) -> Option<Timestamp> {
    CertificateFacts::parse(&issuer.certificate).map(|facts| facts.not_after)
}

/// Whether a certificate was signed by the issuer whose certificate is this PEM text.
pub(super) fn signed_by(certificate: &CertificateFacts, issuer: &str) -> bool {
    let Some(issuer) = CertificateFacts::parse(issuer) else { return false };
    let (Ok((_, certificate)), Ok((_, issuer))) =
        (X509Certificate::from_der(&certificate.der), X509Certificate::from_der(&issuer.der))
    else {
        return false;
    };
    certificate.issuer() == issuer.subject()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

#[cfg(test)]
mod tests;
