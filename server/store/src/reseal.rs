//! What seals objects and uploads, exchanged without touching anything else of them: neither content, nor ETag, nor time, nor lock. And
//! where such long work stands, kept in the index.

use bytes::Bytes;

use crate::{
    BucketName, Committed, Object, ObjectKey, Store, StoreError, Upload, corrupt,
    index::{Batch, Condition, Row, Scan, Space, successor},
    listing,
    record::{key, object::ObjectRecord, part::UploadRecord},
};

/// What came of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It is done.
    Done,
    /// The object or upload was replaced, deleted or completed since it was looked up; nothing was changed.
    Changed,
}

impl Store {
    /// The objects of a bucket whose keys are greater than `after`, in their order.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn objects_after(
        &self,
        bucket: &BucketName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Object>, StoreError> {
        let id = self.bucket_id(bucket).await?;
        let table = key::objects(id);
        let start = if after.is_empty() {
            table.clone()
        } else {
            [listing::at(&table, after), vec![0]].concat()
        };
        let end = successor(&table);
        let scan = Scan { space: Space::Records, start, end, limit, fold: None };
        let mut objects = Vec::new();
        for row in self.inner.index.scan(scan).await? {
            let Row::Entry(at, value) = row else { continue };
            let key: ObjectKey = listing::object_key(&at, table.len())?;
            let record = ObjectRecord::decode(&value)
                .map_err(|cause| corrupt(format!("the record of object `{key}`"), cause))?;
            objects.push(Object::new(id, key, record));
        }
        Ok(objects)
    }

    /// Gives an object, as it was looked up, another [`encryption`](crate::ObjectAttributes::encryption).
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`, `Corrupt`.
    pub async fn exchange_encryption(
        &self,
        object: &Object,
        encryption: Vec<u8>,
    ) -> Result<Exchange, StoreError> {
        self.admit(0)?;
        let at = key::object(object.bucket(), object.key());
        let (read, current) = self.current(&at, object.key()).await?;
        if current.as_ref() != Some(object.record()) {
            return Ok(Exchange::Changed);
        }
        let mut record = object.record().clone();
        record.attributes.encryption = Some(encryption);
        let mut batch = Batch::default();
        batch.require(Condition::Present(key::alive(object.bucket())));
        batch.require_unchanged(at.clone(), read);
        batch.put(Space::Records, at, record.encode());
        self.exchanged(batch).await
    }

    /// The same of an upload in progress.
    ///
    /// # Errors
    /// `NoSuchBucket`, `OutOfSpace`, `Unavailable`.
    pub async fn exchange_upload_encryption(
        &self,
        bucket: &BucketName,
        upload: &Upload,
        encryption: Vec<u8>,
    ) -> Result<Exchange, StoreError> {
        self.admit(0)?;
        let at = key::upload(self.bucket_id(bucket).await?, &upload.key, upload.id);
        let Some(read) = self.get(&at).await? else { return Ok(Exchange::Changed) };
        let mut record = UploadRecord::decode(&read)
            .map_err(|cause| corrupt(format!("upload `{}`", upload.id), cause))?;
        if record.attributes != upload.attributes {
            return Ok(Exchange::Changed);
        }
        record.attributes.object.encryption = Some(encryption);
        let mut batch = Batch::default();
        batch.require(Condition::Is(at.clone(), read));
        batch.put(Space::Records, at, record.encode());
        self.exchanged(batch).await
    }

    async fn exchanged(&self, batch: Batch) -> Result<Exchange, StoreError> {
        Ok(match self.commit(batch).await? {
            Committed::Done => Exchange::Done,
            Committed::Conflict => Exchange::Changed,
        })
    }

    /// Where the long work of this name stands, as its worker has written it; opaque here.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn progress(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.get(&key::progress(name)).await
    }

    /// Keeps where the long work of this name stands. Its worker is the only one who writes it.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`.
    pub async fn keep_progress(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.admit(0)?;
        let mut batch = Batch::default();
        batch.put(Space::Records, key::progress(name), value);
        self.commit(batch).await.map(drop)
    }

