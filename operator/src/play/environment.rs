//! What a client needs to know, as shell lines.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::root_credentials::RootCredentials;

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The endpoint's URL.
    pub endpoint: String,
    /// The file of certificates to trust.
    pub ca: PathBuf,
    /// Who to sign as.
    pub root: RootCredentials,
    /// The region to sign for.
    pub region: String,
}

impl Environment {
    /// Shell lines: `. FILE` sets and exports all of them.
    pub fn to_shell(&self) -> String {
        let ca = self.ca.to_string_lossy();
        let variables = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_CA_BUNDLE", &ca),
            ("AWS_ACCESS_KEY_ID", self.root.access_key()),
            ("AWS_SECRET_ACCESS_KEY", self.root.secret_key()),
            ("AWS_REGION", &self.region),
        ];
        let mut text = String::new();
        let mut names = String::new();
        for (name, value) in variables {
            // Writing into a String can't fail.
            let _infallible = writeln!(text, "{name}={}", quoted(value));
            let _infallible = write!(names, " {name}");
        }
        format!("{text}export{names}\n")
    }
}

/// `FILE.suffix`.
pub fn suffixed(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}

/// Takes away the environment of an earlier start, so that nobody waits for less than a ready server.
///
/// # Errors
/// When a file is there and stays.
pub fn forget(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A value as one word of a POSIX shell.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_any_value() {
        for value in
            ["plain", "", "a b", "it's", "$(id)`id`\"", "a\\b", "-n", "line\nend", "*~#;&|"]
        {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("V={}; printf %s \"$V\"", quoted(value))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }
}
