//! `mc` as its users have it: an alias in a configuration of its own, which trusts one server's certificate authority.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::clients;

/// `mc` with the alias `coffer`, and a folder that it works in. Both end with the value.
#[derive(Debug)]
pub struct Mc {
    folder: TempDir,
}

impl Mc {
    /// With an alias for `endpoint`, whose certificate is of the PEM text in the file `ca`.
    ///
    /// # Panics
    /// When the server doesn't answer the keys as it should.
    pub fn of(endpoint: &str, ca: &Path, access_key: &str, secret_key: &str) -> Self {
        let mc = Self { folder: TempDir::new().expect("a folder") };
        let trusted = mc.path("config/certs/CAs");
        fs::create_dir_all(&trusted).expect("a folder");
        fs::copy(ca, trusted.join("coffer.crt")).expect("a file");
        mc.run(&["alias", "set", "coffer", endpoint, access_key, secret_key]);
        mc
    }

    /// A path in the folder that it works in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file there, with the folders above it.
    pub fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// `mc ARGUMENTS`, to be run in that folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(clients::go("mc"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .arg("--config-dir")
            .arg(self.path("config"))
            .args(["--json", "--no-color"])
            .args(arguments);
        command
    }

    /// Runs `mc ARGUMENTS` and gives the lines that it printed.
    pub fn run(&self, arguments: &[&str]) -> Vec<Value> {
        let output = clients::run(&mut self.command(arguments));
        serde_json::Deserializer::from_slice(&output.stdout)
            .into_iter::<Value>()
            .map(|value| value.expect("JSON"))
            .collect()
    }

    /// The same for what prints bytes.
    pub fn bytes(&self, arguments: &[&str]) -> Vec<u8> {
        clients::run(&mut self.command(arguments)).stdout
    }

    /// The same for what has to fail; gives the message.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("mc");
        assert!(!output.status.success(), "{arguments:?} was done");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The keys below a target, as it lists them.
    pub fn keys(&self, target: &str) -> Vec<String> {
        let listed = self.run(&["ls", "--recursive", target]);
        listed.iter().map(|entry| entry["key"].as_str().expect("a key").to_owned()).collect()
    }

    /// Puts, copies, lists and reads, whole and in parts.
    ///
    /// # Panics
    /// When anything comes back otherwise than it was sent.
    pub fn does_its_work(&self) {
        self.run(&["mb", "coffer/by-mc"]);
        // Above 16 MiB it uploads in parts.
        let large: Vec<u8> = (0_u32..5_000_000).flat_map(u32::to_le_bytes).collect();
        for (name, content) in [("small", &b"hello"[..]), ("empty", b""), ("large \u{fc}", &large)]
        {
            self.write(name, content);
            let key = format!("coffer/by-mc/in/{name}");
            self.run(&["cp", name, &key]);
            assert_eq!(self.bytes(&["cat", &key]), content, "{name}");
        }
        let parts = self.run(&["stat", "coffer/by-mc/in/large \u{fc}"]);
        let etag = parts[0]["etag"].as_str().unwrap_or_default();
        assert!(etag.ends_with("-2"), "20 MB were not sent in two parts: {parts:?}");
        // Within the server.
        self.run(&["cp", "coffer/by-mc/in/large \u{fc}", "coffer/by-mc/copy"]);
        assert_eq!(self.bytes(&["cat", "coffer/by-mc/copy"]), large);
        self.run(&["mv", "coffer/by-mc/in/small", "coffer/by-mc/moved"]);
        assert_eq!(self.keys("coffer/by-mc"), ["copy", "in/empty", "in/large \u{fc}", "moved"]);
        assert_eq!(self.keys("coffer/by-mc/in/"), ["empty", "large \u{fc}"]);
        self.run(&["rm", "--recursive", "--force", "coffer/by-mc/in/"]);
        assert_eq!(self.keys("coffer/by-mc"), ["copy", "moved"]);
        self.run(&["rb", "--force", "coffer/by-mc"]);
    }
}
