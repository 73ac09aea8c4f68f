//! The `minio` program, over TLS, as a black box to compare with.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clients;
use crate::server::{ACCESS_KEY, SECRET_KEY, Server, free_address};

/// A running one. Ends with the value.
#[derive(Debug)]
pub struct Minio {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Minio {
    /// Starts one with the certificate, the CA and the keys of a server of ours.
    ///
    /// # Panics
    /// When it isn't ready within 30 seconds.
    pub fn start(server: &Server) -> Self {
        let folder = TempDir::new().expect("a folder");
        let certificates = folder.path().join("certs");
        std::fs::create_dir_all(&certificates).expect("a folder");
        for (from, to) in [("tls.crt", "public.crt"), ("tls.key", "private.key")] {
            std::fs::copy(server.folder().join("tls").join(from), certificates.join(to))
                .expect("a file");
        }
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let process = Command::new(clients::go("minio"))
            .args(["server", "--quiet", "--address", &address.to_string(), "--certs-dir"])
            .arg(&certificates)
            .arg(folder.path().join("data"))
            .env_clear()
            .env("HOME", folder.path())
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .env("MINIO_REGION", "us-east-1")
            .env("MINIO_BROWSER", "off")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("minio starts");
        let minio =
            Self { process, address: format!("localhost:{}", address.port()), _folder: folder };
        minio.wait(server);
        minio
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.address
    }

    fn wait(&self, server: &Server) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let url = format!("https://{}/minio/health/live", self.address);
        let ready = || {
            Command::new("curl")
                .args(["-sf", "--noproxy", "*", "--cacert"])
                .arg(server.ca())
                .arg(&url)
                .status()
                .is_ok_and(|status| status.success())
        };
        while !ready() {
            assert!(Instant::now() < deadline, "minio is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}
