//! What a tenant's server is given: a certificate of a CA of its own, and root credentials.

use std::path::Path;

use rcgen::{CertificateParams, Issuer, KeyPair};

use crate::server::{ACCESS_KEY, SECRET_KEY};

fn params(names: &[&str], common: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(rcgen::DnType::CommonName, common);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    params
}

/// Writes a CA, a certificate for `localhost` of it with its key, the root credentials and the key of identities to a folder.
pub fn write(folder: &Path) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = params(&[], "tests of Coffer");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    let certificate = ca.self_signed(&ca_key).expect("a CA");
    for (name, text) in [("ca.crt", certificate.pem()), ("ca.key", ca_key.serialize_pem())] {
        replace(folder, name, &text);
    }
    issue(folder, 1);
    set_root(folder, ACCESS_KEY, SECRET_KEY);
    // 32 bytes, the same in every test: what is sealed by them is made in the test.
    replace(folder, "iam/key", "dGVzdHMgb2YgQ29mZmVyIHNlYWwgYnkgdGhpcyBrZXk=");
}

/// Issues a certificate with this serial number by the folder's CA and puts it in the place of the old.
pub fn issue(folder: &Path, serial: u64) {
    issue_with(folder, serial, |_| {});
}

/// The same for one that is otherwise than it should be.
pub fn issue_with(folder: &Path, serial: u64, edit: impl FnOnce(&mut CertificateParams)) {
    let read = |name| std::fs::read_to_string(folder.join(name)).expect("a file");
    let ca_key = KeyPair::from_pem(&read("ca.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = params(
        &["localhost", "*.localhost", "s3.localhost", "*.s3.localhost", "127.0.0.1"],
        "localhost",
    );
    leaf.serial_number = Some(serial.into());
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    edit(&mut leaf);
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    replace(folder, "tls/tls.crt", &leaf.pem());
    replace(folder, "tls/tls.key", &key.serialize_pem());
}

/// What is wrong with a certificate that a client must not believe, and how to put one into a folder.
///
/// CVE-2022-31105, CVE-2025-67601.
pub const UNBELIEVABLE: [(&str, fn(&Path)); 5] = [
    ("of another authority", |folder| {
        let other = tempfile::TempDir::new().expect("a folder");
        write(other.path());
        for name in ["tls/tls.crt", "tls/tls.key"] {
            let text = std::fs::read_to_string(other.path().join(name)).expect("a file");
            replace(folder, name, &text);
        }
    }),
    ("signed by itself", |folder| {
        let key = KeyPair::generate().expect("a key");
        let leaf = params(&["localhost", "127.0.0.1"], "localhost").self_signed(&key);
        replace(folder, "tls/tls.crt", &leaf.expect("a certificate").pem());
        replace(folder, "tls/tls.key", &key.serialize_pem());
    }),
    ("of another name", |folder| {
        let name = "elsewhere.localhost".try_into().expect("a name");
        issue_with(folder, 2, |leaf| {
            leaf.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
        });
    }),
    ("that has ended", |folder| {
        issue_with(folder, 3, |leaf| leaf.not_after = rcgen::date_time_ymd(2021, 1, 1));
    }),
    ("for clients", |folder| {
        issue_with(folder, 4, |leaf| {
            leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
    }),
];

/// Issues a client's certificate for this name by the folder's CA, into a folder beside it as `tls.crt` and `tls.key`.
pub fn client(folder: &Path, into: &str, common: &str) {
    let read = |name| std::fs::read_to_string(folder.join(name)).expect("a file");
    let ca_key = KeyPair::from_pem(&read("ca.key")).expect("a key");
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = params(&[], common);
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    replace(folder, &format!("{into}/tls.crt"), &leaf.pem());
    replace(folder, &format!("{into}/tls.key"), &key.serialize_pem());
}

/// Sets the root credentials.
pub fn set_root(folder: &Path, access_key: &str, secret_key: &str) {
    replace(folder, "root/accessKey", access_key);
    replace(folder, "root/secretKey", secret_key);
}

/// Each file changes as a whole.
fn replace(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(new, file).expect("a file");
}
