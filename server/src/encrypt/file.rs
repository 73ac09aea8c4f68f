//! Files of mounted Secrets, looked at when they are needed.

use std::path::Path;

use coffer_sse::kms::KmsError;
use zeroize::Zeroizing;

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
