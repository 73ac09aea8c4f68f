//! How a Tenant's authority ages: its intermediate is renewed under it, and its root gives way to another. Pure: time is an
//! argument, and all that is known of the past stands in the certificates.
//!
//! ```text
//! root made ---------------- 7 years ---------------- next root announced -- NOTICE -- it takes over -- LAST_TRUST -- dropped
//!      clients trust: root                          root and next                    next and root (previous)     next
//! ```
//! Each step is taken once, whole, by writing the authority's Secret: an operator that is killed in between takes it again.
//! Where the key is lost, all that is left of the old root is what clients trust (`NAME-ca`): it stays there, and the server's
//! certificate that it has signed stays until its own renewal.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::renewal::{due, signed_by};
use super::self_signed::{self, BACKDATE, INTERMEDIATE_LIFE};
use super::{Authority, AuthorityError, CertificateFacts, SubjectName, certificates_of};
use crate::tenant::found::SecretData;

/// How long before a root's end the next one is made: 3 years.
pub const ANNOUNCED: Duration = Duration::from_hours(24 * 1095);
/// How long clients have to take the next root until the server's certificate is signed under it: 180 days. Half of what is left, if
/// the root ends sooner than twice that.
pub const NOTICE: Duration = Duration::from_hours(24 * 180);
/// How long after that an earlier root is trusted: a year, the longest life of a server certificate.
pub const LAST_TRUST: Duration = Duration::from_hours(8760);
/// So many earlier roots are trusted at most, the newest of them.
const MOST_PREVIOUS: usize = 8;
/// So many certificates are looked at in what clients were given; ours never have more.
const MOST_PUBLISHED: usize = 64;

/// What was done to an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none; this is the first.
    Made,
    /// Its Secret was gone, so there is a new one. Clients still trust the old root.
    MadeAfterLoss,
    /// The root nears its end, and the next one was made. Clients trust both.
    NextAnnounced,
    /// The next root took over.
    NextTookOver,
    /// An earlier root isn't trusted any more.
    PreviousDropped,
    /// The root is kept, the intermediate was made anew.
    IntermediateRenewed(IntermediateFault),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made => f.write_str("made the certificate authority"),
            Self::MadeAfterLoss => f.write_str(
                "made a new certificate authority, as the Secret of the one before is gone; clients must load the new root, \
                 the old one stays trusted beside it",
            ),
            Self::NextAnnounced => f.write_str(
                "made the next root, as the present one nears its end; clients must load it before it takes over",
            ),
            Self::NextTookOver => f.write_str("the next root took over"),
            Self::PreviousDropped => f.write_str("an earlier root isn't trusted any more"),
            Self::IntermediateRenewed(fault) => {
                write!(f, "renewed the intermediate authority: {fault}")
            }
        }
    }
}

/// Why an intermediate is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntermediateFault {
    /// It isn't signed by the root.
    IssuerDiffers,
    /// It lives longer than the root.
    OutlivesRoot,
    /// A name of the Tenant lies outside of what it may sign, or it may sign more than that.
    ConstraintsDiffer,
    /// Two thirds of its life are over.
    RenewalDue,
}

impl fmt::Display for IntermediateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssuerDiffers => "it wasn't signed by the root",
            Self::OutlivesRoot => "it would have outlived the root",
            Self::ConstraintsDiffer => "the Tenant's names changed",
            Self::RenewalDue => "two thirds of its life were over",
        })
    }
}

