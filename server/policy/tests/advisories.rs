//! What broke systems like this one, as far as the language goes; each test bears the id of the advisory.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use coffer_policy::{
    Action, Context, ContextKey, Key, Kind, Named, Outcome, Parent, Policies, Policy, Principal,
    PrincipalKind, Request, Resource, decide, limit, wildcard,
};
use serde_json::{Value, json};

fn policy(statements: &Value) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    Policy::parse(Kind::Identity, document.to_string().as_bytes()).unwrap()
}

fn callers() -> [Principal<'static>; 4] {
    let alice = Parent { name: "alice", arn: "arn:aws:iam:::user/alice" };
    let one = |kind, name, arn, parent| Principal { kind, name, arn, parent };
    [
        one(PrincipalKind::User, alice.name, alice.arn, None),
        one(PrincipalKind::AssumedRole, "s", "arn:aws:sts:::assumed-role/r/s", None),
        one(PrincipalKind::AssumedRole, "s", "arn:aws:sts:::assumed-role/self/s", Some(alice)),
        one(PrincipalKind::Account, "root", "arn:aws:iam:::root", None),
    ]
}

fn outcome(
    policy: Option<&Policy>,
    principal: &Principal<'_>,
    action: Action,
    resource: &str,
    context: &Context<'_>,
) -> Outcome {
    let identity: Vec<_> = policy.iter().map(|policy| Named { name: "p", policy }).collect();
    let policies = Policies { identity: &identity, ..Policies::default() };
    decide(&policies, &Request { principal, action, resource: Resource::S3(resource), context })
        .outcome
}

#[test]
fn cve_2023_25812_a_deny_of_one_action_denies_it_for_every_kind_of_caller() {
    for action in Action::ALL {
        let both = policy(&json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": action.name(), "Resource": "*"},
        ]));
        for caller in callers() {
            assert_eq!(
                outcome(Some(&both), &caller, *action, "b/k", &Context::new()),
                Outcome::Deny,
                "{action} {caller:?}"
            );
            let other = if *action == Action::S3GetObject {
                Action::S3PutObject
            } else {
                Action::S3GetObject
            };
            assert_eq!(
                outcome(Some(&both), &caller, other, "b/k", &Context::new()),
                Outcome::Allow,
                "{action} {caller:?}"
            );
        }
    }
}

#[test]
fn cve_2021_41137_without_a_policy_a_caller_may_do_nothing() {
    for action in Action::ALL {
        for caller in callers().iter().filter(|caller| caller.kind != PrincipalKind::Account) {
            assert_eq!(
                outcome(None, caller, *action, "b/k", &Context::new()),
                Outcome::DefaultDeny,
                "{action} {caller:?}"
            );
        }
        assert_eq!(
            outcome(None, &Principal::ANONYMOUS, *action, "b/k", &Context::new()),
            Outcome::DefaultDeny,
            "{action}"
        );
    }
}

#[test]
fn ghsa_6r96_hmgc_726c_no_name_of_a_client_is_a_key_of_the_server() {
    for name in [
        "userid",
        "username",
        "groups",
        "principaltype",
        "SourceIp",
        "SecureTransport",
        "USERNAME",
        "User-Id",
        "jwt-sub",
        "sub",
        "x-amz-acl",
        "prefix",
        "X-Amz-Copy-Source",
        "aws.username",
        "aws:",
        ":username",
        "",
    ] {
        assert!(ContextKey::parse(name).is_err(), "{name}");
    }
}

#[test]
fn ghsa_v9cp_qfw9_9pfp_quantifiers_and_negation_are_not_transposed() {
    // The request's values; then whether ForAllValues, ForAnyValue, and both negated hold against {a, b}.
    for (values, all, any, all_not, any_not) in [
        (&[][..], true, false, true, false),
        (&["a"][..], true, true, false, false),
        (&["a", "b"][..], true, true, false, false),
        (&["c"][..], false, false, true, true),
        (&["a", "c"][..], false, true, false, true),
    ] {
        for (quantifier, sense, expected) in [
            ("ForAllValues", "", all),
            ("ForAnyValue", "", any),
            ("ForAllValues", "Not", all_not),
            ("ForAnyValue", "Not", any_not),
        ] {
            for operator in [
                format!("String{sense}Equals"),
                format!("String{sense}EqualsIgnoreCase"),
                format!("String{sense}Like"),
            ] {
                let operator = format!("{quantifier}:{operator}");
                let one = policy(&json!([
                    {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {&operator: {"aws:TagKeys": ["a", "b"]}}},
                ]));
                let mut context = Context::new();
                context.set_all(Key::AwsTagKeys, values.iter().copied());
                let expected = if expected { Outcome::Allow } else { Outcome::DefaultDeny };
                assert_eq!(
                    outcome(Some(&one), &callers()[0], Action::S3GetObject, "b/k", &context),
                    expected,
                    "{operator} {values:?}"
                );
            }
        }
    }
}

#[test]
fn ghsa_7h65_4p22_39j6_a_v4_address_within_v6_is_one_of_v4() {
    let one = policy(&json!([
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ]));
    for (address, expected) in [
        ("10.0.0.1", Outcome::Deny),
        ("::ffff:10.0.0.1", Outcome::Deny),
        ("::ffff:a00:1", Outcome::Deny),
        ("::ffff:11.0.0.1", Outcome::Allow),
    ] {
        let mut context = Context::new();
        context.set(Key::AwsSourceIp, address);
        assert_eq!(
            outcome(Some(&one), &callers()[0], Action::S3GetObject, "b/k", &context),
            expected,
            "{address}"
        );
    }
}

