//! A decision allocates nothing, whatever it meets.

use coffer_policy::{
    Action, Context, Key, Kind, Named, Outcome, Policies, Policy, Principal, PrincipalKind,
    Request, Resource, decide,
};
use serde_json::json;

#[test]
fn a_decision_allocates_nothing() {
    let conditions = json!({
        "StringLike": {"s3:prefix": ["${aws:username}/*", "*a*b?c"]},
        "StringEqualsIgnoreCase": {"aws:username": "ALICE${aws:userid, 'x'}"},
        "ForAllValues:StringNotEquals": {"aws:groups": ["x", "y"]},
        "NumericLessThan": {"s3:max-keys": 100},
        "DateGreaterThan": {"aws:CurrentTime": "2026-01-01"},
        "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]},
        "ArnLike": {"aws:PrincipalArn": "arn:aws:iam:::user/${aws:username}"},
        "Bool": {"aws:SecureTransport": true},
    });
    let statement = |effect| json!({"Effect": effect, "Action": "s3:*", "Resource": ["arn:aws:s3:::*b/*", "arn:aws:s3:::${aws:username}"], "Condition": conditions});
    let text = json!({"Version": "2012-10-17", "Statement": [statement("Allow"), {"Effect": "Deny", "Action": "s3:Get*", "NotResource": "arn:aws:s3:::b/${aws:userid}"}]});
    let identity = Policy::parse(Kind::Identity, text.to_string().as_bytes()).unwrap();
    let mut shared = statement("Allow");
    shared["Principal"] = json!({"AWS": ["alice", "arn:aws:iam:::role/r", "123456789012"]});
    let text = json!({"Version": "2012-10-17", "Statement": shared});
    let bucket = Policy::parse(Kind::Resource, text.to_string().as_bytes()).unwrap();
    let principal = Principal {
        kind: PrincipalKind::User,
        name: "alice",
        arn: "arn:aws:iam:::user/alice",
        parent: None,
    };
    let mut context = Context::new();
    context
        .set(Key::AwsUsername, "alice")
        .set(Key::AwsUserid, "")
        .set(Key::S3Prefix, "alice/aabbc")
        .set(Key::S3MaxKeys, "10")
        .set(Key::AwsCurrentTime, "2026-01-31T12:00:00Z")
        .set(Key::AwsSourceIp, "2001:db8::1")
        .set(Key::AwsPrincipalArn, "arn:aws:iam:::user/alice")
        .set(Key::AwsSecureTransport, "true")
        .set_all(Key::AwsGroups, ["a", "b"]);
    let named = [Named { name: "p", policy: &identity }];
    let policies = Policies {
        identity: &named,
        session: Some(&named),
        boundary: Some(named[0]),
        limits: &named,
        bucket: Some(Named { name: "b", policy: &bucket }),
        ..Policies::default()
    };
    for (action, expected) in
        [(Action::S3PutObject, Outcome::Allow), (Action::S3GetObject, Outcome::Deny)]
    {
        let request = Request {
            principal: &principal,
            action,
            resource: Resource::S3("b/k"),
            context: &context,
        };
        let mut outcome = None;
        let counted =
            allocation_counter::measure(|| outcome = Some(decide(&policies, &request).outcome));
        assert_eq!((outcome, counted.count_total), (Some(expected), 0));
    }
}
