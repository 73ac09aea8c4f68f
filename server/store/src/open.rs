//! Opening a data folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify},
    task::spawn_blocking,
};

use crate::{
    Inner, OpenError, Settings, Store, StoreError,
    blobs::{
        Pins,
        files::{FileBlobs, sync_folder},
    },
    garbage,
    index::{
        Batch, Condition, Space,
        embedded::{EmbeddedIndex, Sizes},
    },
    record::{FORMAT, key},
};

const MIN_JOURNAL: u64 = 64 << 20;
const MIN_MEMTABLE: u64 = 1 << 20;

impl Store {
    /// Opens a data folder, or makes one. Must run on a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process has it; see the other variants.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let folder = settings.data.clone();
        let opening = spawn_blocking(move || open(&settings));
        let inner = opening
            .await
            .map_err(|cause| OpenError::Io { path: folder, cause: io::Error::other(cause) })??;
        let store = Self { inner: Arc::new(inner) };
        garbage::start(&store);
        Ok(store)
    }

    /// What tells this store from every other: 32 hexadecimal digits, made at random when they are asked for the first time and kept in
    /// the index, so that a restored copy has them too.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn identity(&self) -> Result<String, StoreError> {
        loop {
            if let Some(read) = self.get(key::IDENTITY).await? {
                return match str::from_utf8(&read) {
                    Ok(id) if id.len() == 32 => Ok(id.to_owned()),
                    Ok(_) | Err(_) => {
                        Err(StoreError::Corrupt { what: "the store's id".to_owned(), cause: None })
                    }
                };
            }
            let id = format!("{:032x}", rand::random::<u128>());
            let mut batch = Batch::default();
            batch.require(Condition::Absent(key::IDENTITY.to_vec()));
            batch.put(Space::Records, key::IDENTITY.to_vec(), id.into_bytes());
            // Read again either way: another may have been first.
            self.commit(batch).await?;
        }
    }

    /// Closes the store once every clone of it, writer and reader is dropped: afterwards the folder is free.
    pub async fn close(self) {
        let mut inner = self.inner;
        loop {
            inner = match Arc::try_unwrap(inner) {
                Ok(inner) => {
                    // Ends the committer, which blocks for the length of a write.
                    drop(spawn_blocking(move || drop(inner)).await);
                    return;
                }
                Err(shared) => shared,
            };
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn open(settings: &Settings) -> Result<Inner, OpenError> {
    let Settings { data, inline_limit, reserve, cache, memtable, journal } = settings;
    if *journal < MIN_JOURNAL {
        return Err(OpenError::Settings("the journal takes at least 64 MiB"));
    }
    if *memtable < MIN_MEMTABLE {
        return Err(OpenError::Settings("the write buffer takes at least 1 MiB"));
    }
    let in_data = |cause| OpenError::Io { path: data.clone(), cause };
    match fs::create_dir(data) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(in_data(cause)),
    }
    let format = data.join("format");
    let is_new = !format.try_exists().map_err(in_data)?;
    if is_new && is_foreign(data).map_err(in_data)? {
        return Err(OpenError::Foreign(data.clone()));
    }
    let lock = lock(data)?;
    if is_new {
        write_format(data).map_err(in_data)?;
    }
    check_format(data, &format)?;
    let blobs_folder = data.join("blobs");
    let blobs = FileBlobs::open(blobs_folder.clone())
        .map_err(|cause| OpenError::Io { path: blobs_folder, cause })?;
    let path = data.join("index");
    let sizes = Sizes { cache: *cache, memtable: *memtable, journal: *journal };
    let index = EmbeddedIndex::open(&path, sizes)
        .map_err(|cause| OpenError::Index { path, cause: Arc::new(cause) })?;
    sync_folder(data).map_err(in_data)?;
    Ok(Inner {
        index: Arc::new(index),
        blobs: Arc::new(blobs),
        pins: Arc::new(Pins::default()),
        inline_limit: *inline_limit,
        reserve: *reserve,
        garbage: Arc::new(Notify::new()),
        garbage_lease: Mutex::new(()),
        _lock: Some(lock),
    })
}

/// Whether a folder without a format holds anything that a crash in the midst of making it can't explain.
fn is_foreign(data: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name();
        if !["lock", "format.new", "lost+found"].iter().any(|own| name == *own) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lock(data: &Path) -> Result<File, OpenError> {
    let path = data.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| OpenError::Io { path: path.clone(), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(data.to_owned())),
        Err(TryLockError::Error(cause)) => Err(OpenError::Io { path, cause }),
    }
}

fn write_format(data: &Path) -> io::Result<()> {
    let new = data.join("format.new");
    let mut file = File::create(&new)?;
    file.write_all(format_text().as_bytes())?;
    file.sync_all()?;
    fs::rename(new, data.join("format"))?;
    sync_folder(data)
}

fn check_format(data: &Path, format: &Path) -> Result<(), OpenError> {
    let found = fs::read_to_string(format)
        .map_err(|cause| OpenError::Io { path: format.to_owned(), cause })?;
    if found == format_text() {
        return Ok(());
    }
    Err(OpenError::Format {
        path: data.to_owned(),
        found: found.trim_end().to_owned(),
        expected: FORMAT,
    })
}

fn format_text() -> String {
    format!("coffer-store {FORMAT}\n")
}
