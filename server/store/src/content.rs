//! Content on its way in and out.

use std::{
    fmt, mem,
    ops::Range,
    pin::Pin as StdPin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    Stream,
    stream::{self, StreamExt, TryStreamExt},
};
use jiff::Timestamp;

use crate::{
    Committed, Object, Store, StoreError,
    blobs::{BlobId, BlobStream, BlobWriter, Blobs, Pin},
    content_id, corrupt,
    index::{Batch, Space},
    record::{
        key::{self, ContentId},
        object::Place,
        part::{Manifest, PartRecord},
    },
};

/// After so many bytes a writer asks again whether there is room.
const ROOM_CHECK: u64 = 16 << 20;

/// Takes content piece by piece. Writing goes on beside the caller, with at most about 1 MiB waiting. Dropped
/// unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter {
    store: Store,
    expected_length: Option<u64>,
    size: u64,
    /// When to ask for room the next time.
    next_check: u64,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    /// It may still fit into the index.
    Memory(Vec<Bytes>),
    Blob(Box<dyn BlobWriter>, BlobId, Arc<Pin>),
}

impl ContentWriter {
    /// Takes the next bytes; waits while too much waits for the disk.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`. The writer is of no use afterwards.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size >= self.next_check {
            let announced = self.expected_length.unwrap_or(0).saturating_sub(self.next_check);
            self.store.admit(announced.max(bytes.len() as u64))?;
            self.next_check = self.size.saturating_add(ROOM_CHECK);
        }
        match &mut self.sink {
            Sink::Memory(pieces) => {
                if !bytes.is_empty() {
                    pieces.push(bytes);
                }
                if self.size > self.store.inner.inline_limit { self.spill().await } else { Ok(()) }
            }
            Sink::Blob(writer, _, _) => writer.write(bytes).await,
        }
    }

    /// Ends the content and makes it durable.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`.
    pub async fn finish(self) -> Result<Content, StoreError> {
        let Self { store, size, sink, expected_length: _, next_check: _ } = self;
        let form = match sink {
            Sink::Memory(pieces) => Form::Inline(joined(pieces)),
            Sink::Blob(writer, id, pin) => {
                writer.finish().await?;
                Form::Blob(BlobContent {
                    id,
                    pin,
                    blobs: Arc::clone(&store.inner.blobs),
                    owner: Owner::Caller,
                })
            }
        };
        Ok(Content { size, stored: size, form })
    }

    /// Begins the blob: this is too much for the index.
    async fn spill(&mut self) -> Result<(), StoreError> {
        let Sink::Memory(pieces) = &mut self.sink else { return Ok(()) };
        let pieces = mem::take(pieces);
        let id = BlobId::random();
        // Pinned before there is a file, so that no sweep ever sees it unpinned and unnamed.
        let pin = Arc::new(self.store.inner.pins.pin(id));
        let mut writer = self.store.inner.blobs.create(id, self.expected_length).await?;
        for piece in pieces {
            writer.write(piece).await?;
        }
        self.sink = Sink::Blob(writer, id, pin);
        Ok(())
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        all.extend_from_slice(piece);
    }
    all.freeze()
}

/// Durable content that no object names yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Content {
    size: u64,
    stored: u64,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Inline(Bytes),
    Blob(BlobContent),
}

#[derive(Debug)]
struct BlobContent {
    id: BlobId,
    pin: Arc<Pin>,
    blobs: Arc<dyn Blobs>,
    owner: Owner,
}

/// Who decides whether a blob stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Dropped, it goes.
    Caller,
    /// A record names it, or may do so.
    Index,
}

impl Content {
    /// Bytes, as everyone is told.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes, as they lie here.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// The same content, which stands for so many bytes: what is stored of an encrypted object is longer than what it says.
    #[must_use]
    pub fn standing_for(self, size: u64) -> Self {
        Self { size, ..self }
    }

    pub(crate) fn place(&self, now: Timestamp) -> Place {
        match &self.form {
            Form::Inline(bytes) if bytes.is_empty() => Place::Nowhere,
            Form::Inline(_) => Place::Inline(content_id(now)),
            Form::Blob(blob) => Place::Blob(blob.id),
        }
    }

