//! Is a bucket policy public? Source: AWS S3 user guide, "The meaning of 'public'".

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

use coffer_policy::access::{To, public};
use coffer_policy::{Access, Action, Kind, Policy};
use serde_json::{Value, json};

fn policy(statements: &Value) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    Policy::parse(Kind::Bucket("b"), document.to_string().as_bytes()).unwrap()
}

fn allow(condition: &Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    statement
}

#[test]
fn a_condition_makes_it_private_only_if_it_fixes_who_may() {
    for (condition, expected) in [
        (Value::Null, true),
        (json!({"Bool": {"aws:SecureTransport": true}}), true),
        (json!({"StringLike": {"aws:Referer": "https://example.com/*"}}), true),
        (json!({"StringEquals": {"s3:prefix": "public"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
        (json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}), false),
        (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), true),
        (json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}), true),
        (json!({"IpAddress": {"aws:SourceIp": "2001::/16"}}), true),
        (json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
        (json!({"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}), true),
        (json!({"StringEquals": {"aws:username": "alice"}}), false),
        (json!({"StringEquals": {"aws:username": "${s3:prefix}"}}), true),
        (json!({"StringLike": {"aws:username": "a*"}}), true),
        (json!({"StringNotEquals": {"aws:username": "alice"}}), true),
        (json!({"ForAllValues:StringEquals": {"aws:groups": "red"}}), true),
        (json!({"ForAnyValue:StringEquals": {"aws:groups": "red"}}), false),
        (json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam:::user/alice"}}), false),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:::user/*"}}), true),
        (json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}), false),
        (json!({"StringEquals": {"aws:PrincipalType": "Anonymous"}}), true),
        (json!({"Null": {"aws:username": false}}), true),
    ] {
        let found = public(&policy(&json!([allow(&condition)])));
        assert_eq!(found.is_public(), expected, "{condition}");
        assert!(
            found.grants.iter().all(|grant| grant.conditional != condition.is_null()),
            "{condition}"
        );
    }
}

#[test]
fn it_says_to_whom_what_is_public_and_by_which_statement() {
    let mut named = allow(&Value::Null);
    named["Principal"] = json!({"AWS": ["alice", "arn:aws:iam:::role/r"]});
    let mut upload = allow(&json!({"StringEquals": {"aws:PrincipalType": "User"}}));
    upload["Action"] = json!(["s3:PutObject", "s3:PutObjectTagging"]);
    upload["Sid"] = json!("Upload");
    let mut list = allow(&Value::Null);
    list["Principal"] = json!({"AWS": ["alice", "*"]});
    list["Action"] = json!("s3:ListBucket");
    list["Resource"] = json!("arn:aws:s3:::b");
    let found = public(&policy(&json!([named, upload, list])));
    let grants: Vec<_> = found
        .grants
        .iter()
        .map(|grant| (grant.statement, grant.sid.as_deref(), grant.to))
        .collect();
    assert_eq!(grants, [(1, Some("Upload"), To::SignedIn), (2, None, To::Everyone)]);
    assert!(
        found.reads()
            && found.writes()
            && found.gives(Access::Tagging)
            && !found.gives(Access::Permissions)
    );
    assert!(
        found.grants[0].actions.contains(Action::S3PutObject)
            && !found.grants[0].actions.contains(Action::S3GetObject)
    );
}

#[test]
fn a_deny_counts_only_if_it_leaves_no_gap() {
    let deny = |principal: Value, resource: &str, condition: Option<Value>| {
        let mut deny = json!({"Effect": "Deny", "Principal": principal, "Action": "s3:Get*", "Resource": resource});
        if let Some(condition) = condition {
            deny["Condition"] = condition;
        }
        deny
    };
    let everyone = || json!("*");
    for (name, deny, expected) in [
        ("everything", deny(everyone(), "*", None), false),
        ("every bucket", deny(everyone(), "arn:aws:s3:::*", None), false),
        ("a part", deny(everyone(), "arn:aws:s3:::b/x/*", None), true),
        ("somebody", deny(json!({"AWS": "alice"}), "*", None), true),
        (
            "sometimes",
            deny(everyone(), "*", Some(json!({"Bool": {"aws:SecureTransport": false}}))),
            true,
        ),
    ] {
        assert_eq!(
            public(&policy(&json!([allow(&Value::Null), deny]))).is_public(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn only_a_fixed_type_of_caller_asks_for_a_signature() {
    for (condition, expected) in [
        (json!({"StringEquals": {"aws:PrincipalType": "User"}}), To::SignedIn),
        (json!({"StringEquals": {"aws:PrincipalType": ["User", "AssumedRole"]}}), To::SignedIn),
        (json!({"StringEquals": {"aws:PrincipalType": ["User", "Anonymous"]}}), To::Everyone),
        (json!({"StringNotEquals": {"aws:PrincipalType": "User"}}), To::Everyone),
        (json!({"StringEqualsIfExists": {"aws:PrincipalType": "User"}}), To::Everyone),
        (json!({"ForAllValues:StringEquals": {"aws:PrincipalType": "User"}}), To::Everyone),
        (json!({"StringEquals": {"aws:PrincipalType": "${aws:UserAgent}"}}), To::Everyone),
        (json!({"StringEquals": {"s3:prefix": "User"}}), To::Everyone),
        (json!({"NumericEquals": {"s3:max-keys": 1}}), To::Everyone),
    ] {
        let found = public(&policy(&json!([allow(&condition)])));
        assert_eq!(
            found.grants.iter().map(|grant| grant.to).collect::<Vec<_>>(),
            [expected],
            "{condition}"
        );
    }
}

#[test]
fn it_says_whether_everyone_may_read_and_may_change() {
    for (action, resource, reads, writes) in [
        ("s3:GetObject", "arn:aws:s3:::b/*", true, false),
        ("s3:ListBucket", "arn:aws:s3:::b", true, false),
        ("s3:PutObject", "arn:aws:s3:::b/*", false, true),
        ("s3:PutObjectTagging", "arn:aws:s3:::b/*", false, true),
        ("s3:PutBucketPolicy", "arn:aws:s3:::b", false, true),
        ("s3:*", "arn:aws:s3:::b/*", true, true),
    ] {
        let mut statement = allow(&Value::Null);
        statement["Action"] = json!(action);
        statement["Resource"] = json!(resource);
        let found = public(&policy(&json!([statement])));
        assert_eq!((found.reads(), found.writes()), (reads, writes), "{action}");
    }
}
