//! Whether a client of HTTP/2 asks for anything: frames that carry nothing cost work too, and have a budget.
//!
//! HTTP/2 has many frames that each want an answer or a look and may come without end: settings, pings, priorities, data
//! without content, heads that go on, windows that grow by a byte (CVE-2019-9512, CVE-2019-9515, CVE-2019-9517, CVE-2019-9518,
//! CVE-2024-27316). A library counts some of them. Here all are counted, by their headers alone and before anything is done
//! for them: of its first bytes on, a connection that speaks HTTP/2 is read along. An honest client needs some of them for
//! what it asks and gets, so each head and each KiB of an answer allows for more.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::layer::Watch;

/// What a client of HTTP/2 says first. Source: RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's header. Source: RFC 9113, section 4.1.
const HEADER: usize = 9;
/// Idle frames that a connection may bring at once.
const BURST: u32 = 1000;
/// The time that allows for one more of them.
const ONE_MORE: Duration = Duration::from_millis(10);
/// What a request allows for: windows of the stream and the connection, a ping, and that it is called off.
const FOR_A_REQUEST: u32 = 4;
/// How much of an answer allows for one.
const OF_AN_ANSWER: usize = 1024;
/// Data frames of at least so many bytes carry something.
const SOME_DATA: u32 = 16;

/// A client sends more frames that ask for nothing than any honest one.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 frames that carry nothing")]
struct TooManyIdleFrames;

/// Where in the connection's bytes the next one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// So far they are HTTP/2's preface, up to here.
    Preface(usize),
    /// It isn't HTTP/2.
    Elsewhere,
    /// Within a frame's header.
    Header { bytes: [u8; HEADER], have: usize },
    /// Within a frame's payload, of which so many bytes are left.
    Payload(usize),
}

/// Counts the frames that are read.
#[derive(Debug)]
pub struct Meter {
    place: Place,
    /// Idle frames that may still come.
    left: u32,
    /// When time allowed for more of them last.
    refilled: Instant,
    /// Bytes of answers that allowed for none yet.
    answered: usize,
}

impl Meter {
    /// Of a connection of which nothing was read.
    pub fn new() -> Self {
        Self { place: Place::Preface(0), left: BURST, refilled: Instant::now(), answered: 0 }
    }

    /// Reads along.
    fn read_along(&mut self, mut bytes: &[u8]) -> Result<(), TooManyIdleFrames> {
        while let Some((first, rest)) = bytes.split_first() {
            self.place = match self.place {
                Place::Elsewhere => return Ok(()),
                Place::Preface(at) if PREFACE.get(at) != Some(first) => Place::Elsewhere,
                Place::Preface(at) if at + 1 == PREFACE.len() => Place::next(),
                Place::Preface(at) => Place::Preface(at + 1),
                Place::Header { bytes: mut header, have } => {
                    if let Some(byte) = header.get_mut(have) {
                        *byte = *first;
                    }
                    if have + 1 < HEADER {
                        Place::Header { bytes: header, have: have + 1 }
                    } else {
                        self.frame(header)?
                    }
                }
                Place::Payload(left) => {
                    let here = left.min(bytes.len());
                    bytes = bytes.get(here..).unwrap_or_default();
                    self.place =
                        if here == left { Place::next() } else { Place::Payload(left - here) };
                    continue;
                }
            };
            bytes = rest;
        }
        Ok(())
    }

    /// Counts one frame. Source of kinds and flags: RFC 9113, section 6.
    fn frame(&mut self, header: [u8; HEADER]) -> Result<Place, TooManyIdleFrames> {
        let [a, b, c, kind, flags, ..] = header;
        let length = u32::from_be_bytes([0, a, b, c]);
        let ends_stream = flags & 1 == 1;
        match kind {
            // Data.
            0 if length >= SOME_DATA || ends_stream => {}
            // Headers.
            1 => self.allow(FOR_A_REQUEST),
            _ => self.spend()?,
        }
        Ok(match usize::try_from(length) {
            Ok(0) => Place::next(),
            Ok(length) => Place::Payload(length),
            Err(_) => Place::Elsewhere,
        })
    }

    fn spend(&mut self) -> Result<(), TooManyIdleFrames> {
        if self.left == 0 {
            // The clock is looked at here only.
            let passed = self.refilled.elapsed();
            self.refilled += passed;
            let more = passed.as_millis() / ONE_MORE.as_millis();
            self.allow(u32::try_from(more).unwrap_or(BURST));
        }
        self.left = self.left.checked_sub(1).ok_or(TooManyIdleFrames)?;
        Ok(())
    }

    fn answer(&mut self, bytes: usize) {
        let answered = self.answered.saturating_add(bytes);
        self.answered = answered % OF_AN_ANSWER;
        self.allow(u32::try_from(answered / OF_AN_ANSWER).unwrap_or(BURST));
    }

    fn allow(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(BURST);
    }
}