    /// Puts into the batch what makes the content part of the index.
    pub(crate) fn add_to(&self, place: Place, batch: &mut Batch) {
        match (&self.form, place) {
            (Form::Inline(bytes), Place::Inline(id)) => {
                batch.put(Space::Contents, key::inline(id), bytes.clone());
            }
            (Form::Blob(blob), _) => {
                batch.put(Space::Records, key::referenced(blob.id), Vec::new());
                batch.pins.push(Arc::clone(&blob.pin));
            }
            (Form::Inline(_), Place::Nowhere | Place::Blob(_) | Place::Manifest(_)) => {}
        }
    }

    /// Commits a batch that names this content. From here on the blob is removed only if the commit was refused: a
    /// caller that goes away meanwhile, or an outcome that nobody knows, must not take it from under its record.
    pub(crate) async fn commit(
        &mut self,
        store: &Store,
        batch: Batch,
    ) -> Result<Committed, StoreError> {
        self.hand_to(Owner::Index);
        let committed = store.commit(batch).await?;
        match committed {
            Committed::Done => {}
            Committed::Conflict => self.hand_to(Owner::Caller),
        }
        Ok(committed)
    }

    fn hand_to(&mut self, owner: Owner) {
        if let Form::Blob(blob) = &mut self.form {
            blob.owner = owner;
        }
    }
}

impl Drop for BlobContent {
    fn drop(&mut self) {
        if self.owner == Owner::Caller
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (blobs, id) = (Arc::clone(&self.blobs), self.id);
            runtime.spawn(async move {
                if let Err(cause) = blobs.delete(id).await {
                    tracing::warn!(%id, %cause, "a blob that nobody wanted stays until the sweep");
                }
            });
        }
    }
}

/// An object's bytes, in pieces of at most 256 KiB, read ahead. Goes on although the object is deleted.
pub struct ContentReader {
    stream: BlobStream,
    _pins: Vec<Pin>,
}

impl fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentReader").finish_non_exhaustive()
    }
}

