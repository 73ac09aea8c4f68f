//! A form's body, whole, cut and bent, in pieces of any size.

use bytes::Bytes;
use coffer_signature::{
    Refusal,
    post_form::{FormDecoder, FormLimits},
};
use proptest::{collection::vec, prelude::*};

use super::code;

const TYPE: &[u8] = b"multipart/form-data; boundary=xyz";

fn part(name: &str, filename: Option<&str>, value: &[u8]) -> Vec<u8> {
    let filename = filename.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
    let head =
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

type Decoded = (Vec<(String, String)>, String, Vec<u8>);

fn decoded(limits: FormLimits, wire: &[u8], pieces: &[usize]) -> Result<Decoded, Refusal> {
    let mut decoder = FormDecoder::new(TYPE, limits)?;
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(wire);
    for size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        decoder.push(rest.split_to((*size).min(rest.len())), &mut out)?;
    }
    let fields = decoder.fields().iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let filename = decoder.filename().unwrap_or("-").to_owned();
    decoder.finish().map(|()| (fields, filename, out.concat()))
}

#[test]
fn a_body_is_read_or_refused_by_code() {
    const BAD: &str = "MalformedPOSTRequest";
    const LARGE: &str = "MaxPostPreDataLengthExceededError";
    let key = part("key", None, b"k");
    let file = part("file", Some("a.txt"), b"hello");
    let end = b"--xyz--\r\n".to_vec();
    let limits = FormLimits { fields: 3, field_bytes: 100, total_bytes: 1000 };
    let many: Vec<u8> = (0..4).flat_map(|n| part(&format!("f{n}"), None, b"")).collect();
    let three: Vec<u8> = (0..3).flat_map(|n| part(&format!("f{n}"), None, b"")).collect();
    for (what, body, expected) in [
        ("a form", [&key[..], &file, &end].concat(), "OK"),
        ("without its last line's end", [&key[..], &file, b"--xyz--"].concat(), "OK"),
        ("with an epilogue", [&key[..], &file, &end, b"bye"].concat(), "OK"),
        ("with a long epilogue", [&key[..], &file, &end, &[b'x'; 1001]].concat(), LARGE),
        (
            "a button after the file",
            [&key[..], &file, &part("submit", None, b"x"), &end].concat(),
            "OK",
        ),
        (
            "much after the file",
            [&key[..], &file, &part("x", None, &[b'x'; 1000]), &end].concat(),
            LARGE,
        ),
        (
            "what nobody looks at",
            [&key[..], &file, &key, b"--xyz\r\n\r\nx\r\n", &end].concat(),
            "OK",
        ),
        ("file first", [&file[..], &key, &end].concat(), "OK"),
        ("no file", [&key[..], &end].concat(), "IncorrectNumberOfFilesInPostRequest"),
        ("nothing", Vec::new(), BAD),
        ("only an end", end.clone(), "IncorrectNumberOfFilesInPostRequest"),
        ("no end", [&key[..], &file].concat(), BAD),
        ("half an end", [&key[..], &file, b"--xyz-"].concat(), BAD),
        ("a preamble", [b"hi\r\n", &key[..], &file, &end].concat(), BAD),
        ("an empty line before", [b"\r\n", &key[..], &file, &end].concat(), BAD),
        ("another boundary", [&key[..], &file, &end].concat().replace_all(b"xyz", b"abc"), BAD),
        (
            "a longer boundary",
            [&key[..], &file, &end].concat().replace_all(b"xyz\r", b"xyza\r"),
            BAD,
        ),
        ("LF for CRLF", [&key[..], &file, &end].concat().replace_all(b"\r\n", b"\n"), BAD),
        ("a key twice", [&key[..], &key, &file, &end].concat(), "InvalidArgument"),
        (
            "a key twice, in another case",
            [&key[..], &part("KEY", None, b"l"), &file, &end].concat(),
            "InvalidArgument",
        ),
        ("a value that is no text", [&part("key", None, b"\xff")[..], &file, &end].concat(), BAD),
        ("a long value", [&part("key", None, &[b'k'; 100])[..], &file, &end].concat(), "OK"),
        ("too long a value", [&part("key", None, &[b'k'; 101])[..], &file, &end].concat(), LARGE),
        ("as many fields as may be", [&three[..], &file, &end].concat(), "OK"),
        ("one too many", [&many[..], &file, &end].concat(), LARGE),
        (
            "a head without end",
            [b"--xyz\r\nContent-Disposition: ", &[b'a'; 5000][..]].concat(),
            LARGE,
        ),
        ("no name", [b"--xyz\r\n\r\nk\r\n", &file[..], &end].concat(), BAD),
    ] {
        for pieces in [&[1][..], &[7], &[10_000]] {
            assert_eq!(code(decoded(limits, &body, pieces)), expected, "{what} {pieces:?}");
        }
    }
    // The usual limits: 64 fields, 20 KiB each, 64 KiB in all; a part's head has its own.
    let usual = FormLimits::default();
    for (fields, bytes, expected) in [
        (1, 20 * 1024, "OK"),
        (1, 20 * 1024 + 1, LARGE),
        (64, 0, "OK"),
        (65, 0, LARGE),
        (3, 20 * 1024, "OK"),
        (4, 20 * 1024, LARGE),
    ] {
        let value = vec![b'x'; bytes];
        let body: Vec<u8> =
            (0..fields).flat_map(|n| part(&format!("f{n}"), None, &value)).collect();
        let answer = decoded(usual, &[&body[..], &file, &end].concat(), &[1460]);
        assert_eq!(code(answer), expected, "{fields} of {bytes}");
    }
    let endless = [b"--xyz\r\nContent-Disposition: ", &[b'a'; 5000][..]].concat();
    assert_eq!(code(decoded(FormLimits::default(), &endless, &[100])), BAD);
    assert_eq!(code(FormDecoder::new(b"text/plain", limits).map(drop)), BAD);
}

