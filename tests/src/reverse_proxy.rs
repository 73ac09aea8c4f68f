//! nginx and haproxy before a real server, as people put them there: TLS on both sides, HTTP/1.1 and kept connections behind.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::server::{Server, free_address};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `nginx`, with the settings that its documentation gives for kept connections.
    Nginx,
    /// `haproxy`, which shares connections between clients.
    Haproxy,
}

/// A running proxy. Ends with the value.
#[derive(Debug)]
pub struct ReverseProxy {
    folder: TempDir,
    process: Child,
    client: Client,
}

impl ReverseProxy {
    /// Starts one before `server`, with its certificate.
    pub async fn start(kind: Kind, server: &Server) -> Self {
        let folder = TempDir::new().expect("a folder");
        let address = free_address();
        let read = |name: &str| std::fs::read(server.folder().join(name)).expect("a file");
        let both = [read("tls/tls.crt"), read("tls/tls.key")].concat();
        std::fs::write(folder.path().join("both.pem"), both).expect("a file");
        let text = match kind {
            Kind::Nginx => nginx(&folder, address, server),
            Kind::Haproxy => haproxy(&folder, address, server),
        };
        let config = folder.path().join("config");
        std::fs::write(&config, text).expect("a file");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.path().join("log"))
            .expect("a log");
        let mut command = match kind {
            Kind::Nginx => {
                let mut command = Command::new(program("nginx"));
                command.arg("-p").arg(folder.path()).arg("-c").arg(&config);
                command
            }
            Kind::Haproxy => {
                let mut command = Command::new(program("haproxy"));
                command.arg("-db").arg("-f").arg(&config);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let process = command.spawn().expect("the proxy starts");
        let client = Client::new(
            "localhost",
            address.port(),
            &read("ca.crt"),
            server.client().credentials.clone(),
        );
        let proxy = Self { folder, process, client };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !proxy.answers().await {
            let log = std::fs::read_to_string(proxy.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{kind:?} doesn't answer:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy
    }

    async fn answers(&self) -> bool {
        let headers = self.client.headers(&[]);
        let answer = self.client.send_as_is("GET", "/minio/health/ready", "", headers, "").await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// How many requests of this line (`METHOD /path`) it has taken for requests and answered, by its own log.
    pub fn answered(&self, line: &str) -> usize {
        let log = std::fs::read(self.folder.path().join("log")).expect("a log");
        String::from_utf8_lossy(&log).matches(&format!("\"{line} HTTP/")).count()
    }

    /// A client that goes through it.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// Where Debian puts what root alone runs.
fn program(name: &str) -> PathBuf {
    let program = PathBuf::from("/usr/sbin").join(name);
    assert!(program.exists(), "{} is missing: install it, or run tests/run", program.display());
    program
}

fn nginx(folder: &TempDir, address: SocketAddr, server: &Server) -> String {
    let path = folder.path().display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {path}/{name};\n"))
        .concat();
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
access_log {path}/log; {temporary} client_max_body_size 0;
upstream coffer {{ server {upstream}; keepalive 4; }}
server {{
  listen {address} ssl http2;
  ssl_certificate {path}/both.pem; ssl_certificate_key {path}/both.pem;
  location / {{
    proxy_pass https://coffer;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_set_header Host $http_host;
    proxy_request_buffering off;
    proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost;
  }}
}}
}}
",
        upstream = server.address(),
        ca = server.ca().display(),
    )
}

fn haproxy(folder: &TempDir, address: SocketAddr, server: &Server) -> String {
    format!(
        "global
  maxconn 512
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend clients
  bind {address} ssl crt {path}/both.pem alpn h2,http/1.1
  default_backend coffer
backend coffer
  http-reuse always
  server one {upstream} ssl verify required ca-file {ca} verifyhost localhost sni str(localhost) alpn http/1.1
",
        path = folder.path().display(),
        upstream = server.address(),
        ca = server.ca().display(),
    )
}
