//! What a client asks for: the three forms of encryption, and the algorithm.

/// Whose key protects an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// SSE-S3: one external key of the tenant.
    S3,
    /// SSE-KMS: an external key that a request or its bucket names.
    Kms,
    /// SSE-C: a key that the client sends with each request.
    Customer,
}

/// How content is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// AES-256-GCM in frames of 64 KiB.
    Aes256GcmFrames64K,
}

impl Mode {
    /// Its number in a record.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::S3 => 1,
            Self::Kms => 2,
            Self::Customer => 3,
        }
    }
}

impl Algorithm {
    /// Its name, which is sealed with each object key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256GcmFrames64K => "AES-256-GCM/frames-64K",
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Aes256GcmFrames64K => 1,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        (number == Self::Aes256GcmFrames64K.number()).then_some(Self::Aes256GcmFrames64K)
    }
}