    /// Forgets where the long work of this name stands.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn forget_progress(&self, name: &str) -> Result<(), StoreError> {
        let at = key::progress(name);
        if self.get(&at).await?.is_none() {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.delete(Space::Records, at);
        self.commit(batch).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        LegalHold, ObjectAttributes, Precondition, Retention, RetentionMode, UploadAttributes,
        model::in_memory,
    };

    #[tokio::test]
    async fn an_exchange_touches_nothing_else_and_loses_to_a_write() {
        let store = in_memory();
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let bucket: BucketName = "photos".parse().unwrap();
        store.create_bucket(&bucket, "r", now).await.unwrap();
        let until = Retention { mode: RetentionMode::Compliance, until: now };
        let put = async |name: &str, content: &'static [u8]| {
            let mut writer = store.writer(None);
            writer.write(Bytes::from_static(content)).await.unwrap();
            let content = writer.finish().await.unwrap().standing_for(1);
            let attributes = ObjectAttributes {
                etag: "e".to_owned(),
                encryption: Some(b"old".to_vec()),
                retention: Some(until),
                legal_hold: LegalHold::On,
                ..ObjectAttributes::default()
            };
            let key = ObjectKey::try_from(name.to_owned()).unwrap();
            store
                .put_object(&bucket, &key, content, attributes, &Precondition::NONE, now)
                .await
                .unwrap()
        };
        let first = put("a", b"sealed").await;
        for name in ["b", "c\0d", "e/f"] {
            put(name, b"sealed").await;
        }
        assert_eq!(
            store.exchange_encryption(&first, b"new".to_vec()).await.unwrap(),
            Exchange::Done
        );
        let usage = store.usage(&bucket).await.unwrap();
        assert_eq!((usage.objects, usage.bytes), (4, 4));
        let found = store.object(&bucket, first.key()).await.unwrap();
        assert_eq!(found.attributes().encryption.as_deref(), Some(&b"new"[..]));
        assert_eq!((found.modified(), found.size(), found.stored_size()), (first.modified(), 1, 6));
        let attributes = found.attributes();
        assert_eq!(attributes.etag, "e");
        assert_eq!((attributes.retention, attributes.legal_hold), (Some(until), LegalHold::On));
        // What was looked up before is no longer what is there.
        assert_eq!(
            store.exchange_encryption(&first, b"newer".to_vec()).await.unwrap(),
            Exchange::Changed
        );
        put("a", b"another").await;
        assert_eq!(
            store.exchange_encryption(&found, b"newer".to_vec()).await.unwrap(),
            Exchange::Changed
        );
        let mut keys = Vec::new();
        let mut after = String::new();
        loop {
            let page = store.objects_after(&bucket, &after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.key().as_str().to_owned();
            keys.extend(page.iter().map(|object| object.key().as_str().to_owned()));
        }
        assert_eq!(keys, ["a", "b", "c\0d", "e/f"]);
        let key = ObjectKey::try_from("a".to_owned()).unwrap();
        let upload =
            store.create_upload(&bucket, &key, UploadAttributes::default(), now).await.unwrap();
        let exchange = async || {
            store.exchange_upload_encryption(&bucket, &upload, b"new".to_vec()).await.unwrap()
        };
        assert_eq!((exchange().await, exchange().await), (Exchange::Done, Exchange::Changed));
        assert_eq!(store.progress("rotation").await.unwrap(), None);
        store.keep_progress("rotation", b"half".to_vec()).await.unwrap();
        assert_eq!(store.progress("rotation").await.unwrap().unwrap(), b"half"[..]);
        for _again in 0..2 {
            store.forget_progress("rotation").await.unwrap();
            assert_eq!(store.progress("rotation").await.unwrap(), None);
        }
    }
}
