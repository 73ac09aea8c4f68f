//! The reader of policies, fed with broken examples.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::fs;
use std::path::Path;

use coffer_fuzzing::fuzz;
use coffer_policy::{
    Action, Context, Key, Kind, Named, Outcome, Policies, Policy, Principal, PrincipalKind,
    Request, Resource, decide, limit,
};
use serde_json::Value;

/// Bytes that mean something in what is read here.
const TELLING: &[u8] = b"\"\\{}[]:,$*?/ \n\x00\xff";

const ALICE: Principal<'_> = Principal {
    kind: PrincipalKind::User,
    name: "alice",
    arn: "arn:aws:iam:::user/alice",
    parent: None,
};

/// A policy with each element, and those that are refused each for a reason of its own.
fn examples() -> Vec<Vec<u8>> {
    let refused = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut paths: Vec<_> =
        fs::read_dir(refused).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut examples: Vec<Vec<u8>> =
        paths.into_iter().map(|path| fs::read(path).unwrap()).collect();
    // Longer ones are refused for their length alone.
    examples.retain(|example| example.len() < 4096);
    examples.push(
        br#"{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"S1","Effect":"Allow","Action":["s3:Get*","s3:PutObject"],
        "Resource":["arn:aws:s3:::b/${aws:username}/*","arn:aws:s3:::b/?"],"Condition":{"StringEqualsIfExists":{"s3:prefix":["a","\u00fc"]},
        "ForAnyValue:StringLike":{"aws:groups":"r*"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1/128"]},"NumericLessThan":{"s3:max-keys":"10"},
        "DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"Bool":{"aws:SecureTransport":"true"},"Null":{"s3:x-amz-acl":"true"}}},
        {"Effect":"Deny","NotAction":"s3:List*","NotResource":"arn:aws:s3:::c/*"}]}"#
            .to_vec(),
    );
    examples.push(
        br#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam:::user/alice"]},
        "Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}"#
            .to_vec(),
    );
    examples
}

fn outcomes(kind: Kind<'_>, policy: &Policy) -> Vec<Outcome> {
    let mut context = Context::new();
    context.set(Key::AwsUsername, "alice");
    context.set(Key::S3Prefix, "a");
    let named = [Named { name: "p", policy }];
    let policies = match kind {
        Kind::Identity => Policies { identity: &named, ..Policies::default() },
        Kind::Resource | Kind::Bucket(_) => {
            Policies { bucket: Some(named[0]), ..Policies::default() }
        }
    };
    let asked = [
        (Action::S3GetObject, "b/alice/k"),
        (Action::S3GetObject, "c/k"),
        (Action::S3ListBucket, "b"),
        (Action::S3DeleteObject, "b/k"),
    ];
    asked
        .map(|(action, resource)| {
            let resource = Resource::S3(resource);
            let request = Request { principal: &ALICE, action, resource, context: &context };
            decide(&policies, &request).outcome
        })
        .to_vec()
}

/// What is taken prints itself, says the same when it is read again, and is JSON to another parser too; what isn't says where.
#[test]
fn documents() {
    fuzz!(examples(), TELLING, |text: &[u8]| {
        for kind in [Kind::Identity, Kind::Resource, Kind::Bucket("b")] {
            match Policy::parse(kind, text) {
                Ok(policy) => {
                    assert!(serde_json::from_slice::<Value>(text).is_ok());
                    let again = Policy::parse(kind, policy.document().as_bytes()).unwrap();
                    assert_eq!(again.document(), policy.document());
                    assert_eq!(outcomes(kind, &again), outcomes(kind, &policy));
                }
                Err(errors) => {
                    assert!((1..=limit::FAULTS).contains(&errors.iter().count()));
                    let lines = text.split(|byte| *byte == b'\n').count();
                    for error in &errors {
                        assert!((1..=lines).contains(&error.line) && error.column > 0, "{error}");
                        assert!(!error.problem.to_string().is_empty());
                    }
                }
            }
        }
    });
}
