use std::net::{IpAddr, Ipv4Addr};

use coffer_policy::{Kind, Policy};
use coffer_signature::{Scheme, SecretKey};
use http::request::Parts;
use jiff::Timestamp;

use super::*;
use crate::iam::draft::{Holder, NewAccessKey};
use crate::iam::entity::{Parent, Status};
use crate::iam::name::Name;
use crate::iam::snapshot::Signer;
use crate::iam::{Draft, Snapshot};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn target(operation: Operation, level: u8) -> Target {
    Target {
        operation,
        bucket: (level > 0).then(|| BucketName::try_from("photos".to_owned()).unwrap()),
        key: (level > 1).then(|| ObjectKey::try_from("k".to_owned()).unwrap()),
        path: "/photos/k".to_owned(),
    }
}

fn head(uri: &str, headers: &[(&'static str, &'static str)]) -> Parts {
    let mut request = http::Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn facts(head: &Parts) -> Facts<'_> {
    Facts {
        head,
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        tls: Some(rustls::ProtocolVersion::TLSv1_3),
        now: now(),
        scheme: Scheme::V4Header,
        signed_at: Some(now()),
        region: "us-east-1",
        buckets: &[],
    }
}

fn ask(caller: &Caller, operation: Operation, level: u8, head: &Parts) -> bool {
    authorize(caller.clone(), &target(operation, level), &facts(head), &mut None).is_ok()
}

fn policy(statements: &str) -> Policy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Policy::parse(Kind::Identity, text.as_bytes()).unwrap()
}

/// Alice has the policy by `holder`, and the access key `alicekey` has `own`.
fn people(statements: &str, of_group: bool, own: Option<&str>) -> Arc<Snapshot> {
    let name = |text: &str| Name::user(text).unwrap();
    let secret = || SecretKey::new("12345678".to_owned());
    let mut draft = Draft::of(&Snapshot::default());
    draft.put_policy(&name("given"), policy(statements), now()).unwrap();
    draft.put_user(&name("alice"), secret(), Status::Enabled, now()).unwrap();
    draft.add_members(&name("staff"), &[name("alice")], now()).unwrap();
    let holder = if of_group { Holder::Group(name("staff")) } else { Holder::User(name("alice")) };
    draft.attach(&holder, &[name("given")], now()).unwrap();
    let key = NewAccessKey {
        name: name("alicekey"),
        secret_key: secret(),
        parent: Parent::User(name("alice")),
        policy: own.map(policy),
        label: String::new(),
        description: String::new(),
        expires: None,
    };
    draft.put_access_key(key, now()).unwrap();
    Arc::new(draft.snapshot().clone())
}

fn caller(snapshot: &Arc<Snapshot>, access_key: &str) -> Caller {
    let signer: Signer = snapshot.signer(access_key, now()).unwrap();
    Caller::new(Identity::Signer(signer), Arc::clone(snapshot), RootS3::On)
}

#[test]
fn without_policies_nobody_but_root_may_do_anything() {
    let snapshot = people(r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#, false, None);
    let root = Caller::new(Identity::Root, Arc::clone(&snapshot), RootS3::On);
    let anonymous = Caller::new(Identity::Anonymous, Arc::clone(&snapshot), RootS3::On);
    let head = head("/photos/k", &[]);
    for operation in Operation::ALL {
        assert!(ask(&root, *operation, 2, &head), "{}", operation.name());
        if *operation == Operation::DeleteObjects {
            // Each key is asked for by its handler; strangers don't come so far.
            assert!(!ask(&anonymous, *operation, 2, &head));
            continue;
        }
        for nobody in [&anonymous, &caller(&snapshot, "alice"), &caller(&snapshot, "alicekey")] {
            assert!(!ask(nobody, *operation, 2, &head), "{}", operation.name());
        }
    }
}

#[test]
fn roots_keys_may_be_shut_out_of_every_operation_and_of_nothing_else() {
    let snapshot = people(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, false, None);
    let closed = |identity| Caller::new(identity, Arc::clone(&snapshot), RootS3::Off);
    let root = closed(Identity::Root);
    let alice = closed(Identity::Signer(snapshot.signer("alice", now()).unwrap()));
    let head = head("/photos/k", &[]);
    for operation in Operation::ALL {
        let mut told = None;
        let target = target(*operation, 2);
        let refused = authorize(root.clone(), &target, &facts(&head), &mut told).unwrap_err();
        assert_eq!(refused.code(), "AccessDenied", "{}", operation.name());
        assert_eq!(told, Some(Decision::SHUT_OUT), "{}", operation.name());
        assert!(ask(&alice, *operation, 2, &head), "{}", operation.name());
    }
    for action in Action::ALL {
        let decision = decide(&root, *action, PolicyResource::All, &Context::new());
        let is_s3 = action.name().starts_with("s3:");
        assert_eq!(decision.outcome == Outcome::Deny, is_s3, "{}", action.name());
    }
}

#[test]
fn an_operation_without_its_resource_is_denied() {
    let root = Caller::new(Identity::Root, Arc::default(), RootS3::On);
    let head = head("/photos", &[]);
    assert!(!ask(&root, Operation::GetObject, 1, &head));
    assert!(!ask(&root, Operation::ListObjects, 0, &head));
}

#[test]
fn each_operation_is_allowed_by_its_actions_and_by_all_of_them() {
    let head = head("/photos/k", &[]);
    for operation in Operation::ALL.iter().filter(|it| **it != Operation::DeleteObjects) {
        let needs = table::needs(*operation);
        let allow = |actions: &[&str]| {
            let actions = format!("[\"{}\"]", actions.join("\",\""));
            people(
                &format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"*"}}"#),
                true,
                None,
            )
        };
        let all: Vec<&str> = needs.iter().map(|need| need.action.name()).collect();
        assert!(ask(&caller(&allow(&all), "alice"), *operation, 2, &head), "{}", operation.name());
        for missing in &all {
            let others: Vec<&str> =
                all.iter().copied().filter(|action| action != missing).collect();
            let others = if others.is_empty() { vec!["s3:GetBucketAbac"] } else { others };
            assert!(
                !ask(&caller(&allow(&others), "alice"), *operation, 2, &head),
                "{} without {missing}",
                operation.name()
            );
        }
    }
}

