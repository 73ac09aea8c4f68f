//! [N2] GHSA-6r96-hmgc-726c: what a client sends fills only the condition key that is about it, never one that the server makes.

use coffer_policy::{Key, Suffix};
use coffer_server::iam::Draft;
use coffer_server::iam::Refused;
use coffer_tests::client::Client;

use crate::people::{allow, client_of, server_of, user};

/// The key with a name behind it, where it wants one.
fn full(key: Key) -> String {
    let name = key.name();
    match key.suffix() {
        Suffix::None => name.to_owned(),
        Suffix::Slash => format!("{name}/team"),
        Suffix::Colon => format!("{name}:sub"),
    }
}

/// Whether a client may say what it likes in it: the keys that are about headers and parameters of a request.
fn is_the_clients_word(key: Key) -> bool {
    let source = key.source();
    ["the header", "the parameter", "the retention", "the legal hold"]
        .iter()
        .any(|start| source.starts_with(start))
        || [" the request names", "in the request", "as the server has read it"]
            .iter()
            .any(|part| source.contains(part))
}

/// Keys that the server makes, each with the name of the user whose policy asks about it.
fn made_by_the_server() -> Vec<(String, String)> {
    let keys = Key::ALL.iter().filter(|key| !is_the_clients_word(**key));
    keys.enumerate().map(|(number, key)| (format!("key-{number:03}"), full(*key))).collect()
}

fn on_condition(effect: &str, operator: &str, key: &str, value: &str) -> String {
    format!(
        r#"{{"Effect":"{effect}","Action":"s3:GetObject","Resource":"*","Condition":{{"{operator}":{{"{key}":"{value}"}}}}}}"#
    )
}

/// Everything by which a client could name a key.
fn spellings(key: &str) -> Vec<String> {
    let bare = key.split_once(':').map_or(key, |(_, bare)| bare);
    let dashed = key.replace([':', '/'], "-");
    let mut all =
        vec![bare.to_owned(), dashed.clone(), format!("x-{dashed}"), format!("x-amz-{bare}")];
    all.extend([format!("x-minio-{bare}"), format!("x-amz-meta-{dashed}")]);
    all.into_iter().map(|name| name.replace([':', '/'], "-")).collect()
}

/// The status of a read that says `value` in every way that may name the key.
async fn forged(client: &Client, key: &str, value: &str) -> (u16, String) {
    let names = spellings(key);
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value)).collect();
    // Each of them once more: the second may be taken where the first isn't.
    headers.extend(
        names.iter().filter(|name| !name.starts_with("x-amz-")).map(|name| (name.as_str(), value)),
    );
    let escaped = key.replace(':', "%3A").replace('/', "%2F");
    // Parameters of one name twice are refused as such: `twice`, below.
    let mut query = vec![format!("{escaped}={value}")];
    query.extend(
        names
            .iter()
            .filter(|name| !name.starts_with("x-amz-"))
            .map(|name| format!("{name}={value}")),
    );
    query.extend(names.iter().map(|name| format!("{}={value}", name.to_uppercase())));
    let read = client.send("GET", "/photos/k", &query.join("&"), &headers, "").await;
    (read.status.as_u16(), read.code())
}

