//! Blobs as files: `blobs/<first byte>/<the rest of the id>`.
//!
//! A file is made under its final name. No temporary and no renaming is needed: the name is random and known to nobody
//! until a record names it, and that record is committed only after file and folder are synced. What a crash leaves
//! half-written is a file that no record names, which the sweep removes.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use self::{buffers::Buffers, writer::FileWriter};
use super::{BlobId, BlobStream, BlobWriter, Blobs, ListedBlob, Room};
use crate::StoreError;

mod buffers;
mod writer;

/// Bytes of one read. Two such pieces of a reader are in memory at a time.
const READ_SIZE: usize = 256 << 10;
/// Folders that blobs are spread over.
const SHARDS: u16 = 256;

/// Blobs in a folder.
#[derive(Clone, Debug)]
pub(crate) struct FileBlobs {
    folder: Arc<Path>,
    buffers: Buffers,
}

impl FileBlobs {
    /// Opens or makes the folder. Blocks.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for shard in 0..SHARDS {
            match fs::create_dir(folder.join(format!("{shard:02x}"))) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        }
        sync_folder(&folder)?;
        Ok(Self { folder: folder.into(), buffers: Buffers::new(READ_SIZE) })
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        let (shard, rest) = name.split_at_checked(2).unwrap_or((&name, ""));
        self.folder.join(shard).join(rest)
    }
}

#[async_trait]
impl Blobs for FileBlobs {
    async fn create(
        &self,
        id: BlobId,
        expected_length: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        Ok(Box::new(FileWriter::new(self.path(id), expected_length)))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<BlobStream, StoreError> {
        let path = self.path(id);
        if range.is_empty() {
            return Ok(Box::pin(stream::empty()));
        }
        let buffers = self.buffers.clone();
        let reader = blocking(move || {
            let file = Arc::new(Source { file: File::open(path)?.into(), buffers });
            let first = file.piece(range.start, range.end)?;
            Ok((file, first))
        });
        let (file, first) = reader.await?;
        let at = range.start.saturating_add(first.len() as u64);
        let reader = Reader { next: read_ahead(&file, at, range.end), file, at, end: range.end };
        Ok(Box::pin(stream::unfold((Some(first), reader), |(first, reader)| async move {
            match first {
                Some(first) => Some((Ok(first), (None, reader))),
                None => reader.read().await.map(|(piece, reader)| (piece, (None, reader))),
            }
        })))
    }

    async fn delete(&self, id: BlobId) -> Result<(), StoreError> {
        let path = self.path(id);
        blocking(move || remove(&path)).await
    }

    async fn list(&self, shard: u16) -> Result<Option<Vec<ListedBlob>>, StoreError> {
        if shard >= SHARDS {
            return Ok(None);
        }
        let name = format!("{shard:02x}");
        let folder = self.folder.join(&name);
        blocking(move || list_shard(&folder, &name)).await.map(Some)
    }

    fn room(&self) -> Result<Room, StoreError> {
        let stat = rustix::fs::statvfs(&*self.folder).map_err(|errno| failure(errno.into()))?;
        Ok(Room {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            capacity: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// A file's bytes, one piece ahead of who reads them, unless too many read at once.
struct Reader {
    file: Arc<Source>,
    next: Option<JoinHandle<io::Result<Bytes>>>,
    at: u64,
    end: u64,
}

impl Reader {
    async fn read(mut self) -> Option<(Result<Bytes, StoreError>, Self)> {
        let next = match self.next.take() {
            Some(next) => next,
            None => start(&self.file, self.at, self.end)?,
        };
        let read = next.await.map_err(io::Error::other).and_then(|read| read);
        match read {
            Ok(piece) => {
                self.at = self.at.saturating_add(piece.len() as u64);
                self.next = read_ahead(&self.file, self.at, self.end);
                Some((Ok(piece), self))
            }
            Err(cause) => {
                // Nothing comes after a failure.
                self.at = self.end;
                Some((Err(failure(cause)), self))
            }
        }
    }
}

fn read_ahead(file: &Arc<Source>, at: u64, end: u64) -> Option<JoinHandle<io::Result<Bytes>>> {
    if file.buffers.is_crowded() { None } else { start(file, at, end) }
}

fn start(file: &Arc<Source>, at: u64, end: u64) -> Option<JoinHandle<io::Result<Bytes>>> {
    let file = Arc::clone(file);
    (at < end).then(|| spawn_blocking(move || file.piece(at, end)))
}

/// An open file, and what its bytes are read into.
struct Source {
    file: OwnedFd,
    buffers: Buffers,
}

impl Source {
    /// The next bytes at `at`, at most up to `end`. Blocks.
    fn piece(&self, at: u64, end: u64) -> io::Result<Bytes> {
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = left.min(self.buffers.room());
        let mut buffer = self.buffers.take(wanted);
        let bytes = &mut buffer.bytes;
        while bytes.len() < wanted {
            let from = at.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&self.file, rustix::buffer::spare_capacity(bytes), from) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // The buffer may be larger than what was asked for.
        bytes.truncate(wanted);
        Ok(buffer.freeze())
    }
}

fn list_shard(folder: &Path, shard: &str) -> io::Result<Vec<ListedBlob>> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{shard}{}", entry.file_name().to_string_lossy());
        let Some(id) = parse_id(&name) else {
            tracing::warn!(path = %entry.path().display(), "a file among the blobs is none");
            continue;
        };
        let modified = match entry.metadata() {
            Ok(metadata) => metadata.modified()?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(cause),
        };
        let modified = Timestamp::try_from(modified).map_err(io::Error::other)?;
        blobs.push(ListedBlob { id, modified });
    }
    Ok(blobs)
}

fn parse_id(name: &str) -> Option<BlobId> {
    if name.len() != 32 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u128::from_str_radix(name, 16).ok().map(|n| BlobId(n.to_be_bytes()))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(result) => result.map_err(failure),
        Err(cause) => Err(failure(io::Error::other(cause))),
    }
}

/// What a file system's error means to a caller.
fn failure(cause: io::Error) -> StoreError {
    match cause.kind() {
        io::ErrorKind::NotFound => StoreError::Gone,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::OutOfSpace,
        io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupt { what: "a blob's file".to_owned(), cause: Some(Arc::new(cause)) }
        }
        _ => StoreError::Unavailable(Arc::new(cause)),
    }
}
