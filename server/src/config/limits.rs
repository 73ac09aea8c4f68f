//! The bounds that strangers are held to. Each is a flag, a variable, and a field of the Tenant's `spec.limits`.

use std::time::Duration;

use clap::Args;

/// What clients may take of the server, one alone and all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Limits {
    /// Connections that may be open at once; more wait to be accepted.
    #[arg(long = "max-connections", env = "COFFER_MAX_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,

    /// Connections that one source may have open at once; more are closed. A source is an IPv4 address or an IPv6 network of
    /// 64 bits, as this server sees it: behind a proxy all clients are one source.
    #[arg(long = "max-connections-per-source", env = "COFFER_MAX_CONNECTIONS_PER_SOURCE", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_per_source: u32,

    /// Requests in work at once, until their answers are sent; more are told to slow down.
    #[arg(long = "max-requests", env = "COFFER_MAX_REQUESTS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub requests: u32,

    /// Requests of one source in work at once; more are told to slow down.
    #[arg(long = "max-requests-per-source", env = "COFFER_MAX_REQUESTS_PER_SOURCE", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_per_source: u32,

    /// Seconds without any progress after which a handshake, a request's head, its body, an answer that the client doesn't
    /// take, or an unused connection is given up.
    #[arg(long, env = "COFFER_IDLE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub idle_seconds: u16,

    /// Headers that one request may have; more are answered 431.
    #[arg(long = "max-headers", env = "COFFER_MAX_HEADERS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(32..=1024))]
    pub headers: u32,

    /// Bytes that a request's target and headers may have together; more are answered 431.
    #[arg(long = "max-head-bytes", env = "COFFER_MAX_HEAD_BYTES", default_value_t = 64 * 1024, value_parser = clap::value_parser!(u32).range(8192..=1024 * 1024))]
    pub head_bytes: u32,

    /// Bytes that a request's query may have; more are answered 414.
    #[arg(long = "max-query-bytes", env = "COFFER_MAX_QUERY_BYTES", default_value_t = 16 * 1024, value_parser = clap::value_parser!(u32).range(4096..=1024 * 1024))]
    pub query_bytes: u32,

    /// Bytes that one chunk of an `aws-chunked` body may have; a larger one is refused.
    #[arg(long = "max-chunk-bytes", env = "COFFER_MAX_CHUNK_BYTES", default_value_t = 16 * 1024 * 1024, value_parser = clap::value_parser!(u32).range(64 * 1024..=16 * 1024 * 1024))]
    pub chunk_bytes: u32,

    /// Requests at once on one HTTP/2 connection.
    #[arg(long = "http2-max-streams", env = "COFFER_HTTP2_MAX_STREAMS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub http2_streams: u32,

    /// Streams of one HTTP/2 connection that may be reset before they were worked on, by the client or for its faults; more
    /// end the connection.
    #[arg(long = "http2-max-resets", env = "COFFER_HTTP2_MAX_RESETS", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub http2_resets: u16,

    /// Failed authentications that one source may have in a minute, and at once; then it is told to slow down before its
    /// signatures are looked at. 0: no limit.
    #[arg(long = "max-failed-signatures-per-minute", env = "COFFER_FAILED_SIGNATURES_PER_MINUTE", default_value_t = 120, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub failed_signatures_per_minute: u32,

    /// Connections of one source that may break HTTP/2 in a minute, and at once: by frames that no honest client sends, or by
    /// very many that carry nothing. Then its connections are closed before their handshake, until enough of the minute has
    /// passed for one more. 0: no limit.
    #[arg(long = "max-faulty-connections-per-minute", env = "COFFER_FAULTY_CONNECTIONS_PER_MINUTE", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub faulty_connections_per_minute: u32,
}

impl Limits {
    /// The longest pause that a client may make.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.idle_seconds))
    }
}
