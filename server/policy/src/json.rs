//! JSON that remembers where each value stood, and refuses what `serde_json` would take silently: members given twice.

use crate::fault::Problem;
use crate::limit;

/// A value and where it began, in bytes from the start of the document.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) value: Node,
}

impl Value {
    /// What it is, for an error.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Where reading stopped, and why.
pub(crate) type Stop = (usize, Problem);

/// Reads the one value of `text`.
pub(crate) fn parse(text: &str) -> Result<Node, Stop> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err((reader.at, Problem::Json("nothing may follow the document"))),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, Stop> {
        Err((self.at, Problem::Json(reason)))
    }

    fn value(&mut self, depth: usize) -> Result<Node, Stop> {
        self.space();
        let at = self.at;
        if depth > limit::DEPTH {
            return Err((at, Problem::TooDeep));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(_) => {
                return self
                    .fail("here a value must begin: `{`, `[`, `\"`, a number, true or false");
            }
            None => return self.fail("the document ends too early"),
        };
        Ok(Node { at, value })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Stop> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at = self.at.saturating_add(word.len());
            return Ok(value);
        }
        self.fail("here a value must begin: `{`, `[`, `\"`, a number, true or false")
    }

    fn object(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut members: Vec<Member> = Vec::new();
        self.step();
        self.space();
        if self.peek() == Some(b'}') {
            self.step();
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return self.fail("here a member's name must stand, in double quotes");
            }
            let name = self.string()?;
            if members.iter().any(|other| other.name == name) {
                return Err((at, Problem::Twice(name)));
            }
            self.space();
            if self.peek() != Some(b':') {
                return self.fail("after a member's name a `:` must stand");
            }
            self.step();
            let value = self.value(depth.saturating_add(1))?;
            members.push(Member { at, name, value });
            self.space();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b'}') => {
                    self.step();
                    return Ok(Value::Object(members));
                }
                _ => return self.fail("after a member a `,` or `}` must stand"),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut values = Vec::new();
        self.step();
        self.space();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value(depth.saturating_add(1))?);
            self.space();
            match self.peek() {
                Some(b',') => self.step(),
                Some(b']') => {
                    self.step();
                    return Ok(Value::List(values));
                }
                _ => return self.fail("after a value a `,` or `]` must stand"),
            }
        }
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        self.at > start
    }

    fn number(&mut self) -> Result<String, Stop> {
        const BAD: &str = "a number must look like -1, 0, 12.5 or 1e3";
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else if !self.digits() {
            return self.fail(BAD);
        }
        if self.peek() == Some(b'.') {
            self.step();
            if !self.digits() {
                return self.fail(BAD);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            if !self.digits() {
                return self.fail(BAD);
            }
        }
        Ok(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn string(&mut self) -> Result<String, Stop> {
        self.step();
        let mut string = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), Some(b'"' | b'\\' | 0..=0x1f) | None) {
                self.step();
            }
            string.push_str(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.step();
                    string.push(self.escape()?);
                }
                Some(_) => {
                    return self.fail(
                        "a string can't hold a control character; write it as \\n or \\u000a",
                    );
                }
                None => return self.fail("the document ends within a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Stop> {
        const BAD: &str = "after `\\` one of \" \\ / b f n r t u must stand";
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.step();
                return self.unicode();
            }
            _ => return self.fail(BAD),
        };
        self.step();
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Stop> {
        const LONE: &str = "half of a surrogate pair is no character";
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u")) {
                    return self.fail(LONE);
                }
                self.step();
                self.step();
                match self.hex()? {
                    low @ 0xdc00..=0xdfff => {
                        ((first & 0x3ff) << 10 | (low & 0x3ff)).saturating_add(0x1_0000)
                    }
                    _ => return self.fail(LONE),
                }
            }
            code => code,
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail(LONE),
        }
    }

    fn hex(&mut self) -> Result<u32, Stop> {
        let mut code = 0;
        for _ in 0..4 {
            match self.peek().and_then(|digit| char::from(digit).to_digit(16)) {
                Some(digit) => code = code << 4 | digit,
                None => return self.fail("after `\\u` four hexadecimal digits must stand"),
            }
            self.step();
        }
        Ok(code)
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_escape_is_its_character() {
        for (json, expected) in [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20AC""#, "Aé€"),
            // The first and the last that need a pair, and one that has all bits of both halves.
            (r#""\ud800\udc00\udbff\udfff\ud83d\ude00""#, "\u{10000}\u{10ffff}😀"),
            (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
            (r#""é😀""#, "é😀"),
        ] {
            let Ok(Node { at: 0, value: Value::Text(text) }) = parse(json) else {
                panic!("{json}: {:?}", parse(json))
            };
            assert_eq!(text, expected, "{json}");
            let mut written = String::new();
            write_string(&mut written, &text);
            let Ok(Node { value: Value::Text(again), .. }) = parse(&written) else {
                panic!("{written}")
            };
            assert_eq!(again, expected);
        }
        for bad in [
            r#""\x""#,
            r#""\""#,
            r#""\u004""#,
            r#""\u004g""#,
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\ud800\ud800""#,
            r#""\udc00""#,
            "\"a\nb\"",
            "\"a",
        ] {
            assert!(matches!(parse(bad), Err((_, Problem::Json(_)))), "{bad}");
        }
    }

    #[test]
    fn what_is_written_has_no_control_characters() {
        let all: String = (0_u32..0x100).filter_map(char::from_u32).collect();
        let mut written = String::new();
        write_string(&mut written, &all);
        assert!(!written.chars().any(char::is_control), "{written}");
        assert!(written.contains("\\u0000") && written.contains("\\u007f"), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), all);
    }

    #[test]
    fn numbers_are_those_of_json() {
        for good in ["0", "-0", "7", "10", "-12.5", "0.25", "1e3", "1E-3", "2.5e+10"] {
            let Ok(Node { value: Value::Number(text), .. }) = parse(good) else { panic!("{good}") };
            assert_eq!(text, good);
        }
        for bad in ["-", "01", "1.", ".5", "1e", "1e+", "+1", "-a", "1.e3", "0x1", "--1"] {
            assert!(matches!(parse(bad), Err((_, Problem::Json(_)))), "{bad}");
        }
    }
}