impl Place {
    /// At a frame's beginning.
    const fn next() -> Self {
        Self::Header { bytes: [0; HEADER], have: 0 }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch for Meter {
    fn read(&mut self, done: Poll<io::Result<()>>, came: &[u8]) -> Poll<io::Result<()>> {
        ready!(done)?;
        let counted = self.read_along(came);
        Poll::Ready(counted.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    fn wrote(
        &mut self,
        _context: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &done {
            self.answer(*bytes);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use coffer_fuzzing::fuzz;
    use proptest::prelude::*;

    use super::*;

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + usize::from(length), 0xff);
        frame
    }

    fn begun() -> Meter {
        let mut meter = Meter::new();
        meter.read_along(PREFACE).unwrap();
        meter
    }

    /// How many of `frames` come through at once, out of ten bursts.
    fn come_through(frames: &[Vec<u8>]) -> u32 {
        let mut meter = begun();
        let all = 10 * BURST;
        (0..all)
            .find(|_| frames.iter().any(|frame| meter.read_along(frame).is_err()))
            .unwrap_or(all)
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_are_counted_and_others_are_not() {
        for (name, frames, most) in [
            ("pings", vec![frame(6, 0, 8)], BURST),
            ("settings and pings", vec![frame(4, 0, 6), frame(6, 0, 8)], BURST / 2),
            ("priorities", vec![frame(2, 0, 5)], BURST),
            ("resets", vec![frame(3, 0, 4)], BURST),
            ("heads that go on", vec![frame(9, 0, 200)], BURST),
            ("windows", vec![frame(WINDOW_UPDATE, 0, 4)], BURST),
            ("a kind of frame that nobody knows", vec![frame(0xaa, 0, 3)], BURST),
            ("data without content", vec![frame(DATA, 0, 0)], BURST),
            ("data of a byte", vec![frame(DATA, 0, 1)], BURST),
            ("data", vec![frame(DATA, 0, 200)], 10 * BURST),
            ("the end of uploads", vec![frame(DATA, 1, 0)], 10 * BURST),
            (
                "requests, two windows each",
                {
                    let window = frame(WINDOW_UPDATE, 0, 4);
                    vec![frame(HEADERS, 5, 30), window.clone(), window]
                },
                10 * BURST,
            ),
            (
                "requests, ten windows each",
                {
                    let mut frames = vec![frame(HEADERS, 5, 30)];
                    frames.resize(11, frame(WINDOW_UPDATE, 0, 4));
                    frames
                },
                BURST / 6,
            ),
        ] {
            let came = come_through(&frames);
            assert!((most..=most + 1).contains(&came), "{name}: {came}, not {most}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_answers_allow_for_more() {
        let mut meter = begun();
        let ping = frame(6, 0, 8);
        for _ in 0..BURST {
            meter.read_along(&ping).unwrap();
        }
        tokio::time::advance(10 * ONE_MORE).await;
        for n in 0..10 {
            assert!(meter.read_along(&ping).is_ok(), "{n}");
        }
        assert!(meter.read_along(&ping).is_err());
        meter.answer(3 * OF_AN_ANSWER + OF_AN_ANSWER / 2);
        meter.answer(OF_AN_ANSWER / 2);
        meter.place = Place::next();
        for n in 0..4 {
            assert!(meter.read_along(&ping).is_ok(), "{n}");
        }
        assert!(meter.read_along(&ping).is_err());
        tokio::time::advance(Duration::from_hours(100)).await;
        meter.place = Place::next();
        let more = (0..2 * BURST).take_while(|_| meter.read_along(&ping).is_ok()).count();
        assert_eq!(more, BURST as usize, "however long it was quiet");
    }

    #[tokio::test(start_paused = true)]
    async fn http_1_is_not_read_along() {
        let mut meter = Meter::new();
        meter.read_along(b"PRI /photos HTTP/1.1\r\n").unwrap();
        assert_eq!(meter.place, Place::Elsewhere);
        for _ in 0..2 * BURST {
            meter.read_along(&frame(6, 0, 8)).unwrap();
        }
    }

    proptest! {
        /// However the bytes are cut into reads, the same frames are counted.
        #[test]
        fn cuts_change_nothing(
            frames in prop::collection::vec((0_u8..12, any::<u8>(), any::<u8>()), 0..60),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let bytes: Vec<u8> = PREFACE
                .iter()
                .copied()
                .chain(frames.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, *length)))
                .collect();
            let mut whole = Meter::new();
            whole.read_along(&bytes).unwrap();
            let mut pieces = Meter::new();
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                pieces.read_along(piece).unwrap();
                rest = more;
            }
            prop_assert_eq!(whole.left, pieces.left);
            prop_assert_eq!(whole.place, pieces.place);
            prop_assert_eq!(whole.place, Place::next());
        }

    }

    /// A connection that is begun badly, or goes on so, is read the same byte by byte.
    #[test]
    fn fuzzed_connections_are_read_alike_in_any_pieces() {
        let kinds = [frame(HEADERS, 5, 3), frame(DATA, 0, 0), frame(6, 0, 8), frame(0xaa, 0, 2)];
        let examples =
            [[&PREFACE[..], &kinds.concat()].concat(), b"GET / HTTP/1.1\r\n\r\n".to_vec()];
        fuzz!(examples, b"\x00\x01\x05\x06\x09\xff", |bytes: &[u8]| {
            let (mut whole, mut pieces) = (Meter::new(), Meter::new());
            let read = whole.read_along(bytes).is_ok();
            assert_eq!(read, bytes.iter().all(|byte| pieces.read_along(&[*byte]).is_ok()));
            if read {
                assert_eq!((whole.left, whole.place), (pieces.left, pieces.place));
            }
        });
    }
}
