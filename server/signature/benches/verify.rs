//! What a signature costs: a request's, and a chunk's beyond the hash of its bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panic")]

use std::{hint::black_box, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, Payload, PayloadHash, Request, SecretKey, Signer,
    SigningKeyCache, V2Signer, Verified, claim,
    post_form::{self, Fields, FormDecoder, FormLimits, LengthRange, sign_form, sign_form_v2},
    verify,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;

const EXPECTED: Expected<'_> = Expected { region: "us-east-1", service: "s3", host_bucket: None };
const PATH: &str = "/photos/2026/03/01/an%20ordinary%20key.jpeg";
const CHUNK: usize = 64 * 1024;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".parse().unwrap(),
        secret_key: SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("s3.example.com"));
    headers
}

fn checked(
    request: &Request<'_>,
    secret: Option<&SecretKey>,
    keys: &SigningKeyCache,
) -> Option<Verified> {
    match claim(request) {
        Ok(Claim::Signed(claim)) => verify(&claim, request, secret, &EXPECTED, now(), keys).ok(),
        Ok(Claim::Anonymous | Claim::Form) | Err(_) => panic!("not signed"),
    }
}

fn requests(c: &mut Criterion) {
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let keys = SigningKeyCache::default();
    let secret = &credentials.secret_key;

    let mut request_headers = headers();
    request_headers.insert("content-type", HeaderValue::from_static("image/jpeg"));
    request_headers.insert("x-amz-meta-author", HeaderValue::from_static("somebody"));
    signer
        .sign_headers(&Method::PUT, PATH, "", &mut request_headers, &PayloadHash::Unsigned, now())
        .unwrap();
    let request =
        Request { method: &Method::PUT, path: PATH, query: "", headers: &request_headers };
    assert!(checked(&request, Some(secret), &keys).is_some());
    c.bench_function("header", |b| b.iter(|| checked(black_box(&request), Some(secret), &keys)));
    c.bench_function("header, unknown key", |b| {
        b.iter(|| checked(black_box(&request), None, &keys));
    });
    c.bench_function("header, key derived", |b| {
        b.iter_batched(
            || SigningKeyCache::new(1),
            |keys| checked(black_box(&request), Some(secret), &keys),
            criterion::BatchSize::SmallInput,
        );
    });

    let headers = headers();
    let query =
        signer.presign(&Method::GET, PATH, "", &headers, Duration::from_mins(1), now()).unwrap();
    let request = Request { method: &Method::GET, path: PATH, query: &query, headers: &headers };
    assert!(checked(&request, Some(secret), &keys).is_some());
    c.bench_function("presigned", |b| b.iter(|| checked(black_box(&request), Some(secret), &keys)));
}

fn v2(c: &mut Criterion) {
    let credentials = credentials();
    let by_v2 = V2Signer { credentials: &credentials, host_bucket: None };
    let keys = SigningKeyCache::default();
    let secret = &credentials.secret_key;

    let mut request_headers = headers();
    request_headers.insert("content-type", HeaderValue::from_static("image/jpeg"));
    request_headers.insert("x-amz-meta-author", HeaderValue::from_static("somebody"));
    by_v2.sign_headers(&Method::PUT, PATH, "", &mut request_headers, now()).unwrap();
    let request =
        Request { method: &Method::PUT, path: PATH, query: "", headers: &request_headers };
    assert!(checked(&request, Some(secret), &keys).is_some());
    c.bench_function("v2 header", |b| b.iter(|| checked(black_box(&request), Some(secret), &keys)));

    let headers = headers();
    let query = by_v2.presign(&Method::GET, PATH, "", &headers, now()).unwrap();
    let request = Request { method: &Method::GET, path: PATH, query: &query, headers: &headers };
    assert!(checked(&request, Some(secret), &keys).is_some());
    c.bench_function("v2 presigned", |b| {
        b.iter(|| checked(black_box(&request), Some(secret), &keys));
    });
}

/// What a browser's form is asked: who signed it, and whether its policy allows its fields.
fn allowed(fields: &Fields, secret: &SecretKey, keys: &SigningKeyCache) -> LengthRange {
    let claim = post_form::claim(fields).unwrap().unwrap();
    let verified = claim.verify(Some(secret), &EXPECTED, keys).unwrap();
    verified.check(fields, "photos", now()).unwrap()
}

