//! Browsers' forms: AWS's examples, what a policy allows, and bodies.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

mod bodies;

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use coffer_signature::{
    Credentials, Expected, Refusal, Scheme, SecretKey, Signer, SigningKeyCache,
    post_form::{Fields, LengthRange, PostPolicy, claim, sign_form, sign_form_v2},
};
use jiff::Timestamp;
use proptest::prelude::*;

const EXPECTED: Expected<'_> = Expected { region: "us-east-1", service: "s3", host_bucket: None };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-03-01T12:00:00Z")
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "id".parse().unwrap(),
        secret_key: SecretKey::new("canary-secret".to_owned()),
        session_token: None,
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.push(name, value).unwrap();
    }
    fields
}

/// Claims, verifies and checks.
fn allowed(
    fields: &Fields,
    bucket: &str,
    secret: Option<&SecretKey>,
    now: Timestamp,
) -> Result<LengthRange, Refusal> {
    let claim = claim(fields)?.unwrap();
    claim.verify(secret, &EXPECTED, &SigningKeyCache::default())?.check(fields, bucket, now)
}

fn code<T>(result: Result<T, Refusal>) -> &'static str {
    match result {
        Ok(_) => "OK",
        Err(refusal) => {
            let shown = format!("{refusal} {refusal:?}");
            assert!(!shown.contains("canary"), "{shown}");
            refusal.code()
        }
    }
}

/// A folder of `vectors/forms`.
fn vector(name: &str) -> Fields {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/forms").join(name);
    let text = fs::read_to_string(folder.join("fields.txt")).unwrap();
    let mut fields = Fields::default();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap();
        fields.push(name, value).unwrap();
    }
    fields.name_file("photo.jpg");
    fields
}

#[test]
fn aws_examples_are_understood() {
    for (name, bucket, key, secret, scheme, end) in [
        (
            "aws_v4",
            "sigv4examplebucket",
            "user/user1/photo.jpg",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            Scheme::V4Form,
            "2015-12-30T12:00:00Z",
        ),
        (
            "aws_v2",
            "johnsmith",
            "user/eric/photo.jpg",
            "uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o",
            Scheme::V2Form,
            "2007-12-01T12:00:00Z",
        ),
    ] {
        let fields = vector(name);
        let secret = SecretKey::new(secret.to_owned());
        assert_eq!(fields.get("key"), Some(key));
        assert_eq!(claim(&fields).unwrap().unwrap().scheme(), scheme);
        let before = at(end) - jiff::SignedDuration::from_secs(1);
        // Long after it was signed: a form has no 15 minutes.
        assert_eq!(allowed(&fields, bucket, Some(&secret), before), Ok(0..=u64::MAX), "{name}");
        for (what, code_expected, bucket, secret, now) in [
            ("at its end", "AccessDenied", bucket, Some(&secret), at(end)),
            ("another bucket", "AccessDenied", "other", Some(&secret), before),
            ("an unknown key", "InvalidAccessKeyId", bucket, None, before),
            (
                "another secret",
                "SignatureDoesNotMatch",
                bucket,
                Some(&credentials().secret_key),
                before,
            ),
        ] {
            assert_eq!(
                code(allowed(&fields, bucket, secret, now)),
                code_expected,
                "{name}: {what}"
            );
        }
    }
}

#[test]
fn our_signature_is_theirs() {
    let aws = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".parse().unwrap(),
        secret_key: SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    };
    let theirs = vector("aws_v4");
    let signer = Signer { credentials: &aws, region: "us-east-1", service: "s3" };
    let mut ours = Fields::default();
    let policy = theirs.get("policy").unwrap().to_owned();
    sign_form(&signer, &mut ours, |_| policy, at("2015-12-29T00:00:00Z")).unwrap();
    for (name, value) in ours.iter() {
        assert_eq!(theirs.get(name), Some(value), "{name}");
    }
    let first = Credentials {
        access_key_id: "0PN5J17HBGZHT7JJ3X82".parse().unwrap(),
        secret_key: SecretKey::new("uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o".to_owned()),
        session_token: None,
    };
    let theirs = vector("aws_v2");
    let mut ours = Fields::default();
    sign_form_v2(&first, &mut ours, |_| theirs.get("policy").unwrap().to_owned()).unwrap();
    for (name, value) in ours.iter() {
        assert_eq!(theirs.get(name), Some(value), "{name}");
    }
}

