//! Identities and policies: who there is, what each may do, and where that is kept.
//!
//! All of it is one immutable [`Snapshot`] in memory; a request reads it without a lock. A change is made on a [`Draft`] of it,
//! committed durably and whole, and only then seen. Rows are kept sealed: neither a secret key nor a policy can be read, changed
//! or moved to another name in the store without the tenant's key.

pub mod name;
pub mod refused;
pub mod entity;
pub mod mark;
pub mod snapshot;
pub mod draft;
pub mod owned;
pub mod seal;
mod row;

use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_store::{Bucket, BucketName, BucketSettings, IamRows, Store, StoreError};
use jiff::Timestamp;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

pub use draft::Draft;
pub use refused::Refused;
pub use seal::SealingKeys;
pub use snapshot::Snapshot;

/// The tenant's identities and policies.
#[derive(Debug)]
pub struct Iam {
    current: ArcSwap<Snapshot>,
    store: Store,
    keys: Arc<ArcSwap<SealingKeys>>,
    /// Held while a change is made: changes follow each other, and each sees the one before.
    changing: Mutex<()>,
}

/// Why identities and policies can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// What was asked for isn't done; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A row can't be opened or understood.
    #[error("the row `{row}` of identities and policies can't be read: {why}")]
    Unreadable {
        /// The row's name.
        row: String,
        /// Why, and what to do.
        why: row::RowError,
    },
}

impl Iam {
    /// Reads all identities and policies. Rows that an earlier key sealed are sealed anew.
    ///
    /// # Errors
    /// [`IamError`] when the store fails or a row can't be read: then nobody but root could be told from a stranger.
    pub async fn open(store: Store, keys: Arc<ArcSwap<SealingKeys>>) -> Result<Self, IamError> {
        let current = ArcSwap::from_pointee(Snapshot::default());
        let iam = Self { current, store, keys, changing: Mutex::new(()) };
        let read = iam.store.iam_rows().await?;
        iam.show(&read)?;
        let keys = iam.keys.load_full();
        if read.rows.iter().any(|(_, value)| !keys.is_current(value)) {
            iam.rotate(keys).await?;
        }
        Ok(iam)
    }

    /// Everything as it is now. It never changes under its reader.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes a change: `edit` says what on a draft, which is then committed whole. Whatever it refuses changes nothing.
    ///
    /// # Errors
    /// What `edit` refuses, or the store's failure: then the change may have taken place, and is read from there.
    pub async fn change<T>(
        &self,
        edit: impl Fn(&mut Draft) -> Result<T, Refused>,
    ) -> Result<T, IamError> {
        self.attempt(|draft| edit(draft).map_err(IamError::from)).await
    }

    /// The same for an edit that refuses for reasons of its own.
    ///
    /// # Errors
    /// As [`Iam::change`].
    pub async fn attempt<T, E: From<IamError>>(
        &self,
        edit: impl Fn(&mut Draft) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one_at_a_time = self.changing.lock().await;
        loop {
            let before = self.snapshot();
            let mut draft = Draft::of(&before);
            let made = edit(&mut draft)?;
            let keys = self.keys.load_full();
            let (after, changes) = draft.finish(&keys).map_err(IamError::from)?;
            if changes.is_empty() {
                return Ok(made);
            }
            let committed = self.store.change_iam(before.revision(), changes).await;
            if self.shows(after, committed).await? {
                return Ok(made);
            }
        }
    }

    /// Makes a bucket and, with what `edit` says of it, a change: both or nothing, so that no bucket is there whose maker isn't known.
    ///
    /// # Errors
    /// `BucketExists`; else as [`Iam::change`].
    pub async fn create_bucket(
        &self,
        name: &BucketName,
        region: &str,
        settings: &BucketSettings,
        now: Timestamp,
        edit: impl Fn(&mut Draft, &Bucket) -> Result<(), Refused>,
    ) -> Result<Bucket, IamError> {
        let _one_at_a_time = self.changing.lock().await;
        loop {
            let planned = self.store.plan_bucket(name, region, settings, now).await?;
            let bucket = planned.bucket().clone();
            let before = self.snapshot();
            let mut draft = Draft::of(&before);
            edit(&mut draft, &bucket)?;
            let keys = self.keys.load_full();
            let (after, changes) = draft.finish(&keys)?;
            let committed = self.store.make_bucket(planned, before.revision(), changes).await;
            if self.shows(after, committed).await? {
                return Ok(bucket);
            }
        }
    }

    /// Shows what a commit has made of everything. False: another server of this tenant was faster, and what it made is shown.
    async fn shows(
        &self,
        mut after: Snapshot,
        committed: Result<Option<u64>, StoreError>,
    ) -> Result<bool, IamError> {
        if let Ok(Some(revision)) = committed {
            after.set_revision(revision);
            self.current.store(Arc::new(after));
            return Ok(true);
        }
        // One that failed may have taken place: what the store has is what holds.
        self.reload().await?;
        committed.map(|_conflict| false).map_err(IamError::from)
    }

    /// Seals a secret that leaves the tenant and is to come back, as that of `name`.
    ///
    /// # Errors
    /// [`Refused::Unsealable`].
    pub fn seal(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, Refused> {
        let sealed = self.keys.load().seal(&outside(name), secret);
        sealed.map_err(|_opaque| Refused::Unsealable)
    }

    /// The secret of `name` that left the tenant by [`Iam::seal`]; `None` for anything else.
    pub fn open_sealed(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.load().open(&outside(name), sealed).ok()
    }

    async fn reload(&self) -> Result<(), IamError> {
        self.show(&self.store.iam_rows().await?)
    }

    /// Makes these rows what everyone sees.
    fn show(&self, read: &IamRows) -> Result<(), IamError> {
        let keys = self.keys.load();
        let mut snapshot = Snapshot::default();
        for (name, value) in &read.rows {
            let unreadable =
                |why| IamError::Unreadable { row: String::from_utf8_lossy(name).into_owned(), why };
            let entity = row::open(name, value, &keys).map_err(unreadable)?;
            snapshot.put(entity);
        }
        snapshot.set_revision(read.revision);
        self.current.store(Arc::new(snapshot));
        Ok(())
    }

    /// Takes another key: seals by it what earlier ones sealed. A key that can't open everything isn't taken, and the one before
    /// goes on to be used: rows under two keys of which neither names the other could never be read again.
    ///
    /// # Errors
    /// `Unreadable` when the key isn't taken; else as [`Iam::change`]: then it is worth trying again.
    pub async fn rotate(&self, keys: Arc<SealingKeys>) -> Result<(), IamError> {
        let _one_at_a_time = self.changing.lock().await;
        loop {
            let read = self.store.iam_rows().await?;
            let changes = row::seal_anew(&read.rows, &keys)
                .map_err(|(row, why)| IamError::Unreadable { row, why })?;
            // From here on, it opens all that there is.
            self.keys.store(Arc::clone(&keys));
            if changes.is_empty() {
                return Ok(());
            }
            let before = self.snapshot().revision();
            if let Some(revision) = self.store.change_iam(read.revision, changes).await? {
                if before == read.revision {
                    let mut snapshot = Snapshot::clone(&self.snapshot());
                    snapshot.set_revision(revision);
                    self.current.store(Arc::new(snapshot));
                } else {
                    self.reload().await?;
                }
                return Ok(());
            }
            // Another server changed them meanwhile.
        }
    }
}

/// What a secret outside of the tenant is bound to. No row's name begins so.
fn outside(name: &str) -> Vec<u8> {
    [b"export\0", name.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
