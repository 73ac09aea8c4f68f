//! Signature V2 as AWS documents it, stage by stage. See `vectors/README.md`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panic")]

use std::{fs, path::Path};

use coffer_signature::{
    Claim, Credentials, Expected, Request, Scheme, SecretKey, SigningKeyCache, V2Signer, canonical,
    claim, verify,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".parse().unwrap(),
        secret_key: SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    }
}

struct Case {
    name: String,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    bucket: Option<String>,
    string_to_sign: String,
    signature: String,
}

impl Case {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/v2");
        let cases: Vec<Self> =
            fs::read_dir(root).unwrap().map(|entry| Self::load(&entry.unwrap().path())).collect();
        assert!(cases.len() >= 11);
        cases
    }

    fn load(folder: &Path) -> Self {
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        let request = read("request.txt");
        let (line, rest) = request.split_once('\n').unwrap();
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in rest.lines() {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(
                HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let host = headers["host"].to_str().unwrap().split(':').next().unwrap();
        let bucket = (!host.starts_with("s3."))
            .then(|| host.strip_suffix(".s3.amazonaws.com").unwrap_or(host).to_owned());
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            bucket,
            string_to_sign: read("string_to_sign.txt"),
            signature: read("signature.txt"),
            headers,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn date(&self) -> &str {
        match self.query.split_once("Expires=") {
            Some((_, rest)) => rest.split('&').next().unwrap(),
            None if self.headers.contains_key("x-amz-date") => "",
            None => self.headers["date"].to_str().unwrap(),
        }
    }

    /// When it was sent.
    fn at(&self) -> Timestamp {
        if let Some((_, rest)) = self.query.split_once("Expires=") {
            let end = rest.split('&').next().unwrap().parse().unwrap();
            return Timestamp::from_second(end).unwrap();
        }
        let date = self.headers.get("x-amz-date").unwrap_or_else(|| &self.headers["date"]);
        rfc2822::DateTimeParser::new().parse_timestamp(date.to_str().unwrap()).unwrap()
    }
}

#[test]
fn the_string_to_sign_is_theirs() {
    for case in Case::all() {
        let text = canonical::v2_string_to_sign(
            &case.request(),
            case.bucket.as_deref(),
            case.date(),
            None,
        );
        let text = String::from_utf8(text.unwrap()).unwrap();
        assert_eq!(text, case.string_to_sign, "{}", case.name);
    }
}

#[test]
fn their_requests_are_verified_for_their_time() {
    for case in Case::all() {
        let signed = match claim(&case.request()) {
            Ok(Claim::Signed(signed)) => signed,
            other => panic!("{}: {other:?}", case.name),
        };
        let presigned = case.query.contains("Signature");
        let scheme = if presigned { Scheme::V2Presigned } else { Scheme::V2Header };
        assert_eq!((signed.scheme(), signed.scope()), (scheme, None), "{}", case.name);
        let expected =
            Expected { region: "us-east-1", service: "s3", host_bucket: case.bucket.as_deref() };
        let secret = credentials().secret_key;
        let code = |minutes: i64, seconds: i64| {
            let now =
                case.at() + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(seconds);
            let keys = SigningKeyCache::default();
            verify(&signed, &case.request(), Some(&secret), &expected, now, &keys)
                .map_or_else(|refusal| refusal.code(), |_| "OK")
        };
        let (early, late) = if presigned {
            ("OK", "AccessDenied")
        } else {
            ("RequestTimeTooSkewed", "RequestTimeTooSkewed")
        };
        let ends = if presigned { (0, 0) } else { (15, 0) };
        for (name, minutes, seconds, expected) in [
            ("at its time", 0, 0, "OK"),
            ("before", -15, 0, "OK"),
            ("long before", -15, -1, early),
            ("at its end", ends.0, ends.1, "OK"),
            ("after its end", ends.0, ends.1 + 1, late),
        ] {
            assert_eq!(code(minutes, seconds), expected, "{}: {name}", case.name);
        }
    }
}

#[test]
fn our_signature_is_theirs() {
    let credentials = credentials();
    for case in Case::all() {
        let by_v2 = V2Signer { credentials: &credentials, host_bucket: case.bucket.as_deref() };
        if let Some((query, _)) = case.query.split_once("AWSAccessKeyId") {
            let query =
                by_v2.presign(&case.method, &case.path, query, &case.headers, case.at()).unwrap();
            assert_eq!(query, case.query, "{}", case.name);
            continue;
        }
        let mut headers = case.headers.clone();
        by_v2.sign_headers(&case.method, &case.path, &case.query, &mut headers, case.at()).unwrap();
        // Ours is always GMT, which is another text for the same time.
        if headers.get("date") == case.headers.get("date") {
            let authorization = headers[AUTHORIZATION].to_str().unwrap();
            let expected = format!("AWS AKIAIOSFODNN7EXAMPLE:{}", case.signature);
            assert_eq!(authorization, expected, "{}", case.name);
        }
        let bent = Case { headers, ..case };
        let Ok(Claim::Signed(signed)) = claim(&bent.request()) else { panic!("{}", bent.name) };
        let expected =
            Expected { region: "us-east-1", service: "s3", host_bucket: bent.bucket.as_deref() };
        let keys = SigningKeyCache::default();
        let secret = Some(&credentials.secret_key);
        let verified =
            verify(&signed, &bent.request(), secret, &expected, bent.at(), &keys).unwrap();
        assert_eq!(verified.scheme(), Scheme::V2Header);
    }
}