/// A policy in base64 that allows the fields so far, and these conditions.
fn policy_of(fields: &Fields, conditions: &[&str]) -> String {
    let own = fields.iter().map(|(name, value)| serde_json::json!({ name: value }).to_string());
    let all: Vec<String> =
        own.chain(conditions.iter().map(|condition| (*condition).to_owned())).collect();
    let text =
        format!("{{\"expiration\":\"2026-03-01T13:00:00Z\",\"conditions\":[{}]}}", all.join(","));
    STANDARD.encode(text)
}

/// Signed for `photos` by either version, with these fields beside the key.
fn signed(v2: bool, pairs: &[(&str, &str)], conditions: &[&str]) -> Fields {
    let mut made = fields(pairs);
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    if v2 {
        // The key id is no field that a policy could cover.
        let own = fields(pairs);
        sign_form_v2(&credentials, &mut made, |_| policy_of(&own, conditions)).unwrap();
    } else {
        sign_form(&signer, &mut made, |made| policy_of(made, conditions), now()).unwrap();
    }
    made
}

/// The same fields with one changed, added or (by `None`) left out.
fn with(fields: &Fields, name: &str, value: Option<&str>) -> Fields {
    let mut bent = Fields::default();
    let mut done = false;
    for (known, old) in fields.iter() {
        let new = if known == name { value } else { Some(old) };
        done |= known == name;
        if let Some(new) = new {
            bent.push(known, new).unwrap();
        }
    }
    if let (false, Some(value)) = (done, value) {
        bent.push(name, value).unwrap();
    }
    bent
}

