//! An S3 server: Signature V4, TLS, an embedded store.
