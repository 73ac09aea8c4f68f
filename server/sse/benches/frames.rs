//! What frames cost beside the cipher alone, on the same bytes; and what sealing a key costs.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panic")]

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::BucketKey;
use coffer_sse::context::Context;
use coffer_sse::frame::{Opener as FrameOpener, Sealer};
use coffer_sse::kms::DataKey;
use coffer_sse::object_key::{Content, ObjectKey, Opener, Place, SealedObjectKey, Upper, Write};
use coffer_sse::part_key::WHOLE;
use coffer_sse::range::Selection;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const FRAME: usize = 64 * 1024;
/// What a read of the store gives at once.
const READ: usize = 16 * (FRAME + 16);

fn frames(c: &mut Criterion) {
    let key = ObjectKey::random().unwrap();
    for (name, length) in [("4 KiB", 4096), ("1 MiB", 1 << 20), ("64 MiB", 64 << 20)] {
        let plain = Bytes::from(vec![7_u8; length]);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(length as u64));

        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).unwrap());
        let mut buffer = plain.to_vec();
        let mut number = 0_u64;
        group.bench_function("aws-lc-rs alone, in place", |b| {
            b.iter(|| {
                for frame in buffer.chunks_mut(FRAME) {
                    number += 1;
                    let mut nonce = [0; 12];
                    nonce[4..].copy_from_slice(&number.to_be_bytes());
                    let nonce = Nonce::assume_unique_for_key(nonce);
                    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from([0]), frame);
                    black_box(tag.unwrap().as_ref().len());
                }
            });
        });
        group.bench_function("seal", |b| {
            b.iter(|| {
                let (part, _) = key.new_part(WHOLE).unwrap();
                let mut sealer = Sealer::new(part);
                let mut out = Vec::new();
                for at in (0..length).step_by(FRAME) {
                    sealer.push(plain.slice(at..(at + FRAME).min(length)), &mut out).unwrap();
                    out.clear();
                }
                sealer.finish(&mut out).unwrap();
                black_box(out);
            });
        });

        let (part, id) = key.new_part(WHOLE).unwrap();
        let mut sealer = Sealer::new(part);
        let mut out = Vec::new();
        sealer.push(plain.clone(), &mut out).unwrap();
        sealer.finish(&mut out).unwrap();
        let stored = Bytes::from(out.concat());
        let open = |pieces: Vec<Bytes>| {
            let selection = Selection::whole(length as u64).unwrap();
            let mut opener = FrameOpener::new(key.part(WHOLE, id).unwrap(), selection);
            let mut out = Vec::new();
            for piece in pieces {
                opener.push(piece, &mut out).unwrap();
                out.clear();
            }
            opener.finish().unwrap();
        };
        // As files are read: each piece is a buffer of its own.
        group.bench_function("open, where the bytes are", |b| {
            b.iter_batched(
                || stored.chunks(READ).map(Bytes::copy_from_slice).collect(),
                open,
                BatchSize::LargeInput,
            );
        });
        group.bench_function("open, of shared bytes", |b| {
            b.iter(|| {
                let pieces = (0..stored.len())
                    .step_by(READ)
                    .map(|at| stored.slice(at..(at + READ).min(stored.len())));
                open(pieces.collect());
            });
        });
        group.finish();
    }
}

fn keys(c: &mut Criterion) {
    let data_key =
        DataKey { plain: PlainKey::random().unwrap(), sealed: Bytes::from_static(&[1; 96]) };
    let bucket_key = BucketKey::new("photos".parse().unwrap(), Context::default(), data_key);
    let place =
        Place { tenant: "acme", bucket: "photos", key: "a/b", write: Write::Version("null") };
    let object_key = ObjectKey::random().unwrap();
    let record =
        object_key.seal(Upper::Kms(&bucket_key), &place, Content::Upload).unwrap().encode();
    c.bench_function("an object key: made, sealed, written", |b| {
        b.iter(|| {
            let key = ObjectKey::random().unwrap();
            key.seal(Upper::Kms(&bucket_key), &place, Content::Upload).unwrap().encode()
        });
    });
    c.bench_function("an object key: read, opened", |b| {
        b.iter(|| {
            let sealed = SealedObjectKey::decode(&record).unwrap();
            sealed.open(Opener::BucketKey(bucket_key.plain()), &place).unwrap()
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = frames, keys
}
criterion_main!(benches);