#[test]
fn an_access_key_may_do_what_both_its_policy_and_its_parent_may() {
    let read = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}"#;
    let all = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let head = head("/photos/k", &[]);
    for (parent, own, reads, writes) in [
        (read, None, true, false),
        (all, None, true, true),
        (all, Some(read), true, false),
        (read, Some(all), true, false),
    ] {
        let key = caller(&people(parent, false, own), "alicekey");
        assert_eq!(ask(&key, Operation::GetObject, 2, &head), reads, "{parent} {own:?}");
        assert_eq!(ask(&key, Operation::PutObject, 2, &head), writes, "{parent} {own:?}");
    }
}

#[test]
fn a_version_and_headers_that_set_more_are_asked_for() {
    let only = |action: &str| {
        let text = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
        caller(&people(&text, false, None), "alice")
    };
    let version = head("/photos/k?versionId=null", &[]);
    assert!(!ask(&only("s3:GetObject"), Operation::GetObject, 2, &version));
    assert!(ask(&only("s3:GetObjectVersion"), Operation::GetObject, 2, &version));
    assert!(!ask(&only("s3:DeleteObject"), Operation::DeleteObject, 2, &version));
    let sets_acl = head("/photos/k", &[("x-amz-acl", "private")]);
    assert!(!ask(&only("s3:PutObject"), Operation::PutObject, 2, &sets_acl));
    assert!(ask(&only("s3:PutObject*"), Operation::PutObject, 2, &sets_acl));
}

#[test]
fn conditions_see_the_request_and_nothing_that_it_pretends() {
    let only = |condition: &str| {
        let text = format!(
            r#"{{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{condition}}}"#
        );
        caller(&people(&text, false, None), "alice")
    };
    let plain = head("/photos?prefix=a%2F&max-keys=5", &[("user-agent", "test")]);
    let pretends = head(
        "/photos?aws:SourceIp=10.0.0.1&SourceIp=10.0.0.1&username=bob&aws%3Ausername=bob",
        &[("x-forwarded-for", "10.0.0.1"), ("username", "bob"), ("sourceip", "10.0.0.1")],
    );
    for (condition, expected, pretended) in [
        (r#"{"StringEquals":{"s3:prefix":"a/"}}"#, true, false),
        (r#"{"NumericLessThanEquals":{"s3:max-keys":"5"}}"#, true, false),
        (r#"{"StringEquals":{"aws:UserAgent":"test"}}"#, true, false),
        (r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#, true, true),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, false, false),
        (r#"{"StringEquals":{"aws:username":"alice"}}"#, true, true),
        (r#"{"StringEquals":{"aws:username":"bob"}}"#, false, false),
        (r#"{"StringEquals":{"aws:groups":"staff"}}"#, true, true),
        (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, true, true),
        (r#"{"NumericGreaterThanEquals":{"s3:TlsVersion":"1.3"}}"#, true, true),
        (r#"{"StringEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}}"#, true, true),
        (r#"{"StringEquals":{"s3:authType":"REST-HEADER"}}"#, true, true),
        (r#"{"DateGreaterThan":{"aws:CurrentTime":"2026-03-01T11:59:59Z"}}"#, true, true),
        (r#"{"StringEquals":{"aws:PrincipalType":"User"}}"#, true, true),
    ] {
        let alice = only(condition);
        assert_eq!(ask(&alice, Operation::ListObjectsV2, 1, &plain), expected, "{condition}");
        assert_eq!(ask(&alice, Operation::ListObjectsV2, 1, &pretends), pretended, "{condition}");
    }
}

#[test]
fn a_decision_names_its_statement() {
    let text = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"Keep","Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}"#;
    let alice = caller(&people(text, false, None), "alice");
    let ask = |action| decide(&alice, action, PolicyResource::S3("photos/k"), &Context::new());
    let denied = ask(Action::S3DeleteObject);
    assert_eq!(denied.outcome, Outcome::Deny);
    let by = denied.by.unwrap();
    assert_eq!((by.policy.as_str(), by.statement, by.sid.as_deref()), ("given", 1, Some("Keep")));
    assert_eq!(ask(Action::S3GetObject).by.unwrap().statement, 0);
}
