//! Each fault is found, by a certificate that has only that one; and real verifiers accept the chain.

use std::process::Command;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::authority::self_signed::new_server_certificate;
use crate::authority::{TLS_CERTIFICATE, TLS_KEY};

const LIFE: Duration = Duration::from_hours(90);

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn names(texts: &[&str]) -> BTreeSet<SubjectName> {
    texts.iter().map(|text| SubjectName::parse(text).unwrap()).collect()
}

fn usual() -> BTreeSet<SubjectName> {
    names(&["photos", "photos.a.svc.cluster.local", "s3.example.com", "*.s3.example.com"])
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(7)
}

fn made(names: &BTreeSet<SubjectName>, now: Timestamp) -> Authority {
    rotation::authority("photos", None, None, names, now, &mut rng()).unwrap().0
}

#[test]
fn a_fault_is_found_by_its_own_check() {
    let authority = made(&usual(), now());
    let issue = |authority: &Authority, names: &BTreeSet<SubjectName>, life, at| {
        new_server_certificate("photos", authority, names, life, at, &mut rng()).unwrap().to_data()
    };
    let good = issue(&authority, &usual(), LIFE, now());
    let with = |key: &str, value: &[u8]| {
        let mut data = good.clone();
        data.insert(key.to_owned(), ByteString(value.to_vec()));
        data
    };
    let other = made(&usual(), now());
    let hours = |hours: u64| Duration::from_hours(hours);
    for (name, data, at, expected) in [
        ("a new certificate is kept", Some(good.clone()), now(), None),
        ("it is kept until two thirds", Some(good.clone()), now() + hours(59), None),
        (
            "it is renewed at two thirds",
            Some(good.clone()),
            now() + hours(60),
            Some(Fault::RenewalDue),
        ),
        (
            "it is renewed when it has ended",
            Some(good.clone()),
            now() + hours(900),
            Some(Fault::RenewalDue),
        ),
        (
            "it is renewed when the clock was set back",
            Some(good.clone()),
            now() - hours(1),
            Some(Fault::NotYetValid),
        ),
        ("no Secret", None, now(), Some(Fault::SecretMissing)),
        ("empty Secret", Some(BTreeMap::new()), now(), Some(Fault::SecretIncomplete)),
        ("empty key", Some(with(TLS_KEY, b"")), now(), Some(Fault::SecretIncomplete)),
        (
            "no certificate",
            Some(with(TLS_CERTIFICATE, b"hello")),
            now(),
            Some(Fault::CertificateUnreadable),
        ),
        (
            "another key",
            Some(with(TLS_KEY, other.root.key.reveal().as_bytes())),
            now(),
            Some(Fault::KeyDiffers),
        ),
        (
            "another issuer",
            Some(issue(&other, &usual(), LIFE, now())),
            now(),
            Some(Fault::IssuerDiffers),
        ),
        (
            "a name more",
            Some(issue(&authority, &names(&["photos"]), LIFE, now())),
            now(),
            Some(Fault::NamesDiffer),
        ),
        (
            "another life",
            Some(issue(&authority, &usual(), hours(1), now())),
            now(),
            Some(Fault::DurationDiffers),
        ),
    ] {
        assert_eq!(fault(data.as_ref(), &authority, &usual(), LIFE, at), expected, "{name}");
    }
}

#[test]
fn a_certificate_of_a_lost_root_stays_until_its_own_renewal() {
    let old = made(&usual(), now());
    let life = Duration::from_hours(24 * 300);
    let server = new_server_certificate("photos", &old, &usual(), life, now(), &mut rng()).unwrap();
    let published = old.roots();
    let lost = now() + Duration::from_hours(24);
    let (new, _) =
        rotation::authority("photos", None, Some(published.as_bytes()), &usual(), lost, &mut rng())
            .unwrap();
    let data = server.to_data();
    let stranger = made(&usual(), now());
    let days = |days: u64| lost + Duration::from_hours(24 * days);
    for (claim, authority, at, expected) in [
        ("clients have yet to take the new root", &new, lost, None),
        ("its own renewal", &new, days(200), Some(Fault::IssuerDiffers)),
        ("clients had their time", &new, days(180), Some(Fault::IssuerDiffers)),
        ("none of its own before", &stranger, lost, Some(Fault::IssuerDiffers)),
    ] {
        assert_eq!(fault(Some(&data), authority, &usual(), life, at), expected, "{claim}");
    }
    let short = Duration::from_hours(90);
    let server = new_server_certificate("photos", &old, &usual(), short, now(), &mut rng());
    let data = server.unwrap().to_data();
    assert_eq!(fault(Some(&data), &new, &usual(), short, now() + Duration::from_hours(59)), None);
    let due = now() + Duration::from_hours(60);
    assert_eq!(fault(Some(&data), &new, &usual(), short, due), Some(Fault::RenewalDue));
    // Another leaf before the same intermediate is no certificate of that root.
    let mut mixed =
        new_server_certificate("photos", &stranger, &usual(), life, now(), &mut rng()).unwrap();
    let (leaf, _) = mixed.chain.split_at(mixed.chain.find("END CERTIFICATE").unwrap() + 21);
    mixed.chain = format!("{leaf}{}", old.intermediate.certificate);
    let fault = fault(Some(&mixed.to_data()), &new, &usual(), life, lost);
    assert_eq!(fault, Some(Fault::IssuerDiffers));
}

