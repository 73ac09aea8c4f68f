//! Real parts for the tests: the server as a process, and the clients that people bring.
//!
//! `tests/run` builds or installs them and says by environment variables where they are.

pub mod server;
pub mod clients;
