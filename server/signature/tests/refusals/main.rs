//! What is refused, by which code: a row per way to get it wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::too_many_lines, reason = "tables")]

mod sent;
mod requests;
mod requests_v2;
mod bodies;
