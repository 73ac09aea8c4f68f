//! A table's rows: each a request and how it is answered.

use coffer_tests::client::{Answer, Client};
use coffer_tests::server::Server;
use coffer_tests::stored::Stored;

/// `METHOD /path?query`, headers, body, status.
pub(crate) type Brief<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16);

/// What is claimed, `METHOD /path?query`, headers, body, status, error code.
pub(crate) type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

/// A server that logs all it can, with the buckets `photos` and `other`, each with an object `k`.
pub(crate) async fn server() -> Server {
    server_with(&[]).await
}

/// The same with more settings.
pub(crate) async fn server_with(settings: &[(&str, &str)]) -> Server {
    let settings: Vec<_> =
        [("COFFER_LOG", "trace")].into_iter().chain(settings.iter().copied()).collect();
    let server = Server::start_with(&settings).await;
    for (line, body) in [
        ("PUT /photos", ""),
        ("PUT /other", ""),
        ("PUT /photos/k", "hello world"),
        ("PUT /other/k", "theirs"),
    ] {
        let answer = send(server.client(), line, &[], body).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
    }
    server
}

/// Sends a signed request.
pub(crate) async fn send(
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    let (method, path, query) = parts(line);
    client.send(method, path, query, headers, body).await
}

/// `METHOD /path?query` in three.
pub(crate) fn parts(line: &str) -> (&str, &str, &str) {
    let (method, uri) = line.split_once(' ').expect("a method");
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    (method, path, query)
}

/// What is wrong with an answer, if anything.
pub(crate) fn mismatch(claim: &str, answer: &Answer, status: u16, code: &str) -> Option<String> {
    let is = (answer.status.as_u16(), answer.code());
    if is != (status, code.to_owned()) {
        return Some(format!("{claim}: {is:?}, not {:?}: {}", (status, code), answer.text()));
    }
    if code.is_empty() {
        return None;
    }
    let lacking = ["Message", "Resource", "RequestId", "HostId"]
        .into_iter()
        .find(|name| answer.element(name).is_none());
    if let Some(element) = lacking {
        return Some(format!("{claim}: no {element} in {}", answer.text()));
    }
    let same_id = answer.element("RequestId").unwrap() == answer.header("x-amz-request-id");
    (!same_id || answer.header("content-type") != "application/xml")
        .then(|| format!("{claim}: {:?}", answer.headers))
}

/// Asserts an answer.
pub(crate) fn assert_answer(claim: &str, answer: &Answer, status: u16, code: &str) {
    assert_all(mismatch(claim, answer, status, code));
}

/// Asserts that nothing is wrong, or tells all that is.
pub(crate) fn assert_all(wrong: impl IntoIterator<Item = String>) {
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Asserts that each row is refused as it says, and that none of them changed anything.
pub(crate) async fn refuses(server: &Server, rows: &[Row<'_>]) {
    let before = Stored::of(server).await;
    let mut wrong = Vec::new();
    for (claim, line, headers, body, status, code) in rows {
        let answer = send(server.client(), line, headers, (*body).to_owned()).await;
        wrong.extend(mismatch(claim, &answer, *status, code));
    }
    assert_all(wrong);
    before.assert_same(server, "a refused request changed something").await;
    server.assert_discreet();
}

/// Asserts the status alone of each row, in order.
pub(crate) async fn answers(server: &Server, rows: &[Brief<'_>]) {
    for (line, headers, body, status) in rows {
        let answer = send(server.client(), line, headers, body.to_string()).await;
        assert_eq!(answer.status.as_u16(), *status, "{line} {headers:?}: {}", answer.text());
    }
}
