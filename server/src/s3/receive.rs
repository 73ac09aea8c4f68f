//! Content on its way in: hashed beside the disk's writes, kept only when all that is said of it is true.

use bytes::Bytes;
use coffer_sse::frame::{FrameError, Sealer};
use coffer_sse::mode::Mode;
use coffer_sse::part_key::SealingKey;
use coffer_sse::range::stored_length;
use coffer_store::{Checksum, ChecksumKind, Content, ContentWriter, Store};
use futures_util::StreamExt;
use http::{HeaderMap, header};
use s3s::dto::StreamingBlob;

use super::Handlers;
use super::checksum::{self, Algorithm, Hashed, Hashes, Wanted};
use super::encryption::read::Plain;
use super::fault;
use super::hashing::{Hasher, no_digests};
use crate::answer::Refusal;
use crate::authenticate::{BodyError, Trailers};

/// Content that was received whole and is what its sender says.
#[derive(Debug)]
pub(super) struct Received {
    /// Durable, named by no record yet.
    pub(super) content: Content,
    /// The entity tag: the MD5 of the bytes; of what is under a key that clients have or name it tells nothing.
    /// Source: AWS S3, "Object".
    pub(super) etag: String,
    /// The algorithm that was asked for.
    pub(super) checksum: checksum::Value,
}

impl Received {
    /// The checksum as an object's record has it.
    pub(super) fn full_object(&self) -> Checksum {
        Checksum {
            algorithm: self.checksum.algorithm,
            kind: ChecksumKind::FullObject,
            value: self.checksum.base64(),
        }
    }
}

/// The key that content is sealed under, and the form of encryption that it belongs to.
#[derive(Debug)]
pub(super) struct Under {
    pub(super) key: SealingKey,
    pub(super) mode: Mode,
}

impl Under {
    /// Whether the entity tag of content is its MD5.
    fn shows_md5(under: Option<&Self>) -> bool {
        match under.map(|under| under.mode) {
            None | Some(Mode::S3) => true,
            Some(Mode::Kms | Mode::Customer) => false,
        }
    }
}

/// What the head of a request says of the content that follows.
#[derive(Debug)]
pub(super) struct Announced {
    length: Option<u64>,
    md5: Option<[u8; 16]>,
    wanted: Wanted,
    /// Computed and kept, whatever the client sends to be checked.
    kept: Algorithm,
}

impl Announced {
    /// Reads it; `default` is the checksum that is kept where the request chooses none.
    pub(super) fn read(headers: &HeaderMap, default: Algorithm) -> Result<Self, Refusal> {
        let md5 = headers
            .get("content-md5")
            .map(|value| checksum::md5_of(value.as_bytes()))
            .transpose()?;
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let wanted = checksum::wanted(headers)?;
        let kept = wanted.algorithm().unwrap_or(default);
        Ok(Self { length, md5, wanted, kept })
    }

    /// The same, but it is this algorithm's value that is kept.
    pub(super) fn keeping(mut self, algorithm: Algorithm) -> Self {
        self.kept = algorithm;
        self
    }

    /// The algorithm that the request chose.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.wanted.algorithm()
    }

    /// All that has to be computed; what is kept comes first.
    fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = vec![self.kept];
        algorithms.extend(self.wanted.algorithm().filter(|wanted| *wanted != self.kept));
        algorithms
    }
}

