//! What holds for any request, any body and any bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]

use std::time::Duration;

use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, Payload, PayloadHash, Refusal, Request, SecretKey, Signer,
    SigningKeyCache, Trailers, V2Signer, Verified, anonymous_payload, claim, verify,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::Index};

const EXPECTED: Expected<'_> = Expected { region: "us-east-1", service: "s3", host_bucket: None };
const FORMS: [PayloadHash; 3] = [
    PayloadHash::SignedChunks,
    PayloadHash::SignedChunksTrailer,
    PayloadHash::UnsignedChunksTrailer,
];

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "id".parse().unwrap(),
        secret_key: SecretKey::new("secret".to_owned()),
        session_token: None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    V4Header,
    V4Presigned,
    V2Header,
    V2Presigned,
}

fn any_form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::V4Header, Form::V4Presigned, Form::V2Header, Form::V2Presigned])
}

#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Sent {
    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn sign(&mut self, hash: PayloadHash) -> Option<coffer_signature::ChunkEncoder> {
        let credentials = credentials();
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        signer
            .sign_headers(&self.method, &self.path, &self.query, &mut self.headers, &hash, now())
            .unwrap()
    }

    fn presign(&mut self) {
        let credentials = credentials();
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        let life = Duration::from_mins(1);
        self.query = signer
            .presign(&self.method, &self.path, &self.query, &self.headers, life, now())
            .unwrap();
    }

    fn sign_as(&mut self, form: Form) {
        let credentials = credentials();
        let v2 = V2Signer { credentials: &credentials, host_bucket: None };
        match form {
            Form::V4Header => drop(self.sign(PayloadHash::Unsigned)),
            Form::V4Presigned => self.presign(),
            Form::V2Header => v2
                .sign_headers(&self.method, &self.path, &self.query, &mut self.headers, now())
                .unwrap(),
            Form::V2Presigned => {
                self.query = v2
                    .presign(&self.method, &self.path, &self.query, &self.headers, now())
                    .unwrap();
            }
        }
    }

    fn verify(&self) -> Result<Verified, Refusal> {
        match claim(&self.request())? {
            Claim::Anonymous | Claim::Form => panic!("no signature: {self:?}"),
            Claim::Signed(claim) => {
                let known = credentials();
                let secret =
                    (*claim.access_key_id() == known.access_key_id).then_some(&known.secret_key);
                verify(
                    &claim,
                    &self.request(),
                    secret,
                    &EXPECTED,
                    now(),
                    &SigningKeyCache::default(),
                )
            }
        }
    }
}

/// Percent-encoded as a careful client does, which leaves other text alone.
fn escaped() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            4 => "[a-zA-Z0-9._~!$'()*+,;:@/-]",
            1 => "[^\u{0}-\u{7f}]",
            2 => any::<u8>().prop_map(|byte| format!("%{byte:02X}")),
            1 => any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        ],
        0..24,
    )
    .prop_map(|parts| parts.concat())
}

prop_compose! {
    fn any_request()(
        method in prop::sample::select(vec![Method::GET, Method::PUT, Method::DELETE, Method::HEAD]),
        path in escaped(),
        pairs in vec((escaped(), escaped()), 0..5),
        headers in vec(("x-amz-meta-[a-z]{1,4}|range|content-type", "[ -~]{0,20}"), 0..5),
    ) -> Sent {
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut map = HeaderMap::new();
        map.insert("host", HeaderValue::from_static("s3.example.com"));
        for (name, value) in headers {
            let (name, value) = (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap());
            // One content-type, as HTTP has it.
            if name == "content-type" { map.insert(name, value); } else { map.append(name, value); }
        }
        Sent { method, path: format!("/{path}"), query: pairs.join("&"), headers: map }
    }
}

/// Another ASCII character in place of the one that `at` points to, if it is one.
fn change(text: &str, at: Index, to: char) -> Option<String> {
    let (at, from) = text.char_indices().nth(at.index(text.chars().count().max(1)))?;
    (from != to).then(|| {
        format!("{}{to}{}", text.get(..at).unwrap(), text.get(at + from.len_utf8()..).unwrap())
    })
}

/// What a text means, for a change that keeps the meaning keeps the signature.
fn meaning(text: &str, plus: char) -> Vec<u8> {
    percent_encoding::percent_decode_str(&text.replace('+', &plus.to_string())).collect()
}