trait ReplaceAll {
    fn replace_all(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceAll for Vec<u8> {
    fn replace_all(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let (text, from, to) = (self, std::str::from_utf8(from), std::str::from_utf8(to));
        std::str::from_utf8(text).unwrap().replace(from.unwrap(), to.unwrap()).into_bytes()
    }
}

/// Content that looks like a boundary here and there, and never is one.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n--xy".to_vec()),
        Just(b"\r\n--".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"--xyz".to_vec()),
        vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat()).prop_filter("a boundary", |bytes| {
        !bytes.windows(7).any(|window| window == b"\r\n--xyz") && !bytes.starts_with(b"--xyz")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_form_comes_out_as_it_went_in(
        values in vec("[^\u{0}]{0,20}", 0..6), file in content(), name in "[a-z/. ü]{0,12}",
        pieces in vec(1..60_usize, 1..8),
    ) {
        let values: Vec<(String, String)> = values.into_iter().enumerate()
            .filter(|(_, value)| !value.contains("\r\n--xyz"))
            .map(|(n, value)| (format!("field-{n}"), value)).collect();
        let mut wire: Vec<u8> = values.iter().flat_map(|(n, v)| part(n, None, v.as_bytes())).collect();
        wire.extend(part("file", Some(&name), &file));
        wire.extend(b"--xyz--\r\n");
        let read = decoded(FormLimits::default(), &wire, &pieces).unwrap();
        prop_assert_eq!(read, (values, name, file));
    }

    #[test]
    fn a_cut_form_is_refused(file in content(), at: prop::sample::Index, pieces in vec(1..60_usize, 1..8)) {
        let mut wire = part("key", None, b"k");
        wire.extend(part("file", Some("a"), &file));
        wire.extend(b"--xyz--");
        let cut = &wire[..at.index(wire.len())];
        prop_assert!(decoded(FormLimits::default(), cut, &pieces).is_err());
    }
}
