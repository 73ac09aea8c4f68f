//! From a body to chunks.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{ChunkSeed, TrailerPart, X_AMZ_TRAILER_SIGNATURE};
use crate::{canonical, payload_hash::sha256};

/// Encodes a body as [`crate::Signer::sign_headers`] announced it.
#[derive(Debug)]
pub struct ChunkEncoder {
    seed: Option<ChunkSeed>,
    trailer_part: TrailerPart,
}

impl ChunkEncoder {
    pub(crate) fn new(seed: Option<ChunkSeed>, trailer_part: TrailerPart) -> Self {
        Self { seed, trailer_part }
    }

    /// Appends `data` to `out` as one chunk: of 8 KiB to 16 MiB, only the last
    /// smaller. No data is no chunk.
    pub fn chunk(&mut self, data: Bytes, out: &mut Vec<Bytes>) {
        if !data.is_empty() {
            out.push(self.head(&data));
            out.push(data);
            out.push(Bytes::from_static(b"\r\n"));
        }
    }

    /// Appends the end: the empty chunk and the trailers, which are those that
    /// `x-amz-trailer` announced, and none in a form without them.
    pub fn finish(mut self, trailers: &[(HeaderName, HeaderValue)], out: &mut Vec<Bytes>) {
        out.push(self.head(&[]));
        let mut end = Vec::new();
        if self.trailer_part == TrailerPart::Lines {
            let mut signed = Vec::new();
            for (name, value) in trailers {
                for (text, line_end) in [(&mut end, b"\r\n".as_slice()), (&mut signed, b"\n")] {
                    text.extend_from_slice(name.as_str().as_bytes());
                    text.push(b':');
                    canonical::folded(value.as_bytes(), text);
                    text.extend_from_slice(line_end);
                }
            }
            if let Some(seed) = &self.seed {
                end.extend_from_slice(X_AMZ_TRAILER_SIGNATURE.as_bytes());
                end.push(b':');
                end.extend_from_slice(seed.trailers(&signed).hex().as_bytes());
                end.extend_from_slice(b"\r\n");
            }
        }
        end.extend_from_slice(b"\r\n");
        out.push(end.into());
    }

    fn head(&mut self, data: &[u8]) -> Bytes {
        let size = data.len();
        match &mut self.seed {
            None => format!("{size:x}\r\n"),
            Some(seed) => {
                let signature = seed.chunk(sha256(data));
                seed.follow(signature);
                format!("{size:x};chunk-signature={}\r\n", signature.hex())
            }
        }
        .into()
    }
}
