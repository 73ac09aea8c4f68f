//! A real `coffer-server`, over TLS, with a data folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_signature::{AccessKeyId, Credentials, PayloadHash, SecretKey, Signer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity;

/// The root access key of every test's server.
pub const ACCESS_KEY: &str = "testrootaccess";
/// Its secret; a canary too: it must be in no log.
pub const SECRET_KEY: &str = "test-root-secret-8b1f0c";

/// A program of ours, where `tests/run` or `cargo test` has built it.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let beside = || {
        let mut folder = std::env::current_exe().expect("this test is a file");
        folder.pop();
        folder.pop();
        folder
    };
    let folder = std::env::var_os("COFFER_TEST_BIN").map_or_else(beside, PathBuf::from);
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: build it, or run tests/run", program.display());
    program
}

/// A running server. Ends with the value.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    process: Option<Child>,
    client: Client,
}

impl Server {
    /// Starts one on a free port and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings beside the usual, as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        identity::write(folder.path());
        Self::start_in(folder, settings).await
    }

    /// The same in a folder of the caller's choice, for instance on a file system that fills up.
    pub async fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        if !folder.path().join("tls").exists() {
            identity::write(folder.path());
        }
        let address = free_address();
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let ca = std::fs::read(folder.path().join("ca.crt")).expect("a CA");
        let client = Client::new("localhost", address.port(), &ca, credentials());
        let mut server = Self { folder, address, settings, process: None, client };
        server.launch().await;
        server
    }

    /// Starts the process, which must not run, on the same data and address.
    ///
    /// # Panics
    /// When it isn't ready within 20 seconds.
    pub async fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let command = self.command();
        self.spawn(command).await;
    }

    /// The command that starts it, for tests that run it under another program.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("coffer-server"));
        command.args(self.arguments());
        command
    }

    /// What [`Server::command`] is told.
    pub fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("--listen", self.address.to_string()),
            ("--data", path("data")),
            ("--tls", path("tls")),
            ("--root-credentials", path("root")),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// Starts it by `command` and waits until it is ready.
    ///
    /// # Panics
    /// When it isn't ready within 20 seconds.
    pub async fn spawn(&mut self, mut command: Command) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        command
            .env("COFFER_LOG", "debug")
            .env("COFFER_RESERVE_BYTES", "1048576")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(command.spawn().expect("the server starts"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.ready().await {
            assert!(Instant::now() < deadline, "not ready; its log:\n{}", self.read_log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ready(&self) -> bool {
        let request = Request::get(self.client.url("/minio/health/ready", ""))
            .body(Full::default())
            .expect("a request");
        self.client
            .http
            .request(request)
            .await
            .is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for the end; says whether it ended well.
    pub fn terminate(&mut self) -> bool {
        let mut process = self.process.take().expect("it runs");
        let pid = process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        process.wait().expect("it is gone").success()
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// Open file descriptors of the process.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the process has ended by itself; then another can be launched.
    pub fn has_ended(&mut self) -> bool {
        let Some(process) = &mut self.process else { return true };
        let ended = process.try_wait().expect("a process").is_some();
        if ended {
            self.process = None;
        }
        ended
    }

    /// Asserts that the log holds neither the secret key nor any signature: a signature is 64 hexadecimal digits, and so is
    /// every key that one is made with.
    pub fn assert_discreet(&self) {
        let log = self.read_log();
        assert!(!log.contains(SECRET_KEY), "the log holds the secret key");
        let mut run = 0;
        for (at, byte) in log.bytes().enumerate() {
            run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
            assert!(run < 64, "the log holds a signature, which ends at byte {at}");
        }
    }

    /// A client that signs by the root key.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `https://localhost:PORT`.
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The certificate that clients have to trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The folder with `data`, `tls` and `root`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has logged.
    pub fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _gone = process.kill();
            let _gone = process.wait();
        }
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The S3 error code, or nothing.
    pub fn code(&self) -> String {
        element(&self.text(), "Code").unwrap_or_default()
    }

    /// A header as text, or nothing.
    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default()
    }

    /// The text of the first XML element of this name.
    pub fn element(&self, name: &str) -> Option<String> {
        element(&self.text(), name)
    }
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
}

/// A version of HTTP to speak.
#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

fn http(
    tls: &ClientConfig,
    version: Version,
) -> HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only();
    let connector = match version {
        Version::Http1 => builder.enable_http1().build(),
        Version::Http2 => builder.enable_http2().build(),
    };
    HyperClient::builder(TokioExecutor::new()).build(connector)
}

/// An HTTP client for one server, which trusts its certificate and signs by `coffer-signature`.
#[derive(Debug, Clone)]
pub struct Client {
    host: String,
    port: u16,
    tls: ClientConfig,
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// What it signs with.
    pub credentials: Credentials,
}

/// The root credentials of every test's server.
fn credentials() -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::from_str(ACCESS_KEY).expect("a key"),
        secret_key: SecretKey::new(SECRET_KEY.to_owned()),
        session_token: None,
    }
}