#[test]
fn a_bent_form_is_refused_by_code() {
    const NO: &str = "SignatureDoesNotMatch";
    const DENIED: &str = "AccessDenied";
    let bucket = r#"{"bucket":"photos"}"#;
    let other = STANDARD
        .encode(r#"{"expiration":"2026-03-01T13:00:00Z","conditions":[{"bucket":"photos"}]}"#);
    let zeros = "0".repeat(64);
    for v2 in [false, true] {
        let good = signed(v2, &[("key", "k"), ("acl", "private")], &[bucket]);
        let rows: &[(&str, &str, Option<&str>, &str)] = &[
            ("nothing changed", "x-ignore-me", Some("1"), "OK"),
            ("the right bucket", "bucket", Some("photos"), "OK"),
            ("another bucket", "bucket", Some("other"), DENIED),
            ("another key", "key", Some("l"), DENIED),
            ("no key", "key", None, DENIED),
            ("another acl", "acl", Some("public-read"), DENIED),
            ("a field more", "content-type", Some("text/html"), DENIED),
            ("metadata more", "x-amz-meta-a", Some("1"), DENIED),
            ("a page more", "success_action_redirect", Some("https://evil.example"), DENIED),
            ("a token more", "x-amz-security-token", Some("t"), DENIED),
            ("another policy", "policy", Some(&other), NO),
            ("an empty policy", "policy", Some(""), NO),
            ("no policy", "policy", None, "InvalidArgument"),
        ];
        let v4_rows: &[(&str, &str, Option<&str>, &str)] = &[
            ("another signature", "x-amz-signature", Some(&zeros), NO),
            ("no hex", "x-amz-signature", Some("x"), NO),
            ("no signature", "x-amz-signature", None, "InvalidArgument"),
            ("no date", "x-amz-date", None, "InvalidArgument"),
            ("another day", "x-amz-date", Some("20260302T000000Z"), "InvalidArgument"),
            ("another time of the day", "x-amz-date", Some("20260301T000000Z"), DENIED),
            ("no algorithm", "x-amz-algorithm", None, "InvalidArgument"),
            ("another algorithm", "x-amz-algorithm", Some("AWS4-HMAC-SHA1"), "InvalidArgument"),
            ("V4A", "x-amz-algorithm", Some("AWS4-ECDSA-P256-SHA256"), "NotImplemented"),
            ("no credential", "x-amz-credential", None, "InvalidArgument"),
            ("a short credential", "x-amz-credential", Some("id/x"), "InvalidArgument"),
            (
                "another region",
                "x-amz-credential",
                Some("id/20260301/eu-west-1/s3/aws4_request"),
                "InvalidArgument",
            ),
            (
                "another service",
                "x-amz-credential",
                Some("id/20260301/us-east-1/sts/aws4_request"),
                "InvalidArgument",
            ),
            ("a V2 signature too", "signature", Some("x"), "InvalidRequest"),
        ];
        let v2_rows: &[(&str, &str, Option<&str>, &str)] = &[
            ("another signature", "signature", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), NO),
            ("no base64", "signature", Some("!"), NO),
            ("no signature", "signature", None, "InvalidArgument"),
            ("no key id", "awsaccesskeyid", None, "InvalidArgument"),
            ("an id that is none", "awsaccesskeyid", Some("a b"), "InvalidAccessKeyId"),
            ("a V4 signature too", "x-amz-signature", Some(&zeros), "InvalidRequest"),
        ];
        for (what, name, value, expected) in rows.iter().chain(if v2 { v2_rows } else { v4_rows }) {
            let bent = with(&good, name, *value);
            let secret = Some(&credentials().secret_key);
            let answer = allowed(&bent, "photos", secret, now());
            assert_eq!(code(answer), *expected, "v2 {v2}: {what}");
        }
        let secret = credentials().secret_key;
        let sts = Expected { service: "sts", ..EXPECTED };
        let verified =
            claim(&good).unwrap().unwrap().verify(Some(&secret), &sts, &SigningKeyCache::default());
        assert_eq!(code(verified), if v2 { "InvalidRequest" } else { "InvalidArgument" });
    }
}

#[test]
fn a_forms_session_token_is_covered_by_its_policy() {
    let credentials = Credentials {
        session_token: Some(SecretKey::new("canary-token".to_owned())),
        ..credentials()
    };
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let bucket = r#"{"bucket":"photos"}"#;
    let (mut v4, mut v2) = (Fields::default(), Fields::default());
    sign_form(&signer, &mut v4, |made| policy_of(made, &[bucket]), now()).unwrap();
    let own = fields(&[("x-amz-security-token", "canary-token")]);
    sign_form_v2(&credentials, &mut v2, |_| policy_of(&own, &[bucket])).unwrap();
    for made in [v4, v2] {
        let claimed = claim(&made).unwrap().unwrap();
        assert_eq!(claimed.session_token(), Some("canary-token"));
        assert_eq!(claimed.access_key_id().as_str(), "id");
        let scheme = claimed.scheme();
        let shown = format!("{claimed:?}");
        assert_eq!(shown, format!("FormClaim {{ access_key_id: \"id\", scheme: {scheme:?}, .. }}"));
        let secret = Some(&credentials.secret_key);
        let verified = claimed.verify(secret, &EXPECTED, &SigningKeyCache::default()).unwrap();
        assert!(!format!("{verified:?}").contains("canary"), "{verified:?}");
        assert_eq!((verified.access_key_id().as_str(), verified.scheme()), ("id", scheme));
        assert!(allowed(&made, "photos", secret, now()).is_ok());
        let bent = with(&made, "x-amz-security-token", Some("another"));
        assert_eq!(code(allowed(&bent, "photos", secret, now())), "AccessDenied");
    }
    let plain = signed(false, &[("key", "k")], &[bucket]);
    assert_eq!(claim(&plain).unwrap().unwrap().session_token(), None);
}

