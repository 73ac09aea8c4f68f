//! Follows files that change while the server runs: certificates and credentials in mounted Secrets.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::{info, warn};

/// How often the files are looked at. Looking is a few `stat` calls, and it sees what notifications miss: a kubelet swaps a
/// link above the files.
const PERIOD: Duration = Duration::from_millis(250);

/// What tells one state of some files from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<File>>);

/// Device, inode, time of change in seconds and nanoseconds, size.
type File = (u64, u64, i64, i64, u64);

impl Stamp {
    /// A missing file has a stamp too: that it came back is a change.
    pub(crate) fn of(files: &[impl AsRef<Path>]) -> Self {
        let stamp = |file: &dyn AsRef<Path>| {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
        };
        Self(files.iter().map(|file| stamp(file)).collect())
    }
}

/// Keeps a value in step with the files that it is read from.
///
/// The first reading has to succeed. Later, files that can't be used leave the value as it is, with a warning: a half-written
/// Secret never takes a working server down.
///
/// # Errors
/// The error of the first `read`.
pub fn follow<T, E>(
    what: &'static str,
    files: Vec<PathBuf>,
    read: impl Fn() -> Result<T, E> + Send + 'static,
) -> Result<Arc<ArcSwap<T>>, E>
where
    T: Send + Sync + 'static,
    E: std::error::Error + Send + 'static,
{
    follow_and_tell(what, files, read, || {})
}

/// The same, and says by `changed` after each change that the value is another.
///
/// # Errors
/// The error of the first `read`.
pub fn follow_and_tell<T, E>(
    what: &'static str,
    files: Vec<PathBuf>,
    read: impl Fn() -> Result<T, E> + Send + 'static,
    changed: impl Fn() + Send + 'static,
) -> Result<Arc<ArcSwap<T>>, E>
where
    T: Send + Sync + 'static,
    E: std::error::Error + Send + 'static,
{
    let mut seen = Stamp::of(&files);
    let value = Arc::new(ArcSwap::from_pointee(read()?));
    let followed = Arc::downgrade(&value);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(value) = followed.upgrade() else { return };
            // Stamped before it is read: a change in between is seen at the next tick.
            let stamp = Stamp::of(&files);
            if stamp == seen {
                continue;
            }
            match read() {
                Ok(fresh) => {
                    value.store(Arc::new(fresh));
                    changed();
                    info!(what, "reloaded");
                }
                Err(error) => warn!(
                    what,
                    error = &error as &dyn std::error::Error,
                    "can't use what changed; keeping the old"
                ),
            }
            seen = stamp;
        }
    });
    Ok(value)
}
