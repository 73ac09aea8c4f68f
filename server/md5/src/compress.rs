//! Blocks into states: of one stream, or of as many as there are lanes. RFC 1321, 3.4.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "vectors add modulo 2^32, and shifts are constants"
)]
#![expect(
    clippy::inline_always,
    reason = "only what is inlined gets the instructions of its level"
)]

use std::slice;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x4, u32x8, u32x16};

// Nothing is quicker for one stream: each step waits for the one before.
pub(crate) use md5::block_api::compress;

use crate::stream::{Block, State};

/// The most lanes that a level has.
pub(crate) const LANES: usize = 16;

/// How many lanes a level has.
pub(crate) fn width(level: Level) -> usize {
    dispatch!(level, simd => width_of(simd))
}

/// Where vectors have 4 lanes, two of them are run at once: the one works while the other waits.
#[inline(always)]
fn width_of<S: Simd>(_: S) -> usize {
    S::u32s::LEN.max(8)
}

/// Compresses each of these runs, all of one length, into its state. What becomes of the states after the first `busy` is left open.
pub(crate) fn side_by_side(
    level: Level,
    busy: usize,
    states: &mut [State; LANES],
    runs: &[&[Block]; LANES],
) {
    dispatch!(level, simd => in_fewest_lanes(simd, busy, states, runs));
}

#[inline(always)]
fn in_fewest_lanes<S: Simd>(simd: S, busy: usize, states: &mut [State], runs: &[&[Block]]) {
    if busy <= 4 {
        in_lanes::<S, u32x4<S>, 4>(simd, states, runs);
    } else if busy <= 8 || width_of(simd) == 8 {
        in_lanes::<S, u32x8<S>, 8>(simd, states, runs);
    } else {
        in_lanes::<S, u32x16<S>, 16>(simd, states, runs);
    }
}

#[inline(always)]
fn in_lanes<S: Simd, V: SimdInt<S, Element = u32, Array = [u32; N]>, const N: usize>(
    simd: S,
    states: &mut [State],
    runs: &[&[Block]],
) {
    let Some(states) = states.first_chunk_mut::<N>() else { return };
    let Some(runs) = runs.first_chunk::<N>() else { return };
    let mut runs = runs.map(<[Block]>::iter);
    let mut vectors = [
        V::load_array(simd, states.map(|[a, _, _, _]| a)),
        V::load_array(simd, states.map(|[_, b, _, _]| b)),
        V::load_array(simd, states.map(|[_, _, c, _]| c)),
        V::load_array(simd, states.map(|[_, _, _, d]| d)),
    ];
    // From here on loops, not `map`: that isn't inlined where arrays are large, and halves the speed.
    while let Some(row) = next_row(&mut runs) {
        vectors = compress_row(vectors, &words::<S, V, N>(simd, row));
    }
    let [a, b, c, d] = vectors.map(V::to_array);
    for ((((state, a), b), c), d) in states.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *state = [a, b, c, d];
    }
}

#[inline(always)]
fn next_row<'a, const N: usize>(runs: &mut [slice::Iter<'a, Block>; N]) -> Option<[&'a Block; N]> {
    let mut row: [&Block; N] = [&[0; 64]; N];
    for (block, run) in row.iter_mut().zip(runs) {
        *block = run.next()?;
    }
    Some(row)
}

/// The words of a row of blocks: the first word of each in the first vector.
#[inline(always)]
fn words<S: Simd, V: SimdInt<S, Element = u32, Array = [u32; N]>, const N: usize>(
    simd: S,
    row: [&Block; N],
) -> [V; 16] {
    let zero = V::splat(simd, 0);
    let mut words = [zero; 16];
    for (n, words) in words.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        let mut square = [zero; N];
        for (vector, block) in square.iter_mut().zip(row) {
            let (bytes, _) = block.as_chunks::<4>();
            let Some(bytes) = bytes.as_chunks::<N>().0.get(n) else { break };
            let mut lanes = [0; N];
            for (lane, bytes) in lanes.iter_mut().zip(bytes) {
                *lane = u32::from_le_bytes(*bytes);
            }
            *vector = V::load_array(simd, lanes);
        }
        for _ in 0..N.ilog2() {
            square = shuffle(square);
        }
        *words = square;
    }
    words
}

/// A perfect shuffle of rows and of what is in them. Done as often as N can be halved, it turns rows into columns.
#[inline(always)]
fn shuffle<S: Simd, V: SimdInt<S>, const N: usize>(square: [V; N]) -> [V; N] {
    let mut shuffled = square;
    let (upper, lower) = square.split_at(N / 2);
    for ((pair, upper), lower) in shuffled.as_chunks_mut::<2>().0.iter_mut().zip(upper).zip(lower) {
        *pair = [upper.zip_low(*lower), upper.zip_high(*lower)];
    }
    shuffled
}

#[inline(always)]
fn compress_row<S: Simd, V: SimdInt<S, Element = u32>>(state: [V; 4], w: &[V; 16]) -> [V; 4] {
    let first = [
        w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13],
        w[14], w[15],
    ];
    let second = [
        w[1], w[6], w[11], w[0], w[5], w[10], w[15], w[4], w[9], w[14], w[3], w[8], w[13], w[2],
        w[7], w[12],
    ];
    let third = [
        w[5], w[8], w[11], w[14], w[1], w[4], w[7], w[10], w[13], w[0], w[3], w[6], w[9], w[12],
        w[15], w[2],
    ];
    let fourth = [
        w[0], w[7], w[14], w[5], w[12], w[3], w[10], w[1], w[8], w[15], w[6], w[13], w[4], w[11],
        w[2], w[9],
    ];
    let [k0, k1, k2, k3] = &SINES;
    let mut now = state;
    now = round(now, &first, k0, [7, 12, 17, 22], |x: V, y, z| z ^ (x & (y ^ z)));
    now = round(now, &second, k1, [5, 9, 14, 20], |x: V, y, z| y ^ (z & (x ^ y)));
    now = round(now, &third, k2, [4, 11, 16, 23], |x: V, y, z| x ^ (y ^ z));
    now = round(now, &fourth, k3, [6, 10, 15, 21], |x: V, y, z| y ^ (x | !z));
    [state[0] + now[0], state[1] + now[1], state[2] + now[2], state[3] + now[3]]
}

#[inline(always)]
fn round<S: Simd, V: SimdInt<S, Element = u32>>(
    [mut a, mut b, mut c, mut d]: [V; 4],
    words: &[V; 16],
    sines: &[u32; 16],
    [s0, s1, s2, s3]: [u32; 4],
    mix: impl Fn(V, V, V) -> V,
) -> [V; 4] {
    for (w, k) in words.as_chunks::<4>().0.iter().zip(sines.as_chunks::<4>().0) {
        a = turn(a + (w[0] + k[0]) + mix(b, c, d), s0) + b;
        d = turn(d + (w[1] + k[1]) + mix(a, b, c), s1) + a;
        c = turn(c + (w[2] + k[2]) + mix(d, a, b), s2) + d;
        b = turn(b + (w[3] + k[3]) + mix(c, d, a), s3) + c;
    }
    [a, b, c, d]
}

#[inline(always)]
fn turn<S: Simd, V: SimdInt<S>>(vector: V, left: u32) -> V {
    (vector << left) | (vector >> (32 - left))
}

/// 2^32 times the sines of 1 to 64 radians, without signs and fractions.
#[rustfmt::skip]
const SINES: [[u32; 16]; 4] = [
    [0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
     0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821],
    [0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
     0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a],
    [0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
     0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665],
    [0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
     0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391],
];
