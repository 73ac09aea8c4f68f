//! A form's body on its way in: its fields gathered within bounds, its file handed on
//! piece by piece, never copied.
//!
//! Source: RFC 7578 and RFC 2046, section 5.1; only what browsers and S3's clients send.

use std::{borrow::Cow, fmt, mem};

use bytes::{Buf, Bytes};
use memchr::memmem;

use crate::{Refusal, post_form::Fields};

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
/// The characters that a boundary may have, source: RFC 2046.
const MAX_BOUNDARY: usize = 70;

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

/// What a part says of itself.
struct Disposition {
    name: String,
    filename: Option<String>,
}

/// Reads a part's headers, their last empty line included.
fn disposition(head: &[u8]) -> Result<Disposition, Refusal> {
    let text =
        std::str::from_utf8(head).map_err(|_cause| malformed("a part's headers are not UTF-8"))?;
    let mut found = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        if line.contains(['\r', '\n', '\0']) {
            return Err(malformed("a part's headers hold a control character"));
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed("a part has a header without `:`"))?;
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-disposition") {
            if found.replace(value).is_some() {
                return Err(malformed("a part has two Content-Dispositions"));
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding")
            && !["binary", "8bit", "7bit"].iter().any(|known| known.eq_ignore_ascii_case(value))
        {
            return Err(malformed("a part has a Content-Transfer-Encoding; send it as it is"));
        }
    }
    let value = found.ok_or_else(|| malformed("a part has no Content-Disposition"))?;
    let (kind, parameters) =
        parameters(value).ok_or_else(|| malformed("a part's Content-Disposition can't be read"))?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(malformed("a part's Content-Disposition is not form-data"));
    }
    let (mut name, mut filename) = (None, None);
    for (parameter, value) in parameters {
        let place = match parameter.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut filename,
            // Another spelling of the same, which another reader might prefer.
            "name*" | "filename*" => {
                return Err(malformed("a part has `name*` or `filename*`; write UTF-8 as it is"));
            }
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(malformed("a part has its name or its file's name twice"));
        }
    }
    let name = name.filter(|name: &String| !name.is_empty());
    Ok(Disposition { name: name.ok_or_else(|| malformed("a part has no name"))?, filename })
}

/// The one boundary of a form's `Content-Type`.
fn boundary(content_type: &[u8]) -> Option<String> {
    let (kind, parameters) = parameters(std::str::from_utf8(content_type).ok()?)?;
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut boundaries =
        parameters.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let (_, boundary) = boundaries.next()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let good = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ');
    (good && boundaries.next().is_none()).then_some(boundary)
}

type Parameters = Vec<(String, String)>;

/// `kind; name=token; name="quoted"`.
fn parameters(text: &str) -> Option<(&str, Parameters)> {
    let (kind, mut rest) = text.split_once(';').unwrap_or((text, ""));
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some((kind.trim_matches([' ', '\t']), found));
        }
        let (name, after) = rest.split_once('=')?;
        let value = if let Some(quoted) = after.strip_prefix('"') {
            let (value, after) = unquoted(quoted)?;
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(';') {
                return None;
            }
            value
        } else {
            let (token, after) = after.split_once(';').unwrap_or((after, ""));
            rest = after;
            token.trim_matches([' ', '\t']).to_owned()
        };
        found.push((name.trim_matches([' ', '\t']).to_owned(), value));
    }
}

/// Up to the closing quote. Some clients write `\"` and `\\`; a backslash before anything else
/// is itself, as in the paths that old browsers send.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(at.checked_add(1)?..)?)),
            '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            char => value.push(char),
        }
    }
    None
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::MalformedPOSTRequest(Cow::Borrowed(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_read_as_browsers_write_it() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;BOUNDARY=\"a b\"", Some("a b")),
            ("multipart/form-data; charset=utf-8; boundary=a-_.:x", Some("a-_.:x")),
            ("multipart/form-data; boundary=a;", Some("a")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"\"", None),
            ("multipart/form-data; boundary=\"a", None),
            ("multipart/form-data; boundary=\"a\"b", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; boundary=\"a \"", None),
            ("multipart/form-data; boundary=\"a\rb\"", None),
            ("multipart/form-data; boundary=ä", None),
            ("multipart/mixed; boundary=a", None),
            ("multipart/form-data, boundary=a", None),
        ] {
            assert_eq!(boundary(text.as_bytes()).as_deref(), expected, "{text}");
        }
        let long =
            |n| boundary(format!("multipart/form-data; boundary={}", "a".repeat(n)).as_bytes());
        assert!(long(70).is_some() && long(71).is_none());
    }

    #[test]
    fn a_parts_name_is_there_once() {
        for (head, expected) in [
            ("Content-Disposition: form-data; name=\"key\"\r\n\r\n", Some(("key", None))),
            ("content-disposition:form-data;name=key\r\n\r\n", Some(("key", None))),
            (
                "Content-Type: a/b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\\c.txt\"\r\n\r\n",
                Some(("file", Some("a\"b\\c.txt"))),
            ),
            (
                "Content-Disposition: form-data; name=\"a\"; filename=\"\"\r\n\r\n",
                Some(("a", Some(""))),
            ),
            ("Content-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n", None),
            ("Content-Disposition: form-data; name=\"\"\r\n\r\n", None),
            ("Content-Disposition: form-data; filename=\"a\"\r\n\r\n", None),
            ("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b\r\n\r\n", None),
            ("Content-Disposition: form-data\r\n\r\n", None),
            ("Content-Disposition: attachment; name=\"a\"\r\n\r\n", None),
            ("Content-Type: text/plain\r\n\r\n", None),
            ("\r\n\r\n", None),
            ("Content-Disposition\r\n\r\n", None),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n",
                None,
            ),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                None,
            ),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: Binary\r\n\r\n",
                Some(("a", None)),
            ),
            ("Content-Disposition: form-data; name=a\n\r\n\r\n", None),
        ] {
            let found = disposition(head.as_bytes()).ok();
            let found = found.as_ref().map(|d| (d.name.as_str(), d.filename.as_deref()));
            assert_eq!(found, expected, "{head}");
        }
    }
}