/// A chain on disk that real verifiers read.
struct Chain {
    folder: tempfile::TempDir,
}

impl Chain {
    fn issue(names: &BTreeSet<SubjectName>, leaf: &BTreeSet<SubjectName>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the verifiers read the machine's clock")]
        let now = Timestamp::now();
        let authority = made(names, now);
        let server =
            new_server_certificate("photos", &authority, leaf, LIFE, now, &mut rng()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("root.pem", authority.roots().as_str()),
            ("intermediate.pem", &authority.intermediate.certificate),
            ("chain.pem", &server.chain),
            ("key.pem", server.key.reveal()),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Self { folder }
    }

    fn openssl(&self, host: &str) -> bool {
        let output = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", host])
            .args(["-CAfile", "root.pem", "-untrusted", "intermediate.pem", "chain.pem"])
            .output()
            .expect("openssl is installed");
        output.status.success()
    }

    fn webpki(&self, host: &str) -> bool {
        use rustls_pki_types::pem::PemObject;
        use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
        let read = |file: &str| -> Vec<CertificateDer<'static>> {
            let path = self.folder.path().join(file);
            CertificateDer::pem_file_iter(path).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let mut roots = rustls::RootCertStore::empty();
        roots.add(read("root.pem").remove(0)).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap();
        let chain = read("chain.pem");
        rustls::client::danger::ServerCertVerifier::verify_server_cert(
            verifier.as_ref(),
            &chain[0],
            &chain[1..],
            &ServerName::try_from(host.to_owned()).unwrap(),
            &[],
            UnixTime::now(),
        )
        .is_ok()
    }
}

#[test]
fn strict_verifiers_accept_the_chain_for_its_names_alone() {
    let chain = Chain::issue(&usual(), &usual());
    for (host, expected) in [
        ("photos", true),
        ("photos.a.svc.cluster.local", true),
        ("bucket.s3.example.com", true),
        ("s3.example.com", true),
        ("example.com", false),
        ("a.b.s3.example.com", false),
    ] {
        assert_eq!(chain.openssl(host), expected, "openssl: {host}");
        assert_eq!(chain.webpki(host), expected, "rustls: {host}");
    }
}

#[test]
fn an_intermediate_can_not_sign_other_names() {
    for (name, stranger) in
        [("name", "bank.example.org"), ("address", "192.0.2.7"), ("parent", "example.com")]
    {
        let chain = Chain::issue(&usual(), &names(&["photos", stranger]));
        assert!(!chain.openssl("photos"), "openssl accepts a foreign {name}");
        assert!(!chain.webpki("photos"), "rustls accepts a foreign {name}");
    }
}

#[test]
fn python_accepts_the_chain_in_strict_mode() {
    let chain =
        Chain::issue(&names(&["localhost", "127.0.0.1"]), &names(&["localhost", "127.0.0.1"]));
    let script = r"
import socket, ssl, threading
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain('chain.pem', 'key.pem')
listener = socket.create_server(('127.0.0.1', 0))
def serve():
    connection, _ = listener.accept()
    server.wrap_socket(connection, server_side=True).recv(1)
threading.Thread(target=serve, daemon=True).start()
client = ssl.create_default_context(cafile='root.pem')
client.verify_flags |= ssl.VERIFY_X509_STRICT
tls = client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname='127.0.0.1')
tls.sendall(b'x')
";
    let output = Command::new("python3")
        .current_dir(chain.folder.path())
        .args(["-c", script])
        .output()
        .expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_certificate_or_refused(pem in "\\PC{0,200}", bytes in proptest::collection::vec(0_u8.., 0..200)) {
        assert_eq!(CertificateFacts::parse(&pem), None);
        let wrapped = pem_of(&bytes);
        assert_eq!(CertificateFacts::parse(&wrapped), None);
    }
}

fn pem_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