/// Keeps, makes, renews or replaces the authority whose Secret holds `data`; says what was done.
///
/// `published` is what clients were given to trust (`ca.crt` of `NAME-ca`). It is asked only where the Secret is gone.
///
/// # Errors
/// [`AuthorityError`] when there is an authority that can't be read: replacing it would cut off every client that trusts
/// it, so a person must decide.
pub fn authority(
    tenant: &str,
    data: Option<&SecretData>,
    published: Option<&[u8]>,
    names: &BTreeSet<SubjectName>,
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<(Authority, Vec<Change>), AuthorityError> {
    let Some(data) = data else {
        let mut made = self_signed::new_authority(tenant, names, now, rng)?;
        made.previous = still_trusted(published.unwrap_or_default(), now);
        let change = if made.previous.is_empty() { Change::Made } else { Change::MadeAfterLoss };
        return Ok((made, vec![change]));
    };
    let mut authority = Authority::parse(data)?;
    let mut changes = Vec::new();

    let before = authority.previous.len();
    let trusted = now < drops_at(&authority);
    authority.previous.retain(|root| trusted && holds_at(root, now));
    changes.extend((authority.previous.len() < before).then_some(Change::PreviousDropped));

    let root = facts(&authority.root.certificate)?;
    if authority.next.is_none() && left(&root, now) <= ANNOUNCED {
        authority.next = Some(self_signed::new_root(tenant, now, rng)?);
        changes.push(Change::NextAnnounced);
    }
    if takes_over_at(&authority).is_some_and(|at| at <= now)
        && let Some(next) = authority.next.take()
    {
        let old = std::mem::replace(&mut authority.root, next);
        if root.not_after > now {
            authority.previous.insert(0, old.certificate);
            authority.previous.truncate(MOST_PREVIOUS);
        }
        let root = &authority.root;
        authority.intermediate = self_signed::new_intermediate(tenant, root, names, now, rng)?;
        changes.push(Change::NextTookOver);
    }
    if let Some(fault) = intermediate_fault(&authority, names, now)? {
        let root = &authority.root;
        authority.intermediate = self_signed::new_intermediate(tenant, root, names, now, rng)?;
        changes.push(Change::IntermediateRenewed(fault));
    }
    Ok((authority, changes))
}

/// When the next root takes over, where there is one. Pure, from the two certificates alone: it is the same whenever it is asked.
pub fn takes_over_at(authority: &Authority) -> Option<Timestamp> {
    let root = CertificateFacts::parse(&authority.root.certificate)?;
    let next = CertificateFacts::parse(&authority.next.as_ref()?.certificate)?;
    let made = made_at(&next);
    made.checked_add(NOTICE.min(left(&root, made) / 2)).ok()
}

/// Whether clients may still be taking the root that signs now.
pub(super) fn is_noticed(authority: &Authority, now: Timestamp) -> bool {
    let root = CertificateFacts::parse(&authority.root.certificate);
    root.is_some_and(|root| made_at(&root).checked_add(NOTICE).is_ok_and(|end| now < end))
}

/// Until when earlier roots are trusted.
fn drops_at(authority: &Authority) -> Timestamp {
    let root = CertificateFacts::parse(&authority.root.certificate);
    let end = root.and_then(|root| made_at(&root).checked_add(NOTICE + LAST_TRUST).ok());
    end.unwrap_or(Timestamp::MAX)
}

fn intermediate_fault(
    authority: &Authority,
    names: &BTreeSet<SubjectName>,
    now: Timestamp,
) -> Result<Option<IntermediateFault>, AuthorityError> {
    let unreadable = AuthorityError::Unreadable(super::INTERMEDIATE_CERTIFICATE);
    let of = CertificateFacts::parse(&authority.intermediate.certificate).ok_or(unreadable)?;
    let root = facts(&authority.root.certificate)?;
    Ok(if !signed_by(&of, &authority.root.certificate) {
        Some(IntermediateFault::IssuerDiffers)
    } else if of.not_after > root.not_after && root.not_after > now {
        Some(IntermediateFault::OutlivesRoot)
    } else if of.permitted != self_signed::permitted(names) {
        Some(IntermediateFault::ConstraintsDiffer)
    } else if due(of.not_after, INTERMEDIATE_LIFE) <= now && of.not_after < root.not_after {
        // Under a root that ends with it, another one would live no longer.
        Some(IntermediateFault::RenewalDue)
    } else {
        None
    })
}

/// Roots in a text that clients trust: those that still hold, the newest first. What isn't one is left out.
fn still_trusted(published: &[u8], now: Timestamp) -> Vec<String> {
    let text = String::from_utf8_lossy(published);
    let mut roots: Vec<(Timestamp, String)> = certificates_of(&text)
        .take(MOST_PUBLISHED)
        .flatten()
        .filter_map(|root| {
            let facts = CertificateFacts::parse(&root)?;
            let holds = facts.not_after > now && signed_by(&facts, &root);
            holds.then_some((facts.not_before, root))
        })
        .collect();
    roots.sort_by(|one, other| other.cmp(one));
    roots.into_iter().map(|(_, root)| root).take(MOST_PREVIOUS).collect()
}

fn holds_at(root: &str, now: Timestamp) -> bool {
    CertificateFacts::parse(root).is_some_and(|facts| facts.not_after > now)
}

fn facts(root: &str) -> Result<CertificateFacts, AuthorityError> {
    CertificateFacts::parse(root).ok_or(AuthorityError::Unreadable(super::ROOT_CERTIFICATE))
}

fn made_at(root: &CertificateFacts) -> Timestamp {
    root.not_before.checked_add(BACKDATE).unwrap_or(Timestamp::MAX)
}

/// What is left of a certificate's life; nothing after its end.
fn left(facts: &CertificateFacts, now: Timestamp) -> Duration {
    Duration::try_from(facts.not_after.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
