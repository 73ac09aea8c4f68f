//! A garbage record: what is to be deleted later.

use super::{
    field::{DecodeError, Encoder, record},
    key::{BucketId, ContentId},
};
use crate::{UploadId, blobs::BlobId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Garbage {
    /// A blob that nothing names any more.
    Blob(BlobId),
    /// A manifest and all that it names.
    Manifest(ContentId),
    /// The parts of an upload that is no more.
    Upload(UploadId),
    /// The uploads of a bucket that is no more.
    Bucket(BucketId),
}

impl Garbage {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut encoder = Encoder::record();
        match self {
            Self::Blob(BlobId(id)) => encoder.bytes(1, &id),
            Self::Manifest(ContentId(id)) => encoder.bytes(2, &id),
            Self::Upload(UploadId(id)) => encoder.bytes(3, &id),
            Self::Bucket(BucketId(id)) => encoder.number(4, id),
        };
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let field = record(bytes)?.next().ok_or(DecodeError::Short)??;
        match field.tag {
            1 => Ok(Self::Blob(BlobId(field.array()?))),
            2 => Ok(Self::Manifest(ContentId(field.array()?))),
            3 => Ok(Self::Upload(UploadId(field.array()?))),
            4 => Ok(Self::Bucket(BucketId(field.number()?))),
            tag => Err(DecodeError::Unknown(tag)),
        }
    }
}
