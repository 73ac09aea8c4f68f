//! The real server, spoken to by hand: what is good, what is bad, and what must not change.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "tables are long, texts are small; a test's helpers fail the test"
)]

mod claim;
mod objects;
mod authentication;
mod form;
mod forms;
mod matrix;
mod signatures;
mod admin_walls;
mod audit;
mod audit_webhook;
mod bodies;
mod condition_keys;
mod documents;
mod routes;
mod reads;
mod writes;
mod keys;
mod listings;
mod multipart;
mod copies;
mod versions_of_http;
mod limits;
mod people;
mod root_s3;
mod encryption;
mod kms_api;
mod control;
mod protected;
mod bucket_policies;
mod bucket_tags;
mod rows;
mod logs;
mod smuggling;
mod behind_proxy;
mod slow;
mod resets;
mod tls;
mod handshakes;
