//! The uploads in progress of a bucket, for those who go over everything that a tenant holds.

use coffer_store::{BucketName, Store, StoreError, Upload, UploadEntry, UploadQuery};

/// Uploads read at once.
const PAGE: usize = 512;

/// All of them; none of a bucket that is gone.
///
/// # Errors
/// The store's.
pub(super) async fn of(store: &Store, bucket: &BucketName) -> Result<Vec<Upload>, StoreError> {
    let mut query = UploadQuery { limit: PAGE, ..UploadQuery::default() };
    let mut uploads = Vec::new();
    loop {
        let page = match store.list_uploads(bucket, &query).await {
            Ok(page) => page,
            Err(StoreError::NoSuchBucket) => return Ok(uploads),
            Err(error) => return Err(error),
        };
        uploads.extend(page.entries.into_iter().filter_map(|entry| match entry {
            UploadEntry::Upload(upload) => Some(*upload),
            UploadEntry::Prefix(_) => None,
        }));
        let Some(next) = page.next else { return Ok(uploads) };
        query.start = next;
    }
}
