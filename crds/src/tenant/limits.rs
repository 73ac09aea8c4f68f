//! What strangers may take of a Tenant's server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients may take of the server, one alone and all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.queryBytes <= self.headBytes").message(
    "spec.limits.queryBytes: a query is part of the head, so at most spec.limits.headBytes; lower it, or raise the other"
))]
pub struct Limits {
    /// Connections that may be open at once; more wait to be accepted. Default: 4,096.
    #[serde(default = "connections")]
    #[schemars(range(min = 16, max = 65_536))]
    pub connections: i32,

    /// Connections that one source may have open at once; more are closed. A source is an IPv4 address or an IPv6 network of
    /// 64 bits, as the pod sees it: behind a proxy, or a load balancer that hides addresses, all clients are one source. Default: 1,024.
    #[serde(default = "connections_per_source")]
    #[schemars(range(min = 1, max = 65_536))]
    pub connections_per_source: i32,

    /// Requests in work at once, until their answers are sent; more are answered 503 `SlowDown`. Default: 1,024.
    #[serde(default = "requests")]
    #[schemars(range(min = 1, max = 65_536))]
    pub requests: i32,

    /// Requests of one source in work at once; more are answered 503 `SlowDown`. Default: 256.
    #[serde(default = "requests_per_source")]
    #[schemars(range(min = 1, max = 65_536))]
    pub requests_per_source: i32,

    /// Seconds without any progress after which a handshake, a request's head, its body, an answer that the client doesn't
    /// take, or an unused connection is given up. Default: 30.
    #[serde(default = "idle_seconds")]
    #[schemars(range(min = 1, max = 3_600))]
    pub idle_seconds: i32,

    /// Headers that one request may have; more are answered 431. Default: 128.
    #[serde(default = "headers")]
    #[schemars(range(min = 32, max = 1_024))]
    pub headers: i32,

    /// Bytes that a request's target and headers may have together; more are answered 431. Default: 65,536.
    #[serde(default = "head_bytes")]
    #[schemars(range(min = 8_192, max = 1_048_576))]
    pub head_bytes: i32,

    /// Bytes that a request's query may have; more are answered 414. Default: 16,384.
    #[serde(default = "query_bytes")]
    #[schemars(range(min = 4_096, max = 1_048_576))]
    pub query_bytes: i32,

    /// Bytes that one chunk of an `aws-chunked` body may have; a larger one is refused. Default: 16,777,216.
    #[serde(default = "chunk_bytes")]
    #[schemars(range(min = 65_536, max = 16_777_216))]
    pub chunk_bytes: i32,

    /// Requests at once on one HTTP/2 connection. Default: 128.
    #[serde(default = "http2_streams", rename = "http2Streams")]
    #[schemars(range(min = 1, max = 1_024))]
    pub http2_streams: i32,

    /// Streams of one HTTP/2 connection that may be reset before they were worked on, by the client or for its faults; more
    /// end the connection. Default: 32.
    #[serde(default = "http2_resets", rename = "http2Resets")]
    #[schemars(range(min = 1, max = 1_024))]
    pub http2_resets: i32,

    /// Failed authentications that one source may have in a minute, and at once; then it is answered 503 `SlowDown` before its
    /// signatures are looked at. An access key that was right from there within the last hour counts by itself, so that
    /// clients behind one proxy don't lock each other out. 0: no limit. Default: 120.
    #[serde(default = "failed_signatures_per_minute")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub failed_signatures_per_minute: i32,

    /// Connections of one source that may break HTTP/2 in a minute, and at once: by frames that no honest client sends, or by
    /// very many that carry nothing. Then its connections are closed before their handshake, until enough of the minute has passed
    /// for one more. 0: no limit, as behind a load balancer that hides addresses. Default: 60.
    #[serde(default = "faulty_connections_per_minute")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub faulty_connections_per_minute: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: connections(),
            connections_per_source: connections_per_source(),
            requests: requests(),
            requests_per_source: requests_per_source(),
            idle_seconds: idle_seconds(),
            headers: headers(),
            head_bytes: head_bytes(),
            query_bytes: query_bytes(),
            chunk_bytes: chunk_bytes(),
            http2_streams: http2_streams(),
            http2_resets: http2_resets(),
            failed_signatures_per_minute: failed_signatures_per_minute(),
            faulty_connections_per_minute: faulty_connections_per_minute(),
        }
    }
}

const fn connections() -> i32 {
    4_096
}

const fn connections_per_source() -> i32 {
    1_024
}

const fn requests() -> i32 {
    1_024
}

const fn requests_per_source() -> i32 {
    256
}

const fn idle_seconds() -> i32 {
    30
}

const fn headers() -> i32 {
    128
}

const fn head_bytes() -> i32 {
    65_536
}

const fn query_bytes() -> i32 {
    16_384
}

const fn chunk_bytes() -> i32 {
    16_777_216
}

const fn http2_streams() -> i32 {
    128
}

const fn http2_resets() -> i32 {
    32
}

const fn failed_signatures_per_minute() -> i32 {
    120
}

const fn faulty_connections_per_minute() -> i32 {
    60
}

impl Limits {
    /// Each limit by the name of the server's setting. Written out, so that a field more can't be forgotten.
    pub fn settings(&self) -> [(&'static str, i32); 13] {
        let Self {
            connections,
            connections_per_source,
            requests,
            requests_per_source,
            idle_seconds,
            headers,
            head_bytes,
            query_bytes,
            chunk_bytes,
            http2_streams,
            http2_resets,
            failed_signatures_per_minute,
            faulty_connections_per_minute,
        } = *self;
        [
            ("COFFER_MAX_CONNECTIONS", connections),
            ("COFFER_MAX_CONNECTIONS_PER_SOURCE", connections_per_source),
            ("COFFER_MAX_REQUESTS", requests),
            ("COFFER_MAX_REQUESTS_PER_SOURCE", requests_per_source),
            ("COFFER_IDLE_SECONDS", idle_seconds),
            ("COFFER_MAX_HEADERS", headers),
            ("COFFER_MAX_HEAD_BYTES", head_bytes),
            ("COFFER_MAX_QUERY_BYTES", query_bytes),
            ("COFFER_MAX_CHUNK_BYTES", chunk_bytes),
            ("COFFER_HTTP2_MAX_STREAMS", http2_streams),
            ("COFFER_HTTP2_MAX_RESETS", http2_resets),
            ("COFFER_FAILED_SIGNATURES_PER_MINUTE", failed_signatures_per_minute),
            ("COFFER_FAULTY_CONNECTIONS_PER_MINUTE", faulty_connections_per_minute),
        ]
    }
}

/// Whether requests may be signed by Signature Version 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignatureV2 {
    /// They may.
    #[default]
    Enabled,
    /// They are refused.
    Disabled,
}

impl SignatureV2 {
    /// The value as the server's setting has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "on",
            Self::Disabled => "off",
        }
    }
}
