//! Uploads in parts.

mod upload;

pub use upload::{
    Part, PartAttributes, PartPage, Upload, UploadAttributes, UploadEntry, UploadId, UploadIdError,
    UploadPage, UploadQuery, UploadStart,
};

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    BucketName, Committed, Content, Object, ObjectAttributes, ObjectKey, Precondition, Store,
    StoreError, content_id, corrupt,
    garbage::throw_away,
    index::{Batch, Condition, Row, Scan, Space, successor},
    listing,
    object::{discard, to_micros},
    record::{
        garbage::Garbage,
        key,
        object::{ObjectRecord, Place, Version},
        part::{Manifest, PartRecord, UploadRecord},
    },
};

/// The parts that S3 allows.
const MAX_PART: u16 = 10_000;

impl Store {
    /// Begins an upload.
    ///
    /// # Errors
    /// `NoSuchBucket`, `OutOfSpace`, `Unavailable`.
    pub async fn create_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        attributes: UploadAttributes,
        now: Timestamp,
    ) -> Result<Upload, StoreError> {
        self.create_upload_as(UploadId::new(now), bucket, key, attributes, now).await
    }

    /// The same under an id that its caller has made, and nobody else uses.
    ///
    /// # Errors
    /// As [`Store::create_upload`].
    pub async fn create_upload_as(
        &self,
        id: UploadId,
        bucket: &BucketName,
        key: &ObjectKey,
        attributes: UploadAttributes,
        now: Timestamp,
    ) -> Result<Upload, StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        self.admit(0)?;
        let record = UploadRecord { initiated: to_micros(now), attributes };
        let mut batch = Batch::default();
        batch.require(Condition::Present(key::alive(bucket)));
        batch.put(Space::Records, key::upload(bucket, key, id), record.encode());
        batch.put(Space::Records, generation_key(id), generation());
        match self.commit(batch).await? {
            Committed::Done => Ok(into_upload(key.clone(), id, record)),
            Committed::Conflict => Err(StoreError::NoSuchBucket),
        }
    }

    /// Looks an upload up.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`, `Corrupt`.
    pub async fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
    ) -> Result<Upload, StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        let read =
            self.get(&key::upload(bucket, key, id)).await?.ok_or(StoreError::NoSuchUpload)?;
        let record = UploadRecord::decode(&read)
            .map_err(|cause| corrupt(format!("upload `{id}`"), cause))?;
        Ok(into_upload(key.clone(), id, record))
    }

    /// Puts a part, in place of one of the same number.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `PartNumber`, `OutOfSpace`, `Unavailable`.
    #[expect(clippy::too_many_arguments, reason = "the call names all that one commit depends on")]
    pub async fn put_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        number: u16,
        mut content: Content,
        attributes: PartAttributes,
        now: Timestamp,
    ) -> Result<Part, StoreError> {
        if !(1..=MAX_PART).contains(&number) {
            return Err(StoreError::PartNumber(number));
        }
        let bucket = self.bucket_id(bucket).await?;
        self.admit(content.stored())?;
        let place = content.place(now);
        let part = Part { number, size: content.size(), modified: to_micros(now), attributes };
        let record = PartRecord { part, stored: content.stored(), place };
        let value = Bytes::from(record.encode());
        let upload = key::upload(bucket, key, id);
        let at = key::part(id, number);
        loop {
            if self.get(&upload).await?.is_none() {
                return Err(StoreError::NoSuchUpload);
            }
            let read = self.get(&at).await?;
            let mut batch = Batch::default();
            if let Some(old) = &read {
                discard(decode_part(id, old)?.place, &mut batch, now);
            }
            content.add_to(place, &mut batch);
            batch.require(Condition::Present(upload.clone()));
            batch.require_unchanged(at.clone(), read);
            batch.put(Space::Records, at.clone(), value.clone());
            batch.put(Space::Records, generation_key(id), generation());
            match content.commit(self, batch).await? {
                Committed::Done => break,
                Committed::Conflict => {}
            }
        }
        Ok(record.part)
    }

    /// Lists the parts with a number greater than `after`.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`, `Corrupt`.
    pub async fn list_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<PartPage, StoreError> {
        self.upload(bucket, key, id).await?;
        let records = self.part_records(id, after, listing::one_more(limit)).await?;
        let mut parts: Vec<Part> = records.into_iter().map(|record| record.part).collect();
        let has_more = parts.len() > limit;
        parts.truncate(limit);
        let next = parts.last().filter(|_| has_more).map(|last| last.number);
        Ok(PartPage { parts, next })
    }

    /// Lists uploads in progress.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn list_uploads(
        &self,
        bucket: &BucketName,
        query: &UploadQuery,
    ) -> Result<UploadPage, StoreError> {
        let table = key::uploads(self.bucket_id(bucket).await?);
        let rows = self.inner.index.scan(scan(&table, query)).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(match row {
                Row::Fold(prefix) => UploadEntry::Prefix(listing::key_text(&prefix, table.len())?),
                Row::Entry(at, value) => {
                    let id = UploadId(*at.last_chunk().ok_or_else(|| StoreError::Corrupt {
                        what: format!("the index's key {at:?}"),
                        cause: None,
                    })?);
                    let record = UploadRecord::decode(&value)
                        .map_err(|cause| corrupt(format!("upload `{id}`"), cause))?;
                    let key = listing::object_key(&at, table.len())?;
                    UploadEntry::Upload(Box::new(into_upload(key, id, record)))
                }
            });
        }
        let has_more = entries.len() > query.limit;
        entries.truncate(query.limit);
        let next = entries.last().filter(|_| has_more).map(|last| match last {
            UploadEntry::Upload(upload) => {
                UploadStart::AfterUpload(upload.key.as_str().to_owned(), upload.id)
            }
            UploadEntry::Prefix(prefix) => UploadStart::AfterPrefix(prefix.clone()),
        });
        Ok(UploadPage { entries, next })
    }

    /// Makes the object of these parts, without rewriting a byte. Parts that are not named are discarded.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `OutOfSpace`, `Unavailable`, and as
    /// [`Precondition`] says; the upload then stays.
    #[expect(clippy::too_many_arguments, reason = "the call names all that one commit depends on")]
    pub async fn complete_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        parts: &[u16],
        attributes: ObjectAttributes,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Object, StoreError> {
        let numbers = parts.iter().map(|number| (*number, None)).collect();
        self.complete(bucket, key, id, numbers, attributes, precondition, now).await
    }

    /// The same of parts as they were listed: one that was put again since is none of them.
    ///
    /// # Errors
    /// As [`Store::complete_upload`].
    #[expect(clippy::too_many_arguments, reason = "the call names all that one commit depends on")]
    pub async fn complete_upload_of(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        parts: &[Part],
        attributes: ObjectAttributes,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Object, StoreError> {
        let parts = parts.iter().map(|part| (part.number, Some(part))).collect();
        self.complete(bucket, key, id, parts, attributes, precondition, now).await
    }

    #[expect(clippy::too_many_arguments, reason = "the call names all that one commit depends on")]
    async fn complete(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        parts: Vec<(u16, Option<&Part>)>,
        attributes: ObjectAttributes,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Object, StoreError> {
        if parts.is_empty() || !parts.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(StoreError::InvalidPartOrder);
        }
        let bucket = self.bucket_id(bucket).await?;
        self.admit(0)?;
        let upload = key::upload(bucket, key, id);
        let object = loop {
            if self.get(&upload).await?.is_none() {
                return Err(StoreError::NoSuchUpload);
            }
            // Read before the parts: a part that is put later changes it.
            let generation = self.get(&generation_key(id)).await?;
            let manifest = Manifest { parts: self.named_parts(id, &parts).await? };
            let manifest_id = content_id(now);
            let record = ObjectRecord {
                version: Version::Null,
                size: sum(&manifest, |part| part.part.size),
                stored: sum(&manifest, |part| part.stored),
                modified: to_micros(now),
                place: Place::Manifest(manifest_id),
                part_count: Some(u16::try_from(manifest.parts.len()).unwrap_or(u16::MAX)),
                attributes: attributes.clone(),
            };
            let mut batch = Batch::default();
            let value = Bytes::from(record.encode());
            self.replace(bucket, key, precondition, &record, value, &mut batch, now).await?;
            batch.require(Condition::Present(upload.clone()));
            batch.require_unchanged(generation_key(id), generation);
            batch.put(Space::Contents, key::manifest(manifest_id), manifest.encode());
            // The parts that are named leave the upload before its rest is thrown away.
            for (number, _) in &parts {
                batch.delete(Space::Records, key::part(id, *number));
            }
            batch.delete(Space::Records, upload.clone());
            throw_away(Garbage::Upload(id), &mut batch, now);
            match self.commit(batch).await? {
                Committed::Done => break Object::new(bucket, key.clone(), record),
                Committed::Conflict => self.still_there(bucket).await?,
            }
        };
        Ok(object)
    }

    /// Discards an upload and its parts.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`.
    pub async fn abort_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        let upload = key::upload(bucket, key, id);
        let mut batch = Batch::default();
        batch.require(Condition::Present(upload.clone()));
        batch.delete(Space::Records, upload);
        throw_away(Garbage::Upload(id), &mut batch, now);
        match self.commit(batch).await? {
            Committed::Done => {}
            Committed::Conflict => return Err(StoreError::NoSuchUpload),
        }
        Ok(())
    }

    async fn named_parts(
        &self,
        id: UploadId,
        numbers: &[(u16, Option<&Part>)],
    ) -> Result<Vec<PartRecord>, StoreError> {
        let mut put = self.part_records(id, 0, usize::from(MAX_PART)).await?.into_iter();
        let mut named = Vec::with_capacity(numbers.len());
        for (number, listed) in numbers {
            // Both are in rising order.
            match put.find(|record| record.part.number >= *number) {
                Some(record)
                    if record.part.number == *number
                        && listed.is_none_or(|listed| *listed == record.part) =>
                {
                    named.push(record);
                }
                Some(_) | None => return Err(StoreError::InvalidPart(*number)),
            }
        }
        Ok(named)
    }

    async fn part_records(
        &self,
        id: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<PartRecord>, StoreError> {
        let scan = Scan {
            space: Space::Records,
            start: key::part(id, after.saturating_add(1)),
            end: successor(&key::parts(id)),
            limit,
            fold: None,
        };
        let mut records = Vec::new();
        for row in self.inner.index.scan(scan).await? {
            if let Row::Entry(_, value) = row {
                records.push(decode_part(id, &value)?);
            }
        }
        Ok(records)
    }
}