impl Stream for ContentReader {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(
        mut self: StdPin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl Store {
    /// Begins content. `expected_length`, if known, refuses early what has no room.
    pub fn writer(&self, expected_length: Option<u64>) -> ContentWriter {
        ContentWriter {
            store: self.clone(),
            expected_length,
            size: 0,
            next_check: 0,
            sink: Sink::Memory(Vec::new()),
        }
    }

    /// Opens these bytes of an object. The reader reads on although the object is deleted or replaced.
    ///
    /// # Errors
    /// `Gone` if it was replaced or deleted since the look-up, `Range`, `Unavailable`, `Corrupt`.
    pub async fn read(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<ContentReader, StoreError> {
        let size = object.size();
        if range.start > range.end || range.end > size {
            return Err(StoreError::Range { start: range.start, end: range.end, size });
        }
        if range.is_empty() {
            return Ok(ContentReader { stream: Box::pin(stream::empty()), _pins: Vec::new() });
        }
        match object.record().place {
            Place::Nowhere => Err(StoreError::Corrupt {
                what: format!(
                    "the record of object `{}`: it has a size and no content",
                    object.key()
                ),
                cause: None,
            }),
            Place::Manifest(id) => self.read_parts(object, id, range).await,
            place @ (Place::Inline(_) | Place::Blob(_)) => {
                let pins = pin(self, place).into_iter().collect();
                match self.read_place(place, range).await {
                    Ok(stream) => Ok(ContentReader { stream, _pins: pins }),
                    Err(cause) => Err(self.explain(object, cause).await),
                }
            }
        }
    }

    /// Opens stored bytes, as they lie here: of an object that was put in one piece with its only part 0, else of the parts at these
    /// places in [`Store::parts`], one range after another.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_stored(
        &self,
        object: &Object,
        ranges: Vec<(usize, Range<u64>)>,
    ) -> Result<ContentReader, StoreError> {
        let places: Vec<(Place, u64)> = match object.record().place {
            Place::Manifest(id) => {
                let manifest = self.manifest(object, id).await?;
                manifest.parts.into_iter().map(|part| (part.place, part.stored)).collect()
            }
            place @ (Place::Nowhere | Place::Inline(_) | Place::Blob(_)) => {
                vec![(place, object.stored_size())]
            }
        };
        let mut pieces = Vec::with_capacity(ranges.len());
        for (index, range) in ranges {
            let (place, size) = places.get(index).copied().unwrap_or((Place::Nowhere, 0));
            if range.start > range.end || range.end > size {
                return Err(StoreError::Range { start: range.start, end: range.end, size });
            }
            pieces.push((place, range));
        }
        if let [(place @ (Place::Inline(_) | Place::Blob(_)), range)] = pieces.as_slice()
            && object.record().part_count.is_none()
        {
            let pins = pin(self, *place).into_iter().collect();
            return match self.read_place(*place, range.clone()).await {
                Ok(stream) => Ok(ContentReader { stream, _pins: pins }),
                Err(cause) => Err(self.explain(object, cause).await),
            };
        }
        self.read_pieces(object, pieces).await
    }

    async fn read_parts(
        &self,
        object: &Object,
        id: ContentId,
        range: Range<u64>,
    ) -> Result<ContentReader, StoreError> {
        let manifest = self.manifest(object, id).await?;
        self.read_pieces(object, pieces(&manifest.parts, &range)).await
    }

    async fn read_pieces(
        &self,
        object: &Object,
        pieces: Vec<(Place, Range<u64>)>,
    ) -> Result<ContentReader, StoreError> {
        let pins = pieces.iter().filter_map(|(place, _)| pin(self, *place)).collect();
        // Had it been replaced before the pins were set, some of its blobs might be gone already.
        if !self.is_current(object).await? {
            return Err(StoreError::Gone);
        }
        let store = self.clone();
        let stream = stream::iter(pieces)
            .then(move |(place, range)| {
                let store = store.clone();
                async move { store.read_place(place, range).await }
            })
            .try_flatten();
        Ok(ContentReader { stream: Box::pin(stream), _pins: pins })
    }

    async fn read_place(&self, place: Place, range: Range<u64>) -> Result<BlobStream, StoreError> {
        match place {
            Place::Nowhere => Ok(Box::pin(stream::empty())),
            Place::Blob(id) => self.inner.blobs.read(id, range).await,
            Place::Inline(id) => {
                let bytes = self
                    .inner
                    .index
                    .get(Space::Contents, &key::inline(id))
                    .await?
                    .ok_or(StoreError::Gone)?;
                let within = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                match within.filter(|(start, end)| start <= end && *end <= bytes.len()) {
                    Some((start, end)) => Ok(Box::pin(stream::iter([Ok(bytes.slice(start..end))]))),
                    None => Err(StoreError::Corrupt {
                        what: "inline content: its length".to_owned(),
                        cause: None,
                    }),
                }
            }
            // A part never has parts.
            Place::Manifest(_) => {
                Err(StoreError::Corrupt { what: "a manifest".to_owned(), cause: None })
            }
        }
    }

    pub(crate) async fn manifest(
        &self,
        object: &Object,
        id: ContentId,
    ) -> Result<Manifest, StoreError> {
        match self.inner.index.get(Space::Contents, &key::manifest(id)).await? {
            Some(value) => Manifest::decode(&value).map_err(|cause| {
                corrupt(format!("the manifest of object `{}`", object.key()), cause)
            }),
            None => Err(self.explain(object, StoreError::Gone).await),
        }
    }

    /// Content that is gone although its record is there is damage, and looking it up again would never end.
    async fn explain(&self, object: &Object, cause: StoreError) -> StoreError {
        if !matches!(cause, StoreError::Gone) {
            return cause;
        }
        match self.is_current(object).await {
            Ok(true) => StoreError::Corrupt {
                what: format!("the content of object `{}`: it is missing", object.key()),
                cause: None,
            },
            Ok(false) => StoreError::Gone,
            Err(cause) => cause,
        }
    }
}

fn pin(store: &Store, place: Place) -> Option<Pin> {
    match place {
        Place::Blob(id) => Some(store.inner.pins.pin(id)),
        Place::Nowhere | Place::Inline(_) | Place::Manifest(_) => None,
    }
}

/// The parts, and the bytes of each, that a range of the whole covers.
fn pieces(parts: &[PartRecord], range: &Range<u64>) -> Vec<(Place, Range<u64>)> {
    let mut pieces = Vec::new();
    let mut at = 0_u64;
    for part in parts {
        let end = at.saturating_add(part.part.size);
        let from = range.start.max(at);
        let to = range.end.min(end);
        if from < to {
            pieces.push((part.place, from.saturating_sub(at)..to.saturating_sub(at)));
        }
        at = end;
    }
    pieces
}
