//! MD5 (RFC 1321) of several streams side by side, in the lanes of vector registers.
//!
//! Each S3 upload needs an MD5, and each step of MD5 waits for the one before: one stream can't fill a core. Many can, as
//! their steps are the same. MD5 protects nothing here: it is a checksum that S3 prescribes.
//!
//! Pure: no network, no clock, and nothing is logged. What the processor has is found out at run time, by `fearless_simd`.
//!
//! ```text
//! stream     bytes of one stream → whole blocks of 64 bytes, and what is left over
//! lanes      blocks of many streams → rows of blocks, one from each of 2 to 16 streams
//! compress   a row of blocks → its streams' states
//! ```
//!
//! GiB/s on a core with AVX-512, of 1, 2, 4, 8 and 16 streams: 0.5, 1.1, 2.1, 4.0, 7.7; held to AVX2 0.5, 0.85, 1.65, 3.2, 3.0;
//! to SSE2 0.5, 0.75, 1.4, 2.05, 2.1; one after another with `md-5` 0.5. `cargo bench -p coffer-md5` measures it.

#![deny(clippy::wildcard_enum_match_arm, clippy::arithmetic_side_effects, clippy::as_conversions)]

mod stream;
mod lanes;
mod compress;

pub use lanes::{Work, update_all};
#[doc(hidden)]
pub use lanes::{levels, update_all_at};
pub use stream::Md5;
