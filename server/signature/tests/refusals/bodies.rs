//! Bodies.

use bytes::Bytes;
use coffer_signature::{
    Claim, Payload, PayloadHash, Refusal, Signer, Trailers, anonymous_payload, claim,
};
use http::{HeaderName, HeaderValue};

use crate::sent::{EXPECTED, Sent, base, credentials, now};

/// Signed in the given form, with what the chunks' headers say.
fn streamed(
    hash: PayloadHash,
    length: &str,
    trailer: Option<&str>,
    body: &[&'static [u8]],
) -> (Sent, Vec<Bytes>) {
    let mut sent = base();
    sent.set("x-amz-decoded-content-length", length);
    let mut trailers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    if let Some(name) = trailer {
        sent.set("x-amz-trailer", name);
        trailers.push((name.parse().unwrap(), "AAAA".parse().unwrap()));
    }
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let mut encoder = signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap()
        .unwrap();
    let mut chunks = Vec::new();
    for chunk in body {
        let mut out = Vec::new();
        encoder.chunk(Bytes::from_static(chunk), &mut out);
        chunks.push(Bytes::from(out.concat()));
    }
    let mut out = Vec::new();
    encoder.finish(&trailers, &mut out);
    chunks.extend(out);
    (sent, chunks)
}

fn read(payload: &Payload, wire: &[u8]) -> Result<(Vec<u8>, Trailers), Refusal> {
    let mut decoder = payload.decoder(None);
    let mut out = Vec::new();
    decoder.push(Bytes::copy_from_slice(wire), &mut out)?;
    decoder.finish().map(|trailers| (out.concat(), trailers))
}

#[test]
fn chunked_bodies_are_refused_by_code() {
    let (sent, chunks) = streamed(PayloadHash::SignedChunks, "11", None, &[b"hello ", b"world"]);
    let verified = sent.verify_at(now(), &EXPECTED).unwrap();
    let [one, two, zero, end] = chunks.as_slice() else { panic!("{chunks:?}") };
    let join = |parts: &[&[u8]]| parts.concat();
    let edit = |from: &str, to: &str| {
        let wire = String::from_utf8(chunks.concat()).unwrap();
        assert!(wire.contains(from), "{wire}");
        wire.replacen(from, to, 1).into_bytes()
    };
    let zeros = "0".repeat(1024);
    for (name, wire, expected) in [
        ("whole", chunks.concat(), "OK"),
        ("swapped", join(&[two, one, zero, end]), "SignatureDoesNotMatch"),
        ("doubled", join(&[one, one, two, zero, end]), "IncompleteBody"),
        ("left out", join(&[two, zero, end]), "SignatureDoesNotMatch"),
        ("no end", join(&[one, two]), "IncompleteBody"),
        ("no last line", join(&[one, two, zero]), "IncompleteBody"),
        ("half a last line", join(&[one, two, zero, b"\r"]), "IncompleteBody"),
        ("cut in a chunk", join(&[one, two.get(..90).unwrap()]), "IncompleteBody"),
        ("nothing", Vec::new(), "IncompleteBody"),
        ("fewer bytes", join(&[one, zero, end]), "SignatureDoesNotMatch"),
        ("bytes after the end", join(&[one, two, zero, end, b"x"]), "IncompleteBody"),
        ("chunk after the end", join(&[one, two, zero, end, one]), "IncompleteBody"),
        ("byte changed", edit("hello", "hellO"), "SignatureDoesNotMatch"),
        ("size too large", edit("6;", "b;"), "SignatureDoesNotMatch"),
        ("size too small", edit("6;", "5;"), "SignatureDoesNotMatch"),
        ("more than announced", edit("6;", "c;"), "IncompleteBody"),
        ("size of 64 bits", edit("6;", "ffffffffffffffff;"), "InvalidRequest"),
        ("size beyond 64 bits", edit("6;", "10000000000000000;"), "InvalidRequest"),
        ("size above 16 MiB", edit("6;", "1000001;"), "InvalidRequest"),
        ("negative size", edit("6;", "-1;"), "InvalidRequest"),
        ("size with a sign", edit("6;", "+6;"), "InvalidRequest"),
        ("size with a prefix", edit("6;", "0x6;"), "InvalidRequest"),
        ("size with a blank", edit("6;", "6 ;"), "InvalidRequest"),
        ("no size", edit("6;", ";"), "InvalidRequest"),
        ("1 KiB of zeros", edit("6;", &format!("{zeros}6;")), "InvalidRequest"),
        ("seventeen digits", edit("6;", "00000000000000006;"), "InvalidRequest"),
        ("no signature", edit("6;chunk-signature=", "6;"), "InvalidRequest"),
        (
            "another extension",
            edit("6;chunk-signature=", "6;a=b;chunk-signature="),
            "InvalidRequest",
        ),
        ("bare LF after a head", edit("\r\nhello", "\nhello"), "InvalidRequest"),
        ("no CRLF after a chunk", edit("hello \r\n", "hello "), "InvalidRequest"),
        ("LF after a chunk", edit("hello \r\n", "hello \n"), "InvalidRequest"),
        ("more than CRLF after a chunk", edit("hello \r\n", "hello !\r\n"), "InvalidRequest"),
    ] {
        let code = read(verified.payload(), &wire).map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}

#[test]
fn trailers_are_refused_by_code() {
    let bad = "MalformedTrailerError";
    let name = "x-amz-checksum-crc32";
    let line = "x-amz-checksum-crc32:AAAA\r\n";
    for hash in [PayloadHash::SignedChunksTrailer, PayloadHash::UnsignedChunksTrailer] {
        let signed = hash == PayloadHash::SignedChunksTrailer;
        let by_signature = if signed { "SignatureDoesNotMatch" } else { "OK" };
        let (sent, chunks) = streamed(hash, "11", Some(name), &[b"hello ", b"world"]);
        let verified = sent.verify_at(now(), &EXPECTED).unwrap();
        let wire = String::from_utf8(chunks.concat()).unwrap();
        let edit = |from: &str, to: &str| {
            assert!(wire.contains(from), "{wire}");
            wire.replacen(from, to, 1)
        };
        let long = format!("{name}:{}\r\n", "A".repeat(2048));
        for (row, wire, expected) in [
            ("whole", wire.clone(), "OK"),
            ("spaced", edit(line, "X-Amz-Checksum-CRC32: AAAA \r\n"), "OK"),
            ("line ended as minio-go does", edit(line, "x-amz-checksum-crc32:AAAA\n"), "OK"),
            ("value changed", edit("AAAA", "AAAB"), by_signature),
            ("left out", edit(line, ""), bad),
            ("twice", edit(line, &line.repeat(2)), bad),
            ("not announced", edit(line, &format!("{line}x-amz-acl:public-read\r\n")), bad),
            ("renamed", edit(name, "x-amz-checksum-sha1"), bad),
            ("empty line before", edit(line, &format!("\r\n{line}")), bad),
            ("no colon", edit(line, "x-amz-checksum-crc32\r\n"), bad),
            ("no name", edit(line, ":AAAA\r\n"), bad),
            ("too long", edit(line, &long), bad),
            ("no end", wire.trim_end().to_owned(), "IncompleteBody"),
            ("bytes after the end", format!("{wire}x"), "IncompleteBody"),
            // minio-go ends unsigned trailers so; after signed ones nobody does.
            (
                "one empty line more",
                format!("{wire}\r\n"),
                if signed { "IncompleteBody" } else { "OK" },
            ),
            ("half an empty line more", format!("{wire}\r"), "IncompleteBody"),
            ("a line feed more", format!("{wire}\n"), "IncompleteBody"),
            ("two empty lines more", format!("{wire}\r\n\r\n"), "IncompleteBody"),
        ] {
            let code = read(verified.payload(), wire.as_bytes())
                .map_or_else(|refusal| refusal.code(), |_| "OK");
            assert_eq!(code, expected, "{row}, {hash:?}");
        }
        if signed {
            let at = wire.find("x-amz-trailer-signature").unwrap();
            let unsigned = format!("{}\r\n", wire.get(..at).unwrap());
            assert_eq!(
                read(verified.payload(), unsigned.as_bytes()).unwrap_err().code(),
                "IncompleteBody"
            );
            let unsigned = format!("{unsigned}\r\n");
            assert_eq!(read(verified.payload(), unsigned.as_bytes()).unwrap_err().code(), bad);
            let line_before = edit("x-amz-trailer-signature", "\r\nx-amz-trailer-signature");
            assert!(read(verified.payload(), line_before.as_bytes()).is_ok());
        } else {
            let signed =
                edit(line, &format!("{line}x-amz-trailer-signature:{}\r\n", "0".repeat(64)));
            assert_eq!(read(verified.payload(), signed.as_bytes()).unwrap_err().code(), bad);
        }
        let (_, trailers) = read(verified.payload(), wire.as_bytes()).unwrap();
        assert_eq!(trailers.get(&name.parse().unwrap()).unwrap(), "AAAA");
    }
}

#[test]
fn what_streamed_bodies_need_is_asked_before_the_body() {
    for (name, length, trailer, hash, expected) in [
        ("length", "11", None, PayloadHash::SignedChunks, "OK"),
        ("no length", "", None, PayloadHash::SignedChunks, "MissingContentLength"),
        ("negative", "-1", None, PayloadHash::SignedChunks, "InvalidArgument"),
        ("with a sign", "+11", None, PayloadHash::UnsignedChunksTrailer, "InvalidArgument"),
        (
            "beyond 64 bits",
            "18446744073709551616",
            None,
            PayloadHash::SignedChunks,
            "InvalidArgument",
        ),
        ("two lengths", "11, 11", None, PayloadHash::SignedChunks, "InvalidArgument"),
        (
            "trailers in a form without",
            "11",
            Some("x-amz-checksum-crc32"),
            PayloadHash::SignedChunks,
            "InvalidRequest",
        ),
    ] {
        let (sent, _) = streamed(hash, length, trailer, &[]);
        assert_eq!(sent.code(), expected, "{name}");
    }
    for (name, trailer, expected) in [
        ("two", "x-amz-checksum-crc32, x-amz-checksum-sha1", "OK"),
        ("one twice", "x-amz-checksum-crc32,X-Amz-Checksum-Crc32", "MalformedTrailerError"),
        ("the signature", "x-amz-trailer-signature", "MalformedTrailerError"),
        ("no name", "x-amz-checksum-crc32,", "MalformedTrailerError"),
        ("too many", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "MalformedTrailerError"),
    ] {
        let mut sent = base();
        sent.set("x-amz-decoded-content-length", "11");
        sent.set("x-amz-trailer", trailer);
        let (credentials, hash) = (credentials(), PayloadHash::UnsignedChunksTrailer);
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        signer
            .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
            .unwrap();
        assert_eq!(sent.code(), expected, "{name}");
    }
}

#[test]
fn plain_bodies_are_refused_by_code() {
    for (name, payload, length, body, expected) in [
        ("signed", Payload::Sha256(hash(b"body")), Some(4), "body", "OK"),
        ("signed, length unknown", Payload::Sha256(hash(b"body")), None, "body", "OK"),
        ("changed", Payload::Sha256(hash(b"body")), Some(4), "bodY", "XAmzContentSHA256Mismatch"),
        ("cut", Payload::Sha256(hash(b"body")), Some(4), "bod", "IncompleteBody"),
        (
            "cut, length unknown",
            Payload::Sha256(hash(b"body")),
            None,
            "bod",
            "XAmzContentSHA256Mismatch",
        ),
        ("longer", Payload::Sha256(hash(b"body")), Some(4), "bodyy", "IncompleteBody"),
        (
            "body where none was signed",
            Payload::Sha256(hash(b"")),
            None,
            "body",
            "XAmzContentSHA256Mismatch",
        ),
        ("unsigned", Payload::Unsigned, Some(4), "bodY", "OK"),
        ("unsigned, cut", Payload::Unsigned, Some(4), "bod", "IncompleteBody"),
        ("unsigned, longer", Payload::Unsigned, Some(4), "bodyy", "IncompleteBody"),
    ] {
        let mut decoder = payload.decoder(length);
        let mut out = Vec::new();
        let code = decoder
            .push(Bytes::from(body), &mut out)
            .and_then(|()| decoder.finish())
            .map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}

fn hash(body: &[u8]) -> [u8; 32] {
    match PayloadHash::of(body) {
        PayloadHash::Sha256(hash) => hash,
        other => panic!("{other:?}"),
    }
}

#[test]
fn once_refused_a_body_stays_refused() {
    let mut decoder = Payload::Unsigned.decoder(Some(1));
    let mut out = Vec::new();
    assert!(decoder.push(Bytes::from_static(b"ab"), &mut out).is_err());
    assert!(decoder.push(Bytes::new(), &mut out).is_err());
    assert!(decoder.finish().is_err() && out.is_empty());
}

#[test]
fn an_anonymous_body_is_never_in_signed_chunks() {
    for (name, value, expected) in [
        ("none", None, "OK"),
        ("unsigned", Some("UNSIGNED-PAYLOAD"), "OK"),
        ("unsigned chunks", Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "OK"),
        ("signed chunks", Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "AccessDenied"),
        ("signed trailers", Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), "AccessDenied"),
    ] {
        let mut sent = base();
        sent.set("x-amz-decoded-content-length", "1");
        if let Some(value) = value {
            sent.set("x-amz-content-sha256", value);
        }
        assert!(matches!(claim(&sent.request()), Ok(Claim::Anonymous)), "{name}");
        let code =
            anonymous_payload(&sent.request()).map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}

#[test]
fn fewer_bytes_than_announced_are_refused_in_every_form() {
    for (hash, trailer) in [
        (PayloadHash::SignedChunks, None),
        (PayloadHash::SignedChunksTrailer, Some("x-amz-checksum-crc32")),
        (PayloadHash::UnsignedChunksTrailer, Some("x-amz-checksum-crc32")),
    ] {
        for (length, expected) in [("10", false), ("11", true), ("12", false)] {
            let (sent, chunks) = streamed(hash, length, trailer, &[b"hello ", b"world"]);
            let verified = sent.verify_at(now(), &EXPECTED).unwrap();
            let result = read(verified.payload(), &chunks.concat());
            assert_eq!(result.is_ok(), expected, "{hash:?}, {length}");
            assert!(expected || result.unwrap_err().code() == "IncompleteBody");
        }
    }
}

#[test]
fn unsigned_chunks_are_as_strict() {
    let mut sent = base();
    sent.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    sent.set("x-amz-decoded-content-length", "5");
    sent.set("x-amz-trailer", "a, b");
    let payload = anonymous_payload(&sent.request()).unwrap();
    for (name, wire, expected) in [
        ("whole", "5\r\nhello\r\n0\r\na:1\r\nb:2\r\n\r\n", "OK"),
        ("extension", "5;a=b\r\nhello\r\n0\r\na:1\r\nb:2\r\n\r\n", "InvalidRequest"),
        ("empty extension", "5;\r\nhello\r\n0\r\na:1\r\nb:2\r\n\r\n", "InvalidRequest"),
        ("one twice", "5\r\nhello\r\n0\r\na:1\r\na:2\r\n\r\n", "MalformedTrailerError"),
        ("one missing", "5\r\nhello\r\n0\r\na:1\r\n\r\n", "MalformedTrailerError"),
        ("no end", "5\r\nhello\r\n", "IncompleteBody"),
    ] {
        let code = read(&payload, wire.as_bytes()).map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }

    let mut decoder = payload.decoder(None);
    let mut out = Vec::new();
    let good = Bytes::from_static(b"5\r\nhello\r\n0\r\na:1\r\nb:2\r\n\r\n");
    assert!(decoder.push(Bytes::from_static(b"zz\r\n"), &mut out).is_err());
    assert!(decoder.push(good, &mut out).is_err(), "it forgot that it refused");
    assert!(decoder.finish().is_err() && out.is_empty());
}
