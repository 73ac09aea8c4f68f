//! The providers of external keys, each beside a real service: one suite that all of them pass, what is peculiar to each, and the
//! whole server beside them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's helpers fail the test"
)]

mod suite;
mod https;
mod tls_service;
mod unreachable;
mod static_keys;
mod vault;
mod vault_tests;
mod aws_kms;
mod web_identity;
mod kmip;
mod kes;
mod gate;
mod real_server;
mod every_provider;
