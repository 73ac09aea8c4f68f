//! From chunks to a body.

use std::{borrow::Cow, mem};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{ChunkSeed, Framing, MAX_CHUNK, TrailerPart, X_AMZ_TRAILER_SIGNATURE};
use crate::{Refusal, credential::Signature, payload_hash::digest_bytes, v4::payload::Trailers};

/// A size of 16 digits and a signature make 97 bytes.
const MAX_HEAD_LINE: usize = 128;
/// More than any checksum needs.
const MAX_TRAILER_LINE: usize = 1024;
/// So many digits are no number of ours, whatever their value.
const MAX_SIZE_DIGITS: usize = 16;

pub(crate) struct ChunkDecoder {
    framing: Framing,
    /// `None` if the chunks are unsigned.
    seed: Option<ChunkSeed>,
    trailer_part: TrailerPart,
    /// The bytes that one chunk may hold.
    max_chunk: u64,
    state: State,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Of the chunk that is being read, if it is signed.
    open: Option<(digest::Context, Signature)>,
    /// Content so far.
    seen: u64,
    trailers: Vec<(HeaderName, HeaderValue)>,
    /// The trailers as they are signed.
    trailer_text: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line end after a chunk's bytes.
    DataEnd,
    Trailers,
    /// The trailers are over, and their signature must come.
    TrailerSignature,
    /// The empty line that ends all.
    LastLine,
    /// All is there. Unsigned trailers may be followed by one more empty line, which minio-go sends.
    SpareLine,
    End,
}

impl ChunkDecoder {
    pub(crate) fn new(
        framing: Framing,
        seed: Option<ChunkSeed>,
        trailer_part: TrailerPart,
    ) -> Self {
        Self {
            framing,
            seed,
            trailer_part,
            max_chunk: MAX_CHUNK,
            state: State::Head,
            line: Vec::with_capacity(MAX_HEAD_LINE),
            open: None,
            seen: 0,
            trailers: Vec::new(),
            trailer_text: Vec::new(),
        }
    }

