//! An HTTP client that signs as clients do, and can send what no client would.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use coffer_signature::{Credentials, PayloadHash, Signer};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
    from: Option<IpAddr>,
) -> HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_local_address(from);
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only();
    let connector = match version {
        Version::Http1 => builder.enable_http1().wrap_connector(tcp),
        Version::Http2 => builder.enable_http2().wrap_connector(tcp),
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
    /// The address that it connects from, where that matters.
    from: Option<IpAddr>,
    /// What it signs with.
    pub credentials: Credentials,
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
        let http = http(&tls, Version::Http1, None);
        Self { host: host.to_owned(), port, tls, http, from: None, credentials }
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

    /// The same client, which shows this certificate (PEM, with its key) to a server that asks for one.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn with_certificate(&self, chain_pem: &str, key_pem: &str) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
        let key = CertifiedKey::from_der(chain, key, &provider).expect("a certificate and its key");
        let mut tls = self.tls.clone();
        tls.client_auth_cert_resolver = std::sync::Arc::new(SingleCertAndKey::from(key));
        // A session that is taken up again proves nothing anew.
        tls.resumption = rustls::client::Resumption::disabled();
        let http = http(&tls, Version::Http1, None);
        Self { tls, http, ..self.clone() }
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
        Self { http: http(&self.tls, Version::Http2, self.from), ..self.clone() }
    }

    /// The same client on another address of this machine, such as 127.0.0.2: to the server it is another source.
    #[must_use]
    pub fn from_address(&self, from: [u8; 4]) -> Self {
        let from = Some(IpAddr::from(from));
        Self { http: http(&self.tls, Version::Http1, from), from, ..self.clone() }
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
        self.try_connect(b"http/1.1").await.expect("a connection")
    }

    /// A TLS connection of its own, for this protocol (`h2`, `http/1.1`).
    ///
    /// # Errors
    /// When there is none.
    pub async fn try_connect(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.try_connect_tcp().await?;
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(self.host.clone()).expect("a name");
        TlsConnector::from(std::sync::Arc::new(tls)).connect(name, stream).await
    }

    /// A connection without TLS.
    ///
    /// # Errors
    /// When there is none.
    pub async fn try_connect_tcp(&self) -> std::io::Result<TcpStream> {
        let Some(from) = self.from else {
            return TcpStream::connect((self.host.as_str(), self.port)).await;
        };
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(SocketAddr::from(([127, 0, 0, 1], self.port))).await
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
