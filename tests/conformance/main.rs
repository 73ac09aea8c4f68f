//! The clients that people bring do their whole work, unmodified.

mod boto3;
mod aws_cli;
mod mc;
mod minio_go;
