//! N1: every route × every form of authentication × bent once. Nothing that is bent passes, whatever the route.
//!
//! CVE-2026-40344, CVE-2026-41145, CVE-2025-31489, CVE-2020-11012, SeaweedFS #7912. The rows come from the server's own table, so
//! a new route is in the matrix by itself; one whose sub-resource has no value here fails it.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coffer_server::operation::Operation;
use coffer_server::route::table::{Level, ROWS, Row, Source};
use coffer_signature::PayloadHash;
use coffer_tests::client::{Answer, Client, now};
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY};
use coffer_tests::stored::Stored;
use http::{HeaderMap, HeaderValue, Method};

use crate::claim::{assert_all, server};

/// How a request says who it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Nobody,
    Header,
    Presigned,
    Header2,
    Presigned2,
    SignedChunks,
    SignedTrailer,
    UnsignedTrailer,
    Posted,
    Bearer,
}

const ALL: [Form; 10] = [
    Form::Nobody,
    Form::Header,
    Form::Presigned,
    Form::Header2,
    Form::Presigned2,
    Form::SignedChunks,
    Form::SignedTrailer,
    Form::UnsignedTrailer,
    Form::Posted,
    Form::Bearer,
];

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bend {
    /// Nothing, to show that the others are what is refused.
    None,
    /// One bit of the signature.
    Bit,
    /// The key stands in the query, and no signature anywhere.
    KeyAlone,
    /// A key that nobody has.
    UnknownKey,
}

const BENDS: [Bend; 3] = [Bend::Bit, Bend::KeyAlone, Bend::UnknownKey];

/// A request as it is sent.
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// What takes the route of this row.
    fn of(client: &Client, row: &Row) -> Self {
        let path = match row.level {
            Level::Service => "/",
            Level::Bucket => "/photos",
            Level::Object => "/photos/k",
        };
        let headers = match row.source {
            Source::Copy => client.headers(&[("x-amz-copy-source", "/other/k")]),
            Source::Body => client.headers(&[]),
        };
        let pairs: Vec<String> = row.sub_resources.iter().map(|name| pair(name)).collect();
        Self {
            method: row.method.clone(),
            path: path.to_owned(),
            query: pairs.join("&"),
            headers,
            body: Vec::new(),
        }
    }

    fn add_query(&mut self, pairs: &str) {
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = format!("{}{separator}{pairs}", self.query);
    }

    async fn send(self, client: &Client) -> Answer {
        let Self { method, path, query, headers, body } = self;
        client.send_as_is(method.as_str(), &path, &query, headers, body).await.unwrap()
    }
}

/// A sub-resource with a value that it can have.
pub(crate) fn pair(name: &str) -> String {
    match name {
        "list-type" => "list-type=2".to_owned(),
        "uploadId" => "uploadId=u".to_owned(),
        "partNumber" => "partNumber=1".to_owned(),
        "select" => "select=&select-type=2".to_owned(),
        "renameObject"
        | "accelerate"
        | "acl"
        | "analytics"
        | "attributes"
        | "cors"
        | "delete"
        | "encryption"
        | "intelligent-tiering"
        | "inventory"
        | "legal-hold"
        | "lifecycle"
        | "location"
        | "logging"
        | "metadataConfiguration"
        | "metadataTable"
        | "metrics"
        | "notification"
        | "object-lock"
        | "ownershipControls"
        | "policy"
        | "policyStatus"
        | "publicAccessBlock"
        | "replication"
        | "requestPayment"
        | "restore"
        | "retention"
        | "session"
        | "tagging"
        | "torrent"
        | "uploads"
        | "versioning"
        | "versions"
        | "website" => {
            format!("{name}=")
        }
        new => panic!("the sub-resource `{new}` is new: give it a value"),
    }
}

/// Another hexadecimal digit, or letter of Base64, one bit away.
fn flipped(character: char) -> char {
    let flipped = char::from(u8::try_from(character).unwrap() ^ 1);
    match character {
        // One bit further is no letter of the alphabet.
        '+' | '/' | 'a' | 'z' | 'Z' | '`' | '@' => 'b',
        _ => flipped,
    }
}

