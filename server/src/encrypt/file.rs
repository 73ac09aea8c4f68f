//! Files of mounted Secrets, looked at when they are needed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use coffer_sse::kms::KmsError;
use zeroize::Zeroizing;

/// What tells one state of some files from another: device, inode, time of change, size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<FileStamp>>);

type FileStamp = (u64, u64, i64, i64, u64);

impl Stamp {
    pub(super) fn of(files: &[&Path]) -> Self {
        let stamp = |file: &&Path| {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
        };
        Self(files.iter().map(stamp).collect())
    }
}

/// A secret text in a file; white space around it doesn't count.
pub(super) fn secret(file: &Path) -> Result<Zeroizing<String>, KmsError> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| unreadable(file, &error))?;
    match text.trim() {
        "" => Err(KmsError::Settings(format!("`{}` is empty", file.display()))),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}

pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> KmsError {
    KmsError::Settings(format!("can't read `{}`: {error}", file.display()))
}
