//! What the index holds, and how: keys that order as S3 lists, values in a tagged binary form.
//!
//! A value is the format's number and then fields: a tag byte, a length, that many bytes. The codec is written here
//! (some 150 lines) and not a library's, because a record must outlive the program that wrote it: a field can be added
//! without a new format, a listing reads the few fields it needs without making the rest, and a field that this program
//! doesn't know is refused, so that an older program never writes back a record it understood in part.

pub(crate) mod key;
pub(crate) mod field;
pub(crate) mod bucket;
pub(crate) mod object;
pub(crate) mod part;
pub(crate) mod garbage;

/// The number of the format that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