/// The text with the character after `before` bent.
fn bent(text: &str, before: &str) -> String {
    let at = text.find(before).unwrap_or_else(|| panic!("no {before} in {text}")) + before.len();
    let character = text[at..].chars().next().unwrap();
    format!("{}{}{}", &text[..at], flipped(character), &text[at + 1..])
}

/// Signature Version 2 of a text.
fn version_2(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET_KEY.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// The resource that Version 2 signs: the path, and of the query what is a sub-resource there.
fn resource_2(request: &Request) -> String {
    let signed = request.query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let is_signed = matches!(
            name,
            "acl"
                | "cors"
                | "delete"
                | "encryption"
                | "legal-hold"
                | "lifecycle"
                | "location"
                | "logging"
                | "notification"
                | "partNumber"
                | "policy"
                | "requestPayment"
                | "retention"
                | "select"
                | "select-type"
                | "tagging"
                | "torrent"
                | "uploadId"
                | "uploads"
                | "versioning"
                | "versions"
                | "website"
        );
        is_signed.then(|| if value.is_empty() { name.to_owned() } else { pair.to_owned() })
    });
    let signed: Vec<String> = signed.collect();
    let query = if signed.is_empty() { String::new() } else { format!("?{}", signed.join("&")) };
    format!("{}{query}", request.path)
}

/// Signs a request in this form, and bends it.
fn authenticated(client: &Client, mut request: Request, form: Form, bend: Bend) -> Request {
    let mut client = client.clone();
    let mut key = ACCESS_KEY;
    if bend == Bend::UnknownKey {
        key = "nobodyhasthiskey";
        client.credentials.access_key_id = key.parse().unwrap();
    }
    if bend == Bend::KeyAlone && form != Form::Nobody {
        match form {
            Form::Header2 | Form::Presigned2 => {
                request.add_query(&format!("AWSAccessKeyId={ACCESS_KEY}"));
            }
            _ => request.add_query(&format!(
                "X-Amz-Credential={ACCESS_KEY}%2F20261124%2Fus-east-1%2Fs3%2Faws4_request"
            )),
        }
        if matches!(form, Form::SignedChunks | Form::SignedTrailer | Form::UnsignedTrailer) {
            let payload = payload(form).as_header().into_owned();
            request
                .headers
                .insert("x-amz-content-sha256", HeaderValue::from_str(&payload).unwrap());
        }
        if form == Form::Posted {
            put_form(&mut request, key, bend);
        }
        return request;
    }
    let text = |value: String| HeaderValue::from_str(&value).unwrap();
    match form {
        Form::Nobody => {}
        Form::Header | Form::SignedChunks | Form::SignedTrailer | Form::UnsignedTrailer => {
            let payload = payload(form);
            if form != Form::Header {
                request
                    .headers
                    .insert("x-amz-decoded-content-length", HeaderValue::from_static("5"));
            }
            if matches!(form, Form::SignedTrailer | Form::UnsignedTrailer) {
                request
                    .headers
                    .insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
            }
            let Request { method, path, query, headers, body } = &mut request;
            let encoder = client
                .signer()
                .sign_headers(method, path, query, headers, &payload, now())
                .unwrap();
            if let Some(mut encoder) = encoder {
                let mut wire = Vec::new();
                encoder.chunk("hello".into(), &mut wire);
                let trailer = [("x-amz-checksum-crc32", "NhCmhg==")]
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
                let trailers = if form == Form::SignedChunks { &[][..] } else { &trailer };
                encoder.finish(trailers, &mut wire);
                *body = wire.concat();
            }
            if bend == Bend::Bit {
                let value = headers["authorization"].to_str().unwrap().to_owned();
                headers.insert("authorization", text(bent(&value, "Signature=")));
            }
        }
        Form::Presigned => {
            let Request { method, path, query, headers, .. } = &mut request;
            let life = Duration::from_mins(1);
            *query = client.signer().presign(method, path, query, headers, life, now()).unwrap();
            if bend == Bend::Bit {
                *query = bent(query, "X-Amz-Signature=");
            }
        }
        Form::Header2 => {
            let date = now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let copied = request.headers.get("x-amz-copy-source");
            let copied = copied.map_or("", |_| "x-amz-copy-source:/other/k\n");
            let method = &request.method;
            let resource = resource_2(&request);
            let signature = version_2(&format!("{method}\n\n\n{date}\n{copied}{resource}"));
            let value = format!("AWS {key}:{signature}");
            let value = if bend == Bend::Bit { bent(&value, ":") } else { value };
            request.headers.insert("date", text(date));
            request.headers.insert("authorization", text(value));
        }
        Form::Presigned2 => {
            let expires = now().as_second() + 60;
            let copied = request.headers.get("x-amz-copy-source");
            let copied = copied.map_or("", |_| "x-amz-copy-source:/other/k\n");
            let method = &request.method;
            let resource = resource_2(&request);
            let signature = version_2(&format!("{method}\n\n\n{expires}\n{copied}{resource}"));
            let signature = if bend == Bend::Bit { bent(&signature, "") } else { signature };
            let encoded = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            request
                .add_query(&format!("AWSAccessKeyId={key}&Expires={expires}&Signature={encoded}"));
        }
        Form::Posted => put_form(&mut request, key, bend),
        Form::Bearer => {
            let token = match bend {
                Bend::UnknownKey => "nobody".to_owned(),
                Bend::None | Bend::Bit | Bend::KeyAlone => format!("{ACCESS_KEY}.{SECRET_KEY}"),
            };
            request.headers.insert("authorization", text(format!("Bearer {token}")));
        }
    }
    request
}