#[test]
fn a_form_without_any_of_it_is_nobodys() {
    assert!(claim(&fields(&[("key", "k")])).unwrap().is_none());
    assert_eq!(code(claim(&fields(&[("policy", "e30=")]))), "InvalidArgument");
    assert_eq!(code(claim(&fields(&[("x-amz-security-token", "t")]))), "InvalidArgument");
}

#[test]
fn conditions_are_met_or_not() {
    let bucket = r#"{"bucket":"photos"}"#;
    let all = 0..=u64::MAX;
    for (what, conditions, pairs, expected) in [
        ("equal", vec![r#"{"key":"k"}"#], vec![("key", "k")], Ok(all.clone())),
        ("equal, as a list", vec![r#"["eq","$key","k"]"#], vec![("key", "k")], Ok(all.clone())),
        ("not equal", vec![r#"["eq","$key","k"]"#], vec![("key", "K")], Err("AccessDenied")),
        (
            "a prefix",
            vec![r#"["starts-with","$key","in/"]"#],
            vec![("key", "in/k")],
            Ok(all.clone()),
        ),
        (
            "no prefix",
            vec![r#"["starts-with","$key","in/"]"#],
            vec![("key", "out")],
            Err("AccessDenied"),
        ),
        ("anything", vec![r#"["starts-with","$key",""]"#], vec![("key", "k")], Ok(all.clone())),
        ("anything, also nothing", vec![r#"["starts-with","$acl",""]"#], vec![], Ok(all.clone())),
        ("a field that is missing", vec![r#"{"acl":"private"}"#], vec![], Err("AccessDenied")),
        (
            "any case",
            vec![r#"["eq","$Content-TYPE","a/b"]"#],
            vec![("content-type", "a/b")],
            Ok(all.clone()),
        ),
        (
            "values have one case",
            vec![r#"["eq","$acl","private"]"#],
            vec![("acl", "Private")],
            Err("AccessDenied"),
        ),
        (
            "two of one field",
            vec![r#"["starts-with","$key","a"]"#, r#"["starts-with","$key","ab"]"#],
            vec![("key", "ac")],
            Err("AccessDenied"),
        ),
        (
            "types",
            vec![r#"["starts-with","$Content-Type","image/"]"#],
            vec![("content-type", "image/jpg, image/png")],
            Ok(all.clone()),
        ),
        (
            "one type that isn't",
            vec![r#"["starts-with","$Content-Type","image/"]"#],
            vec![("content-type", "image/jpg,video/mpeg")],
            Err("AccessDenied"),
        ),
        ("a length", vec![r#"["content-length-range",1,10]"#], vec![], Ok(1..=10)),
        ("a length as text", vec![r#"["content-length-range","1","10"]"#], vec![], Ok(1..=10)),
        (
            "lengths",
            vec![r#"["content-length-range",1,10]"#, r#"["content-length-range",5,20]"#],
            vec![],
            Ok(5..=10),
        ),
        ("a field in no condition", vec![], vec![("key", "k")], Err("AccessDenied")),
        ("the file's own", vec![], vec![("file", "x"), ("x-ignore-a", "b")], Ok(all.clone())),
    ] {
        let mut conditions = conditions;
        conditions.push(bucket);
        let text = policy_of(&Fields::default(), &conditions);
        let policy = PostPolicy::parse(&text).unwrap();
        let answer = policy.check(&fields(&pairs), "photos", now());
        assert_eq!(answer.map_err(|refusal| refusal.code()), expected, "{what}");
    }
    let unnamed = policy_of(&Fields::default(), &[r#"{"key":"k"}"#]);
    let policy = PostPolicy::parse(&unnamed).unwrap();
    let answer = policy.check(&fields(&[("key", "k")]), "photos", now());
    assert_eq!(code(answer), "AccessDenied", "a policy that names no bucket");
    assert_eq!(policy.expiration(), at("2026-03-01T13:00:00Z"));
}

#[test]
fn a_policy_has_one_reading() {
    let good = r#"{"expiration":"2026-03-01T13:00:00.000Z","conditions":[{"bucket":"b"}]}"#;
    let conditions = |text: &str| good.replace(r#"[{"bucket":"b"}]"#, &format!("[{text}]"));
    for (what, text, ok) in [
        ("as AWS writes it", good.to_owned(), true),
        ("with an offset", good.replace("13:00:00.000Z", "13:00:00+02:00"), true),
        ("no expiration", good.replace("expiration", "expires"), false),
        ("another case", good.replace("expiration", "Expiration"), false),
        ("no conditions", good.replace("conditions", "condition"), false),
        (
            "two expirations",
            good.replacen('{', r#"{"expiration":"2036-03-01T13:00:00Z","#, 1),
            false,
        ),
        ("something more", good.replacen('{', r#"{"more":1,"#, 1), false),
        ("no time", good.replace("2026-03-01T13:00:00.000Z", "tomorrow"), false),
        ("a time without zone", good.replace(".000Z", ""), false),
        ("a number for a time", good.replace("\"2026-03-01T13:00:00.000Z\"", "1"), false),
        ("none at all", conditions(""), false),
        ("two in one", conditions(r#"{"bucket":"b","key":"k"}"#), false),
        ("one twice in one", conditions(r#"{"bucket":"b","bucket":"c"}"#), false),
        ("an empty one", conditions("{}"), false),
        ("a number", conditions(r#"{"bucket":1}"#), false),
        ("no operator", conditions("[]"), false),
        ("another operator", conditions(r#"["ends-with","$key","k"]"#), false),
        ("an operator in capitals", conditions(r#"["EQ","$key","k"]"#), false),
        ("no dollar", conditions(r#"["eq","key","k"]"#), false),
        ("two of three", conditions(r#"["eq","$key"]"#), false),
        ("four of three", conditions(r#"["eq","$key","k","l"]"#), false),
        ("a negative length", conditions(r#"["content-length-range",-1,1]"#), false),
        ("half a length", conditions(r#"["content-length-range",0.5,1]"#), false),
        ("a signed length", conditions(r#"["content-length-range","+1","2"]"#), false),
        (
            "a length beyond all",
            conditions(r#"["content-length-range",0,99999999999999999999]"#),
            false,
        ),
        ("a text", conditions(r#""eq""#), false),
        ("too many", conditions(&vec![r#"{"bucket":"b"}"#; 129].join(",")), false),
        ("many", conditions(&vec![r#"{"bucket":"b"}"#; 128].join(",")), true),
        ("deep", "[".repeat(10_000), false),
        ("nothing", String::new(), false),
        ("two documents", format!("{good}{good}"), false),
    ] {
        let read = PostPolicy::parse(&STANDARD.encode(&text));
        assert_eq!(code(read), if ok { "OK" } else { "InvalidPolicyDocument" }, "{what}");
    }
    assert_eq!(code(PostPolicy::parse("{}")), "InvalidPolicyDocument");
    let wrapped = STANDARD.encode(good).replacen('e', "e\r\n", 1);
    assert_eq!(code(PostPolicy::parse(&wrapped)), "OK");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_signed_is_allowed_and_nothing_else(
        v2: bool, pairs in proptest::collection::btree_map("[a-z]{1,9}", "[ -~ü]{0,12}", 1..6),
        which: prop::sample::Index, to in "[ -~]{0,12}", more in "[a-z]{10,12}",
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
            .filter(|(name, _)| !["bucket", "policy", "signature", "file"].contains(name)).collect();
        prop_assume!(!pairs.is_empty());
        let good = signed(v2, &pairs, &[r#"{"bucket":"photos"}"#]);
        let secret = credentials().secret_key;
        prop_assert_eq!(allowed(&good, "photos", Some(&secret), now()), Ok(0..=u64::MAX));
        let (name, value) = which.get(&pairs);
        let bent = with(&good, name, Some(&to));
        prop_assert_eq!(allowed(&bent, "photos", Some(&secret), now()).is_ok(), to == *value);
        let longer = with(&good, &more, Some(&to));
        prop_assert!(allowed(&longer, "photos", Some(&secret), now()).is_err());
    }
}
