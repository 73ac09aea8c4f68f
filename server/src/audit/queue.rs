//! Lines that wait on disk until someone has taken them: bounded, in order, and there again after a crash of the process.
//!
//! They lie one after another in files, each named by the position of its first byte in all that was ever put; `taken` says up to
//! where everything was taken. A file goes once all of it was. Nothing is flushed to the disk: a cut of power may cost the last lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file that is this long is followed by another.
const FILE: u64 = 4 * 1024 * 1024;

/// The queue of one destination.
#[derive(Debug)]
pub(super) struct Queue {
    folder: PathBuf,
    /// The bytes that may wait.
    bound: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Where the files begin, in order.
    files: Vec<u64>,
    /// The last of them.
    last: Option<File>,
    taken: u64,
    end: u64,
}

/// Lines to be taken, and the position behind them.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<u8>,
    end: u64,
}

/// Why a line wasn't put.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    /// As much waits as may.
    #[error("{0} bytes wait already")]
    Full(u64),
    /// The disk failed.
    #[error("the queue can't be written")]
    Io(#[from] io::Error),
}

impl Queue {
    /// Opens the queue in `folder`, which is made if it isn't there. A last line that a crash cut off is dropped.
    ///
    /// # Errors
    /// What the disk fails by.
    pub(super) fn open(folder: &Path, bound: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let position = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            files.extend(position.and_then(|position| position.parse::<u64>().ok()));
        }
        files.sort_unstable();
        let taken = match std::fs::read_to_string(folder.join("taken")) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let mut end = taken;
        let mut last = None;
        if let Some(start) = files.last() {
            let mut file = appended(folder, *start)?;
            let mut content = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut content)?;
            let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            file.set_len(length(whole))?;
            end = start.saturating_add(length(whole));
            last = Some(file);
        }
        let first = files.first().copied().unwrap_or(end);
        let state = State { files, last, taken: taken.clamp(first, end.max(first)), end };
        Ok(Self { folder: folder.to_owned(), bound, state: Mutex::new(state) })
    }

    /// Puts a line, which ends with a line feed, behind all others.
    ///
    /// # Errors
    /// [`PutError`]; nothing of the line is kept.
    pub(super) fn put(&self, line: &[u8]) -> Result<(), PutError> {
        let mut state = self.state();
        let waiting = state.end.saturating_sub(state.taken);
        if waiting.saturating_add(length(line.len())) > self.bound {
            return Err(PutError::Full(waiting));
        }
        let full = state.files.last().is_none_or(|start| state.end - start >= FILE);
        if full || state.last.is_none() {
            let start = state.end;
            let file = appended(&self.folder, start)?;
            // One whose first line couldn't be written whole is there already.
            file.set_len(0)?;
            state.last = Some(file);
            if state.files.last() != Some(&start) {
                state.files.push(start);
            }
        }
        let Some(file) = &mut state.last else { return Err(PutError::Full(waiting)) };
        if let Err(error) = file.write_all(line) {
            // What of it was written lies behind the end: the next line begins another file there.
            state.last = None;
            return Err(error.into());
        }
        state.end = state.end.saturating_add(length(line.len()));
        Ok(())
    }

    /// The next lines, of `most` bytes or one line at least; `None` if none waits.
    ///
    /// # Errors
    /// What the disk fails by.
    pub(super) fn next(&self, most: usize) -> io::Result<Option<Batch>> {
        let (start, from, to) = {
            let state = self.state();
            if state.taken == state.end {
                return Ok(None);
            }
            let behind = state.files.partition_point(|start| *start <= state.taken);
            let to = state.files.get(behind).copied().unwrap_or(state.end);
            let start = behind.checked_sub(1).and_then(|at| state.files.get(at).copied());
            (start.unwrap_or(state.taken), state.taken, to)
        };
        let mut file = File::open(self.file(start))?;
        file.seek(SeekFrom::Start(from.saturating_sub(start)))?;
        let mut lines = Vec::new();
        file.take(to.saturating_sub(from)).read_to_end(&mut lines)?;
        let most = most.min(lines.len());
        let is_end = |byte: &u8| *byte == b'\n';
        let (head, tail) = lines.split_at(most);
        let cut = head
            .iter()
            .rposition(is_end)
            .map(|at| at + 1)
            .or_else(|| tail.iter().position(is_end).map(|at| most + at + 1));
        lines.truncate(cut.unwrap_or(lines.len()));
        let end = from.saturating_add(length(lines.len()));
        Ok(Some(Batch { lines, end }))
    }

    /// The lines of a batch were taken.
    ///
    /// # Errors
    /// What the disk fails by; the lines are then given again.
    pub(super) fn taken(&self, batch: &Batch) -> io::Result<()> {
        let fresh = self.folder.join("taken.new");
        std::fs::write(&fresh, batch.end.to_string())?;
        std::fs::rename(fresh, self.folder.join("taken"))?;
        let mut state = self.state();
        state.taken = batch.end;
        // The last file stays: it is being written.
        while let [first, second, ..] = state.files.as_slice()
            && *second <= batch.end
        {
            std::fs::remove_file(self.file(*first))?;
            state.files.remove(0);
        }
        Ok(())
    }

    /// The bytes that wait.
    pub(super) fn waiting(&self) -> u64 {
        let state = self.state();
        state.end.saturating_sub(state.taken)
    }

    fn file(&self, start: u64) -> PathBuf {
        path(&self.folder, start)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(folder: &Path, start: u64) -> PathBuf {
    folder.join(format!("{start:020}.jsonl"))
}

fn appended(folder: &Path, start: u64) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path(folder, start))
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_queue_takes_no_more_until_some_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), 10).unwrap();
        queue.put(b"1234\n").unwrap();
        queue.put(b"6789\n").unwrap();
        assert!(matches!(queue.put(b"\n"), Err(PutError::Full(10))));
        let batch = queue.next(5).unwrap().unwrap();
        assert_eq!(batch.lines, b"1234\n");
        queue.taken(&batch).unwrap();
        queue.put(b"\n").unwrap();
        assert_eq!(queue.next(100).unwrap().unwrap().lines, b"6789\n\n");
    }

    #[test]
    fn a_line_that_was_cut_off_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        Queue::open(folder.path(), 100).unwrap().put(b"one\n").unwrap();
        let mut file = appended(folder.path(), 0).unwrap();
        file.write_all(b"tw").unwrap();
        let queue = Queue::open(folder.path(), 100).unwrap();
        queue.put(b"three\n").unwrap();
        assert_eq!(queue.next(100).unwrap().unwrap().lines, b"one\nthree\n");
    }

    #[test]
    fn files_go_once_all_of_them_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path(), u64::MAX).unwrap();
        let line = [vec![b'x'; 65_535].as_slice(), b"\n"].concat();
        for _ in 0..200 {
            queue.put(&line).unwrap();
        }
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files(), 4);
        let mut taken = 0;
        while let Some(batch) = queue.next(1024 * 1024).unwrap() {
            taken += batch.lines.len();
            queue.taken(&batch).unwrap();
        }
        assert_eq!(taken, 200 * line.len());
        assert_eq!((queue.waiting(), files()), (0, 2), "the last file, and what was taken");
    }

    proptest! {
        /// Whatever is put and taken in whatever order, over whatever restarts: each line once, in order.
        #[test]
        fn lines_come_in_order_and_once(steps in prop::collection::vec((0_u8..4, 0_usize..300), 1..60)) {
            let folder = tempfile::tempdir().unwrap();
            let mut queue = Queue::open(folder.path(), 4000).unwrap();
            let (mut put, mut got) = (Vec::new(), Vec::new());
            for (number, (kind, size)) in steps.into_iter().enumerate() {
                match kind {
                    0 | 1 => {
                        let line = [vec![b'a'; size], format!("{number}\n").into_bytes()].concat();
                        if queue.put(&line).is_ok() {
                            put.extend(line);
                        }
                    }
                    2 => if let Some(batch) = queue.next(size).unwrap() {
                        prop_assert!(batch.lines.ends_with(b"\n"));
                        queue.taken(&batch).unwrap();
                        got.extend(batch.lines);
                    },
                    _ => queue = Queue::open(folder.path(), 4000).unwrap(),
                }
                prop_assert_eq!(queue.waiting(), (put.len() - got.len()) as u64);
                prop_assert!(put.starts_with(&got));
            }
        }
    }
}