fn payload(form: Form) -> PayloadHash {
    match form {
        Form::SignedChunks => PayloadHash::SignedChunks,
        Form::SignedTrailer => PayloadHash::SignedChunksTrailer,
        Form::UnsignedTrailer => PayloadHash::UnsignedChunksTrailer,
        _ => PayloadHash::of(b""),
    }
}

/// A browser's form as the body, signed by Version 2's way: it needs no more than the policy.
fn put_form(request: &mut Request, key: &str, bend: Bend) {
    let ends = now() + jiff::SignedDuration::from_mins(5);
    let policy = format!(
        "{{\"expiration\":\"{}\",\"conditions\":[{{\"bucket\":\"photos\"}},[\"starts-with\",\"$key\",\"\"]]}}",
        ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    let policy = STANDARD.encode(policy);
    let signature = version_2(&policy);
    let signature = if bend == Bend::Bit { bent(&signature, "") } else { signature };
    let mut fields = vec![
        ("key", "form"),
        ("AWSAccessKeyId", key),
        ("policy", &policy),
        ("signature", &signature),
    ];
    if bend == Bend::KeyAlone {
        fields.pop();
    }
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhello\r\n--b--\r\n",
    );
    request
        .headers
        .insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=b"));
    request.body = body.into_bytes();
}

/// How a bent request is answered: one of these statuses and codes.
fn expected(row: &Row, form: Form, bend: Bend) -> Vec<(u16, &'static str)> {
    let denied = vec![(403, "AccessDenied")];
    let wrong = |bend| match bend {
        Bend::UnknownKey => vec![(403, "InvalidAccessKeyId")],
        Bend::None | Bend::Bit | Bend::KeyAlone => vec![(403, "SignatureDoesNotMatch")],
    };
    // Any POST of multipart/form-data is a form, on whatever route.
    let is_form = form == Form::Posted && row.method == Method::POST;
    match (form, bend) {
        (Form::Nobody, _) => denied,
        (_, Bend::KeyAlone) if is_form => vec![(400, "InvalidRequest")],
        (_, bend) if is_form && row.operation == Operation::PostObject => wrong(bend),
        // No route but one takes a form.
        (_, _) if is_form => vec![(403, "AccessDenied"), (400, "InvalidRequest")],
        (Form::Header2 | Form::Presigned2, Bend::KeyAlone) => {
            vec![(403, "AccessDenied"), (400, "AuthorizationQueryParametersError")]
        }
        (Form::Header2 | Form::Presigned2, bend) => wrong(bend),
        (_, Bend::KeyAlone) => vec![(400, "AuthorizationQueryParametersError")],
        (Form::Posted, _) => denied,
        (Form::Bearer, _) => vec![(400, "InvalidArgument")],
        (
            Form::Header
            | Form::Presigned
            | Form::SignedChunks
            | Form::SignedTrailer
            | Form::UnsignedTrailer,
            bend,
        ) => wrong(bend),
    }
}