fn sorted_pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (meaning(name, ' '), meaning(value, ' ')))
        .collect();
    pairs.sort();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_signed_is_verified(mut sent in any_request(), form in any_form()) {
        sent.sign_as(form);
        prop_assert!(sent.verify().is_ok(), "{:?} {sent:?}", sent.verify());
    }

    #[test]
    fn another_method_is_refused(mut sent in any_request(), form in any_form()) {
        sent.sign_as(form);
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD] {
            if method != sent.method {
                let bent = Sent { method, ..sent.clone() };
                prop_assert!(bent.verify().is_err());
            }
        }
    }

    #[test]
    fn another_path_is_refused(mut sent in any_request(), form in any_form(), at: Index, to in "[ -~]") {
        sent.sign_as(form);
        if let Some(path) = change(&sent.path, at, to.chars().next().unwrap()) {
            // V4 signs what a path means, V2 how it is written.
            let v2 = matches!(form, Form::V2Header | Form::V2Presigned);
            prop_assume!(v2 || meaning(&path, '+') != meaning(&sent.path, '+'));
            let bent = Sent { path, ..sent.clone() };
            prop_assert!(bent.verify().is_err(), "{sent:?}");
        }
    }

    #[test]
    fn another_query_is_refused(mut sent in any_request(), presigned: bool, at: Index, to in "[ -~]") {
        if presigned { sent.presign() } else { drop(sent.sign(PayloadHash::Unsigned)) }
        if let Some(query) = change(&sent.query, at, to.chars().next().unwrap()) {
            // Blank-separated, doubled `&` and the like are the same pairs.
            prop_assume!(sorted_pairs(&query) != sorted_pairs(&sent.query));
            let bent = Sent { query, ..sent.clone() };
            prop_assert!(bent.verify().is_err(), "{sent:?}");
        }
    }

    #[test]
    fn another_signed_header_is_refused(mut sent in any_request(), which: Index, at: Index, to in "[!-~]") {
        drop(sent.sign(PayloadHash::of(b"body")));
        let names: Vec<HeaderName> = sent.headers.keys().cloned().collect();
        let name = which.get(&names).clone();
        let value = sent.headers[&name].to_str().unwrap().to_owned();
        if let Some(value) = change(&value, at, to.chars().next().unwrap()) {
            let old = std::mem::replace(sent.headers.get_mut(&name).unwrap(), value.parse().unwrap());
            let folded = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            let same = folded(old.to_str().unwrap()) == folded(&value);
            // Blanks and commas between the fields of Authorization mean nothing.
            prop_assert!(same || sent.verify().is_err(), "{name}: {old:?} {value}");
        }
    }

    #[test]
    fn another_amz_header_or_type_is_refused_by_v2(
        mut sent in any_request(), presigned: bool, which: Index, at: Index, to in "[!-~]", added in "x-amz-[a-z]{1,9}",
    ) {
        sent.sign_as(if presigned { Form::V2Presigned } else { Form::V2Header });
        let names: Vec<HeaderName> = sent.headers.keys()
            .filter(|name| name.as_str().starts_with("x-amz-") || *name == "content-type").cloned().collect();
        let mut more = sent.clone();
        more.headers.append(HeaderName::from_bytes(added.as_bytes()).unwrap(), HeaderValue::from_static("1"));
        prop_assert!(more.verify().is_err(), "{sent:?}");
        prop_assume!(!names.is_empty());
        let name = which.get(&names).clone();
        let value = sent.headers[&name].to_str().unwrap().to_owned();
        if let Some(value) = change(&value, at, to.chars().next().unwrap()) {
            let old = std::mem::replace(sent.headers.get_mut(&name).unwrap(), value.parse().unwrap());
            let same = old.to_str().unwrap().trim() == value.trim();
            prop_assert!(same || sent.verify().is_err(), "{name}: {old:?} {value}");
        }
    }

    #[test]
    fn any_request_is_read_or_refused(
        method in prop::sample::select(vec![Method::GET, Method::POST]),
        path in ".{0,64}",
        query in "((AWSAccessKeyId|Expires|Signature)=[ -~]{0,40}&?){0,5}|(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[ -~]{0,40}&?){0,8}|.{0,64}",
        authorization in "AWS [ -~]{0,64}|(AWS4-HMAC-SHA256 )?(Credential=|SignedHeaders=|Signature=|[ -~]|,){0,64}",
        date in "[0-9TZ]{0,17}|[ -~]{0,40}",
        sha in "[ -~]{0,70}",
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", authorization), ("x-amz-date", date), ("x-amz-content-sha256", sha)] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        let sent = Sent { method, path, query, headers };
        drop(claim(&sent.request()));
        drop(anonymous_payload(&sent.request()));
    }
}

