//! What a pod is made of, as folders: Secrets, `ConfigMap`s and claims of one namespace.
//!
//! A Secret's folder is swapped as a whole through a link, as the kubelet does it: the server never sees a new
//! certificate beside an old key.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;

use crate::tenant::found::SecretData;

/// The link to the folder that holds.
const CURRENT: &str = "..data";

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The user alone.
    Private,
    /// Anyone.
    Public,
}

impl Mode {
    const fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Public => 0o644,
        }
    }
}

/// Whether something had to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It differed.
    Changed,
    /// It was as it should be.
    Unchanged,
}

impl Written {
    /// Whether this or the other had to be written.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Changed => Self::Changed,
            Self::Unchanged => other,
        }
    }
}

/// The folders of one namespace.
#[derive(Clone, Debug)]
pub struct Folders {
    base: PathBuf,
}

impl Folders {
    /// The folders of `namespace` below the data folder.
    pub fn new(data: &Path, namespace: &str) -> Self {
        Self { base: data.join(namespace) }
    }

    /// The folder of a Secret.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.base.join("secrets").join(name)
    }

    /// The folder of a `ConfigMap`.
    pub fn config_map(&self, name: &str) -> PathBuf {
        self.base.join("configmaps").join(name)
    }

    /// The folder of a claim.
    pub fn claim(&self, name: &str) -> PathBuf {
        self.base.join("claims").join(name)
    }

    /// Where a Tenant's server writes its log.
    pub fn log(&self, tenant: &str) -> PathBuf {
        self.base.join("logs").join(format!("{tenant}.log"))
    }

    /// The folder of resources in Tenants, as they were last accepted.
    pub fn resources(&self) -> PathBuf {
        self.base.join("resources")
    }

    /// A resource in a Tenant, as it was last accepted.
    pub fn resource(&self, kind: &str, name: &str) -> PathBuf {
        self.resources().join(format!("{kind}.{name}.json"))
    }

    /// The Tenant as it was last accepted.
    pub fn accepted(&self, tenant: &str) -> PathBuf {
        self.base.join("tenants").join(format!("{tenant}.json"))
    }
}

/// Makes a folder that the user alone can enter, with those above it.
///
/// # Errors
/// What the file system says.
pub fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a Secret's or `ConfigMap`'s folder; none where it doesn't exist.
///
/// # Errors
/// What the file system says.
pub fn read_volume(folder: &Path) -> io::Result<Option<SecretData>> {
    let current = folder.join(CURRENT);
    let entries = match fs::read_dir(&current) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut data = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        data.insert(
            entry.file_name().to_string_lossy().into_owned(),
            ByteString(fs::read(entry.path())?),
        );
    }
    Ok(Some(data))
}

/// Makes a Secret's or `ConfigMap`'s folder hold `data`, in one step.
///
/// # Errors
/// What the file system says.
pub fn write_volume(folder: &Path, data: &SecretData, mode: Mode) -> io::Result<Written> {
    if read_volume(folder)?.as_ref() == Some(data) {
        return Ok(Written::Unchanged);
    }
    private_folder(folder)?;
    let link = folder.join(CURRENT);
    let old = fs::read_link(&link).ok();
    let generation =
        |name: &Path| name.to_string_lossy().trim_start_matches("..").parse::<u64>().ok();
    let number = old.as_deref().and_then(generation).unwrap_or_default().saturating_add(1);
    let name = format!("..{number}");
    let next = folder.join(&name);
    // Left over from a start that was cut off before its link.
    remove_folder(&next)?;
    private_folder(&next)?;
    for (key, value) in data {
        write_new(&next.join(key), &value.0, mode)?;
        let entry = folder.join(key);
        if fs::symlink_metadata(&entry).is_err() {
            symlink(Path::new(CURRENT).join(key), &entry)?;
        }
    }
    sync_folder(&next)?;
    let staged = folder.join("..data_tmp");
    if fs::symlink_metadata(&staged).is_ok() {
        fs::remove_file(&staged)?;
    }
    symlink(&name, &staged)?;
    fs::rename(&staged, &link)?;
    sync_folder(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let key = entry.file_name().to_string_lossy().into_owned();
        if !key.starts_with("..") && !data.contains_key(&key) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        remove_folder(&folder.join(old))?;
    }
    Ok(Written::Changed)
}

/// Removes a folder with what is in it; fine where there is none.
///
/// # Errors
/// What the file system says.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file so that readers see the old content or the new one.
///
/// # Errors
/// What the file system says.
pub fn write_atomically(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}.tmp", std::process::id()));
    let staged = PathBuf::from(staged);
    if fs::symlink_metadata(&staged).is_ok() {
        fs::remove_file(&staged)?;
    }
    write_new(&staged, content, mode)?;
    fs::rename(&staged, path)?;
    sync_folder(folder)
}

fn write_new(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode.bits()).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> SecretData {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect()
    }

    #[test]
    fn a_volume_is_swapped_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("a/tls");
        assert_eq!(read_volume(&volume).unwrap(), None);
        let first = data(&[("tls.crt", "1"), ("tls.key", "1"), ("old", "1")]);
        assert_eq!(write_volume(&volume, &first, Mode::Private).unwrap(), Written::Changed);
        assert_eq!(write_volume(&volume, &first, Mode::Private).unwrap(), Written::Unchanged);
        let held = fs::File::open(volume.join("tls.crt")).unwrap();
        let second = data(&[("tls.crt", "2"), ("tls.key", "2")]);
        assert_eq!(write_volume(&volume, &second, Mode::Private).unwrap(), Written::Changed);
        assert_eq!(read_volume(&volume).unwrap(), Some(second));
        assert_eq!(fs::read_to_string(volume.join("tls.key")).unwrap(), "2");
        assert!(!volume.join("old").exists());
        assert_eq!(io::read_to_string(held).unwrap(), "1");
    }

    #[test]
    fn a_start_that_was_cut_off_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("tls");
        write_volume(&volume, &data(&[("a", "1")]), Mode::Private).unwrap();
        fs::create_dir(volume.join("..2")).unwrap();
        fs::write(volume.join("..2/half"), "").unwrap();
        symlink("..2", volume.join("..data_tmp")).unwrap();
        write_volume(&volume, &data(&[("a", "2")]), Mode::Private).unwrap();
        assert_eq!(read_volume(&volume).unwrap(), Some(data(&[("a", "2")])));
    }

    #[test]
    fn secrets_are_the_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("x/secret");
        write_volume(&volume, &data(&[("key", "1")]), Mode::Private).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&volume.join("key")), 0o600);
        assert_eq!(mode(&volume), 0o700);
        assert_eq!(mode(&folder.path().join("x")), 0o700);
    }
}
