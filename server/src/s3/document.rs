//! Request documents: read within bounds, checked against their digests, and looked through before anything parses them.

mod elements;
mod room;

pub use room::{Room, Rooms};

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use quick_xml::Reader;
use quick_xml::events::Event;
use s3s::Body;

use crate::answer::Refusal;
use crate::authenticate::{DecodedBody, Trailers};
use crate::operation::Operation;
use crate::s3::checksum::{self, Hashes};

/// Deeper than any document of S3.
const DEEPEST: usize = 16;
/// More elements than 10,000 parts have.
const MOST_ELEMENTS: usize = 200_000;
/// More attributes than any element of S3 has.
const MOST_ATTRIBUTES: usize = 8;

fn malformed(message: &'static str) -> Refusal {
    Refusal::new("MalformedXML", 400, message)
}

/// The longest list of keys or parts: DeleteObjects with 1,000 keys of 1,024 bytes, each written in references, and
/// CompleteMultipartUpload with 10,000 parts stay below it.
const LONGEST_LIST: u64 = 8 * 1024 * 1024;
/// The longest of all other documents.
const LONGEST: u64 = 256 * 1024;
/// What must come of a document in each second, once its client has had its patience.
const SLOWEST: u64 = 64 * 1024;

/// Reads a body that is an operation's document. It takes `room`, which is to be kept as long as the document.
///
/// # Errors
/// `MaxMessageLengthExceeded` for one that is too long, `IncompleteBody` and the refusals of signatures, `MalformedXML`;
/// `NotImplemented` for an element that asks for what Coffer doesn't do; `SlowDown` where there is no room, `RequestTimeout` for one
/// that drips.
pub async fn read(
    body: DecodedBody,
    length: Option<u64>,
    operation: Operation,
    room: &mut Room<'_>,
    patience: Duration,
) -> Result<Bytes, Refusal> {
    let too_long = || Refusal::new("MaxMessageLengthExceeded", 400, "Your request was too big.");
    let most = match operation {
        Operation::DeleteObjects | Operation::CompleteMultipartUpload => LONGEST_LIST,
        _ => LONGEST,
    };
    let announced = length.unwrap_or(most).min(most);
    let time = patience.saturating_add(Duration::from_secs(announced / SLOWEST));
    room.take(usize::try_from(announced).unwrap_or(usize::MAX))?;
    let reading = read_as_is(body, length, most, too_long);
    let document = tokio::time::timeout(time, reading).await.map_err(|_elapsed| {
        Refusal::new("RequestTimeout", 400, "The request's document came too slowly.")
    })??;
    look_through(&document, operation)?;
    Ok(document)
}

/// Reads a body of at most `most` bytes, whatever it is.
///
/// # Errors
/// `too_long` beyond that, `IncompleteBody` and the refusals of signatures.
pub async fn read_as_is(
    mut body: DecodedBody,
    length: Option<u64>,
    most: u64,
    too_long: impl Fn() -> Refusal,
) -> Result<Bytes, Refusal> {
    if length.is_some_and(|length| length > most) {
        return Err(too_long());
    }
    // At once where the length is known: growing takes twice the memory.
    let known = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut document = BytesMut::with_capacity(known);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.refusal())?;
        let Ok(data) = frame.into_data() else { continue };
        if u64::try_from(document.len().saturating_add(data.len())).unwrap_or(u64::MAX) > most {
            return Err(too_long());
        }
        document.extend_from_slice(&data);
    }
    Ok(document.freeze())
}

/// Refuses what no document of S3 has and what the wire library would read as something else: a DTD, CDATA (it would drop it),
/// processing instructions, endless nesting, elements that it doesn't know (it would pass over them).
fn look_through(document: &[u8], operation: Operation) -> Result<(), Refusal> {
    let mut reader = Reader::from_reader(document);
    let (mut depth, mut elements): (usize, usize) = (0, 0);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                depth = depth.saturating_add(1);
                elements = elements.saturating_add(1);
                if start.attributes().take(MOST_ATTRIBUTES.saturating_add(1)).count()
                    > MOST_ATTRIBUTES
                {
                    return Err(malformed(
                        "The XML you provided has an element with too many attributes.",
                    ));
                }
                elements::check(operation, start.local_name().as_ref())?;
            }
            Ok(Event::Empty(empty)) => {
                elements = elements.saturating_add(1);
                elements::check(operation, empty.local_name().as_ref())?;
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::CData(_)) => {
                return Err(malformed(
                    "The XML you provided has a CDATA section; write it as text.",
                ));
            }
            Ok(Event::DocType(_)) => {
                return Err(malformed("The XML you provided has a DTD; leave it out."));
            }
            Ok(Event::Eof) => break,
            Ok(Event::PI(_)) => {
                return Err(malformed(
                    "The XML you provided has a processing instruction; leave it out.",
                ));
            }
            Ok(Event::Text(_) | Event::Comment(_) | Event::Decl(_) | Event::GeneralRef(_)) => {}
            Err(_error) => return Err(malformed("The XML you provided was not well-formed.")),
        }
        if depth > DEEPEST || elements > MOST_ELEMENTS {
            return Err(malformed(
                "The XML you provided is nested too deeply or has too many elements.",
            ));
        }
    }
    Ok(())
}

