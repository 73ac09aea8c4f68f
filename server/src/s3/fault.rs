//! What the store says, as S3 says it.

use coffer_store::StoreError;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use s3s::S3Error;
use tracing::error;

use crate::answer::Refusal;

/// The answer to a failure of the store. What a person has to look after is logged here, once.
pub(super) fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::NoSuchBucket => {
            Refusal::new("NoSuchBucket", 404, "The specified bucket does not exist")
        }
        StoreError::BucketExists => Refusal::new(
            "BucketAlreadyOwnedByYou",
            409,
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        StoreError::BucketNotEmpty => {
            Refusal::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty.")
        }
        StoreError::NoSuchKey => {
            Refusal::new("NoSuchKey", 404, "The specified key does not exist.")
        }
        StoreError::NoSuchUpload => no_such_upload(),
        StoreError::InvalidPart(number) => Refusal::new(
            "InvalidPart",
            400,
            format!(
                "One or more of the specified parts could not be found: part {number} was not uploaded, or its ETag is another."
            ),
        ),
        StoreError::InvalidPartOrder => Refusal::new(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
        ),
        StoreError::PartNumber(_) => part_number(),
        StoreError::PreconditionFailed => precondition_failed(),
        StoreError::Range { .. } => {
            Refusal::new("InvalidRange", 416, "The requested range is not satisfiable.")
        }
        StoreError::Gone => {
            slow_down("The object was replaced while it was read. Please try again.")
        }
        StoreError::OutOfSpace => Refusal::new(
            // MinIO's clients know this code, AWS has none.
            "XMinioStorageFull",
            507,
            "The storage of this tenant is full: delete objects, or ask its administrator to enlarge the volume.",
        ),
        StoreError::Unavailable(cause) => {
            error!(error = &**cause as &dyn std::error::Error, "the store doesn't answer");
            slow_down("The storage is not available at the moment. Please try again.")
        }
        StoreError::Corrupt { what, cause: _ } => {
            error!(what, error = error as &dyn std::error::Error, "stored data is damaged");
            Refusal::new(
                "InternalError",
                500,
                "We encountered an internal error: stored data can't be read back.",
            )
        }
    }
}

/// The same where the wire library wants its own type.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn s3(error: StoreError) -> S3Error {
    refusal(&error).into()
}

pub(super) fn no_such_upload() -> Refusal {
    Refusal::new(
        "NoSuchUpload",
        404,
        "The specified multipart upload does not exist. The upload ID might be invalid, or the upload was aborted or completed.",
    )
}

pub(super) fn part_number() -> Refusal {
    Refusal::invalid_argument("Part number must be an integer between 1 and 10000, inclusive.")
}

pub(super) fn precondition_failed() -> Refusal {
    Refusal::new(
        "PreconditionFailed",
        412,
        "At least one of the preconditions you specified did not hold.",
    )
}

fn slow_down(message: &'static str) -> Refusal {
    Refusal::new("ServiceUnavailable", 503, message)
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}
