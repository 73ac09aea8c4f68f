//! Which part of the server a request is for: the first thing that is decided about it, from method, path, query and host alone.

pub mod admin;
pub mod table;

use std::borrow::Cow;

use coffer_store::{BucketName, ObjectKey};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::answer::Refusal;
use crate::operation::Operation;
use table::{Level, ROWS, SUB_RESOURCES, Source};

/// Where a request goes.
#[derive(Debug)]
pub enum Route {
    /// The probes below `/minio/health/`: open to everyone, they tell only whether the server works.
    Health(Health),
    /// What the server counts.
    Metrics,
    /// An operation of the admin API.
    Admin(&'static admin::Row),
    /// An operation of the S3 API.
    S3(Target),
}

/// A probe. Source: MinIO's health endpoints, which clients and charts of the field use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The process answers, and can still write.
    Live,
    /// The store can be read and written, and the server isn't draining.
    Ready,
}

/// An S3 operation and what it is for. Bucket and key are decided here once: what is authorized, carried out and logged is this value.
#[derive(Clone, Debug)]
pub struct Target {
    /// The operation.
    pub operation: Operation,
    /// The bucket that the path or the host names.
    pub bucket: Option<BucketName>,
    /// The key that the path names.
    pub key: Option<ObjectKey>,
    /// The path as it would be sent in path style, still percent-encoded.
    pub path: String,
}

impl Target {
    /// The bucket, if it is the host that names it: then the path as sent lacks it.
    pub fn host_bucket(&self, path_as_sent: &str) -> Option<&str> {
        self.bucket.as_ref().filter(|_| self.path != path_as_sent).map(BucketName::as_str)
    }
}

/// The names under which buckets are reached as sub-domains.
#[derive(Clone, Debug, Default)]
pub struct Domains(Vec<String>);

impl Domains {
    /// From the configured names; case doesn't matter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(
            names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect(),
        )
    }

    /// The bucket that `host` names as a sub-domain of one of these.
    fn bucket(&self, host: &str) -> Option<String> {
        let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        // The longest domain wins: with `x.y` and `b.x.y` configured, `b.x.y` is a domain and no bucket.
        if self.0.contains(&host) {
            return None;
        }
        self.0
            .iter()
            .filter_map(|domain| {
                let bucket = host.strip_suffix(domain.as_str())?.strip_suffix('.')?;
                (!bucket.is_empty()).then(|| (domain.len(), bucket.to_owned()))
            })
            .max()
            .map(|(_, bucket)| bucket)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}

/// Finds the route of a request.
///
/// # Errors
/// [`Refusal`] for a path that names nothing: a bucket name that can't exist, an unknown or doubled sub-resource, a method that
/// the resource doesn't have.
pub fn route(
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    host: Option<&str>,
    domains: &Domains,
) -> Result<Route, Refusal> {
    let by_host = host.and_then(|host| domains.bucket(host));
    if by_host.is_none()
        && let Some(rest) = path.strip_prefix(admin::PREFIX)
    {
        return admin::find(method, rest, query).map(Route::Admin);
    }
    if by_host.is_none()
        && let Some(rest) = path.strip_prefix(admin::KMS_PREFIX)
    {
        return admin::find_kms(method, rest, query).map(Route::Admin);
    }
    if by_host.is_none()
        && let Some(rest) = path.strip_prefix("/minio/")
    {
        if method == Method::GET && METRICS.contains(&rest) {
            return Ok(Route::Metrics);
        }
        return reserved(method, rest).map(Route::Health);
    }
    let path = match by_host {
        Some(bucket) => format!("/{bucket}{path}"),
        None => path.to_owned(),
    };
    let (level, bucket, key) = names(&path)?;
    let operation = operation(method, level, query, headers)?;
    Ok(Route::S3(Target { operation, bucket, key, path }))
}

/// The paths of metrics below `/minio/`, as the configurations know them that `mc admin prometheus generate` makes.
const METRICS: [&str; 2] = ["v2/metrics/cluster", "v2/metrics/node"];

/// What lies below `/minio/`, where no bucket can be.
fn reserved(method: &Method, rest: &str) -> Result<Health, Refusal> {
    let health = match rest {
        "health/live" => Health::Live,
        "health/ready" | "health/cluster" | "health/cluster/read" => Health::Ready,
        _ => {
            return Err(Refusal::new(
                "NotImplemented",
                501,
                "This API isn't part of this version of Coffer.",
            ));
        }
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok(health)
    } else {
        Err(Refusal::method_not_allowed())
    }
}

