//! Why a request was refused: a variant per S3 error code.

use std::borrow::Cow;

use thiserror::Error;

use crate::scheme::Scheme;

/// A refused request, by the code that an S3 client knows.
///
/// The text tells a user what to change. It never holds a secret, a signature
/// or a string to sign.
///
/// Source: Amazon S3, error responses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request is understood and must not be served.
    #[error("{0}")]
    AccessDenied(Cow<'static, str>),
    /// The `Authorization` header can't be read, or names another scope.
    #[error("{message}")]
    AuthorizationHeaderMalformed {
        /// What is wrong.
        message: Cow<'static, str>,
        /// The region to sign for, when that is what is wrong: the answer's
        /// `Region` element, by which clients correct themselves.
        region: Option<String>,
    },
    /// The `X-Amz-…` query parameters can't be read, or name another scope.
    #[error("{message}")]
    AuthorizationQueryParametersError {
        /// What is wrong.
        message: Cow<'static, str>,
        /// The region to sign for, when that is what is wrong.
        region: Option<String>,
    },
    /// The form's file is smaller than its policy allows.
    #[error("your proposed upload is smaller than the {0} bytes that the policy asks for")]
    EntityTooSmall(u64),
    /// The form's file is larger than its policy allows.
    #[error("your proposed upload exceeds the {0} bytes that the policy allows")]
    EntityTooLarge(u64),
    /// Fewer, more or other body bytes than the request announced.
    #[error("{0}")]
    IncompleteBody(Cow<'static, str>),
    /// A form without file.
    #[error("POST requires exactly one file upload per request; name its field `file`")]
    IncorrectNumberOfFilesInPostRequest,
    /// No such access key.
    #[error("the access key id is not known here; check it, and that the key still exists")]
    InvalidAccessKeyId,
    /// One header or parameter has a value outside its range.
    #[error("{0}")]
    InvalidArgument(Cow<'static, str>),
    /// A form's policy can't be read.
    #[error("{0}")]
    InvalidPolicyDocument(Cow<'static, str>),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(Cow<'static, str>),
    /// Path or query hold a `%` that two hex digits don't follow.
    #[error("the {0} has a `%` without two hex digits after it; percent-encode it as `%25`")]
    InvalidUri(&'static str),
    /// A form's body can't be read.
    #[error("the body of your POST request is not well-formed multipart/form-data: {0}")]
    MalformedPOSTRequest(Cow<'static, str>),
    /// A form's fields are too long or too many.
    #[error(
        "your POST request fields preceding the upload file were too large; send at most 64 fields, 20 KiB each, 64 KiB in all"
    )]
    MaxPostPreDataLengthExceeded,
    /// A trailer is missing, doubled, unannounced or can't be read.
    #[error("{0}")]
    MalformedTrailerError(Cow<'static, str>),
    /// A streamed body without `x-amz-decoded-content-length`.
    #[error(
        "a streamed body needs `x-amz-decoded-content-length`; send the body's length before encoding"
    )]
    MissingContentLength,
    /// A header that the form of signature needs is absent.
    #[error("the header `{0}` is missing; sign with it")]
    MissingSecurityHeader(&'static str),
    /// The form of signature is known, but not spoken here.
    #[error(
        "{0} is not supported; sign with AWS4-HMAC-SHA256, in the Authorization header or the query"
    )]
    NotImplemented(Scheme),
    /// The request was signed too long ago, or in the future.
    #[error("the request's time is more than 15 minutes from the server's; set the client's clock")]
    RequestTimeTooSkewed,
    /// The signature isn't the one that this request and key give.
    #[error(
        "the signature doesn't match; check the secret key, and that nothing on the way changed the method, path, query, signed headers or body"
    )]
    SignatureDoesNotMatch,
    /// The body isn't the one that was signed.
    #[error(
        "the body's SHA-256 is not the `x-amz-content-sha256` that was signed; sign the body that is sent"
    )]
    XAmzContentSHA256Mismatch,
}

