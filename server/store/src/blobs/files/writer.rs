//! Writing one file: large writes on the blocking pool, one at a time, while the next bytes gather.
//!
//! No thread waits for a slow sender: one is taken only for the length of a write.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    mem,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::FallocateFlags;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};

use super::{failure, remove, sync_folder};
use crate::{StoreError, blobs::BlobWriter};

/// Bytes that gather before they are written.
const WRITE_SIZE: usize = 512 << 10;
/// Buffers that one system call takes.
const MAX_SLICES: usize = 1024;

/// A file being written.
#[derive(Debug)]
pub(super) struct FileWriter {
    path: PathBuf,
    expected_length: Option<u64>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No file yet.
    New,
    /// Nothing is being written.
    Idle(File),
    /// A write runs.
    Busy(JoinHandle<io::Result<File>>),
    /// A write failed, or all is done.
    Closed,
}

impl FileWriter {
    pub(super) fn new(path: PathBuf, expected_length: Option<u64>) -> Self {
        Self { path, expected_length, gathered: Vec::new(), gathered_bytes: 0, state: State::New }
    }

    /// Waits for the running write and gives the file, if there is one yet.
    async fn settle(&mut self) -> Result<Option<File>, StoreError> {
        // Awaited in place: if the caller goes away, the state still names the running write.
        if let State::Busy(job) = &mut self.state {
            let done = job.await.map_err(io::Error::other).and_then(|result| result);
            self.state = match done {
                Ok(file) => State::Idle(file),
                Err(cause) => {
                    self.state = State::Closed;
                    drop(remove(&self.path));
                    return Err(failure(cause));
                }
            };
        }
        match mem::replace(&mut self.state, State::Closed) {
            State::New => Ok(None),
            State::Idle(file) => Ok(Some(file)),
            State::Busy(_) | State::Closed => {
                Err(failure(io::Error::other("the writer has failed before")))
            }
        }
    }

    async fn write_gathered(&mut self, end: End) -> Result<(), StoreError> {
        let file = self.settle().await?;
        let gathered = mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        let (path, expected) = (self.path.clone(), self.expected_length);
        self.state = State::Busy(spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => create(&path, expected)?,
            };
            write_all(&mut file, &gathered)?;
            match end {
                End::More => {}
                End::Last => {
                    file.sync_data()?;
                    if let Some(folder) = path.parent() {
                        sync_folder(folder)?;
                    }
                }
            }
            Ok(file)
        }));
        Ok(())
    }
}

/// Whether more is to come.
#[derive(Clone, Copy)]
enum End {
    More,
    Last,
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.gathered_bytes = self.gathered_bytes.saturating_add(bytes.len());
        if !bytes.is_empty() {
            self.gathered.push(bytes);
        }
        if self.gathered_bytes >= WRITE_SIZE {
            self.write_gathered(End::More).await
        } else {
            Ok(())
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.write_gathered(End::Last).await?;
        self.settle().await.map(drop)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        let path = mem::take(&mut self.path);
        match mem::replace(&mut self.state, State::Closed) {
            State::New | State::Closed => {}
            State::Idle(_) => drop(remove(&path)),
            State::Busy(job) => {
                // The running write may be about to make the file. If no runtime is left, the sweep finds it.
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(async move {
                        drop(job.await);
                        drop(remove(&path));
                    });
                }
            }
        }
    }
}

fn create(path: &Path, expected_length: Option<u64>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    if let Some(length) = expected_length.filter(|length| *length > WRITE_SIZE as u64) {
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length) {
            // Not every file system can; those that can say early that there is no room.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(errno) => {
                drop(remove(path));
                return Err(errno.into());
            }
        }
    }
    Ok(file)
}

fn write_all(file: &mut File, buffers: &[Bytes]) -> io::Result<()> {
    for some in buffers.chunks(MAX_SLICES) {
        let mut slices: Vec<IoSlice<'_>> = some.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut left, n),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }
    Ok(())
}
