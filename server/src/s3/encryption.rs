//! What a request says about encryption.
