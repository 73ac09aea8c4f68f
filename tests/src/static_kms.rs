//! Keys in a folder, beside a server's data: the KMS that needs no other part.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The tenant's default key.
pub const DEFAULT_KEY: &str = "photos";
/// Another key.
pub const OTHER_KEY: &str = "archive";

/// Writes two keys below `folder` and says by which settings a server uses them.
pub fn write(folder: &Path) -> Vec<(String, String)> {
    let keys = folder.join("kms");
    std::fs::create_dir_all(&keys).expect("a folder");
    for (name, byte) in [(DEFAULT_KEY, 1), (OTHER_KEY, 2)] {
        std::fs::write(keys.join(name), STANDARD.encode([byte; 32])).expect("a file");
    }
    [
        ("COFFER_KMS_PROVIDER", "static"),
        ("COFFER_KMS_STATIC", &keys.display().to_string()),
        ("COFFER_KMS_DEFAULT_KEY", DEFAULT_KEY),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