/// Bucket and key of a path-style path.
fn names(path: &str) -> Result<(Level, Option<BucketName>, Option<ObjectKey>), Refusal> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Refusal::new(
            "InvalidURI",
            400,
            "Couldn't parse the specified URI: it has no path.",
        ));
    };
    let decoded = percent_decode_str(rest).decode_utf8().map_err(|_error| {
        Refusal::new("InvalidURI", 400, "Couldn't parse the specified URI: its path isn't UTF-8.")
    })?;
    // Split what is decoded, as the wire library does: both must see the same bucket and key.
    let (bucket, key) = decoded.split_once('/').unwrap_or((&decoded, ""));
    if bucket.is_empty() {
        return if key.is_empty() && decoded.is_empty() {
            Ok((Level::Service, None, None))
        } else {
            Err(Refusal::new(
                "InvalidBucketName",
                400,
                "The specified bucket is not valid: its name is empty.",
            ))
        };
    }
    let bucket = BucketName::try_from(bucket.to_owned()).map_err(|error| {
        Refusal::new(
            "InvalidBucketName",
            400,
            format!("The specified bucket is not valid: {error}."),
        )
    })?;
    if bucket.as_str() == "minio" {
        return Err(Refusal::new(
            "InvalidBucketName",
            400,
            "The specified bucket is not valid: `minio` is reserved.",
        ));
    }
    if key.is_empty() {
        return Ok((Level::Bucket, Some(bucket), None));
    }
    let key = ObjectKey::try_from(key.to_owned()).map_err(|error| {
        Refusal::new("KeyTooLongError", 400, format!("Your key can't be used: {error}."))
    })?;
    Ok((Level::Object, Some(bucket), Some(key)))
}

