//! One stream: what of it isn't a whole block, its length and its end.

use std::fmt;

use crate::compress::compress;

/// What MD5 takes in at once.
pub(crate) type Block = [u8; 64];
/// The four words that a block changes.
pub(crate) type State = [u32; 4];

/// The MD5 of one stream, in progress.
#[derive(Clone)]
pub struct Md5 {
    pub(crate) state: State,
    /// Bytes taken in, modulo 2^64.
    length: u64,
    /// An unfinished block: its first `held` bytes.
    rest: Block,
    /// Less than a block.
    held: usize,
}

impl Md5 {
    /// Of a stream of which nothing is taken in yet.
    pub fn new() -> Self {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Self { state, length: 0, rest: [0; 64], held: 0 }
    }

    /// Takes in more of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        let blocks = self.hold(bytes);
        compress(&mut self.state, blocks);
    }

    /// The sum of what was taken in.
    pub fn finish(mut self) -> [u8; 16] {
        // RFC 1321, 3.1 and 3.2: a one, then zeros until the length fills a block.
        let bits = self.length.wrapping_mul(8);
        self.update(&[0x80]);
        let zeros = 56_usize.wrapping_sub(self.held) % 64;
        self.update([0; 64].split_at(zeros).0);
        self.update(&bits.to_le_bytes());
        let mut sum = [0; 16];
        for (bytes, word) in sum.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        sum
    }

    /// Takes in all but the whole blocks that it gives back: these must be taken in before anything else is.
    pub(crate) fn hold<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [Block] {
        self.length = self.length.wrapping_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.held > 0 {
            let (_, free) = self.rest.split_at_mut(self.held);
            let (filling, after) = bytes.split_at(free.len().min(bytes.len()));
            let (filled, free) = free.split_at_mut(filling.len());
            filled.copy_from_slice(filling);
            if !free.is_empty() {
                self.held = self.held.saturating_add(filling.len());
                return &[];
            }
            compress(&mut self.state, &[self.rest]);
            bytes = after;
        }
        let (blocks, tail) = bytes.as_chunks();
        let (held, _) = self.rest.split_at_mut(tail.len());
        held.copy_from_slice(tail);
        self.held = tail.len();
        blocks
    }
}

impl Default for Md5 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither content nor a sum of it.
        f.debug_struct("Md5").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> String {
        let mut md5 = Md5::new();
        md5.update(bytes);
        hex::encode(md5.finish())
    }

    #[test]
    fn the_vectors_of_rfc_1321() {
        for (content, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "d174ab98d277d9f5a5611c2c9f419d9f",
            ),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(sum(content.as_bytes()), expected, "{content}");
        }
    }

    #[test]
    fn every_length_is_padded_and_cut_anywhere_is_the_same() {
        let content: Vec<u8> = (0..200).collect();
        for length in 0..content.len() {
            let expected = <[u8; 16]>::from(<md5::Md5 as md5::Digest>::digest(&content[..length]));
            for cut in 0..=length {
                let mut md5 = Md5::default();
                md5.update(&content[..cut]);
                md5.update(&content[cut..length]);
                assert_eq!(md5.finish(), expected, "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_content() {
        let mut md5 = Md5::new();
        md5.update(b"secret");
        assert_eq!(format!("{md5:?}"), "Md5 { length: 6, .. }");
    }
}
