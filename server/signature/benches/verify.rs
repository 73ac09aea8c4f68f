//! What a signature costs: a request's, and a chunk's beyond the hash of its bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panic")]

use std::{hint::black_box, time::Duration};

use aws_lc_rs::digest;
use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, Payload, PayloadHash, Request, SecretKey, Signer,
    SigningKeyCache, Verified, claim, verify,
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

criterion_group!(benches, requests, chunks);
criterion_main!(benches);