#[test]
fn cve_2026_39350_25542_3605_patterns_speak_one_dialect() {
    for (pattern, text, expected) in [
        ("a.b", "a.b", true),
        ("a.b", "axb", false),
        ("a", "ba", false),
        ("a", "ab", false),
        ("a?", "ab", true),
        ("a?", "a", false),
        ("a?", "abb", false),
        ("[ab]", "a", false),
        ("a|b", "a", false),
        ("^a$", "a", false),
        ("a+", "aa", false),
        ("(a)", "a", false),
        ("\\*", "*", false),
        ("a/**", "a/b/c", true),
        ("*", "a/b\nc", true),
        ("%61", "a", false),
    ] {
        assert_eq!(wildcard(pattern).unwrap()(text), expected, "{pattern} {text}");
    }
}

#[test]
fn cve_2026_39350_a_name_that_is_put_in_stays_literal() {
    let home = policy(&json!([
        {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/${aws:username}/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
    ]));
    for name in ["*", "?", "a*", "${aws:username}", "${*}", "*/..", "alice/*"] {
        let mut context = Context::new();
        context.set(Key::AwsUsername, name).set(Key::S3Prefix, "alice/x");
        let ask = |action, resource: &str| {
            outcome(Some(&home), &callers()[0], action, resource, &context)
        };
        assert_eq!(ask(Action::S3GetObject, "b/alice/x"), Outcome::DefaultDeny, "{name}");
        assert_eq!(ask(Action::S3GetObject, &format!("b/{name}/x")), Outcome::Allow, "{name}");
        assert_eq!(ask(Action::S3ListBucket, "b"), Outcome::DefaultDeny, "{name}");
    }
}

/// How long it takes is in the benchmark; a matcher that tries everything would never come back.
#[test]
fn cve_2022_24713_many_stars_come_to_an_end() {
    for pattern in
        ["*a".repeat(64) + "b", "a*".repeat(64) + "b", "*?".repeat(64) + "b", "*".repeat(64) + "b"]
    {
        assert!(!wildcard(&pattern).unwrap()(&"a".repeat(1024)), "{pattern}");
    }
    let stars = format!("arn:aws:s3:::{}", "*a".repeat(limit::PATTERN / 2 - 8));
    let document = json!({"Version": "2012-10-17", "Statement": vec![json!({"Effect": "Allow", "Action": "*", "Resource": vec![stars; 1]}); 8]});
    let one = Policy::parse(Kind::Identity, document.to_string().as_bytes()).unwrap();
    assert_eq!(
        outcome(Some(&one), &callers()[0], Action::S3GetObject, &"b".repeat(1024), &Context::new()),
        Outcome::DefaultDeny
    );
}

#[test]
fn a_deny_is_never_lost_by_what_is_unknown_in_it() {
    let deny = json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:username": "x"}}});
    let text = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, deny]}).to_string();
    assert!(Policy::parse(Kind::Identity, text.as_bytes()).is_ok());
    for (known, unknown) in [
        ("aws:username", "aws:usrname"),
        ("StringEquals", "StringEqualz"),
        ("\"s3:*\"", "\"s4:*\""),
        ("\"s3:*\"", "\"s3:GetObjekt\""),
        ("Condition", "Conditions"),
        ("\"Deny\"", "\"deny\""),
        ("2012-10-17", "2012-10-18"),
        ("\"Effect\":\"Deny\"", "\"Effect\":\"Deny\",\"Effect\":\"Allow\""),
        ("\"x\"", "\"${aws:usrname}\""),
        ("\"x\"", "[]"),
        ("\"x\"", "null"),
        ("\"Version\"", "\"version\""),
    ] {
        let changed = text.replacen(known, unknown, 2);
        assert_ne!(changed, text, "{known}");
        assert!(Policy::parse(Kind::Identity, changed.as_bytes()).is_err(), "{unknown}");
    }
}

/// CVE-2025-62506, CVE-2024-24747, CVE-2026-22043: whatever a session or key brings along, it stays within its parent.
#[test]
fn cve_2025_62506_a_wider_session_is_within_its_parent() {
    let parent = policy(
        &json!([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/one"}]),
    );
    let wider = policy(&json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let named = |policy| [Named { name: "p", policy }];
    for action in Action::ALL {
        for resource in ["b/one", "b/two", "b"] {
            for caller in callers().iter().filter(|caller| caller.kind != PrincipalKind::Account) {
                let (parent, wider) = (named(&parent), named(&wider));
                let policies = Policies {
                    identity: &parent,
                    session: Some(&wider),
                    limits: &wider,
                    ..Policies::default()
                };
                let request = Request {
                    principal: caller,
                    action: *action,
                    resource: Resource::S3(resource),
                    context: &Context::new(),
                };
                let allowed = *action == Action::S3GetObject && resource == "b/one";
                assert_eq!(
                    decide(&policies, &request).is_allowed(),
                    allowed,
                    "{action} {resource}"
                );
            }
        }
    }
}
