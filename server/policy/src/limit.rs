//! What a document may hold at most.

/// Bytes of a document, white space included: 20 KiB, AWS's limit for a bucket policy.
pub const DOCUMENT: usize = 20 * 1024;
/// Statements of a document.
pub const STATEMENTS: usize = 256;
/// Values of one list: actions, resources, principals, or values of a condition key.
pub const VALUES: usize = 512;
/// Conditions (pairs of operator and key) of a statement.
pub const CONDITIONS: usize = 64;
/// Arrays and objects within each other. A policy needs 5.
pub const DEPTH: usize = 8;
/// Bytes of one pattern, principal or condition value: an ARN, a bucket's name and twice the longest key.
pub const PATTERN: usize = 2304;
/// Bytes of a `Sid` or an `Id`.
pub const SID: usize = 256;
/// Faults that are told at once.
pub const FAULTS: usize = 32;
