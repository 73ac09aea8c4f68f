//! The one thread that writes: it makes one durable write of all batches that wait.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use fjall::PersistMode;
use tokio::sync::oneshot;

use super::{Engine, Shared, reopening, unavailable};
use crate::index::{Batch, CommitError, group::Group};

/// A batch that waits, and who waits for it.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<(), CommitError>>,
}

/// More batches make a write longer than the wait they save.
const MAX_GROUP: usize = 256;
/// So many bytes end a group.
const MAX_GROUP_BYTES: usize = 8 << 20;
/// The first and the longest wait between two attempts to reopen.
const REOPEN_BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long a reopened engine may take to write its tables.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// How long a commit may wait for the engine's background work.
const STALL_LIMIT: Duration = Duration::from_secs(10);
/// Memtables that wait for their flush, for the next commit to wait too.
const MAX_SEALED: usize = 2;
/// Tables that wait for their compaction, for the next commit to wait too.
const MAX_TABLES: usize = 24;

/// Works until the queue closes.
pub(super) fn run(shared: &Shared, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let Some(engine) = shared.engine.load_full() else {
            // Only this thread empties the slot, and it fills it again before it comes here.
            refuse(first);
            continue;
        };
        if let Err(cause) = commit(&engine, gather(first, requests)) {
            tracing::error!(
                cause = &cause as &dyn std::error::Error,
                "a write to the index failed; reopening it"
            );
            shared.engine.store(None);
            drop(engine);
            if reopen(shared, requests) == Reopened::QueueClosed {
                return;
            }
        }
    }
}

fn gather(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.batch.weight();
    let mut group = vec![first];
    while group.len() < MAX_GROUP
        && bytes < MAX_GROUP_BYTES
        && let Ok(next) = requests.try_recv()
    {
        bytes = bytes.saturating_add(next.batch.weight());
        group.push(next);
    }
    group
}

/// Commits what can be committed and answers each request. Fails if the engine did.
fn commit(engine: &Engine, requests: Vec<Request>) -> Result<(), fjall::Error> {
    let mut group = Group::default();
    let mut admitted = Vec::with_capacity(requests.len());
    for Request { mut batch, answer } in requests {
        match group.admit(engine, &mut batch) {
            // The batch's pins are held until it is answered.
            Ok(()) => admitted.push((batch, answer)),
            Err(refusal) => reply(answer, Err(refusal)),
        }
    }
    let written = write(engine, group);
    for (batch, answer) in admitted {
        reply(
            answer,
            match &written {
                Ok(()) => Ok(()),
                Err(cause) => Err(unavailable(Described(cause.to_string())).into()),
            },
        );
        drop(batch);
    }
    written
}

fn write(engine: &Engine, group: Group) -> Result<(), fjall::Error> {
    if group.is_empty() {
        return Ok(());
    }
    wait_for_flushes(engine)?;
    let mut batch = engine.db.batch().durability(Some(PersistMode::SyncData));
    for (space, key, value) in group.into_changes() {
        match value {
            Some(value) => batch.insert(engine.space(space), key, &*value),
            None => batch.remove(engine.space(space), key),
        }
    }
    batch.commit()
}

/// Waits until the engine's background work has caught up, but not for ever: the engine itself would, within a commit,
/// and on a full disk its flushes never end.
fn wait_for_flushes(engine: &Engine) -> Result<(), fjall::Error> {
    let until = Instant::now() + STALL_LIMIT;
    while [&engine.records, &engine.contents].iter().any(|keyspace| is_behind(keyspace)) {
        if Instant::now() >= until {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// One commit can add one sealed memtable and one table to these; the engine stops at 4 and 30.
fn is_behind(keyspace: &fjall::Keyspace) -> bool {
    keyspace.sealed_memtable_count() >= MAX_SEALED || keyspace.l0_table_count() >= MAX_TABLES
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reopened {
    Yes,
    QueueClosed,
}

/// Opens the engine anew, refusing what arrives meanwhile.
fn reopen(shared: &Shared, requests: &Receiver<Request>) -> Reopened {
    let (mut backoff, longest) = REOPEN_BACKOFF;
    loop {
        let until = Instant::now() + backoff;
        loop {
            match requests.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(request) => refuse(request),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Reopened::QueueClosed,
            }
        }
        match Engine::open(&shared.folder, &shared.sizes).and_then(settle) {
            Ok(engine) => {
                tracing::info!("the index works again");
                shared.engine.store(Some(Arc::new(engine)));
                return Reopened::Yes;
            }
            Err(cause) => tracing::warn!(
                cause = &cause as &dyn std::error::Error,
                retry_in = ?backoff,
                "the index can't be reopened yet"
            ),
        }
        backoff = backoff.saturating_mul(2).min(longest);
    }
}

/// Writes what the journal gave back into tables of its own. After a failed sync the kernel may hold pages of the
/// journal as clean that never reached the disk: what is acknowledged from now on must not depend on them.
fn settle(engine: Engine) -> Result<Engine, fjall::Error> {
    let until = Instant::now() + SETTLE_LIMIT;
    for keyspace in [&engine.records, &engine.contents] {
        keyspace.rotate_memtable()?;
    }
    // The engine's own waiting has no end, and on a full disk the flush never comes.
    while [&engine.records, &engine.contents]
        .iter()
        .any(|keyspace| keyspace.sealed_memtable_count() > 0)
    {
        if Instant::now() >= until {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(engine)
}

fn refuse(request: Request) {
    reply(request.answer, Err(reopening().into()));
}

fn reply(answer: oneshot::Sender<Result<(), CommitError>>, result: Result<(), CommitError>) {
    // A caller that went away is no fault.
    drop(answer.send(result));
}

/// An engine's error, told to many.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Described(String);
