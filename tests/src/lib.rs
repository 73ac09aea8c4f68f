//! Real parts for the tests: the server as a process, and the clients that people bring.
//!
//! `tests/run` builds or installs them and says by environment variables where they are.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a part of a test ends the test when it fails"
)]

pub mod identity;
pub mod server;
pub mod client;
pub mod frames;
pub mod stored;
pub mod static_kms;
pub mod clients;
pub mod mc;
pub mod documents;
pub mod minio;
pub mod cluster;
pub mod proxy;
pub mod reverse_proxy;
pub mod webhook;
