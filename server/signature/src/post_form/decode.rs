//! A form's body on its way in: its fields gathered within bounds, its file handed on
//! piece by piece, never copied.
//!
//! Source: RFC 7578 and RFC 2046, section 5.1; only what browsers and S3's clients send.

use std::{fmt, mem};

use bytes::{Buf, Bytes};
use memchr::memmem;

use super::{
    Fields,
    head::{Disposition, boundary, disposition, malformed},
};
use crate::Refusal;

/// How much of a form is gathered before its file.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// Fields.
    pub fields: usize,
    /// Bytes of one field's value.
    pub field_bytes: usize,
    /// Bytes of all that comes before the file, and again of all that follows it.
    pub total_bytes: u64,
}

impl Default for FormLimits {
    /// 20 KiB a field, which is what AWS grants to all of them; 64 fields, 64 KiB.
    fn default() -> Self {
        Self { fields: 64, field_bytes: 20 * 1024, total_bytes: 64 * 1024 }
    }
}

/// The bytes that the headers of one part may have.
const MAX_HEAD: usize = 4 * 1024;

/// Takes a form as it arrives: fields, then its file.
///
/// INVARIANT: what [`push`](Self::push) gives out is the file's content only if
/// [`finish`](Self::finish) answers `Ok` in the end. Once something was refused, every
/// later call refuses the same.
pub struct FormDecoder {
    limits: FormLimits,
    /// CR LF, two hyphens, and the boundary.
    delimiter: Bytes,
    finder: memmem::Finder<'static>,
    state: State,
    /// How many bytes of the delimiter the end of the last piece was.
    matched: usize,
    /// A part's headers, or the two bytes after a delimiter.
    head: Vec<u8>,
    /// The part that is being read.
    name: String,
    value: Vec<u8>,
    fields: Fields,
    filename: Option<String>,
    /// Bytes that were not the file's: before it, then after it.
    gathered: u64,
    failed: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter, which begins the body.
    Start,
    /// After a delimiter: CR LF or two hyphens.
    AfterDelimiter,
    /// In a part's headers.
    Head,
    /// In a field's value.
    Value,
    /// In the file.
    File,
    /// In a part after the file, which nobody looks at.
    Ignored,
    /// After the last delimiter.
    End,
}

impl FormDecoder {
    /// For a body of this `Content-Type`.
    ///
    /// # Errors
    /// [`Refusal::MalformedPOSTRequest`] if it isn't `multipart/form-data` with a boundary.
    pub fn new(content_type: &[u8], limits: FormLimits) -> Result<Self, Refusal> {
        let boundary = boundary(content_type).ok_or_else(|| {
            malformed("the Content-Type is not multipart/form-data with one boundary")
        })?;
        let delimiter = Bytes::from([b"\r\n--", boundary.as_bytes()].concat());
        let finder = memmem::Finder::new(&delimiter).into_owned();
        Ok(Self {
            limits,
            delimiter,
            finder,
            state: State::Start,
            // The body begins as if a line had ended before it.
            matched: 2,
            head: Vec::new(),
            name: String::new(),
            value: Vec::new(),
            fields: Fields::default(),
            filename: None,
            gathered: 0,
            failed: None,
        })
    }

