//! The clients that people bring do their whole work, unmodified.

#![expect(clippy::expect_used, reason = "a part of a test ends the test when it fails")]

mod boto3;
mod aws_cli;
mod mc;
mod mc_admin;
mod minio_import;
mod encryption;
mod conditions;
mod minio_go;
mod aws_sdk;
mod signatures;
mod policies;
mod differential;