/// Receives a request's content, and seals it if there is a key.
pub(super) async fn receive(
    handlers: &Handlers,
    announced: &Announced,
    body: Option<StreamingBlob>,
    trailers: &Trailers,
    under: Option<Under>,
) -> Result<Received, Refusal> {
    let shows_md5 = Under::shows_md5(under.as_ref());
    let mut writer = Writer::new(&handlers.store, announced.length, under.map(|under| under.key));
    let mut wanted = Hashes::new(&announced.algorithms());
    if shows_md5 || announced.md5.is_some() {
        wanted = wanted.with_md5();
    }
    let mut hasher = Hasher::new(&handlers.desk, wanted, announced.length);
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| match error.downcast_ref::<BodyError>() {
                Some(error) => error.refusal(),
                None => Refusal::new("IncompleteBody", 400, "The request's body ended early."),
            })?;
            hasher = hasher.update(&piece).await?;
            writer.write(piece).await?;
        }
    }
    let Hashed { md5, checksums } = hasher.finish().await?;
    let checksum = checksums.first().cloned().ok_or_else(no_digests)?;
    if announced.md5.is_some() && announced.md5 != md5 {
        return Err(checksum::bad_digest("Content-MD5"));
    }
    announced.wanted.check(Hashed { md5: None, checksums }, trailers)?;
    // Durable only now: what isn't true is dropped with the writer.
    let content = writer.finish().await?;
    Ok(Received { content, etag: etag(md5.filter(|_| shows_md5)), checksum })
}

/// Receives content that the store itself has, for a copy.
pub(super) async fn receive_copy(
    handlers: &Handlers,
    mut reader: Plain,
    length: u64,
    algorithm: Algorithm,
    under: Option<Under>,
) -> Result<Received, Refusal> {
    let mut wanted = Hashes::new(&[algorithm]);
    if Under::shows_md5(under.as_ref()) {
        wanted = wanted.with_md5();
    }
    let mut writer = Writer::new(&handlers.store, Some(length), under.map(|under| under.key));
    let mut hasher = Hasher::new(&handlers.desk, wanted, Some(length));
    while let Some(piece) = reader.next().await {
        let piece = piece.map_err(|error| fault::refusal(&error))?;
        hasher = hasher.update(&piece).await?;
        writer.write(piece).await?;
    }
    let Hashed { md5, checksums } = hasher.finish().await?;
    let checksum = checksums.into_iter().next().ok_or_else(no_digests)?;
    let content = writer.finish().await?;
    Ok(Received { content, etag: etag(md5), checksum })
}

fn etag(md5: Option<[u8; 16]>) -> String {
    hex::encode(md5.unwrap_or_else(rand::random))
}

/// Where content goes: plain, or frame by frame under its key.
struct Writer {
    store: ContentWriter,
    sealer: Option<Sealer>,
    sealed: Vec<Bytes>,
}

impl Writer {
    fn new(store: &Store, length: Option<u64>, key: Option<SealingKey>) -> Self {
        let stored = match &key {
            Some(_) => length.and_then(stored_length),
            None => length,
        };
        Self { store: store.writer(stored), sealer: key.map(Sealer::new), sealed: Vec::new() }
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), Refusal> {
        let Some(sealer) = &mut self.sealer else {
            return self.store.write(piece).await.map_err(|error| fault::refusal(&error));
        };
        sealer.push(piece, &mut self.sealed).map_err(not_sealed)?;
        self.pass_on().await
    }

    async fn finish(mut self) -> Result<Content, Refusal> {
        let sealed = match self.sealer.take() {
            Some(sealer) => Some(sealer.finish(&mut self.sealed).map_err(not_sealed)?),
            None => None,
        };
        self.pass_on().await?;
        let content = self.store.finish().await.map_err(|error| fault::refusal(&error))?;
        Ok(match sealed {
            Some(plain) => content.standing_for(plain),
            None => content,
        })
    }

    async fn pass_on(&mut self) -> Result<(), Refusal> {
        for frame in self.sealed.drain(..) {
            self.store.write(frame).await.map_err(|error| fault::refusal(&error))?;
        }
        Ok(())
    }
}

fn not_sealed(cause: FrameError) -> Refusal {
    match cause {
        FrameError::TooLong => {
            Refusal::new("EntityTooLarge", 400, "What is encrypted can have 256 TiB at most.")
        }
        FrameError::Changed(_) | FrameError::CutOff | FrameError::Surplus | FrameError::Failed => {
            tracing::error!(error = &cause as &dyn std::error::Error, "can't encrypt");
            Refusal::new("InternalError", 500, "The content could not be encrypted.")
        }
    }
}