async fn filled(edit: impl Fn(&mut Draft) -> Result<(), Refused>) -> coffer_tests::server::Server {
    let server = server_of(edit).await;
    for path in ["/photos", "/photos/k"] {
        assert_eq!(server.client().send("PUT", path, "", &[], "").await.status, 200);
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_no_client_fills_a_key_that_the_server_makes() {
    let keys = made_by_the_server();
    assert!(keys.len() > 90, "{}", keys.len());
    let server = filled(|draft| {
        for (name, key) in &keys {
            user(draft, name, &on_condition("Allow", "ForAnyValue:StringEquals", key, "forged"))?;
            // And the other way round: what would be denied if the client were believed.
            let denied = on_condition("Deny", "ForAnyValue:StringEquals", key, "forged");
            user(draft, &format!("{name}-b"), &format!("{},{denied}", allow(&["s3:GetObject"])))?;
        }
        // That what is sent comes through at all.
        user(draft, "referer", &on_condition("Allow", "StringEquals", "aws:Referer", "forged"))
    })
    .await;
    for (name, key) in &keys {
        let read = forged(&client_of(&server, name), key, "forged").await;
        assert_eq!(read, (403, "AccessDenied".to_owned()), "{key}");
        let escaped = key.replace(':', "%3A").replace('/', "%2F");
        let twice = format!("{escaped}=other&{escaped}=forged");
        let read = client_of(&server, name).send("GET", "/photos/k", &twice, &[], "").await;
        assert_eq!(read.code(), "InvalidArgument", "{key}");
        let other = client_of(&server, &format!("{name}-b"));
        assert_eq!(forged(&other, key, "forged").await, (200, String::new()), "{key}");
    }
    let referer = client_of(&server, "referer");
    let read = referer.send("GET", "/photos/k", "", &[("referer", "forged")], "").await;
    assert_eq!(read.status, 200, "{}", read.text());
}

/// The user, the operator, key and value that his policy allows by, and the headers by which a client says so.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

#[tokio::test(flavor = "multi_thread")]
async fn n2_what_the_server_knows_is_what_it_knows_whatever_is_sent() {
    let cases: &[Case] = &[
        (
            "source",
            "IpAddress",
            "aws:SourceIp",
            "10.1.2.3/32",
            &[
                ("x-forwarded-for", "10.1.2.3"),
                ("x-real-ip", "10.1.2.3"),
                ("forwarded", "for=10.1.2.3"),
                ("x-forwarded-for", "10.1.2.3, 127.0.0.1"),
                ("true-client-ip", "10.1.2.3"),
            ],
        ),
        (
            "plain",
            "Bool",
            "aws:SecureTransport",
            "false",
            &[
                ("x-forwarded-proto", "http"),
                ("forwarded", "proto=http"),
                ("x-forwarded-scheme", "http"),
            ],
        ),
        (
            "other-name",
            "StringEquals",
            "aws:username",
            "alice",
            &[("username", "alice"), ("x-amz-user", "alice")],
        ),
        (
            "root-kind",
            "StringEquals",
            "aws:PrincipalType",
            "Account",
            &[("principaltype", "Account")],
        ),
        (
            "staff",
            "StringEquals",
            "aws:groups",
            "staff",
            &[("groups", "staff"), ("x-amz-groups", "staff")],
        ),
        ("signed-2", "StringEquals", "s3:signatureversion", "AWS", &[("signatureversion", "AWS")]),
        (
            "in-url",
            "StringEquals",
            "s3:authType",
            "REST-QUERY-STRING",
            &[("authtype", "REST-QUERY-STRING")],
        ),
        (
            "tls-1-1",
            "StringEquals",
            "s3:TlsVersion",
            "1.1",
            &[("tlsversion", "1.1"), ("x-forwarded-tls", "1.1")],
        ),
        (
            "yesterday",
            "DateLessThan",
            "aws:CurrentTime",
            "2020-01-01T00:00:00Z",
            &[("currenttime", "2019-01-01T00:00:00Z")],
        ),
        (
            "mfa",
            "Bool",
            "aws:MultiFactorAuthPresent",
            "true",
            &[("x-amz-mfa", "serial 123456"), ("multifactorauthpresent", "true")],
        ),
    ];
    let server = filled(|draft| {
        for (name, operator, key, value, _) in cases {
            user(draft, name, &on_condition("Allow", operator, key, value))?;
        }
        user(draft, "here", &on_condition("Allow", "IpAddress", "aws:SourceIp", "127.0.0.0/8"))?;
        user(
            draft,
            "mapped",
            &on_condition("Allow", "IpAddress", "aws:SourceIp", "::ffff:127.0.0.1/128"),
        )?;
        user(draft, "secure", &on_condition("Allow", "Bool", "aws:SecureTransport", "true"))
    })
    .await;
    for (name, _, key, _, headers) in cases {
        let client = client_of(&server, name);
        let read = client.send("GET", "/photos/k", "", headers, "").await;
        assert_eq!(read.status, 403, "{key}");
        for header in *headers {
            let read = client.send("GET", "/photos/k", "", &[*header], "").await;
            assert_eq!(read.status, 403, "{key}: {header:?}");
        }
    }
    for name in ["here", "mapped", "secure"] {
        let forwarded = [("x-forwarded-for", "10.1.2.3"), ("x-forwarded-proto", "http")];
        let read = client_of(&server, name).send("GET", "/photos/k", "", &forwarded, "").await;
        assert_eq!(read.status, 200, "{name}");
    }
}

/// What is asked about how a request was sent is asked in whichever way it was: a presigned URL says by saying nothing that its
/// content isn't signed, and a parameter's name may be escaped.
#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_a_request_changes_no_decision() {
    let server = filled(|draft| {
        let unsigned = r#"{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}}"#;
        user(draft, "signs", &format!("{},{unsigned}", allow(&["s3:*"])))?;
        user(draft, "current", &allow(&["s3:GetObject"]))
    })
    .await;
    let signs = client_of(&server, "signs");
    assert_eq!(signs.send("PUT", "/photos/new", "", &[], "x").await.status, 200);
    let life = std::time::Duration::from_mins(1);
    for (what, parameter, status) in [
        ("unsigned", "", 403),
        (
            "signed",
            "X-Amz-Content-Sha256=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
            200,
        ),
    ] {
        let headers = signs.headers(&[]);
        let method = http::Method::PUT;
        let query = signs
            .signer()
            .presign(&method, "/photos/new", parameter, &headers, life, coffer_tests::client::now())
            .unwrap();
        let put = signs.send_as_is("PUT", "/photos/new", &query, headers, "x").await.unwrap();
        assert_eq!(put.status, status, "{what}: {}", put.text());
    }
    let current = client_of(&server, "current");
    for (query, status) in [("", 200), ("versionId=null", 403), ("version%49d=null", 403)] {
        let read = current.send("GET", "/photos/k", query, &[], "").await;
        assert_eq!(read.status, status, "{query}: {}", read.text());
    }
}