impl Refusal {
    /// The answer's `Code` element.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AccessDenied(_) => "AccessDenied",
            Self::AuthorizationHeaderMalformed { message: _, region: _ } => {
                "AuthorizationHeaderMalformed"
            }
            Self::AuthorizationQueryParametersError { message: _, region: _ } => {
                "AuthorizationQueryParametersError"
            }
            Self::EntityTooLarge(_) => "EntityTooLarge",
            Self::EntityTooSmall(_) => "EntityTooSmall",
            Self::IncompleteBody(_) => "IncompleteBody",
            Self::IncorrectNumberOfFilesInPostRequest => "IncorrectNumberOfFilesInPostRequest",
            Self::InvalidAccessKeyId => "InvalidAccessKeyId",
            Self::InvalidArgument(_) => "InvalidArgument",
            Self::InvalidPolicyDocument(_) => "InvalidPolicyDocument",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::InvalidUri(_) => "InvalidURI",
            Self::MalformedPOSTRequest(_) => "MalformedPOSTRequest",
            Self::MalformedTrailerError(_) => "MalformedTrailerError",
            Self::MaxPostPreDataLengthExceeded => "MaxPostPreDataLengthExceededError",
            Self::MissingContentLength => "MissingContentLength",
            Self::MissingSecurityHeader(_) => "MissingSecurityHeader",
            Self::NotImplemented(_) => "NotImplemented",
            Self::RequestTimeTooSkewed => "RequestTimeTooSkewed",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::XAmzContentSHA256Mismatch => "XAmzContentSHA256Mismatch",
        }
    }

    /// The answer's HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::AuthorizationHeaderMalformed { message: _, region: _ }
            | Self::AuthorizationQueryParametersError { message: _, region: _ }
            | Self::EntityTooLarge(_)
            | Self::EntityTooSmall(_)
            | Self::IncompleteBody(_)
            | Self::IncorrectNumberOfFilesInPostRequest
            | Self::InvalidArgument(_)
            | Self::InvalidPolicyDocument(_)
            | Self::InvalidRequest(_)
            | Self::InvalidUri(_)
            | Self::MalformedPOSTRequest(_)
            | Self::MalformedTrailerError(_)
            | Self::MaxPostPreDataLengthExceeded
            | Self::MissingSecurityHeader(_)
            | Self::XAmzContentSHA256Mismatch => 400,
            Self::AccessDenied(_)
            | Self::InvalidAccessKeyId
            | Self::RequestTimeTooSkewed
            | Self::SignatureDoesNotMatch => 403,
            Self::MissingContentLength => 411,
            Self::NotImplemented(_) => 501,
        }
    }

    /// The region to sign for, where a wrong one is the cause.
    pub fn expected_region(&self) -> Option<&str> {
        match self {
            Self::AuthorizationHeaderMalformed { message: _, region }
            | Self::AuthorizationQueryParametersError { message: _, region } => region.as_deref(),
            Self::AccessDenied(_)
            | Self::EntityTooLarge(_)
            | Self::EntityTooSmall(_)
            | Self::IncompleteBody(_)
            | Self::IncorrectNumberOfFilesInPostRequest
            | Self::InvalidAccessKeyId
            | Self::InvalidArgument(_)
            | Self::InvalidPolicyDocument(_)
            | Self::InvalidRequest(_)
            | Self::InvalidUri(_)
            | Self::MalformedPOSTRequest(_)
            | Self::MalformedTrailerError(_)
            | Self::MaxPostPreDataLengthExceeded
            | Self::MissingContentLength
            | Self::MissingSecurityHeader(_)
            | Self::NotImplemented(_)
            | Self::RequestTimeTooSkewed
            | Self::SignatureDoesNotMatch
            | Self::XAmzContentSHA256Mismatch => None,
        }
    }
}
