//! Rows of identities and policies. What they mean, the server knows; here they are names and bytes, which it has sealed.
//!
//! All of them have one revision: a change is made against the revision that was read, so that two servers of one index never
//! overwrite each other's.

use bytes::Bytes;

use crate::{
    Committed, Store, StoreError,
    index::{Batch, Row, Scan, Space, counter, successor},
    record::key,
};

/// All rows at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IamRows {
    /// Grows with every change.
    pub revision: u64,
    /// Names and values, in the order of the names' bytes.
    pub rows: Vec<(Vec<u8>, Bytes)>,
}

/// A row's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IamChange {
    /// The row is there, with this value.
    Put(Vec<u8>, Bytes),
    /// The row isn't there.
    Delete(Vec<u8>),
}

/// Rows read at once.
const PAGE: usize = 1000;

impl Store {
    /// The revision of the rows.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn iam_revision(&self) -> Result<u64, StoreError> {
        let revision = self.get(key::IAM_REVISION).await?;
        Ok(u64::try_from(counter(revision.as_deref())).unwrap_or(0))
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn iam_rows(&self) -> Result<IamRows, StoreError> {
        loop {
            let revision = self.iam_revision().await?;
            let rows = self.all_iam_rows().await?;
            if self.iam_revision().await? == revision {
                return Ok(IamRows { revision, rows });
            }
        }
    }

    async fn all_iam_rows(&self) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let (mut start, end) = (key::iam(&[]), successor(&key::iam(&[])));
        let mut rows = Vec::new();
        loop {
            let scan = Scan {
                space: Space::Records,
                start: start.clone(),
                end: end.clone(),
                limit: PAGE,
                fold: None,
            };
            let page = self.inner.index.scan(scan).await?;
            let is_last = page.len() < PAGE;
            for row in page {
                let Row::Entry(name, value) = row else { continue };
                start = [&*name, &[0]].concat();
                rows.push((name.get(1..).unwrap_or_default().to_vec(), value));
            }
            if is_last {
                return Ok(rows);
            }
        }
    }

    /// Makes all of these changes durably, or none. Answers the new revision, or `None` if the rows are no longer of the one
    /// that the changes were made for.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`: then the changes may have taken place.
    pub async fn change_iam(
        &self,
        revision: u64,
        changes: Vec<IamChange>,
    ) -> Result<Option<u64>, StoreError> {
        self.change_iam_with(Batch::default(), revision, changes).await
    }

    /// The same with another batch, all or nothing.
    pub(crate) async fn change_iam_with(
        &self,
        mut batch: Batch,
        revision: u64,
        changes: Vec<IamChange>,
    ) -> Result<Option<u64>, StoreError> {
        self.admit(0)?;
        let read = self.get(key::IAM_REVISION).await?;
        if u64::try_from(counter(read.as_deref())).unwrap_or(0) != revision {
            return Ok(None);
        }
        batch.require_unchanged(key::IAM_REVISION.to_vec(), read);
        batch.add(key::IAM_REVISION.to_vec(), 1);
        for change in changes {
            match change {
                IamChange::Put(name, value) => batch.put(Space::Records, key::iam(&name), value),
                IamChange::Delete(name) => batch.delete(Space::Records, key::iam(&name)),
            }
        }
        Ok(match self.commit(batch).await? {
            Committed::Done => Some(revision.saturating_add(1)),
            Committed::Conflict => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::in_memory;

    #[tokio::test]
    async fn changes_are_whole_and_for_one_revision() {
        let store = in_memory();
        let put = |name: &str, value: &str| {
            IamChange::Put(name.as_bytes().to_vec(), Bytes::copy_from_slice(value.as_bytes()))
        };
        let first = vec![put("ua", "1"), put("ub", "2")];
        assert_eq!(store.change_iam(0, first).await.unwrap(), Some(1));
        assert_eq!(store.change_iam(0, vec![put("uc", "3")]).await.unwrap(), None);
        let second = vec![IamChange::Delete(b"ua".to_vec()), put("ub", "4")];
        assert_eq!(store.change_iam(1, second).await.unwrap(), Some(2));
        let rows = vec![(b"ub".to_vec(), Bytes::from_static(b"4"))];
        assert_eq!(store.iam_rows().await.unwrap(), IamRows { revision: 2, rows });
    }

    #[tokio::test]
    async fn rows_are_read_in_pages() {
        let store = in_memory();
        let name = |number: usize| format!("k{number:05}").into_bytes();
        let changes = (0..2500).map(|number| IamChange::Put(name(number), Bytes::new())).collect();
        store.change_iam(0, changes).await.unwrap();
        let rows = store.iam_rows().await.unwrap().rows;
        assert!(rows.iter().map(|(name, _)| name.clone()).eq((0..2500).map(name)));
    }
}
