//! Reads of what may be encrypted: who may, by which key, and the content frame by frame.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use coffer_policy::Action;
use coffer_sse::frame;
use coffer_sse::object_key::{Content, ObjectKey as Key, Opener, Protection, Write};
use coffer_sse::part_key::{Part as TaggedPart, PartId, PartsTag, SealingKey, WHOLE};
use coffer_sse::range::{self, Selection};
use coffer_store::{
    BucketName, ContentReader, Object, ObjectKey, Part, PartSummary, StoreError, Upload, UploadId,
};
use futures_util::stream::{self, BoxStream, StreamExt};
use http::HeaderMap;

use super::asked::{Customer, Form};
use super::choose::{self, Protector, Sealing};
use super::record::Record;
use super::{To, VERSION, fault, place, tell};
use crate::answer::Refusal;
use crate::s3::{Context, Handlers};
use coffer_sse::bucket_key::BucketKey;

/// Content as its reader gets it.
pub(in crate::s3) type Plain = BoxStream<'static, Result<Bytes, StoreError>>;

/// Why a read fails.
#[derive(Debug)]
pub(in crate::s3) enum Failed {
    /// In the store: what is gone may be looked up again.
    Store(StoreError),
    /// For good.
    Refused(Refusal),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a request wants of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::s3) enum Wants {
    /// Its content, or its checksum, which tells of it.
    Content,
    /// What is said about it.
    Description,
}

/// An object that a request may read.
#[derive(Debug)]
pub(in crate::s3) struct Access<'a> {
    bucket: &'a BucketName,
    object: &'a Object,
    customer: Option<&'a Customer>,
    record: Option<Record>,
}

impl<'a> Access<'a> {
    /// Asks whether the request gives what the object needs: the customer's key, or the permission to use the KMS's.
    ///
    /// # Errors
    /// `InvalidRequest` for parameters that are missing or don't apply, `AccessDenied`.
    pub(in crate::s3) fn new(
        context: &Context,
        bucket: &'a BucketName,
        object: &'a Object,
        customer: Option<&'a Customer>,
        wants: Wants,
    ) -> Result<Self, Refusal> {
        let record = Record::of(object.key(), object.attributes().encryption.as_deref())?;
        match (record.as_ref().map(|record| record.sealed.protection()), customer) {
            (None, None) => {
                // Ciphertext must not pass for content because its record was cut.
                if object.stored_size() != object.size() {
                    return Err(fault::damaged(
                        object.key(),
                        "it has lost the record of its encryption",
                    ));
                }
            }
            (Some(Protection::S3(_)), None) | (Some(Protection::Customer(_)), Some(_)) => {}
            (Some(Protection::Kms(key)), None) => {
                if wants == Wants::Content {
                    context.authorized.may_use(Action::KmsDecrypt, &key.name, &key.client)?;
                }
            }
            (Some(Protection::Customer(_)), None) => return Err(fault::no_parameters()),
            (None | Some(Protection::S3(_) | Protection::Kms(_)), Some(_)) => {
                return Err(fault::not_applicable());
            }
        }
        Ok(Self { bucket, object, customer, record })
    }

