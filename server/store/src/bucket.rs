//! Buckets and what they hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    BucketName, Committed, IamChange, Store, StoreError, corrupt,
    garbage::throw_away,
    index::{Batch, Condition, Row, Scan, Space, counter, successor},
    object::to_micros,
    record::{
        bucket::BucketRecord,
        field::DecodeError,
        garbage::Garbage,
        key::{self, BucketId},
    },
};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// When it was made.
    pub created: Timestamp,
    /// The region its maker named.
    pub region: String,
    /// How its objects are encrypted unless their writers say; opaque here.
    pub encryption: Option<Vec<u8>>,
    /// Whether what would be stored plain is to be refused; kept here, and held to by who writes.
    pub requires_encryption: bool,
    /// Its tags; none and an empty set are the same.
    pub tags: BTreeMap<String, String>,
    /// What tells it from any other bucket that had, or will have, its name.
    pub number: u64,
}

/// A bucket that may be made as it was planned, if nothing came in between.
#[derive(Debug)]
pub struct PlannedBucket {
    bucket: Bucket,
    batch: Batch,
}

impl PlannedBucket {
    /// What it would be.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

/// What a bucket is to be like, as one hand answers for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// [`Bucket::tags`].
    pub tags: BTreeMap<String, String>,
    /// [`Bucket::encryption`]; `None` leaves what is there.
    pub encryption: Option<Vec<u8>>,
    /// [`Bucket::requires_encryption`].
    pub requires_encryption: bool,
}

/// Exactly what a bucket holds; uploads in progress are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A page of buckets in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPage {
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// If there are more: the name to give as `after`.
    pub next: Option<String>,
}

impl Store {
    /// Makes a bucket.
    ///
    /// # Errors
    /// `BucketExists`, `OutOfSpace`, `Unavailable`.
    pub async fn create_bucket(
        &self,
        name: &BucketName,
        region: &str,
        now: Timestamp,
    ) -> Result<Bucket, StoreError> {
        loop {
            let PlannedBucket { bucket, batch } =
                self.plan_bucket(name, region, &BucketSettings::default(), now).await?;
            match self.commit(batch).await? {
                Committed::Done => return Ok(bucket),
                Committed::Conflict => {}
            }
        }
    }

    /// What a bucket of this name would be, which isn't there. Nothing is made yet.
    ///
    /// # Errors
    /// `BucketExists`, `OutOfSpace`, `Unavailable`.
    pub async fn plan_bucket(
        &self,
        name: &BucketName,
        region: &str,
        settings: &BucketSettings,
        now: Timestamp,
    ) -> Result<PlannedBucket, StoreError> {
        self.admit(0)?;
        let at = key::bucket(name.as_str());
        if self.get(&at).await?.is_some() {
            return Err(StoreError::BucketExists);
        }
        let last = self.get(key::LAST_BUCKET).await?;
        let id = u64::try_from(counter(last.as_deref())).unwrap_or(0).saturating_add(1);
        let id = BucketId(id);
        let record = BucketRecord {
            id,
            created: to_micros(now),
            region: region.to_owned(),
            encryption: settings.encryption.clone(),
            requires_encryption: settings.requires_encryption,
            tags: settings.tags.clone(),
        };
        let mut batch = Batch::default();
        batch.require(Condition::Absent(at.clone()));
        batch.require_unchanged(key::LAST_BUCKET.to_vec(), last);
        batch.add(key::LAST_BUCKET.to_vec(), 1);
        batch.put(Space::Records, at, record.encode());
        batch.put(Space::Records, key::alive(id), Vec::new());
        Ok(PlannedBucket { bucket: into_bucket(name.clone(), record), batch })
    }

    /// Makes a planned bucket and all of these changes of rows of identities durably, or nothing. Answers the new revision, or `None` if
    /// the rows are no longer of the one that the changes were made for, or another bucket was made since.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`: then all of it may have taken place.
    pub async fn make_bucket(
        &self,
        planned: PlannedBucket,
        revision: u64,
        changes: Vec<IamChange>,
    ) -> Result<Option<u64>, StoreError> {
        self.change_iam_with(planned.batch, revision, changes).await
    }