/// The operation that method, level and sub-resources choose.
fn operation(
    method: &Method,
    level: Level,
    query: &str,
    headers: &HeaderMap,
) -> Result<Operation, Refusal> {
    let mut chosen: Vec<&str> = Vec::new();
    let parameters: Vec<(Cow<'_, str>, &str)> = parameters(query).collect();
    for (index, (name, value)) in parameters.iter().enumerate() {
        if parameters.iter().take(index).any(|(other, _)| other == name) {
            return Err(Refusal::invalid_argument(format!(
                "The query names `{}` more than once.",
                name.escape_default()
            )));
        }
        if let Ok(at) = SUB_RESOURCES.binary_search(&name.as_ref()) {
            chosen.extend(SUB_RESOURCES.get(at));
        } else if name == "partNumber" && *method == Method::PUT {
            chosen.push("partNumber");
        }
        // AWS knows only version 2 beside the listing without a number.
        if name == "list-type" && *value != "2" {
            return Err(Refusal::invalid_argument(
                "Invalid List Type; send `list-type=2`, or none for version 1.",
            ));
        }
    }
    chosen.sort_unstable();
    let source = if headers.contains_key("x-amz-copy-source")
        && *method == Method::PUT
        && level == Level::Object
    {
        Source::Copy
    } else {
        Source::Body
    };
    let fits = |row: &&table::Row| {
        row.level == level && row.sub_resources == chosen && row.source == source
    };
    if let Some(row) = ROWS.iter().filter(fits).find(|row| row.method == *method) {
        return Ok(row.operation);
    }
    Err(if ROWS.iter().any(|row| fits(&row)) {
        Refusal::method_not_allowed()
    } else if chosen.len() > 1 {
        Refusal::invalid_argument(format!(
            "Conflicting query string parameters: {}.",
            chosen.join(", ")
        ))
    } else {
        Refusal::new(
            "NotImplemented",
            501,
            "A header or query you provided implies functionality that is not implemented.",
        )
    })
}

/// The query's parameters: names decoded, values as they are.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = if name.contains('+') {
            Cow::Owned(name.replace('+', " "))
        } else {
            Cow::Borrowed(name)
        };
        let name = match name {
            Cow::Borrowed(name) => percent_decode_str(name).decode_utf8_lossy(),
            Cow::Owned(name) => {
                Cow::Owned(percent_decode_str(&name).decode_utf8_lossy().into_owned())
            }
        };
        (name, value)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn find(
        method: &str,
        path: &str,
        query: &str,
        host: &str,
    ) -> Result<(String, Option<String>, Option<String>), String> {
        let domains = Domains::new(["s3.example.com".to_owned()]);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match route(&method, path, query, &HeaderMap::new(), Some(host), &domains) {
            Ok(Route::S3(Target { operation, bucket, key, path: _ })) => Ok((
                operation.name().to_owned(),
                bucket.map(|name| name.as_str().to_owned()),
                key.map(|key| key.as_str().to_owned()),
            )),
            Ok(Route::Admin(row)) => Ok((row.path.to_owned(), None, None)),
            Ok(Route::Health(health)) => Ok((format!("{health:?}"), None, None)),
            Ok(Route::Metrics) => Ok(("Metrics".to_owned(), None, None)),
            Err(refusal) => Err(refusal.code().to_owned()),
        }
    }

    /// N10: whatever the spelling, the key is what any reader takes the path for, or the request is refused.
    #[test]
    fn n10_a_million_spellings_are_each_one_key() {
        use rand::rngs::StdRng;
        use rand::seq::IndexedRandom as _;
        use rand::{Rng as _, SeedableRng as _};
        const PIECES: [&str; 20] = [
            "..", ".", "/", "//", "\\", "%2e", "%", "+", " ", "\0", "é", "\u{fffe}", "a", "?", "#",
            "&", "<", "\r\n", "other", "🦀",
        ];
        let mut random = StdRng::seed_from_u64(1);
        let (domains, headers) = (Domains::default(), HeaderMap::new());
        for _ in 0..1_000_000 {
            let count = random.random_range(1..6);
            let key: String =
                (0..count).filter_map(|_| PIECES.choose(&mut random)).copied().collect();
            let mut path = String::from("/photos/");
            for byte in key.bytes() {
                let plain = byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
                match random.random_range(0..3) {
                    0 if plain => path.push(char::from(byte)),
                    1 => write!(path, "%{byte:02x}").unwrap(),
                    _ => write!(path, "%{byte:02X}").unwrap(),
                }
            }
            match route(&Method::PUT, &path, "", &headers, Some("localhost"), &domains) {
                Ok(Route::S3(Target { bucket: Some(bucket), key: Some(found), .. })) => {
                    assert_eq!((bucket.as_str(), found.as_str()), ("photos", &*key), "{path}");
                }
                other => panic!("{path}: {other:?}"),
            }
        }
    }

    #[test]
    fn method_path_query_and_host_choose_the_operation() {
        for (method, path, query, host, operation, bucket, key) in [
            ("GET", "/", "", "localhost:9000", "ListBuckets", None, None),
            ("GET", "/", "x-id=ListBuckets", "localhost", "ListBuckets", None, None),
            ("GET", "/photos", "", "localhost", "ListObjects", Some("photos"), None),
            (
                "GET",
                "/photos/",
                "list-type=2&prefix=a",
                "localhost",
                "ListObjectsV2",
                Some("photos"),
                None,
            ),
            (
                "GET",
                "/",
                "location",
                "photos.s3.example.com:9000",
                "GetBucketLocation",
                Some("photos"),
                None,
            ),
            (
                "GET",
                "/a%20b",
                "",
                "photos.S3.example.com",
                "GetObject",
                Some("photos"),
                Some("a b"),
            ),
            (
                "GET",
                "/minio/health/live",
                "",
                "photos.s3.example.com",
                "GetObject",
                Some("photos"),
                Some("minio/health/live"),
            ),
            ("GET", "/minio/health/live", "", "localhost", "Live", None, None),
            ("GET", "/minio/admin/v3/info", "", "localhost", "info", None, None),
            ("GET", "/minio/kms/v1/status", "", "localhost", "kms/status", None, None),
            (
                "PUT",
                "/photos//a/../b",
                "",
                "s3.example.com",
                "PutObject",
                Some("photos"),
                Some("/a/../b"),
            ),
            (
                "PUT",
                "/photos/k",
                "partNumber=1&uploadId=u",
                "localhost",
                "UploadPart",
                Some("photos"),
                Some("k"),
            ),
            (
                "GET",
                "/photos/k",
                "partNumber=1",
                "localhost",
                "GetObject",
                Some("photos"),
                Some("k"),
            ),
        ] {
            let expected =
                Ok((operation.to_owned(), bucket.map(str::to_owned), key.map(str::to_owned)));
            assert_eq!(
                find(method, path, query, host),
                expected,
                "{method} {path}?{query} at {host}"
            );
        }
    }

    #[test]
    fn what_no_row_names_is_refused() {
        for (method, path, query, code) in [
            ("DELETE", "/photos", "acl", "MethodNotAllowed"),
            ("PUT", "/photos/k", "uploadId=u", "MethodNotAllowed"),
            ("GET", "/photos", "acl&policy", "InvalidArgument"),
            ("GET", "/photos", "acl&acl", "InvalidArgument"),
            ("GET", "/photos", "prefix=a&%70refix=b", "InvalidArgument"),
            ("GET", "/photos", "list-type=3", "InvalidArgument"),
            ("GET", "/photos", "events=s3:*", "NotImplemented"),
            ("POST", "/", "", "MethodNotAllowed"),
            ("GET", "/Photos", "", "InvalidBucketName"),
            ("GET", "/minio", "", "InvalidBucketName"),
            ("GET", "//photos", "", "InvalidBucketName"),
            ("GET", "/%FF", "", "InvalidURI"),
            ("GET", "/minio/kms/v1/nothing", "", "XMinioAdminVersionMismatch"),
            ("GET", "/minio/kms/v2/status", "", "XMinioAdminVersionMismatch"),
            ("GET", "/minio/kms/v1/key/create", "key-id=a", "MethodNotAllowed"),
            ("GET", "/minio/v2/metrics/bucket", "", "NotImplemented"),
            ("GET", "/minio/admin/v1/info", "", "XMinioAdminVersionMismatch"),
        ] {
            assert_eq!(
                find(method, path, query, "localhost"),
                Err(code.to_owned()),
                "{method} {path}?{query}"
            );
        }
    }
}