    /// The headers that tell how it is encrypted.
    pub(in crate::s3) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(record) = &self.record {
            tell(record, self.customer, To::Read, headers);
        }
    }

    /// Compares a customer's key with the object's, without reading it.
    ///
    /// # Errors
    /// `AccessDenied` for another key.
    pub(in crate::s3) fn check_customer(&self, handlers: &Handlers) -> Result<(), Refusal> {
        match (&self.record, self.customer) {
            (Some(record), Some(customer)) => {
                self.open(handlers, record, Opener::Customer(&customer.key)).map(drop)
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Opens these bytes of its content.
    ///
    /// # Errors
    /// [`Failed`].
    pub(in crate::s3) async fn read(
        &self,
        handlers: &Handlers,
        range: Range<u64>,
    ) -> Result<Plain, Failed> {
        let Some(record) = &self.record else {
            return Ok(handlers.store.read(self.object, range).await?.boxed());
        };
        let key = self.key(handlers, record).await?;
        let frames = match record.sealed.content() {
            Content::Whole(id) => self.whole(&key, id, range)?,
            Content::Parts(tag) => {
                let parts = handlers.store.parts(self.object).await?;
                self.parts(&key, Some(tag), &parts, range)?
            }
            Content::Upload if record.upload.is_some() => {
                let parts = handlers.store.parts(self.object).await?;
                self.parts(&key, None, &parts, range)?
            }
            Content::Upload => return Err(self.damaged("it is encrypted as no object is").into()),
        };
        let ranges = frames.iter().map(|frames| (frames.index, frames.stored.clone())).collect();
        let reader = handlers.store.read_stored(self.object, ranges).await?;
        Ok(opened(self.object.key().clone(), reader, frames))
    }

    async fn key(&self, handlers: &Handlers, record: &Record) -> Result<Key, Refusal> {
        match (record.sealed.bucket_key(), self.customer) {
            (Some(sealed), _) => {
                let keys = handlers.encryption.keys.as_deref().ok_or_else(no_kms)?;
                let opened = keys.for_opening(sealed, self.bucket.as_str()).await;
                let key = opened.map_err(|error| fault::kms(&error))?;
                self.open(handlers, record, Opener::BucketKey(&key))
            }
            (None, Some(customer)) => self.open(handlers, record, Opener::Customer(&customer.key)),
            (None, None) => Err(fault::no_parameters()),
        }
    }

    fn open(
        &self,
        handlers: &Handlers,
        record: &Record,
        opener: Opener<'_>,
    ) -> Result<Key, Refusal> {
        let upload = record.upload.as_ref().map(UploadId::to_string);
        let write = upload.as_deref().map_or(Write::Version(VERSION), Write::Upload);
        let key = self.object.key();
        let place = place(&handlers.encryption.tenant, self.bucket, key, write);
        record.sealed.open(opener, &place).map_err(|error| fault::opening(key, error))
    }

    fn whole(&self, key: &Key, id: PartId, range: Range<u64>) -> Result<Vec<Frames>, Refusal> {
        let (size, stored) = (self.object.size(), self.object.stored_size());
        if range::stored_length(size) != Some(stored) || self.object.part_count().is_some() {
            return Err(self.damaged("its size isn't that of what is stored"));
        }
        let key = key.part(WHOLE, id).map_err(fault::crypto)?;
        let selection = Selection::new(size, range);
        let selection = selection.ok_or_else(|| self.damaged("its size can't be"))?;
        Ok(vec![Frames::new(0, key, selection)])
    }

    fn parts(
        &self,
        key: &Key,
        tag: Option<PartsTag>,
        parts: &[PartSummary],
        range: Range<u64>,
    ) -> Result<Vec<Frames>, Refusal> {
        let tagged =
            parts.iter().map(|part| tagged(part.number, part.size, part.encryption.as_deref()));
        let tagged: Option<Vec<TaggedPart>> = tagged.collect();
        let tagged = tagged.ok_or_else(|| self.damaged("a part's record is damaged"))?;
        let is_whole = match tag {
            Some(tag) => key.has_parts(&tag, tagged.iter().copied()).map_err(fault::crypto)?,
            None => tagged.is_sorted_by(|a, b| a.number < b.number),
        };
        let size = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size));
        if !is_whole || size != self.object.size() {
            return Err(self.damaged("its parts aren't those that it was completed from"));
        }
        let mut frames = Vec::new();
        let mut at: u64 = 0;
        for (index, (part, tagged)) in parts.iter().zip(&tagged).enumerate() {
            let end = at.saturating_add(part.size);
            let (from, to) = (range.start.max(at), range.end.min(end));
            // An empty part has a frame too, which says that it is empty.
            if from < to || (part.size == 0 && range.start <= at && at <= range.end) {
                if range::stored_length(part.size) != Some(part.stored) {
                    return Err(self.damaged("a part's size isn't that of what is stored"));
                }
                let within = from.saturating_sub(at)..to.saturating_sub(at);
                let selection = Selection::new(part.size, within);
                let selection = selection.ok_or_else(|| self.damaged("a part's size can't be"))?;
                let key = key.part(tagged.number, tagged.id).map_err(fault::crypto)?;
                frames.push(Frames::new(index, key, selection));
            }
            at = end;
        }
        Ok(frames)
    }

    fn damaged(&self, what: &str) -> Refusal {
        fault::damaged(self.object.key(), what)
    }
}

fn tagged(number: u16, size: u64, encryption: Option<&[u8]>) -> Option<TaggedPart> {
    let id = PartId::decode(encryption?)?;
    Some(TaggedPart { number: u32::from(number), id, plain_length: size })
}

/// What was encrypted while there was a KMS is read when there is one.
fn no_kms() -> Refusal {
    tracing::error!("an object is encrypted by a key of a KMS, and none is configured");
    Refusal::new(
        "InternalError",
        500,
        "The object is encrypted by a key of a KMS, and this server is configured without one.",
    )
}

/// The frames to read of one part.
struct Frames {
    index: usize,
    opener: frame::Opener,
    stored: Range<u64>,
}

impl Frames {
    fn new(index: usize, key: coffer_sse::part_key::OpeningKey, selection: Selection) -> Self {
        let stored = selection.stored();
        Self { index, opener: frame::Opener::new(key, selection), stored }
    }
}