impl Client {
    /// A client of the server `host`, which has a certificate of these roots (PEM).
    ///
    /// # Panics
    /// When the roots can't be read.
    pub fn new(host: &str, port: u16, roots_pem: &[u8], credentials: Credentials) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(roots_pem) {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = http(&tls, Version::Http1);
        Self { host: host.to_owned(), port, tls, http, credentials }
    }

    /// The same client without its connections: the next request makes a new one.
    #[must_use]
    pub fn reconnecting(&self) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_only()
            .enable_http1()
            .build();
        let http =
            HyperClient::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { http, ..self.clone() }
    }

    /// The serial number of the certificate that a new connection meets, in lower-case hexadecimal; empty when there is none.
    pub async fn served_serial(&self) -> String {
        let Ok(stream) = TcpStream::connect((self.host.as_str(), self.port)).await else {
            return String::new();
        };
        let name = ServerName::try_from(self.host.clone()).expect("a name");
        // A session that is taken up again shows the certificate of its beginning.
        let mut tls = self.tls.clone();
        tls.resumption = rustls::client::Resumption::disabled();
        let connector = TlsConnector::from(std::sync::Arc::new(tls));
        let Ok(stream) = connector.connect(name, stream).await else { return String::new() };
        let (_, session) = stream.get_ref();
        let leaf =
            session.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).expect("X.509");
        hex::encode(leaf.raw_serial())
    }

    /// The same client, over HTTP/2.
    #[must_use]
    pub fn over_http2(&self) -> Self {
        Self { http: http(&self.tls, Version::Http2), ..self.clone() }
    }

    fn url(&self, path: &str, query: &str) -> String {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("https://{}{path}{query}", self.host())
    }

    /// `Host`, as this client sends it.
    pub fn host(&self) -> String {
        // As every client writes it: the usual port isn't named.
        if self.port == 443 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// What signs its requests.
    pub fn signer(&self) -> Signer<'_> {
        Signer { credentials: &self.credentials, region: "us-east-1", service: "s3" }
    }

    /// Sends a request that is signed with the hash of its body.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, path, query, headers, body).await.expect("an answer")
    }

    /// The same, where the connection may break.
    ///
    /// # Errors
    /// What broke it.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let body = body.into();
        let headers = self.signed(method, path, query, headers, &PayloadHash::of(&body));
        self.send_as_is(method, path, query, headers, body).await
    }

    /// Headers with a signature.
    ///
    /// # Panics
    /// When the request can't be signed.
    pub fn signed(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        payload: &PayloadHash,
    ) -> HeaderMap {
        let mut map = self.headers(headers);
        let method = Method::from_str(method).expect("a method");
        self.signer()
            .sign_headers(&method, path, query, &mut map, payload, now())
            .expect("a signature");
        map
    }

    /// These headers and `Host`.
    ///
    /// # Panics
    /// When they are none.
    pub fn headers(&self, headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_str(&self.host()).expect("a host"));
        for (name, value) in headers {
            map.append(
                HeaderName::from_str(name).expect("a name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        map
    }

    /// Sends a request as it stands.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send_as_is(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let (mut headers, body) = (headers, body.into());
        // Of an empty body the HTTP library says nothing, and S3 wants to hear of it.
        if body.is_empty() && matches!(method, "PUT" | "POST") {
            headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::from_str(method).expect("a method");
        *request.uri_mut() = self.url(path, query).parse().expect("a URL");
        *request.headers_mut() = headers;
        let answer = self.http.request(request).await?;
        let (head, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_broken) => Bytes::new(),
        };
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// A TLS connection of its own, for HTTP/1.1.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.expect("a connection");
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(self.host.clone()).expect("a name");
        TlsConnector::from(std::sync::Arc::new(tls)).connect(name, stream).await.expect("TLS")
    }

    /// Sends bytes over a TLS connection of their own and reads until the server closes it or is silent for `patience`.
    ///
    /// # Panics
    /// When there is no connection.
    pub async fn raw(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The server may have closed already: what it said before is what counts.
        let _sent = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(Ok(read @ 1..)) =
            tokio::time::timeout(patience, stream.read(&mut buffer)).await
        {
            answer.extend_from_slice(&buffer[..read]);
        }
        answer
    }
}

/// The time, which the tests read at their edge.
#[expect(clippy::disallowed_methods, reason = "a test is an edge")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