fn forms(c: &mut Criterion) {
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let keys = SigningKeyCache::default();
    let secret = &credentials.secret_key;
    let own = || {
        let mut fields = Fields::default();
        for (name, value) in
            [("key", "in/a.jpeg"), ("content-type", "image/jpeg"), ("x-amz-meta-author", "x")]
        {
            fields.push(name, value).unwrap();
        }
        fields
    };
    let policy = |fields: &Fields| {
        let each: Vec<String> = fields
            .iter()
            .filter(|(name, _)| *name != "awsaccesskeyid")
            .map(|(name, value)| format!("{{\"{name}\":\"{value}\"}}"))
            .collect();
        STANDARD.encode(format!(
            "{{\"expiration\":\"2027-01-01T00:00:00Z\",\"conditions\":[{{\"bucket\":\"photos\"}},{}]}}",
            each.join(",")
        ))
    };
    let mut by_v4 = own();
    sign_form(&signer, &mut by_v4, policy, now()).unwrap();
    c.bench_function("form", |b| b.iter(|| allowed(black_box(&by_v4), secret, &keys)));
    let mut by_v2 = own();
    sign_form_v2(&credentials, &mut by_v2, policy).unwrap();
    c.bench_function("v2 form", |b| b.iter(|| allowed(black_box(&by_v2), secret, &keys)));

    let part = |name: &str| {
        format!("--a-boundary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n")
    };
    let mut wire = String::new();
    for (name, value) in by_v4.iter() {
        wire.push_str(&part(name));
        wire.push_str(value);
        wire.push_str("\r\n");
    }
    wire.push_str(&part("file"));
    let content = 16 * CHUNK;
    let wire = [wire.as_bytes(), &vec![b'a'; content], b"\r\n--a-boundary--\r\n"].concat();
    let wire = Bytes::from(wire);
    let mut group = c.benchmark_group("1 MiB");
    group.throughput(Throughput::Bytes(content.try_into().unwrap()));
    group.bench_function("file of a form", |b| {
        b.iter(|| {
            let kind = b"multipart/form-data; boundary=a-boundary";
            let mut decoder = FormDecoder::new(kind, FormLimits::default()).unwrap();
            let mut out = Vec::with_capacity(64);
            let mut rest = black_box(&wire).clone();
            while !rest.is_empty() {
                decoder.push(rest.split_to(CHUNK.min(rest.len())), &mut out).unwrap();
            }
            decoder.finish().unwrap();
            out
        });
    });
    group.finish();
}

fn chunks(c: &mut Criterion) {
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let mut request_headers = headers();
    let body = Bytes::from(vec![b'a'; 16 * CHUNK]);
    request_headers.insert("x-amz-decoded-content-length", body.len().into());
    let mut encoder = signer
        .sign_headers(
            &Method::PUT,
            PATH,
            "",
            &mut request_headers,
            &PayloadHash::SignedChunks,
            now(),
        )
        .unwrap()
        .unwrap();
    let mut wire = Vec::new();
    for start in (0..body.len()).step_by(CHUNK) {
        encoder.chunk(body.slice(start..start + CHUNK), &mut wire);
    }
    encoder.finish(&[], &mut wire);
    let wire = Bytes::from(wire.concat());
    let request =
        Request { method: &Method::PUT, path: PATH, query: "", headers: &request_headers };
    let verified =
        checked(&request, Some(&credentials.secret_key), &SigningKeyCache::default()).unwrap();
    let read = |payload: &Payload, wire: &Bytes| {
        let mut decoder = payload.decoder(None);
        let mut out = Vec::with_capacity(64);
        decoder.push(wire.clone(), &mut out).unwrap();
        decoder.finish().unwrap();
        out
    };

    let mut group = c.benchmark_group("1 MiB");
    group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
    group.bench_function("signed chunks of 64 KiB", |b| {
        b.iter(|| read(verified.payload(), black_box(&wire)));
    });
    group.bench_function("sha-256 alone", |b| {
        b.iter(|| {
            for start in (0..body.len()).step_by(CHUNK) {
                black_box(digest::digest(
                    &digest::SHA256,
                    black_box(&body.slice(start..start + CHUNK)),
                ));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, requests, v2, forms, chunks);
criterion_main!(benches);
