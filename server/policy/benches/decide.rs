//! How long a decision takes, how long loading, and the worst that a document can ask for.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

use std::hint::black_box;

use coffer_policy::{
    Action, Context, Key, Kind, Named, Policies, Policy, Principal, PrincipalKind, Request,
    Resource, decide, wildcard,
};
use criterion::{Criterion, criterion_group, criterion_main};

const ALICE: Principal<'_> = Principal {
    kind: PrincipalKind::User,
    name: "alice",
    arn: "arn:aws:iam:::user/alice",
    parent: None,
};

fn parse(statements: &[String]) -> Policy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    Policy::parse(Kind::Identity, text.as_bytes()).unwrap()
}

/// 20 policies of 50 statements; only the very last allows what is asked.
fn policies(statement: impl Fn(usize) -> String) -> Vec<Policy> {
    (0..20)
        .map(|policy| parse(&(0..50).map(|i| statement(policy * 50 + i)).collect::<Vec<_>>()))
        .collect()
}

fn context() -> Context<'static> {
    let mut context = Context::new();
    context
        .set(Key::AwsUsername, "alice")
        .set(Key::AwsUserid, "alice")
        .set(Key::AwsPrincipalType, "User")
        .set(Key::AwsPrincipalArn, "arn:aws:iam:::user/alice")
        .set(Key::AwsSourceIp, "10.1.2.3")
        .set(Key::AwsSecureTransport, "true")
        .set(Key::AwsCurrentTime, "2026-01-31T12:00:00Z")
        .set(Key::AwsUserAgent, "aws-cli/2")
        .set(Key::S3SignatureAge, "0")
        .set(Key::S3AuthType, "REST-HEADER")
        .set_all(Key::AwsGroups, ["red", "blue"]);
    context
}

fn decisions(c: &mut Criterion) {
    let mixed = |i: usize| {
        let action = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:*", "s3:Get*"][i % 5];
        format!(
            r#"{{"Effect":"Allow","Action":"{action}","Resource":"arn:aws:s3:::bucket-{i:04}/*"}}"#
        )
    };
    let same = |i: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/team-{i:04}/*"}}"#
        )
    };
    let wild = |i: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::*-{i:04}/*","Condition":{{"IpAddress":{{"aws:SourceIp":"10.0.0.0/8"}}}}}}"#
        )
    };
    let conditions = |i: usize| {
        format!(
            r#"{{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{{"StringEquals":{{"aws:username":"user-{i}"}}}}}}"#
        )
    };
    for (name, all, resource) in [
        ("actions and buckets mixed", policies(mixed), "bucket-0999/k"),
        ("one action, one bucket, a prefix each", policies(same), "bucket/team-0999/k"),
        ("every pattern begins with a wildcard", policies(wild), "bucket-0999/k"),
        ("every statement has a condition", policies(conditions), "bucket/k"),
    ] {
        let named: Vec<_> = all.iter().map(|policy| Named { name: "p", policy }).collect();
        let policies = Policies { identity: &named, ..Policies::default() };
        let context = context();
        let request = Request {
            principal: &ALICE,
            action: Action::S3GetObject,
            resource: Resource::S3(resource),
            context: &context,
        };
        c.bench_function(&format!("20 policies of 50 statements: {name}"), |b| {
            b.iter(|| decide(black_box(&policies), black_box(&request)));
        });
    }
    let one = [parse(&[
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}"#
            .to_owned(),
    ])];
    let named = [Named { name: "p", policy: &one[0] }];
    let policies = Policies { identity: &named, ..Policies::default() };
    let context = context();
    let request = Request {
        principal: &ALICE,
        action: Action::S3GetObject,
        resource: Resource::S3("b/alice/k"),
        context: &context,
    };
    c.bench_function("one policy, one statement with a variable", |b| {
        b.iter(|| decide(black_box(&policies), black_box(&request)));
    });
    c.bench_function("a context of 11 keys", |b| b.iter(self::context));
}

fn loading(c: &mut Criterion) {
    let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::b/${aws:username}/*"]},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{"StringLike":{"s3:prefix":"${aws:username}/*"}}}]}"#;
    c.bench_function("parse a policy of two statements", |b| {
        b.iter(|| Policy::parse(Kind::Identity, black_box(text.as_bytes())));
    });
    let statement = r#"{"Effect":"Allow","Action":"*","Resource":["*","arn:aws:s3:::*a*b*/*"],"Condition":{"StringLike":{"s3:prefix":["*a*","*b*"]}}},"#;
    let long = format!(r#"{{"Statement":[{}]}}"#, statement.repeat(150).trim_end_matches(','));
    assert!(long.len() <= coffer_policy::limit::DOCUMENT && long.len() > 19_000, "{}", long.len());
    c.bench_function("parse a document of 20 KiB", |b| {
        b.iter(|| Policy::parse(Kind::Identity, black_box(long.as_bytes())));
    });
}

fn matching(c: &mut Criterion) {
    let text = "a".repeat(1024);
    for (name, pattern) in
        [("64 stars", "*a".repeat(64) + "b"), ("64 stars and marks", "*?".repeat(64) + "b")]
    {
        let matches = wildcard(&pattern).unwrap();
        c.bench_function(&format!("{name} against 1,024 characters"), |b| {
            b.iter(|| matches(black_box(&text)));
        });
    }
}

criterion_group!(benches, decisions, loading, matching);
criterion_main!(benches);