#[tokio::test]
async fn n1_no_route_takes_a_bent_request_in_any_form() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let (mut wrong, mut count, mut canaries) = (Vec::new(), 0, Vec::new());
    for row in ROWS {
        for form in ALL {
            for bend in BENDS {
                let request = authenticated(client, Request::of(client, row), form, bend);
                let claim = format!("{} {form:?} {bend:?}", row.operation.name());
                let is_head = request.method == Method::HEAD;
                canaries.extend(secrets(&request));
                let answer = request.send(client).await;
                let is = (answer.status.as_u16(), answer.code());
                let fits = expected(row, form, bend).into_iter().any(|(status, code)| {
                    is.0 == status && (is.1 == code || is_head && is.1.is_empty())
                });
                if !fits {
                    wrong.push(format!("{claim}: {is:?}: {}", answer.text()));
                }
                count += 1;
                if form == Form::Nobody {
                    break;
                }
            }
        }
        before.assert_same(&server, row.operation.name()).await;
    }
    assert_all(wrong);
    assert_eq!(count, ROWS.len() * (1 + 9 * 3));
    server.assert_discreet();
    let log = server.read_log();
    for canary in canaries {
        assert!(!log.contains(&canary), "the log holds `{canary}`");
    }
}

/// What must not be logged of a request: its signature, token or form.
fn secrets(request: &Request) -> Vec<String> {
    let after = |text: &str, name: &str| {
        let (_, rest) = text.split_once(name)?;
        Some(rest.split(['&', ',', '\r']).next()?.to_owned())
    };
    let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(&request.body);
    [
        header.map(|value| value.rsplit(['=', ' ', ':']).next().unwrap_or(value).to_owned()),
        after(&request.query, "Signature="),
        after(&body, "name=\"policy\"\r\n\r\n"),
        after(&body, "name=\"signature\"\r\n\r\n"),
        after(&body, "chunk-signature="),
    ]
    .into_iter()
    .flatten()
    .filter(|text| text.len() > 8)
    .collect()
}

/// The same requests are taken when nothing is bent: it is the bend that the matrix refuses.
#[tokio::test]
async fn n1_what_is_not_bent_is_taken_in_each_form() {
    let server = server().await;
    let client = server.client();
    for form in ALL {
        let operation = match form {
            Form::SignedChunks | Form::SignedTrailer | Form::UnsignedTrailer => {
                Operation::PutObject
            }
            Form::Posted => Operation::PostObject,
            _ => Operation::GetObject,
        };
        let taken = !matches!(form, Form::Nobody | Form::Bearer);
        let row = ROWS.iter().find(|row| row.operation == operation).unwrap();
        let request = authenticated(client, Request::of(client, row), form, Bend::None);
        let answer = request.send(client).await;
        assert_eq!(answer.status.is_success(), taken, "{form:?}: {}", answer.text());
    }
}

/// What lies beside S3 and isn't built: nobody gets in there, signed or not.
#[tokio::test]
async fn n1_what_is_not_built_answers_nobody() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    for (method, path, query, body) in [
        ("POST", "/", "", "Action=AssumeRole&Version=2011-06-15"),
        ("POST", "/", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", ""),
        ("PUT", "/minio/admin/v3/add-user", "accessKey=a", "x"),
        ("GET", "/minio/admin/v2/info", "", ""),
        ("GET", "/minio/kms/v1/status", "", ""),
        ("GET", "/minio/v2/metrics/bucket", "", ""),
        ("GET", "/minio/../photos/k", "", ""),
    ] {
        let headers = client.headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let nobody = client.send_as_is(method, path, query, headers, body).await.unwrap();
        let signed = client.send(method, path, query, &[], body).await;
        for answer in [nobody, signed] {
            assert!(
                matches!(answer.status.as_u16(), 400 | 403 | 404 | 405 | 426 | 501),
                "{method} {path}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    before.assert_same(&server, "a route beside S3 changed something").await;
}
