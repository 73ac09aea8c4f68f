//! Many streams: which of them are in the lanes, and for how long.

use std::cmp::Reverse;
use std::fmt;
use std::slice;

use fearless_simd::Level;

use crate::compress::{LANES, compress, side_by_side, width};
use crate::stream::{Block, Md5};

/// More of one stream.
pub struct Work<'a, B> {
    /// Takes it in.
    pub md5: &'a mut Md5,
    /// In order.
    pub pieces: &'a [B],
}

impl<B> fmt::Debug for Work<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { md5, pieces } = self;
        f.debug_struct("Work").field("md5", md5).field("pieces", &pieces.len()).finish()
    }
}

/// Takes in more of several streams, side by side: what [`Md5::update`] does with the pieces of each.
pub fn update_all<B: AsRef<[u8]>>(work: &mut [Work<'_, B>]) {
    update_all_at(Level::new(), work);
}

/// [`update_all`] with these instructions: for tests and benchmarks.
#[doc(hidden)]
pub fn update_all_at<B: AsRef<[u8]>>(level: Level, work: &mut [Work<'_, B>]) {
    let mut lanes: Vec<_> = work.iter_mut().map(Lane::new).collect();
    lanes.retain_mut(Lane::has_blocks);
    let width = width(level);
    while lanes.len() > 1 {
        // Who has most left doesn't wait: it would be alone in the end.
        if lanes.len() > width {
            lanes.sort_unstable_by_key(|lane| Reverse(lane.left));
        }
        let busy = width.min(lanes.len());
        step(level, lanes.split_at_mut(busy).0);
        lanes.retain_mut(Lane::has_blocks);
    }
    for mut lane in lanes {
        while lane.has_blocks() {
            compress(&mut lane.md5.state, lane.blocks);
            lane.blocks = &[];
        }
    }
}

/// Takes in as many blocks as each of these lanes has at hand.
fn step<B: AsRef<[u8]>>(level: Level, busy: &mut [Lane<'_, B>]) {
    let rows = busy.iter().map(|lane| lane.blocks.len()).min().unwrap_or(0);
    let Some(first) = busy.first() else { return };
    // An idle lane does what the first one does, and it is dropped.
    let mut states = [first.md5.state; LANES];
    let mut runs = [first.blocks.split_at(rows).0; LANES];
    for ((lane, state), run) in busy.iter_mut().zip(&mut states).zip(&mut runs) {
        *state = lane.md5.state;
        (*run, lane.blocks) = lane.blocks.split_at(rows);
        lane.left = lane.left.saturating_sub(rows);
    }
    side_by_side(level, busy.len(), &mut states, &runs);
    for (lane, state) in busy.iter_mut().zip(states) {
        lane.md5.state = state;
    }
}

/// The levels of this processor, for tests and benchmarks.
#[doc(hidden)]
pub fn levels() -> impl Iterator<Item = (&'static str, Level)> {
    let best = Level::new();
    #[cfg(target_arch = "x86_64")]
    let levels = [
        ("SSE2", best.as_sse2().map(Level::Sse2)),
        ("SSE4.2", best.as_sse4_2().map(Level::Sse4_2)),
        ("AVX2", best.as_avx2().map(Level::Avx2)),
        ("AVX-512", best.as_avx512().map(Level::Avx512)),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let levels = [("the only one", Some(best))];
    levels.into_iter().filter_map(|(name, level)| Some((name, level?)))
}

/// A stream that isn't taken in yet.
struct Lane<'a, B> {
    md5: &'a mut Md5,
    pieces: slice::Iter<'a, B>,
    /// What comes next, of a piece that is held already.
    blocks: &'a [Block],
    /// About how many blocks are left, of all pieces.
    left: usize,
}

impl<'a, B: AsRef<[u8]>> Lane<'a, B> {
    fn new(work: &'a mut Work<'_, B>) -> Self {
        let Work { md5, pieces } = work;
        let left = pieces.iter().map(|piece| piece.as_ref().as_chunks::<64>().0.len()).sum();
        Self { md5, pieces: pieces.iter(), blocks: &[], left }
    }

    /// Whether there are blocks at hand, of the next piece if need be.
    fn has_blocks(&mut self) -> bool {
        while self.blocks.is_empty() {
            let Some(piece) = self.pieces.next() else { return false };
            self.blocks = self.md5.hold(piece.as_ref());
        }
        true
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of a test are small")]
mod tests {
    use md5::Digest;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Where a stream's content lies in what all are cut from, the lengths of its pieces, and in which calls it goes alone.
    #[derive(Clone, Debug)]
    struct Stream {
        from: usize,
        pieces: Vec<usize>,
        alone: [bool; CALLS],
    }

    const CALLS: usize = 3;
    const CONTENT: usize = 16 * 1024;

    fn streams() -> impl Strategy<Value = Vec<Stream>> {
        let piece = prop_oneof![0..130_usize, Just(64), Just(1024), 0..1500_usize];
        let stream = (0..100_usize, vec(piece, 0..10), any::<[bool; CALLS]>());
        vec(stream.prop_map(|(from, pieces, alone)| Stream { from, pieces, alone }), 1..=40)
    }

    fn cut<'a>(stream: &Stream, content: &'a [u8]) -> Vec<&'a [u8]> {
        let mut rest = &content[stream.from..];
        let cut = stream.pieces.iter().map(|length| {
            let (piece, after) = rest.split_at(*length);
            rest = after;
            piece
        });
        cut.collect()
    }

    /// The sums of these pieces, by calls of both kinds.
    fn sums(level: Level, streams: &[(Vec<&[u8]>, [bool; CALLS])]) -> Vec<[u8; 16]> {
        let mut md5s = vec![Md5::new(); streams.len()];
        for call in 0..CALLS {
            let mut work = Vec::new();
            for (md5, (pieces, alone)) in md5s.iter_mut().zip(streams) {
                let (from, to) = (pieces.len() * call / CALLS, pieces.len() * (call + 1) / CALLS);
                let pieces = &pieces[from..to];
                if alone[call] {
                    for piece in pieces {
                        md5.update(piece);
                    }
                } else {
                    work.push(Work { md5, pieces });
                }
            }
            update_all_at(level, &mut work);
        }
        md5s.into_iter().map(Md5::finish).collect()
    }

    fn expected(streams: &[(Vec<&[u8]>, [bool; CALLS])]) -> Vec<[u8; 16]> {
        streams.iter().map(|(pieces, _)| md5::Md5::digest(pieces.concat()).into()).collect()
    }

    proptest! {
        #[test]
        fn streams_side_by_side_have_the_sums_that_each_has_alone(
            content in vec(any::<u8>(), CONTENT),
            streams in streams(),
        ) {
            let streams: Vec<_> =
                streams.iter().map(|stream| (cut(stream, &content), stream.alone)).collect();
            let expected = expected(&streams);
            for (name, level) in levels() {
                prop_assert_eq!(&sums(level, &streams), &expected, "{}", name);
            }
        }
    }

    #[test]
    fn every_number_of_streams_of_unequal_lengths_is_taken_in() {
        let content: Vec<u8> = (0..=250).cycle().take(CONTENT).collect();
        for count in 0..=40 {
            let stream = |n| vec![&content[n..n + 64 * n], &content[1..3 * n]];
            let streams: Vec<_> = (0..count).map(|n| (stream(n + 1), [false; CALLS])).collect();
            for (name, level) in levels() {
                assert_eq!(sums(level, &streams), expected(&streams), "{count}, {name}");
            }
        }
    }

    #[test]
    fn update_all_is_update_for_each() {
        let (mut one, mut other) = (Md5::new(), Md5::new());
        let mut work = [
            Work { md5: &mut one, pieces: &[vec![1; 1000], vec![2; 9]] },
            Work { md5: &mut other, pieces: &[] },
        ];
        assert_eq!(
            format!("{:?}", work[0]),
            "Work { md5: Md5 { length: 0, .. }, pieces: 2 }",
            "nothing of the content"
        );
        update_all(&mut work);
        assert_eq!(other.finish(), Md5::new().finish());
        other = Md5::new();
        other.update(&[1; 1000]);
        other.update(&[2; 9]);
        assert_eq!(one.finish(), other.finish());
    }
}
