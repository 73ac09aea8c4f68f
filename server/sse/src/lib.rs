//! Encryption of objects at rest: who may open what, and content in frames that open one by one.
//!
//! Pure: no network, no clock, and nothing is logged. The KMS is a trait ([`kms::Kms`]), time is an argument, and
//! randomness is `aws-lc-rs`' own, behind types that can be made in no other way where a repeated value would be a hole.
//!
//! # The hierarchy
//!
//! ```text
//! external key   in the KMS, by name; never seen here
//!   └ bucket key   a data key of the KMS, for one tenant and bucket by its encryption context   (kms, bucket_key)
//! customer key   sent by the client with each request, never kept                              (customer_key)
//!       └ object key   random for each write, sealed under one of these two                    (object_key)
//!           └ part key   by HKDF from object key, part number and a random id                  (part_key)
//!               └ frames of 64 KiB, each sealed by AES-256-GCM                                 (frame)
//! ```
//!
//! All numbers below are big-endian. `‖` joins bytes; `text(x)` is the length of `x` as 4 bytes, then `x`.
//!
//! # Sealing a key (`envelope`)
//!
//! ```text
//! okm        = HKDF-SHA256(salt: 32 random bytes, key: the upper key, info: domain ‖ associated, 64 bytes)
//! commitment = okm[32..64]
//! sealed     = AES-256-GCM(key: okm[0..32], nonce: 12 zero bytes, associated, plain)
//! ```
//! A salt is never used twice, so neither is the derived key, and its nonce can be a constant. GCM alone commits to no
//! key: a text can be made that opens under two. The commitment is compared before anything is opened, in constant time,
//! and binds the upper key, the salt and everything associated.
//!
//! # An object's record (`object_key`)
//!
//! ```text
//!  1  form: 1
//!  1  mode: 1 SSE-S3, 2 SSE-KMS, 3 SSE-C
//!  1  algorithm: 1, AES-256-GCM in frames of 64 KiB
//!  n  SSE-S3, SSE-KMS: text(external key's name) ‖ text(bucket key as sealed by the KMS) ‖ text(client's context as JSON)
//!     SSE-C: 32 salt of the check value ‖ 32 check value
//!  1  content: 1 whole, 2 an upload's key, 3 parts
//!  n  whole: 16 the id of its only part; parts: 32 their tag; else nothing
//! 32  salt          ┐
//! 32  commitment    │ the envelope of the object key
//! 48  sealed key    ┘
//!  8  the first bytes of SHA-256 of all before: tells damage from a wrong key, and protects nothing
//! ```
//! Associated with the envelope, under the domain `coffer/sse/object-key/1`: the tenant, the bucket, the object's key, then `V` and
//! the version's id or `U` and the upload's, each of them as `text`; then the algorithm's name as `text`; then the record from its
//! first byte up to the salt. So no bit of a record can change, and none opens at another place.
//!
//! # A part's key (`part_key`)
//!
//! ```text
//! part key = HKDF-SHA256(salt: none, key: object key, info: "coffer/sse/part-key/1" ‖ 4 part number ‖ 16 id, 32 bytes)
//! record of a part: 1 form: 1 ‖ 16 id
//! ```
//! The id is random for each time that a part is sent, so a part that is sent again has another key. A whole object is part 0.
//! Which parts an object has, in which order and how long, is held by a tag in its record:
//!
//! ```text
//! tag = HMAC-SHA256(key: HKDF-SHA256(salt: none, key: object key, info: "coffer/sse/parts-tag/1", 32 bytes),
//!                   for each part: 4 part number ‖ 16 id ‖ 8 plain length)
//! ```
//!
//! # Frames (`frame`, `range`)
//!
//! Plaintext is cut every 65,536 bytes; what is left is the last frame, of 1 to 65,536 bytes, or of none if all is empty. Frame `n`,
//! from 0, is stored as its ciphertext and a tag of 16 bytes, one after another, without heads:
//!
//! ```text
//! AES-256-GCM(key: part key, nonce: 4 zero bytes ‖ 8 n, associated: 1 byte, 1 for the last frame and 0 for others)
//! ```
//! A frame that was changed, moved, doubled or left out doesn't open, nor does one after which content was cut off, nor one of other
//! content, because no two contents share a part key. Nothing of a frame is given out before all of it is proven.
//!
//! # A client's key (`customer_key`)
//!
//! ```text
//! check value = HKDF-SHA256(salt: 32 random bytes, key: customer key, info: "coffer/sse/customer-check/1", 32 bytes)
//! ```
//! Of the key itself nothing is kept. It seals the object key as above.
//!
//! `tests/vectors/` has an example of each form, byte by byte.

#![deny(clippy::wildcard_enum_match_arm, clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod mode;
pub mod kms;
pub mod context;
pub mod bucket_key;
pub mod customer_key;
pub mod envelope;
pub mod object_key;
pub mod part_key;
pub mod range;
pub mod frame;
mod secret;
#[cfg(test)]
mod vectors;

pub use secret::{CryptoFailed, PlainKey};
