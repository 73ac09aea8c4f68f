//! An authority through its life, and what becomes of it where its Secret is lost or damaged.

use std::sync::Arc;

use k8s_openapi::ByteString;
use rand::{SeedableRng, rngs::StdRng};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;
use crate::authority::renewal::fault;
use crate::authority::self_signed::{ROOT_LIFE, new_server_certificate};
use crate::authority::{KeyedCertificate, ServerCertificate};

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn after(days: u32) -> Timestamp {
    now() + DAY * days
}

fn names(texts: &[&str]) -> BTreeSet<SubjectName> {
    texts.iter().map(|text| SubjectName::parse(text).unwrap()).collect()
}

fn usual() -> BTreeSet<SubjectName> {
    names(&["photos", "photos.a.svc.cluster.local"])
}

fn aged(
    data: Option<&SecretData>,
    published: Option<&str>,
    at: Timestamp,
) -> (Authority, Vec<Change>) {
    let published = published.map(str::as_bytes);
    let mut rng = StdRng::seed_from_u64(at.as_second().unsigned_abs());
    authority("photos", data, published, &usual(), at, &mut rng).unwrap()
}

fn is_trusted(roots: &str, server: &ServerCertificate, at: Timestamp) -> bool {
    let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
    };
    let mut store = rustls::RootCertStore::empty();
    for root in certificates(roots) {
        store.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(store.into(), provider).build().unwrap();
    let chain = certificates(&server.chain);
    let name = ServerName::try_from("photos").unwrap();
    let seconds = Duration::from_secs(at.as_second().unsigned_abs());
    let at = UnixTime::since_unix_epoch(seconds);
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at).is_ok()
}

/// Whoever takes the roots anew each 170 days never refuses the server, nor does whoever takes them now.
#[test]
fn clients_that_follow_trust_the_server_for_thirty_years() {
    let life = DAY * 90;
    let (mut authority, changes) = aged(None, None, now());
    assert_eq!(changes, [Change::Made]);
    let mut server: Option<ServerCertificate> = None;
    let (mut taken, mut taken_at) = (authority.roots(), 0);
    let (mut changes, mut most) = (Vec::new(), 0);
    for day in (0..30 * 365).step_by(5) {
        let at = after(day);
        let (next, steps) = aged(Some(&authority.to_data()), None, at);
        changes.extend(steps.iter().map(|change| (day, *change)));
        authority = next;
        let data = server.as_ref().map(ServerCertificate::to_data);
        if fault(data.as_ref(), &authority, &usual(), life, at).is_some() {
            let mut rng = StdRng::seed_from_u64(day.into());
            let issued = new_server_certificate("photos", &authority, &usual(), life, at, &mut rng);
            server = Some(issued.unwrap());
        }
        let server = server.as_ref().unwrap();
        assert!(is_trusted(&authority.roots(), server, at), "day {day}: by new clients");
        assert!(is_trusted(&taken, server, at), "day {day}: by those of day {taken_at}");
        if day - taken_at >= 170 {
            (taken, taken_at) = (authority.roots(), day);
        }
        most = most.max(authority.roots().matches("BEGIN").count());
    }
    let count = |wanted: Change| changes.iter().filter(|(_, change)| *change == wanted).count();
    assert_eq!(count(Change::NextAnnounced), 4, "{changes:?}");
    assert_eq!(count(Change::NextTookOver), 4 - usize::from(authority.next.is_some()));
    assert!(count(Change::PreviousDropped) >= 3, "{changes:?}");
    assert_eq!(most, 2, "two roots at a time are enough");
}

#[test]
fn each_step_is_taken_in_its_time() {
    let (first, _) = aged(None, None, now());
    let lives = u32::try_from(ROOT_LIFE.as_secs() / DAY.as_secs()).unwrap();
    let announced = lives - 1095;
    let steps =
        |authority: &Authority, day: u32| aged(Some(&authority.to_data()), None, after(day));

    let (kept, changes) = steps(&first, announced - 1);
    assert_eq!(kept.roots(), first.root.certificate);
    // The intermediate has its own life.
    assert_eq!(changes, [Change::IntermediateRenewed(IntermediateFault::RenewalDue)]);

    let (both, changes) = steps(&kept, announced);
    assert_eq!(changes, [Change::NextAnnounced]);
    let next = both.next.clone().unwrap().certificate;
    assert_eq!(both.roots(), format!("{}{next}", first.root.certificate));
    assert_eq!(both.intermediate.certificate, kept.intermediate.certificate, "nothing signs anew");
    let taken = takes_over_at(&both).unwrap();
    assert_eq!(taken, after(announced) + NOTICE);

    let (still, changes) = steps(&both, announced + 179);
    assert_eq!(changes, []);
    assert_eq!(still.roots(), both.roots());

    let (over, changes) = steps(&still, announced + 180);
    assert_eq!(changes, [Change::NextTookOver]);
    assert_eq!(over.root.certificate, next);
    assert_eq!(over.previous, std::slice::from_ref(&first.root.certificate));
    assert_eq!(over.roots(), format!("{next}{}", first.root.certificate));
    assert!(!over.to_data().values().any(|value| value.0 == first.root.key.reveal().as_bytes()));

    let (alone, changes) = steps(&over, announced + 180 + 366);
    assert_eq!(changes, [Change::PreviousDropped]);
    assert_eq!(alone.roots(), next);
}