    /// Looks a bucket up.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn bucket(&self, name: &BucketName) -> Result<Bucket, StoreError> {
        let (_, record) = self.bucket_record(name).await?;
        Ok(into_bucket(name.clone(), record))
    }

    /// Sets how a bucket's objects are encrypted unless their writers say. Those that are there stay as they are.
    ///
    /// # Errors
    /// `NoSuchBucket`, `OutOfSpace`, `Unavailable`, `Corrupt`.
    pub async fn set_bucket_encryption(
        &self,
        name: &BucketName,
        encryption: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.change_bucket(name, None, |record| record.encryption.clone_from(&encryption)).await
    }

    /// Sets a bucket's tags.
    ///
    /// # Errors
    /// As [`Store::set_bucket_encryption`].
    pub async fn set_bucket_tags(
        &self,
        name: &BucketName,
        tags: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        self.change_bucket(name, None, |record| record.tags.clone_from(&tags)).await
    }

    /// Makes a bucket what it is to be like, if it is the one of this number; writes nothing where it is so. The objects that are
    /// there stay as they are.
    ///
    /// # Errors
    /// As [`Store::set_bucket_encryption`].
    pub async fn configure_bucket(
        &self,
        name: &BucketName,
        number: u64,
        settings: &BucketSettings,
    ) -> Result<(), StoreError> {
        self.change_bucket(name, Some(number), |record| {
            let BucketSettings { tags, encryption, requires_encryption } = settings;
            if encryption.is_some() {
                record.encryption.clone_from(encryption);
            }
            record.requires_encryption = *requires_encryption;
            record.tags.clone_from(tags);
        })
        .await
    }

    async fn change_bucket(
        &self,
        name: &BucketName,
        number: Option<u64>,
        edit: impl Fn(&mut BucketRecord),
    ) -> Result<(), StoreError> {
        self.admit(0)?;
        loop {
            let (read, before) = self.bucket_record(name).await?;
            if number.is_some_and(|number| number != before.id.0) {
                return Err(StoreError::NoSuchBucket);
            }
            let mut record = before.clone();
            edit(&mut record);
            if record == before {
                return Ok(());
            }
            let at = key::bucket(name.as_str());
            let mut batch = Batch::default();
            batch.require(Condition::Is(at.clone(), read));
            batch.put(Space::Records, at, record.encode());
            match self.commit(batch).await? {
                Committed::Done => return Ok(()),
                Committed::Conflict => {}
            }
        }
    }

    /// Deletes an empty bucket. Uploads in progress don't hinder it: they are aborted, as on AWS.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`, `Unavailable`.
    pub async fn delete_bucket(&self, name: &BucketName, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let (read, record) = self.bucket_record(name).await?;
            let id = record.id;
            let objects = key::objects(id);
            let end = successor(&objects);
            let first = Scan {
                space: Space::Records,
                start: objects.clone(),
                end: end.clone(),
                limit: 1,
                fold: None,
            };
            if !self.inner.index.scan(first).await?.is_empty() {
                return Err(StoreError::BucketNotEmpty);
            }
            let at = key::bucket(name.as_str());
            let mut batch = Batch::default();
            batch.require(Condition::Is(at.clone(), read));
            // Asked again by the committer: no object may slip in between.
            batch.require(Condition::Empty(objects, end));
            batch.delete(Space::Records, at);
            batch.delete(Space::Records, key::alive(id));
            batch.delete(Space::Records, key::object_count(id));
            batch.delete(Space::Records, key::byte_count(id));
            throw_away(Garbage::Bucket(id), &mut batch, now);
            match self.commit(batch).await? {
                Committed::Done => break,
                Committed::Conflict => {}
            }
        }
        Ok(())
    }

    /// Lists the buckets whose name starts with `prefix` and comes after `after`.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn list_buckets(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<BucketPage, StoreError> {
        let all = key::bucket(prefix);
        let end = successor(&all);
        let start = match after {
            Some(after) => all.max([key::bucket(after), vec![0]].concat()),
            None => all,
        };
        let scan =
            Scan { space: Space::Records, start, end, limit: limit.saturating_add(1), fold: None };
        let mut buckets = Vec::new();
        for row in self.inner.index.scan(scan).await? {
            let Row::Entry(key, value) = row else { continue };
            let name = key
                .get(1..)
                .and_then(|name| str::from_utf8(name).ok())
                .and_then(|name| name.parse().ok());
            let name: BucketName = name.ok_or_else(|| StoreError::Corrupt {
                what: format!("the bucket's key {key:?}"),
                cause: None,
            })?;
            let record =
                BucketRecord::decode(&value).map_err(|cause| corrupt_bucket(&name, cause))?;
            buckets.push(into_bucket(name, record));
        }
        let has_more = buckets.len() > limit;
        buckets.truncate(limit);
        let next = buckets.last().filter(|_| has_more).map(|last| last.name.as_str().to_owned());
        Ok(BucketPage { buckets, next })
    }

    /// What a bucket holds.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`.
    pub async fn usage(&self, name: &BucketName) -> Result<Usage, StoreError> {
        let id = self.bucket_id(name).await?;
        let objects = self.get(&key::object_count(id)).await?;
        let bytes = self.get(&key::byte_count(id)).await?;
        let unsigned = |value: Option<Bytes>| u64::try_from(counter(value.as_deref())).unwrap_or(0);
        Ok(Usage { objects: unsigned(objects), bytes: unsigned(bytes) })
    }

    async fn bucket_record(&self, name: &BucketName) -> Result<(Bytes, BucketRecord), StoreError> {
        let read = self.get(&key::bucket(name.as_str())).await?.ok_or(StoreError::NoSuchBucket)?;
        let record = BucketRecord::decode(&read).map_err(|cause| corrupt_bucket(name, cause))?;
        Ok((read, record))
    }

    pub(crate) async fn bucket_id(&self, name: &BucketName) -> Result<BucketId, StoreError> {
        self.bucket_record(name).await.map(|(_, record)| record.id)
    }

    /// After a conflict: the bucket may be what went away.
    pub(crate) async fn still_there(&self, id: BucketId) -> Result<(), StoreError> {
        self.get(&key::alive(id)).await?.map(drop).ok_or(StoreError::NoSuchBucket)
    }
}