struct Opening {
    of: ObjectKey,
    reader: ContentReader,
    /// What was read and not opened yet.
    rest: Bytes,
    left: VecDeque<(frame::Opener, u64)>,
    ready: VecDeque<Bytes>,
}

/// The plaintext of these frames, which `reader` gives one after another.
fn opened(of: ObjectKey, reader: ContentReader, frames: Vec<Frames>) -> Plain {
    let left = frames.into_iter().map(|Frames { index: _, opener, stored }| {
        (opener, stored.end.saturating_sub(stored.start))
    });
    let opening =
        Opening { of, reader, rest: Bytes::new(), left: left.collect(), ready: VecDeque::new() };
    stream::try_unfold(opening, Opening::next).boxed()
}

impl Opening {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some((bytes, self)));
            }
            let Some((opener, left)) = self.left.front_mut() else { return Ok(None) };
            if *left == 0 {
                if let Some((opener, _)) = self.left.pop_front() {
                    opener
                        .finish()
                        .map_err(|error| fault::corrupt(&self.of, &error.to_string()))?;
                }
                continue;
            }
            if self.rest.is_empty() {
                self.rest = match self.reader.next().await {
                    Some(bytes) => bytes?,
                    None => {
                        return Err(fault::corrupt(&self.of, "its content was cut off"));
                    }
                };
            }
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(self.rest.len());
            let bytes = self.rest.split_to(taken);
            *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
            let mut plain = Vec::new();
            opener
                .push(bytes, &mut plain)
                .map_err(|error| fault::corrupt(&self.of, &error.to_string()))?;
            self.ready.extend(plain);
        }
    }
}

/// The key of an upload, opened to seal its parts or to complete it. `None`: the upload is plain.
pub(in crate::s3) struct Uploading {
    sealing: Sealing,
    record: Record,
}

impl fmt::Debug for Uploading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uploading({:?})", self.sealing)
    }
}

/// Opens an upload's key for one of its parts.
///
/// # Errors
/// `InvalidRequest` for a customer's key that is missing, another, or not asked for; `AccessDenied`; the KMS's.
pub(in crate::s3) async fn for_part(
    handlers: &Handlers,
    context: &Context,
    bucket: &BucketName,
    upload: &Upload,
) -> Result<Option<Uploading>, Refusal> {
    let invalid = |message| Refusal::new("InvalidRequest", 400, message);
    let customer = context.encryption.customer.as_ref();
    let record = Record::of(&upload.key, upload.attributes.object.encryption.as_deref())?;
    agrees(context, record.as_ref())?;
    let Some(record) = record else {
        return match customer {
            Some(_) => Err(invalid(
                "The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters.",
            )),
            None => stays_plain(handlers, bucket).await.map(|()| None),
        };
    };
    match (record.sealed.protection(), customer) {
        (Protection::Customer(_), None) => Err(invalid(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
        )),
        (Protection::S3(_) | Protection::Kms(_), Some(_)) => Err(invalid(
            "The multipart upload initiate did not request encryption with a customer's key. Please resend the request without sending encryption parameters.",
        )),
        (Protection::Customer(_) | Protection::S3(_) | Protection::Kms(_), _) => {
            open_upload(handlers, context, bucket, upload, record).await.map(Some)
        }
    }
}

/// Whether an upload that began plain may go on.
async fn stays_plain(handlers: &Handlers, bucket: &BucketName) -> Result<(), Refusal> {
    if handlers.encryption.required {
        return Err(choose::plain(choose::By::Tenant));
    }
    let bucket =
        handlers.store.bucket(bucket).await.map_err(|error| crate::s3::fault::refusal(&error))?;
    if bucket.requires_encryption { Err(choose::plain(choose::By::Bucket)) } else { Ok(()) }
}

/// Refuses a form that isn't its upload's.
fn agrees(context: &Context, record: Option<&Record>) -> Result<(), Refusal> {
    match (&context.encryption.form, record) {
        (None, _) => Ok(()),
        (Some(form), Some(record)) if repeats(form, record.sealed.protection()) => Ok(()),
        (Some(_), _) => Err(Refusal::new(
            "InvalidRequest",
            400,
            "The request asks for another encryption than its upload did. Please resend it without encryption parameters.",
        )),
    }
}

/// Whether a part asks for what its upload has.
fn repeats(form: &Form, protection: &Protection) -> bool {
    match (form, protection) {
        (Form::S3, Protection::S3(_)) => true,
        (Form::Kms { key, context: _ }, Protection::Kms(sealed)) => {
            key.as_ref().is_none_or(|key| *key == sealed.name)
        }
        (Form::S3 | Form::Kms { .. }, _) => false,
    }
}