    /// The file's name, from when its content begins; it may be empty.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The fields before the file: all of them once [`filename`](Self::filename) is there.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Takes the next piece of the body, of any size, and appends to `out` what of it is
    /// the file's content.
    ///
    /// # Errors
    /// As soon as it shows: [`Refusal::MalformedPOSTRequest`],
    /// [`Refusal::MaxPostPreDataLengthExceeded`], [`Refusal::InvalidArgument`] for a field
    /// that is there twice.
    pub fn push(&mut self, mut input: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(refusal) = &self.failed {
            return Err(refusal.clone());
        }
        while !input.is_empty() {
            if let Err(refusal) = self.step(&mut input, out) {
                self.failed = Some(refusal.clone());
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Says whether the form was whole.
    ///
    /// # Errors
    /// [`Refusal::IncorrectNumberOfFilesInPostRequest`] without file,
    /// [`Refusal::MalformedPOSTRequest`] if the end is missing, or what an earlier `push`
    /// refused.
    pub fn finish(self) -> Result<(), Refusal> {
        if let Some(refusal) = self.failed {
            return Err(refusal);
        }
        if self.state != State::End {
            return Err(malformed("the form ends before its last boundary"));
        }
        match self.filename {
            Some(_) => Ok(()),
            None => Err(Refusal::IncorrectNumberOfFilesInPostRequest),
        }
    }

    fn step(&mut self, input: &mut Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        match self.state {
            State::Start | State::Value | State::File | State::Ignored => self.content(input, out),
            State::AfterDelimiter => {
                let end = self.gather(input, b"", 2)?;
                match (end, self.head.as_slice()) {
                    (false, _) => Ok(()),
                    (true, b"--") => {
                        self.head.clear();
                        self.state = State::End;
                        Ok(())
                    }
                    (true, b"\r\n") if self.filename.is_some() => {
                        self.head.clear();
                        self.state = State::Ignored;
                        Ok(())
                    }
                    (true, b"\r\n") => {
                        self.state = State::Head;
                        Ok(())
                    }
                    (true, _) => Err(malformed("neither CRLF nor `--` follows a boundary")),
                }
            }
            State::Head => {
                if self.gather(input, b"\r\n\r\n", MAX_HEAD)? {
                    self.open_part()?;
                }
                Ok(())
            }
            State::End => {
                self.count(input.len())?;
                input.clear();
                Ok(())
            }
        }
    }

    /// Moves bytes into `head` up to and with `end`, or up to `most` where there is none;
    /// says whether it is there.
    fn gather(&mut self, input: &mut Bytes, end: &[u8], most: usize) -> Result<bool, Refusal> {
        while self.head.len() < most {
            let Some(byte) = input.first().copied() else { return Ok(false) };
            input.advance(1);
            self.count(1)?;
            self.head.push(byte);
            if !end.is_empty() && self.head.ends_with(end) {
                return Ok(true);
            }
        }
        if end.is_empty() { Ok(true) } else { Err(malformed("the headers of a part are too long")) }
    }

    /// Looks for the delimiter. It begins with the only CR that is in it: so when what looked
    /// like its beginning goes on otherwise, all of that was content.
    fn content(&mut self, input: &mut Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if self.matched > 0 {
            let rest = self.delimiter.slice(self.matched..);
            let same = rest.iter().zip(input.iter()).take_while(|(a, b)| a == b).count();
            if same == rest.len() {
                input.advance(same);
                self.matched = 0;
                return self.close_part();
            }
            if same == input.len() {
                self.matched = self.matched.saturating_add(same);
                input.clear();
                return Ok(());
            }
            let looked_like_it = self.delimiter.slice(..self.matched);
            self.matched = 0;
            return self.take(looked_like_it, out);
        }
        if let Some(at) = self.finder.find(input) {
            let content = input.split_to(at);
            input.advance(self.delimiter.len());
            self.take(content, out)?;
            return self.close_part();
        }
        let from = input.len().saturating_sub(self.delimiter.len().saturating_sub(1));
        let end = input.get(from..).unwrap_or_default();
        let begins = memchr::memrchr(b'\r', end)
            .map(|at| end.get(at..).unwrap_or_default())
            .filter(|tail| self.delimiter.starts_with(tail));
        self.matched = begins.map_or(0, <[u8]>::len);
        let content = input.split_to(input.len().saturating_sub(self.matched));
        input.clear();
        self.take(content, out)
    }

    /// Content of the part that is being read.
    fn take(&mut self, content: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if content.is_empty() {
            return Ok(());
        }
        if self.state == State::File {
            out.push(content);
            return Ok(());
        }
        self.count(content.len())?;
        if self.state == State::Start {
            return Err(malformed("the body does not begin with its boundary"));
        }
        if self.state == State::Value {
            if self.value.len().saturating_add(content.len()) > self.limits.field_bytes {
                return Err(Refusal::MaxPostPreDataLengthExceeded);
            }
            self.value.extend_from_slice(&content);
        }
        Ok(())
    }

    /// At a delimiter.
    fn close_part(&mut self) -> Result<(), Refusal> {
        self.count(self.delimiter.len())?;
        match self.state {
            State::Value => {
                let value = mem::take(&mut self.value);
                let value = String::from_utf8(value)
                    .map_err(|_cause| malformed("the value of a field is not UTF-8"))?;
                if self.fields.len() >= self.limits.fields {
                    return Err(Refusal::MaxPostPreDataLengthExceeded);
                }
                self.fields.push(&mem::take(&mut self.name), &value)?;
            }
            // What follows the file is counted anew.
            State::File => self.gathered = 0,
            State::Start | State::AfterDelimiter | State::Head | State::Ignored | State::End => {}
        }
        self.state = State::AfterDelimiter;
        Ok(())
    }

    /// At the end of a part's headers.
    fn open_part(&mut self) -> Result<(), Refusal> {
        let head = mem::take(&mut self.head);
        let Disposition { name, filename } = disposition(&head)?;
        if name.eq_ignore_ascii_case("file") {
            self.filename = Some(filename.unwrap_or_default());
            self.state = State::File;
        } else {
            self.name = name;
            self.state = State::Value;
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.gathered = self.gathered.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.gathered > self.limits.total_bytes {
            return Err(Refusal::MaxPostPreDataLengthExceeded);
        }
        Ok(())
    }
}

impl fmt::Debug for FormDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormDecoder").field("state", &self.state).finish_non_exhaustive()
    }
}