fn into_bucket(name: BucketName, record: BucketRecord) -> Bucket {
    let BucketRecord { id, created, region, encryption, requires_encryption, tags } = record;
    Bucket { name, created, region, encryption, requires_encryption, tags, number: id.0 }
}

fn corrupt_bucket(name: &BucketName, cause: DecodeError) -> StoreError {
    corrupt(format!("the record of bucket `{name}`"), cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::in_memory;

    fn name(text: &str) -> BucketName {
        text.parse().unwrap()
    }

    fn row(value: &str) -> Vec<IamChange> {
        vec![IamChange::Put(b"mbphotos".to_vec(), Bytes::copy_from_slice(value.as_bytes()))]
    }

    #[tokio::test]
    async fn a_planned_bucket_is_made_with_its_rows_or_not_at_all() {
        let (store, photos) = (in_memory(), name("photos"));
        let now = Timestamp::UNIX_EPOCH;
        let tags = BTreeMap::from([("team".to_owned(), "media".to_owned())]);
        let settings = BucketSettings { tags: tags.clone(), ..BucketSettings::default() };
        let plan = async || store.plan_bucket(&photos, "r", &settings, now).await.unwrap();
        let is_nothing_there = async || {
            let bucket = store.bucket(&photos).await;
            matches!(bucket, Err(StoreError::NoSuchBucket))
                && store.iam_rows().await.unwrap().rows.iter().all(|(name, _)| name != b"mbphotos")
        };

        let planned = plan().await;
        assert_eq!(
            store.make_bucket(planned, 1, row("1")).await.unwrap(),
            None,
            "a wrong revision"
        );
        assert!(is_nothing_there().await);
        let planned = plan().await;
        let other = vec![IamChange::Put(b"ua".to_vec(), Bytes::new())];
        store.change_iam(0, other).await.unwrap().unwrap();
        assert_eq!(store.make_bucket(planned, 0, row("1")).await.unwrap(), None, "rows changed");
        assert!(is_nothing_there().await);
        let planned = plan().await;
        store.create_bucket(&name("videos"), "r", now).await.unwrap();
        assert_eq!(store.make_bucket(planned, 1, row("1")).await.unwrap(), None, "another bucket");
        assert!(is_nothing_there().await);

        let planned = plan().await;
        let made = planned.bucket().clone();
        assert_eq!(store.make_bucket(planned, 1, row("1")).await.unwrap(), Some(2));
        assert_eq!(store.bucket(&photos).await.unwrap(), made);
        assert_eq!((made.number, made.tags), (2, tags.clone()));
        let again = store.plan_bucket(&photos, "r", &settings, now).await;
        assert!(matches!(again, Err(StoreError::BucketExists)));
    }

    #[tokio::test]
    async fn settings_are_set_on_that_bucket_alone() {
        let (store, photos) = (in_memory(), name("photos"));
        let tags = BTreeMap::from([("team".to_owned(), "media".to_owned())]);
        let made = store.create_bucket(&photos, "r", Timestamp::UNIX_EPOCH).await.unwrap();
        store.set_bucket_encryption(&photos, Some(vec![1])).await.unwrap();
        let settings =
            BucketSettings { tags: tags.clone(), encryption: None, requires_encryption: true };
        store.configure_bucket(&photos, made.number, &settings).await.unwrap();
        let nothing = BucketSettings::default();
        let wrong = store.configure_bucket(&photos, made.number + 1, &nothing).await;
        assert!(matches!(wrong, Err(StoreError::NoSuchBucket)));
        let there = store.bucket(&photos).await.unwrap();
        assert_eq!(
            (there.tags, there.encryption, there.requires_encryption),
            (tags, Some(vec![1]), true)
        );
        store.set_bucket_tags(&photos, BTreeMap::new()).await.unwrap();
        assert_eq!(store.bucket(&photos).await.unwrap().tags, BTreeMap::new());
        let other = BucketSettings { encryption: Some(vec![2]), ..nothing };
        store.configure_bucket(&photos, made.number, &other).await.unwrap();
        let there = store.bucket(&photos).await.unwrap();
        assert_eq!((there.encryption, there.requires_encryption), (Some(vec![2]), false));
    }
}
