//! Buckets and what they hold.

use jiff::Timestamp;

use crate::{BucketName, Store, StoreError};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// When it was made.
    pub created: Timestamp,
    /// The region its maker named.
    pub region: String,
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
        _name: &BucketName,
        _region: &str,
        _now: Timestamp,
    ) -> Result<Bucket, StoreError> {
        unimplemented!()
    }

    /// Looks a bucket up.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn bucket(&self, _name: &BucketName) -> Result<Bucket, StoreError> {
        unimplemented!()
    }

    /// Deletes an empty bucket. Uploads in progress don't hinder it: they are aborted, as on AWS.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`, `Unavailable`.
    pub async fn delete_bucket(
        &self,
        _name: &BucketName,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Lists the buckets whose name starts with `prefix` and comes after `after`.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn list_buckets(
        &self,
        _prefix: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<BucketPage, StoreError> {
        unimplemented!()
    }

    /// What a bucket holds.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`.
    pub async fn usage(&self, _name: &BucketName) -> Result<Usage, StoreError> {
        unimplemented!()
    }
}
