use http::HeaderValue;

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn md5() -> String {
    STANDARD.encode(Md5::digest(b"0123456789abcdef0123456789abcdef"))
}

fn asked(operation: Operation, pairs: &[(&'static str, &str)]) -> Result<Asked, Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers.insert("x-amz-meta-server-side-encryption", HeaderValue::from_static("kept"));
    let asked = take(&mut headers, operation, Some(ProtocolVersion::TLSv1_3));
    if asked.is_ok() {
        assert_eq!(headers.len(), 1, "all is taken: {headers:?}");
    }
    asked
}

#[test]
fn what_is_asked_is_one_thing_or_refused() {
    use Operation::{CopyObject, DeleteObject, GetObject, PutObject, UploadPart};
    let md5 = md5();
    let customer =
        [(CUSTOMER_ALGORITHM, "AES256"), (CUSTOMER_KEY, KEY), (CUSTOMER_MD5, md5.as_str())];
    let source = [(OF_SOURCE[0], "AES256"), (OF_SOURCE[1], KEY), (OF_SOURCE[2], md5.as_str())];
    let kms = (FORM, "aws:kms");
    let (a, k, m) = (customer[0], customer[1], customer[2]);
    for (name, operation, pairs, code) in [
        ("nothing", PutObject, &[][..], None),
        ("SSE-S3", PutObject, &[(FORM, "AES256")], None),
        ("SSE-S3 with a bucket key", PutObject, &[(FORM, "AES256"), (BUCKET_KEY, "true")], None),
        ("SSE-KMS", PutObject, &[kms], None),
        (
            "SSE-KMS with all",
            PutObject,
            &[kms, (KMS_KEY, "photos"), (CONTEXT, "eyJhIjoiYiJ9"), (BUCKET_KEY, "false")],
            None,
        ),
        ("SSE-C", PutObject, &customer, None),
        ("SSE-C on a read", GetObject, &customer, None),
        ("SSE-C on a part", UploadPart, &customer, None),
        ("a source's key", CopyObject, &source, None),
        ("in lower case", PutObject, &[(FORM, "aes256")], Some("InvalidArgument")),
        ("another form", PutObject, &[(FORM, "rot13")], Some("InvalidArgument")),
        ("no form", PutObject, &[(FORM, "")], Some("InvalidArgument")),
        ("two layers", PutObject, &[(FORM, "aws:kms:dsse")], Some("NotImplemented")),
        ("twice", PutObject, &[(FORM, "AES256"), (FORM, "aws:kms")], Some("InvalidArgument")),
        ("a key without a form", PutObject, &[(KMS_KEY, "photos")], Some("InvalidArgument")),
        (
            "a key for SSE-S3",
            PutObject,
            &[(FORM, "AES256"), (KMS_KEY, "photos")],
            Some("InvalidArgument"),
        ),
        ("a context without a form", PutObject, &[(CONTEXT, "e30=")], Some("InvalidArgument")),
        ("a path for a key", PutObject, &[kms, (KMS_KEY, "../sys/seal")], Some("InvalidArgument")),
        ("no key", PutObject, &[kms, (KMS_KEY, "")], Some("InvalidArgument")),
        (
            "a context that is no base64",
            PutObject,
            &[kms, (CONTEXT, "{}")],
            Some("InvalidArgument"),
        ),
        ("a context that is a list", PutObject, &[kms, (CONTEXT, "W10=")], Some("InvalidArgument")),
        (
            "the server's context",
            PutObject,
            &[kms, (CONTEXT, "eyJjb2ZmZXI6dGVuYW50IjoieCJ9")],
            Some("InvalidArgument"),
        ),
        (
            "a bucket key of maybe",
            PutObject,
            &[kms, (BUCKET_KEY, "maybe")],
            Some("InvalidArgument"),
        ),
        ("SSE-C and SSE-S3", PutObject, &[a, k, m, (FORM, "AES256")], Some("InvalidArgument")),
        (
            "SSE-C with another algorithm",
            PutObject,
            &[(CUSTOMER_ALGORITHM, "AES128"), k, m],
            Some("InvalidEncryptionAlgorithmError"),
        ),
        ("SSE-C without an algorithm", PutObject, &[k, m], Some("InvalidArgument")),
        ("SSE-C without a key", PutObject, &[a, m], Some("InvalidArgument")),
        ("SSE-C without MD5", PutObject, &[a, k], Some("InvalidArgument")),
        (
            "SSE-C with another MD5",
            PutObject,
            &[a, k, (CUSTOMER_MD5, "AAAAAAAAAAAAAAAAAAAAAA==")],
            Some("InvalidArgument"),
        ),
        (
            "SSE-C with a short key",
            PutObject,
            &[a, (CUSTOMER_KEY, "c2hvcnQ="), m],
            Some("InvalidArgument"),
        ),
        ("SSE-S3 on a read", GetObject, &[(FORM, "AES256")], Some("InvalidArgument")),
        ("SSE-KMS on a part", UploadPart, &[kms], None),
        ("SSE-C on a delete", DeleteObject, &customer, Some("InvalidArgument")),
        ("a source's key on a put", PutObject, &source, Some("InvalidRequest")),
        (
            "an unknown header",
            PutObject,
            &[("x-amz-server-side-encryption-magic", "1")],
            Some("NotImplemented"),
        ),
    ] {
        let code_of =
            asked(operation, pairs).map(drop).map_err(|refusal| refusal.code().to_owned());
        assert_eq!(code_of.err().as_deref(), code, "{name}");
    }
}

#[test]
fn nothing_about_encryption_is_taken_without_tls() {
    let mut headers = HeaderMap::new();
    headers.insert(FORM, HeaderValue::from_static("AES256"));
    let refusal = take(&mut headers, Operation::PutObject, None).map(drop).unwrap_err();
    assert_eq!(refusal.code(), "InvalidRequest");
    assert!(take(&mut HeaderMap::new(), Operation::PutObject, None).is_ok());
}

#[test]
fn a_url_asks_for_nothing() {
    for query in
        ["X-Amz-Server-Side-Encryption=AES256", "a=b&x-amz-server%2Dside-encryption=aws:kms"]
    {
        assert_eq!(only_in_headers(query).unwrap_err().code(), "InvalidArgument", "{query}");
    }
    assert!(only_in_headers("").and(only_in_headers("encryption=&uploads=")).is_ok());
}

#[test]
fn a_key_has_one_name() {
    for text in [
        "photos",
        "alias/photos",
        "arn:aws:kms:photos",
        "arn:aws:kms:::photos",
        "arn:aws:kms:::key/photos",
        "arn:aws:kms:us-east-1:123456789012:alias/photos",
    ] {
        assert_eq!(named_key(text).unwrap().as_str(), "photos", "{text}");
    }
    for text in ["", "a/b", "arn:aws:s3:::photos", "key/key/a", " photos"] {
        assert!(named_key(text).is_err(), "{text}");
    }
}

#[test]
fn a_key_is_never_shown() {
    let md5 = md5();
    let pairs = [(CUSTOMER_ALGORITHM, "AES256"), (CUSTOMER_KEY, KEY), (CUSTOMER_MD5, md5.as_str())];
    let shown = format!("{:?}", asked(Operation::PutObject, &pairs).unwrap());
    assert!(!shown.contains("0123") && !shown.contains(KEY) && !shown.contains(&md5), "{shown}");
}
