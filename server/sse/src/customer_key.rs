//! A client's own key: used, never kept. What is kept tells whether the same key comes again.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::PlainKey;
use crate::secret::{CryptoFailed, random};

const CHECK: &str = "coffer/sse/customer-check/1";

/// The key of a request with SSE-C.
pub struct CustomerKey(pub(crate) PlainKey);

/// A salted value that the same key gives again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckValue {
    pub(crate) salt: [u8; 32],
    pub(crate) value: [u8; 32],
}

impl CustomerKey {
    /// Takes the key that a client has sent.
    pub fn new(key: PlainKey) -> Self {
        Self(key)
    }

    /// The value to keep, under a fresh salt: nothing tells that two objects have the same key.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn check_value(&self) -> Result<CheckValue, CryptoFailed> {
        self.check_value_salted(random()?)
    }

    pub(crate) fn check_value_salted(&self, salt: [u8; 32]) -> Result<CheckValue, CryptoFailed> {
        Ok(CheckValue { salt, value: *self.derive(&salt)? })
    }

    /// Whether this key gave the value.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn gives(&self, check: &CheckValue) -> Result<bool, CryptoFailed> {
        Ok(self.derive(&check.salt)?.ct_eq(&check.value).into())
    }

    fn derive(&self, salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, CryptoFailed> {
        self.0.derive(salt, &[CHECK.as_bytes()])
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(redacted)")
    }
}