/// A body in one of the three forms: its payload, its bytes on the wire.
fn encoded(hash: PayloadHash, body: &[Vec<u8>]) -> (Payload, Vec<u8>) {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("s3.example.com"));
    headers.insert("x-amz-decoded-content-length", body.concat().len().into());
    let mut trailers = Vec::new();
    if hash != PayloadHash::SignedChunks {
        headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
        trailers.push((
            HeaderName::from_static("x-amz-checksum-crc32"),
            HeaderValue::from_static("AAAAAA=="),
        ));
    }
    let mut sent =
        Sent { method: Method::PUT, path: "/b/k".to_owned(), query: String::new(), headers };
    let mut encoder = sent.sign(hash).unwrap();
    let mut wire = Vec::new();
    for chunk in body {
        encoder.chunk(Bytes::from(chunk.clone()), &mut wire);
    }
    encoder.finish(&trailers, &mut wire);
    (sent.verify().unwrap().payload().clone(), wire.concat())
}

/// Reads `wire` in pieces of the given sizes, over and over.
fn decoded(
    payload: &Payload,
    wire: &[u8],
    pieces: &[usize],
) -> Result<(Vec<u8>, Trailers), Refusal> {
    let mut decoder = payload.decoder(None);
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(wire);
    for size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let piece = rest.split_to((*size).min(rest.len()));
        decoder.push(piece, &mut out)?;
    }
    decoder.finish().map(|trailers| (out.concat(), trailers))
}

fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..200), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_body_comes_out_as_it_went_in(
        hash in prop::sample::select(FORMS.to_vec()), body in chunks(), pieces in vec(1..50_usize, 1..8),
    ) {
        let (payload, wire) = encoded(hash, &body);
        let (read, trailers) = decoded(&payload, &wire, &pieces).unwrap();
        prop_assert_eq!(read, body.concat());
        prop_assert_eq!(trailers.is_empty(), hash == PayloadHash::SignedChunks);
    }

    #[test]
    fn a_changed_byte_of_a_signed_body_is_refused(
        trailer: bool, body in chunks(), at: Index, to: u8, pieces in vec(1..50_usize, 1..8),
    ) {
        let hash = if trailer { PayloadHash::SignedChunksTrailer } else { PayloadHash::SignedChunks };
        let (payload, mut wire) = encoded(hash, &body);
        let at = at.index(wire.len());
        let from = std::mem::replace(&mut wire[at], to);
        prop_assume!(!from.eq_ignore_ascii_case(&to)); // a size's or a name's case
        match decoded(&payload, &wire, &pieces) {
            Err(_) => (),
            // The blanks and line ends of trailers are not signed: content is.
            Ok((read, trailers)) => {
                let (original, original_trailers) = decoded(&payload, &{ wire[at] = from; wire }, &[64]).unwrap();
                prop_assert_eq!(read, original);
                prop_assert_eq!(trailers, original_trailers);
                prop_assert!(trailer);
            }
        }
    }

    #[test]
    fn a_cut_or_longer_body_is_refused(
        hash in prop::sample::select(FORMS.to_vec()), body in chunks(), at: Index, more in vec(any::<u8>(), 1..9),
    ) {
        let (payload, wire) = encoded(hash, &body);
        let cut = &wire[..at.index(wire.len())];
        prop_assert!(decoded(&payload, cut, &[17]).is_err());
        prop_assert!(decoded(&payload, &[wire, more].concat(), &[17]).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        hash in prop::sample::select(FORMS.to_vec()),
        wire in vec(prop_oneof![
            Just(b"\r\n".to_vec()), Just(b"0".to_vec()), Just(b"3\r\nabc\r\n".to_vec()), Just(b"0\r\n".to_vec()),
            Just(b"5;chunk-signature=".to_vec()), Just(b"x-amz-checksum-crc32:".to_vec()), vec(any::<u8>(), 0..40),
        ], 0..12),
        pieces in vec(1..50_usize, 1..8),
    ) {
        let (payload, _) = encoded(hash, &[b"abcabc".to_vec()]);
        if let Ok((read, _)) = decoded(&payload, &wire.concat(), &pieces) {
            prop_assert_eq!(hash, PayloadHash::UnsignedChunksTrailer);
            prop_assert_eq!(read.len(), 6);
        }
    }
}