async fn open_upload(
    handlers: &Handlers,
    context: &Context,
    bucket: &BucketName,
    upload: &Upload,
    record: Record,
) -> Result<Uploading, Refusal> {
    let id = upload.id.to_string();
    let place = place(&handlers.encryption.tenant, bucket, &upload.key, Write::Upload(&id));
    let bucket_key = async |sealed: &coffer_sse::object_key::SealedBucketKey| {
        let keys = handlers.encryption.keys.as_deref().ok_or_else(no_kms)?;
        let opened = keys.for_opening(sealed, bucket.as_str()).await;
        let plain = opened.map_err(|error| fault::kms(&error))?;
        Ok::<_, Refusal>(BucketKey::reopened(sealed.clone(), plain))
    };
    let upper = match (record.sealed.protection(), &context.encryption.customer) {
        (Protection::S3(sealed), _) => Protector::S3(bucket_key(sealed).await?),
        (Protection::Kms(sealed), _) => {
            context.authorized.may_use(Action::KmsDecrypt, &sealed.name, &sealed.client)?;
            Protector::Kms(bucket_key(sealed).await?)
        }
        (Protection::Customer(_), Some(customer)) => Protector::Customer(customer.clone()),
        (Protection::Customer(_), None) => return Err(fault::no_parameters()),
    };
    let opener = match &upper {
        Protector::S3(key) | Protector::Kms(key) => Opener::BucketKey(key.plain()),
        Protector::Customer(customer) => Opener::Customer(&customer.key),
    };
    let key = record.sealed.open(opener, &place).map_err(|error| match error {
        coffer_sse::object_key::OpenError::WrongCustomerKey => Refusal::new(
            "InvalidRequest",
            400,
            "The provided encryption parameters did not match the ones used originally.",
        ),
        other => fault::opening(&upload.key, other),
    })?;
    Ok(Uploading { sealing: Sealing { key, upper }, record })
}

impl Uploading {
    /// The key for one sending of a part, and what its record keeps.
    pub(in crate::s3) fn part(&self, number: u16) -> Result<(SealingKey, Vec<u8>), Refusal> {
        let (key, id) = self.sealing.key.new_part(u32::from(number)).map_err(fault::crypto)?;
        Ok((key, id.encode()))
    }

    /// The form of encryption.
    pub(in crate::s3) fn mode(&self) -> coffer_sse::mode::Mode {
        self.sealing.mode()
    }

    /// The headers that tell how a part is encrypted.
    pub(in crate::s3) fn tell(&self, headers: &mut HeaderMap) {
        tell(&self.record, self.sealing.customer(), To::Read, headers);
    }
}

/// What the record of an object that an upload is completed to keeps. `None`: the upload is plain.
///
/// # Errors
/// `InvalidRequest` for another customer's key; `AccessDenied`; the KMS's.
pub(in crate::s3) async fn for_completion(
    handlers: &Handlers,
    context: &Context,
    bucket: &BucketName,
    upload: &Upload,
    parts: &[Part],
) -> Result<Option<Record>, Refusal> {
    let key = &upload.key;
    let record = Record::of(key, upload.attributes.object.encryption.as_deref())?;
    agrees(context, record.as_ref())?;
    let customer = context.encryption.customer.as_ref();
    let Some(record) = record else {
        if customer.is_some() {
            return Err(fault::not_applicable());
        }
        // It may have begun before the bucket required more.
        stays_plain(handlers, bucket).await?;
        return Ok(None);
    };
    match (record.sealed.protection(), customer) {
        // Many clients complete without the key: then the object's is left as the upload has it.
        (Protection::Customer(_), None) => {
            return Ok(Some(Record { upload: Some(upload.id), ..record }));
        }
        (Protection::S3(_) | Protection::Kms(_), Some(_)) => return Err(fault::not_applicable()),
        (Protection::Customer(_), Some(_)) | (Protection::S3(_) | Protection::Kms(_), None) => {}
    }
    let Uploading { sealing, record: _ } =
        open_upload(handlers, context, bucket, upload, record).await?;
    let tagged = parts
        .iter()
        .map(|part| tagged(part.number, part.size, part.attributes.encryption.as_deref()));
    let tagged: Option<Vec<TaggedPart>> = tagged.collect();
    let tagged = tagged.ok_or_else(|| fault::damaged(key, "a part's record is damaged"))?;
    let tag = sealing.key.parts_tag(tagged).map_err(fault::crypto)?;
    sealing.parts(&handlers.encryption.tenant, bucket, key, tag).map(Some)
}
