//! A form on its way in: its fields are read first, within bounds, as they say who sent it; its file stays on its way.

use std::time::Duration;

use bytes::Bytes;
use coffer_signature::post_form::{Fields, FormDecoder, FormLimits, LengthRange};
use coffer_signature::{Refusal as Wrong, Trailers};
use http::header;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::answer::Refusal;
use crate::service::Lent;

use super::BodyError;

/// A form of which all fields before its file were read.
#[derive(Debug)]
pub struct OpenForm {
    /// The fields, the file's name in them.
    pub fields: Fields,
    pub(super) inner: Lent,
    pub(super) file: FormFile,
    /// What came of the file already.
    pub(super) ready: Vec<Bytes>,
}

impl OpenForm {
    /// Reads up to the file. `patience` is the longest pause between two frames, and twice that is the longest time for all of
    /// them: fields are small.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`, `MaxPostPreDataLengthExceededError`, `RequestTimeout`, …
    pub(crate) async fn read(
        head: &Parts,
        mut inner: Lent,
        patience: Duration,
    ) -> Result<Self, Refusal> {
        let content_type =
            head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let mut decoder = FormDecoder::new(content_type, FormLimits::default())?;
        let mut ready = Vec::new();
        let too_slow = |_elapsed| {
            Refusal::new(
                "RequestTimeout",
                400,
                "Your socket connection to the server was not read from or written to within the timeout period.",
            )
        };
        let deadline = tokio::time::Instant::now() + patience * 2;
        let filename = loop {
            if let Some(name) = decoder.filename() {
                break name.to_owned();
            }
            let next = deadline.min(tokio::time::Instant::now() + patience);
            let frame = tokio::time::timeout_at(next, inner.frame()).await.map_err(too_slow)?;
            let Some(frame) = frame else {
                decoder.finish()?;
                return Err(Wrong::IncorrectNumberOfFilesInPostRequest.into());
            };
            let frame = frame.map_err(|error| BodyError::Broken(error).refusal())?;
            if let Ok(data) = frame.into_data() {
                decoder.push(data, &mut ready)?;
            }
        };
        let mut fields = decoder.fields().clone();
        fields.name_file(&filename);
        let seen = ready.iter().map(length).sum();
        let file = FormFile { decoder, lengths: 0..=u64::MAX, seen };
        Ok(Self { fields, inner, file, ready })
    }

    /// Bounds the file's length.
    ///
    /// # Errors
    /// `EntityTooLarge` where what came already, or what is announced, is more.
    pub fn within(mut self, lengths: LengthRange) -> Result<Self, Refusal> {
        // The form's end is not the file's; how long it may be, is known.
        let end = FormLimits::default().total_bytes;
        let announced = self.inner.size_hint().lower().saturating_sub(end);
        if self.file.seen.saturating_add(announced) > *lengths.end() {
            return Err(Wrong::EntityTooLarge(*lengths.end()).into());
        }
        self.file.lengths = lengths;
        Ok(self)
    }
}

/// The file of a form, whose length has bounds.
#[derive(Debug)]
pub(super) struct FormFile {
    decoder: FormDecoder,
    lengths: LengthRange,
    seen: u64,
}

impl FormFile {
    /// Takes the next piece of the form; appends to `out` what of it is the file's.
    pub(super) fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), Wrong> {
        let before = out.len();
        self.decoder.push(data, out)?;
        let more: u64 = out.iter().skip(before).map(length).sum();
        self.seen = self.seen.saturating_add(more);
        if self.seen > *self.lengths.end() {
            return Err(Wrong::EntityTooLarge(*self.lengths.end()));
        }
        Ok(())
    }

    /// Whether the form was whole and its file long enough.
    pub(super) fn finish(self) -> Result<Trailers, Wrong> {
        self.decoder.finish()?;
        if self.seen < *self.lengths.start() {
            return Err(Wrong::EntityTooSmall(*self.lengths.start()));
        }
        Ok(Trailers::default())
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