fn scan(table: &[u8], query: &UploadQuery) -> Scan {
    let UploadQuery { prefix, delimiter, start, limit } = query;
    let at = |text: &str| listing::at(table, text);
    let first = at(prefix);
    let start = match start {
        UploadStart::Beginning => Vec::new(),
        // The rows of a key all have the terminator next.
        UploadStart::AfterKey(key) => [at(key), vec![0, 1]].concat(),
        UploadStart::AfterUpload(key, UploadId(id)) => {
            [at(key).as_slice(), &key::TERMINATOR, id, [0].as_slice()].concat()
        }
        UploadStart::AfterPrefix(prefix) => successor(&at(prefix)),
    };
    Scan {
        space: Space::Records,
        end: successor(&first),
        fold: listing::fold(first.len(), delimiter.as_deref()),
        start: start.max(first),
        limit: listing::one_more(*limit),
    }
}

fn sum(manifest: &Manifest, of: impl Fn(&PartRecord) -> u64) -> u64 {
    manifest.parts.iter().map(of).fold(0, u64::saturating_add)
}

/// Changes with every part that is put, so that a completion notices a part it didn't read.
fn generation_key(id: UploadId) -> Vec<u8> {
    key::part(id, 0)
}

fn generation() -> Bytes {
    Bytes::copy_from_slice(&rand::random::<[u8; 16]>())
}

fn decode_part(id: UploadId, value: &[u8]) -> Result<PartRecord, StoreError> {
    PartRecord::decode(value).map_err(|cause| corrupt(format!("a part of upload `{id}`"), cause))
}

fn into_upload(key: ObjectKey, id: UploadId, record: UploadRecord) -> Upload {
    let UploadRecord { initiated, attributes } = record;
    Upload { key, id, initiated, attributes }
}