    /// Refuses chunks of more bytes than these; the limit is only ever lowered.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.max_chunk = self.max_chunk.min(bytes);
    }

    pub(crate) fn push(&mut self, mut input: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        while !input.is_empty() {
            if let State::Data(remaining) = self.state {
                self.state = self.data(remaining, &mut input, out)?;
            } else if self.state == State::End {
                return Err(surplus());
            } else if self.fill_line(&mut input)? {
                let line = mem::take(&mut self.line);
                self.state = self.line(&line)?;
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Trailers, Refusal> {
        let is_over = match self.state {
            State::End => true,
            State::SpareLine => self.line.is_empty(),
            State::Head
            | State::Data(_)
            | State::DataEnd
            | State::Trailers
            | State::TrailerSignature
            | State::LastLine => false,
        };
        if is_over {
            Ok(Trailers(self.trailers))
        } else {
            Err(incomplete("the body ended before its last chunk"))
        }
    }

    fn data(
        &mut self,
        remaining: u64,
        input: &mut Bytes,
        out: &mut Vec<Bytes>,
    ) -> Result<State, Refusal> {
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX);
        let piece = input.split_to(wanted.min(input.len()));
        let taken = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.seen = self.seen.saturating_add(taken);
        if let Some((hash, _)) = &mut self.open {
            hash.update(&piece);
        }
        out.push(piece);
        match remaining.saturating_sub(taken) {
            0 => {
                self.close_chunk()?;
                Ok(State::DataEnd)
            }
            remaining => Ok(State::Data(remaining)),
        }
    }

    /// Moves input to the line, up to its end; says whether that has come.
    fn fill_line(&mut self, input: &mut Bytes) -> Result<bool, Refusal> {
        let limit = match self.state {
            State::Head | State::Data(_) | State::End => MAX_HEAD_LINE,
            State::DataEnd | State::LastLine | State::SpareLine => 2,
            State::Trailers | State::TrailerSignature => MAX_TRAILER_LINE,
        };
        let room = limit.saturating_sub(self.line.len());
        match input.iter().take(room).position(|byte| *byte == b'\n') {
            Some(end) => {
                self.line.extend_from_slice(&input.split_to(end.saturating_add(1)));
                Ok(true)
            }
            None if input.len() < room => {
                self.line.extend_from_slice(&mem::take(input));
                Ok(false)
            }
            None if self.state == State::SpareLine => Err(surplus()),
            None => {
                Err(self.malformed("a line that is too long, or bytes where a line should end"))
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<State, Refusal> {
        let strict = line.strip_suffix(b"\r\n");
        match self.state {
            State::Head => self
                .head(strict.ok_or_else(|| self.malformed("a chunk's head does not end in CRLF"))?),
            State::DataEnd if strict == Some(b"") => Ok(State::Head),
            State::LastLine | State::SpareLine if strict == Some(b"") => Ok(State::End),
            State::SpareLine => Err(surplus()),
            State::DataEnd | State::LastLine => {
                Err(self.malformed("CRLF is missing after a chunk"))
            }
            // Some clients end a trailer's line by LF and set CRLF before the
            // trailers' signature. The signed text is the same.
            State::Trailers | State::TrailerSignature => {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                self.trailer(line.strip_suffix(b"\r").unwrap_or(line))
            }
            State::Data(_) | State::End => Err(self.malformed("a line where none can be")),
        }
    }

    /// `size` or `size;chunk-signature=…`.
    fn head(&mut self, line: &[u8]) -> Result<State, Refusal> {
        let (size, extension) = match line.iter().position(|byte| *byte == b';') {
            Some(at) => line.split_at_checked(at).unwrap_or((line, b"")),
            None => (line, b"".as_slice()),
        };
        let size = self.size(size)?;
        if self.seed.is_some() {
            let signature = extension
                .strip_prefix(b";chunk-signature=")
                .ok_or_else(|| self.malformed("a chunk's head has no chunk-signature"))?;
            let signature = Signature::parse(signature).ok_or(Refusal::SignatureDoesNotMatch)?;
            self.open = Some((digest::Context::new(&digest::SHA256), signature));
        } else if !extension.is_empty() {
            return Err(self.malformed("an extension in an unsigned chunk's head"));
        }
        // Before its bytes: nothing is read that was not announced.
        let after =
            self.seen.checked_add(size).filter(|after| *after <= self.framing.decoded_length());
        if after.is_none() {
            return Err(incomplete("the chunks hold more than x-amz-decoded-content-length"));
        }
        if size > 0 {
            return Ok(State::Data(size));
        }
        self.close_chunk()?;
        if self.seen != self.framing.decoded_length() {
            return Err(incomplete("the chunks hold less than x-amz-decoded-content-length"));
        }
        Ok(match self.trailer_part {
            TrailerPart::None => State::LastLine,
            TrailerPart::Lines => State::Trailers,
        })
    }

    /// 1 to 16 hex digits, within the limit.
    fn size(&self, digits: &[u8]) -> Result<u64, Refusal> {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if !(1..=MAX_SIZE_DIGITS).contains(&text.len())
            || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err(self.malformed("a chunk's size is not 1 to 16 hex digits"));
        }
        match u64::from_str_radix(text, 16) {
            Ok(size) if size <= self.max_chunk => Ok(size),
            Ok(_) | Err(_) => {
                Err(self.malformed("a chunk is larger than this server takes; send smaller ones"))
            }
        }
    }

    fn close_chunk(&mut self) -> Result<(), Refusal> {
        let (Some(seed), Some((hash, signature))) = (&mut self.seed, self.open.take()) else {
            return Ok(());
        };
        if !seed.chunk(digest_bytes(&hash.finish())).matches(&signature) {
            return Err(Refusal::SignatureDoesNotMatch);
        }
        seed.follow(signature);
        Ok(())
    }

    /// `name:value`, the trailers' signature, or an empty line.
    fn trailer(&mut self, line: &[u8]) -> Result<State, Refusal> {
        if line.is_empty() {
            return match (&self.seed, self.state) {
                (None, _) => self.all_trailers_came().map(|()| State::SpareLine),
                (Some(_), State::Trailers) => Ok(State::TrailerSignature),
                (Some(_), _) => Err(self.malformed("the trailers have no x-amz-trailer-signature")),
            };
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon
            .and_then(|at| line.split_at_checked(at))
            .ok_or_else(|| self.malformed("a trailer has no `:`"))?;
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let name =
            HeaderName::from_bytes(name).map_err(|_cause: http::header::InvalidHeaderName| {
                self.malformed("a trailer's name is not a header name")
            })?;
        if name == X_AMZ_TRAILER_SIGNATURE {
            return self.trailer_signature(value);
        }
        if self.state == State::TrailerSignature {
            return Err(self.malformed("the trailers have no x-amz-trailer-signature"));
        }
        if !self.framing.announced.contains(&name) {
            return Err(self.malformed("a trailer is not announced in x-amz-trailer"));
        }
        if self.trailers.iter().any(|(known, _)| *known == name) {
            return Err(self.malformed("a trailer is there twice"));
        }
        self.trailer_text.extend_from_slice(name.as_str().as_bytes());
        self.trailer_text.push(b':');
        self.trailer_text.extend_from_slice(value);
        self.trailer_text.push(b'\n');
        let value = HeaderValue::from_bytes(value).map_err(
            |_cause: http::header::InvalidHeaderValue| {
                self.malformed("a trailer's value is not a header value")
            },
        )?;
        self.trailers.push((name, value));
        Ok(State::Trailers)
    }

    fn trailer_signature(&self, value: &[u8]) -> Result<State, Refusal> {
        let seed =
            self.seed.as_ref().ok_or_else(|| self.malformed("a signature of unsigned trailers"))?;
        self.all_trailers_came()?;
        let signature = Signature::parse(value).ok_or(Refusal::SignatureDoesNotMatch)?;
        if !seed.trailers(&self.trailer_text).matches(&signature) {
            return Err(Refusal::SignatureDoesNotMatch);
        }
        Ok(State::LastLine)
    }

    fn all_trailers_came(&self) -> Result<(), Refusal> {
        if self.trailers.len() == self.framing.announced.len() {
            Ok(())
        } else {
            Err(self.malformed("a trailer that x-amz-trailer announces did not come"))
        }
    }

    fn malformed(&self, message: &'static str) -> Refusal {
        match self.state {
            State::Trailers | State::TrailerSignature => {
                Refusal::MalformedTrailerError(Cow::Borrowed(message))
            }
            State::Head
            | State::Data(_)
            | State::DataEnd
            | State::LastLine
            | State::SpareLine
            | State::End => Refusal::InvalidRequest(Cow::Borrowed(message)),
        }
    }
}

fn surplus() -> Refusal {
    incomplete("bytes follow the end of the last chunk")
}

fn incomplete(message: &'static str) -> Refusal {
    Refusal::IncompleteBody(Cow::Borrowed(message))
}