#[test]
fn a_root_that_ends_sooner_gives_half_of_what_is_left() {
    let (first, _) = aged(None, None, now());
    // The operator was away for almost ten years.
    let (both, _) = aged(Some(&first.to_data()), None, after(3650 - 100));
    let taken = takes_over_at(&both).unwrap();
    assert_eq!(taken, after(3650 - 50));
    let (over, changes) = aged(Some(&first.to_data()), None, after(3700));
    assert_eq!(changes[..2], [Change::NextAnnounced, Change::NextTookOver]);
    assert!(over.previous.is_empty(), "one that has ended is trusted by nobody");
}

#[test]
fn a_lost_authority_is_followed_by_one_beside_which_the_old_root_is_trusted() {
    let (old, _) = aged(None, None, now());
    let (new, changes) = aged(None, Some(&old.roots()), after(10));
    assert_eq!(changes, [Change::MadeAfterLoss]);
    assert_eq!(new.roots(), format!("{}{}", new.root.certificate, old.root.certificate));
    // Also by an operator that begins anew, for as long as clients need it.
    let again = |days| aged(Some(&new.to_data()), None, after(days)).0.roots();
    assert_eq!(again(500), new.roots());
    assert_eq!(again(10 + 180 + 366), new.root.certificate);
    for (claim, published) in [
        ("nothing", ""),
        ("no certificate", "hello"),
        ("no root", old.intermediate.certificate.as_str()),
    ] {
        let (made, changes) = aged(None, Some(published), after(10));
        assert_eq!(changes, [Change::Made], "{claim}");
        assert_eq!(made.previous, Vec::<String>::new(), "{claim}");
    }
    let (made, _) = aged(None, Some(&old.roots()), after(3651));
    assert_eq!(made.previous, Vec::<String>::new(), "one that has ended");
}

#[test]
fn names_renew_the_intermediate_alone() {
    let (first, _) = aged(None, None, now());
    let more = names(&["photos", "s3.example.com", "10.0.0.1"]);
    let mut rng = StdRng::seed_from_u64(1);
    let (renewed, changes) =
        authority("photos", Some(&first.to_data()), None, &more, now(), &mut rng).unwrap();
    let expected = Change::IntermediateRenewed(IntermediateFault::ConstraintsDiffer);
    assert_eq!(changes, [expected]);
    assert_eq!(renewed.root.certificate, first.root.certificate);
    assert_eq!(aged(Some(&first.to_data()), None, now()).1, []);
}

#[test]
fn a_damaged_authority_is_not_replaced() {
    let (first, _) = aged(None, None, now());
    let (both, _) = aged(Some(&first.to_data()), None, after(3650 - 1000));
    let (over, _) = aged(Some(&both.to_data()), None, after(3650 - 800));
    for (authority, key) in [
        (&first, "root.crt"),
        (&first, "root.key"),
        (&first, "intermediate.crt"),
        (&first, "intermediate.key"),
        (&both, "next.crt"),
        (&both, "next.key"),
        (&over, "previous.crt"),
    ] {
        let data = authority.to_data();
        assert!(Authority::parse(&data).is_ok(), "{key}");
        let mut damaged = data.clone();
        damaged.insert(key.to_owned(), ByteString(b"-----BEGIN damaged".to_vec()));
        let mut missing = data;
        missing.remove(key);
        let mut rng = StdRng::seed_from_u64(1);
        let mut refusal = |data: &SecretData| {
            authority_of(data, &mut rng).expect_err("it must be refused").to_string()
        };
        assert!(refusal(&damaged).contains(key), "{key}");
        // Without what was before it there is nothing to be read.
        if key != "previous.crt" {
            assert!(refusal(&missing).contains(key), "{key}");
        }
    }
}

fn authority_of(data: &SecretData, rng: &mut StdRng) -> Result<Authority, AuthorityError> {
    Ok(authority("photos", Some(data), None, &usual(), now(), rng)?.0)
}

#[test]
fn what_is_stored_is_read_back() {
    let (first, _) = aged(None, None, now());
    let (both, _) = aged(Some(&first.to_data()), None, after(3650 - 1000));
    let (over, _) = aged(Some(&both.to_data()), None, after(3650 - 800));
    let texts = |authority: &Authority| {
        let pair =
            |pair: &KeyedCertificate| (pair.certificate.clone(), pair.key.reveal().to_owned());
        let Authority { root, intermediate, next, previous } = authority;
        (pair(root), pair(intermediate), next.as_ref().map(pair), previous.clone())
    };
    for authority in [first, both, over] {
        let read = Authority::parse(&authority.to_data()).unwrap();
        assert_eq!(texts(&read), texts(&authority));
    }
}