/// Checks `Content-MD5` and the flexible checksums of a document. DeleteObjects has to bring one of them.
///
/// # Errors
/// `InvalidDigest`, `BadDigest`, or `InvalidRequest` where one is missing.
pub fn check_digests(
    document: &[u8],
    headers: &HeaderMap,
    trailers: &Trailers,
    operation: Operation,
) -> Result<(), Refusal> {
    let expected_md5 =
        headers.get("content-md5").map(|value| checksum::md5_of(value.as_bytes())).transpose()?;
    if let Some(expected) = &expected_md5
        && Md5::digest(document).as_slice() != expected.as_slice()
    {
        return Err(checksum::bad_digest("Content-MD5"));
    }
    // The checksums of CompleteMultipartUpload are the object's.
    if operation == Operation::CompleteMultipartUpload {
        return Ok(());
    }
    let wanted = checksum::wanted(headers)?;
    let mut hashes = Hashes::new(&wanted.algorithms());
    hashes.update(document);
    let found = wanted.check(hashes.finish(), trailers)?;
    if operation == Operation::DeleteObjects && expected_md5.is_none() && found.is_none() {
        return Err(Refusal::new(
            "InvalidRequest",
            400,
            "Missing required header for this request: Content-MD5 or a checksum such as x-amz-checksum-crc32.",
        ));
    }
    Ok(())
}

/// The answer of GetObjectAttributes, where AWS writes the entity tag without the quotes that the wire library sets.
pub fn without_quotes(response: Response<Body>) -> Response<Body> {
    let (head, body) = response.into_parts();
    let text = body.bytes().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let quoted =
        ["\"", "&quot;"].map(|quote| (format!("<ETag>{quote}"), format!("{quote}</ETag>")));
    let Some(text) = text else { return Response::from_parts(head, body) };
    let text = quoted.iter().fold(text, |text, (open, close)| {
        text.replacen(open, "<ETag>", 1).replacen(close, "</ETag>", 1)
    });
    Response::from_parts(head, Body::from(Bytes::from(text)))
}

#[cfg(test)]
mod tests {
    use coffer_fuzzing::fuzz;

    use super::*;

    #[test]
    fn only_plain_documents_pass() {
        let many =
            |count: u32| (0..count).map(|n| format!("a{n}=\"1\"")).collect::<Vec<_>>().join(" ");
        let deep = "<Object>".repeat(100_000);
        let wide = format!("<Delete {}/>", many(100_000));
        let wide_open = format!("<Delete {}></Delete>", many(100));
        for (name, document, ok) in [
            (
                "a document",
                "<?xml version=\"1.0\"?><Delete><Object><Key>a&amp;b&#x1;</Key></Object></Delete>",
                true,
            ),
            ("nothing", "", true),
            ("a DTD", "<!DOCTYPE a [<!ENTITY b \"c\">]><Key>&b;</Key>", false),
            ("CDATA", "<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>", false),
            ("an instruction", "<Delete><?php a?></Delete>", false),
            ("deep", deep.as_str(), false),
            ("attributes", wide_open.as_str(), false),
            ("a wrong end", "<Delete></Quiet>", false),
            ("an element of nothing", "<Delete><Objects/></Delete>", false),
        ] {
            let looked = look_through(document.as_bytes(), Operation::DeleteObjects);
            assert_eq!(looked.is_ok(), ok, "{name}");
        }
        // Many attributes on an empty element cost nothing: they are never looked at.
        assert!(look_through(wide.as_bytes(), Operation::DeleteObjects).is_ok());
    }

    /// What a document has of CDATA and DTDs outside of comments and tags: found without the reader.
    fn declared(text: &str) -> Option<&str> {
        let mut rest = text;
        while let Some(from) = rest.find('<').and_then(|at| rest.get(at..)) {
            rest = from;
            if rest.starts_with("<![CDATA[") || rest.starts_with("<!DOCTYPE") {
                return Some(rest);
            }
            let end = if let Some(comment) = rest.strip_prefix("<!--") {
                comment.find("-->").map(|at| at + 7)
            } else {
                let mut quote = None;
                rest.find(|c| match quote {
                    Some(open) if c == open => {
                        quote = None;
                        false
                    }
                    None if c == '"' || c == '\'' => {
                        quote = Some(c);
                        false
                    }
                    Some(_) => false,
                    None => c == '>',
                })
            };
            rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        }
        None
    }

    /// What passes has nothing in it that another reader would take otherwise.
    #[test]
    fn fuzzed_documents_pass_or_are_refused() {
        let examples = [
            "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b&#x1;</Key><VersionId>null</VersionId></Object><Quiet>true</Quiet></Delete>",
            "<Delete><!-- c --><Object Size=\"1\"><Key><![CDATA[a]]></Key></Object><?p i?></Delete>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><Delete><Object><Key>&b;</Key></Object></Delete>",
        ]
        .map(|text| text.as_bytes().to_vec());
        fuzz!(examples, b"<>/!?&;[]\"'= -\x00\xff", |document: &[u8]| {
            if look_through(document, Operation::DeleteObjects).is_ok() {
                let text = String::from_utf8_lossy(document);
                assert_eq!(declared(&text), None, "{text}");
            }
        });
    }
}
