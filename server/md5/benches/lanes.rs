//! What lanes win over `md-5`, which takes in one stream after another.

use std::hint::black_box;
use std::time::Duration;

use coffer_md5::{Md5, Work, levels, update_all_at};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use md5::Digest;

const STREAM: usize = 256 * 1024;
const PIECE: usize = 16 * 1024;

fn lanes(c: &mut Criterion) {
    for streams in [1, 2, 4, 8, 16] {
        let piece = |n: usize| vec![u8::try_from(n % 251).unwrap_or(0); PIECE];
        let pieces: Vec<Vec<_>> =
            (0..streams).map(|_| (0..STREAM / PIECE).map(piece).collect()).collect();
        let mut group = c.benchmark_group(format!("{streams} streams"));
        group.throughput(Throughput::Bytes((STREAM * streams) as u64));
        group.bench_function("md-5", |b| {
            b.iter(|| {
                for pieces in &pieces {
                    let mut md5 = md5::Md5::new();
                    for piece in pieces {
                        md5.update(piece);
                    }
                    black_box(md5.finalize());
                }
            });
        });
        for (name, level) in levels() {
            group.bench_function(name, |b| {
                b.iter(|| {
                    let mut md5s = vec![Md5::new(); streams];
                    let mut work: Vec<_> = md5s
                        .iter_mut()
                        .zip(&pieces)
                        .map(|(md5, pieces)| Work { md5, pieces })
                        .collect();
                    update_all_at(level, &mut work);
                    for md5 in md5s {
                        black_box(md5.finish());
                    }
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = lanes
}
criterion_main!(benches);
