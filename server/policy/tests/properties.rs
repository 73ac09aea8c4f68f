//! Laws that hold for all documents, and the parser on arbitrary bytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

use coffer_policy::{
    Action, Context, Key, Kind, Named, Outcome, Policies, Policy, Principal, PrincipalKind,
    Request, Resource, decide, limit, wildcard,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALICE: Principal<'_> = Principal {
    kind: PrincipalKind::User,
    name: "alice",
    arn: "arn:aws:iam:::user/alice",
    parent: None,
};

fn statement() -> impl Strategy<Value = Value> {
    let actions = prop::sample::select(vec![
        "*",
        "s3:*",
        "s3:Get*",
        "s3:GetObject",
        "s3:PutObject",
        "s3:*Object",
    ]);
    let resources = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/${aws:username}/*",
        "arn:aws:s3:::b*",
        "arn:aws:s3:::c",
        "arn:aws:s3:::?/k",
        "arn:aws:s3:::b/${aws:userid}",
        "arn:aws:s3:::bucket-number-1/*",
        "arn:aws:s3:::bucket-number-2/*",
    ]);
    let condition = prop::sample::select(vec![
        None,
        Some(json!({"StringEquals": {"aws:username": "alice"}})),
        Some(json!({"StringNotEquals": {"s3:prefix": ["a", "${aws:userid}"]}})),
        Some(json!({"ForAllValues:StringLike": {"aws:groups": ["r*"]}})),
        Some(json!({"Bool": {"aws:SecureTransport": true}})),
        Some(json!({"Null": {"s3:prefix": "true"}})),
    ]);
    let effect = prop::sample::select(vec!["Allow", "Allow", "Deny"]);
    let not = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (
        effect,
        prop::collection::vec(actions, 1..3),
        prop::collection::vec(resources, 1..3),
        condition,
        not,
    )
        .prop_map(|(effect, actions, resources, condition, (not_action, not_resource))| {
            let mut statement = json!({
                "Effect": effect,
                (if not_action { "NotAction" } else { "Action" }): actions,
                (if not_resource { "NotResource" } else { "Resource" }): resources,
            });
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        })
}

fn statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(statement(), 1..6)
}

fn request() -> impl Strategy<Value = (Action, &'static str, Context<'static>)> {
    let action = prop::sample::select(vec![
        Action::S3GetObject,
        Action::S3PutObject,
        Action::S3ListBucket,
        Action::AdminListUsers,
    ]);
    let resource = prop::sample::select(vec![
        "b",
        "b/k",
        "b/alice/k",
        "c",
        "c/k",
        "bucket-number-1/k",
        "bucket-number-2/k",
        "bucket-number-3/k",
    ]);
    let context = (
        prop::bool::ANY,
        prop::bool::ANY,
        prop::option::of(prop::sample::select(vec!["a", "z"])),
        0..3_usize,
    );
    (action, resource, context).prop_map(|(action, resource, (known, tls, prefix, groups))| {
        let mut context = Context::new();
        if known {
            context.set(Key::AwsUsername, "alice");
        }
        context.set(Key::AwsSecureTransport, if tls { "true" } else { "false" });
        if let Some(prefix) = prefix {
            context.set(Key::S3Prefix, prefix);
        }
        context.set_all(Key::AwsGroups, ["red", "x"].into_iter().take(groups));
        (action, resource, context)
    })
}

fn policy(statements: &[Value]) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    Policy::parse(Kind::Identity, document.to_string().as_bytes()).unwrap()
}

fn outcome(
    identity: &[Policy],
    session: Option<&Policy>,
    asked: &(Action, &str, Context<'_>),
) -> Outcome {
    let named = |policy| Named { name: "p", policy };
    let identity: Vec<_> = identity.iter().map(named).collect();
    let session: Option<Vec<_>> = session.map(|policy| vec![named(policy)]);
    let policies =
        Policies { identity: &identity, session: session.as_deref(), ..Policies::default() };
    let (action, resource, context) = asked;
    let request =
        Request { principal: &ALICE, action: *action, resource: Resource::S3(resource), context };
    decide(&policies, &request).outcome
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_never_allows(all in statements(), more in statement(), asked in request()) {
        let mut more = more;
        more["Effect"] = json!("Deny");
        let before = outcome(&[policy(&all)], None, &asked);
        let extended: Vec<_> = all.iter().cloned().chain([more]).collect();
        let after = outcome(&[policy(&extended)], None, &asked);
        prop_assert!(after == before || after == Outcome::Deny);
    }

    #[test]
    fn adding_an_allow_never_denies(all in statements(), more in statement(), asked in request()) {
        let mut more = more;
        more["Effect"] = json!("Allow");
        let before = outcome(&[policy(&all)], None, &asked);
        let extended: Vec<_> = all.iter().cloned().chain([more]).collect();
        let after = outcome(&[policy(&extended)], None, &asked);
        prop_assert!(after == before || (before == Outcome::DefaultDeny && after == Outcome::Allow));
    }

    #[test]
    fn a_session_policy_never_widens(all in statements(), session in statements(), asked in request()) {
        let without = outcome(&[policy(&all)], None, &asked);
        let with = outcome(&[policy(&all)], Some(&policy(&session)), &asked);
        prop_assert!(with != Outcome::Allow || without == Outcome::Allow);
    }

    #[test]
    fn order_and_division_are_irrelevant(all in statements(), asked in request()) {
        let together = outcome(&[policy(&all)], None, &asked);
        let reversed: Vec<_> = all.iter().rev().cloned().collect();
        prop_assert_eq!(outcome(&[policy(&reversed)], None, &asked), together);
        let alone: Vec<_> = all.iter().map(|one| policy(std::slice::from_ref(one))).collect();
        prop_assert_eq!(outcome(&alone, None, &asked), together);
    }

    #[test]
    fn what_is_printed_is_the_same_policy(all in statements()) {
        let once = policy(&all);
        let again = Policy::parse(Kind::Identity, once.document().as_bytes()).unwrap();
        prop_assert_eq!(again.document(), once.document());
        prop_assert!(serde_json::from_str::<Value>(once.document()).is_ok());
    }

    #[test]
    fn any_bytes_are_a_policy_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        check(&bytes)?;
    }

    #[test]
    fn a_document_with_a_changed_byte_is_a_policy_or_refused(all in statements(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = policy(&all).document().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        check(&bytes)?;
    }

    #[test]
    fn any_text_in_any_place_is_read_back(text in "\\PC{0,20}") {
        let document = json!({"Version": "2012-10-17", "Id": text, "Statement": [{
            "Sid": text, "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b",
            "Condition": {"StringEquals": {"s3:prefix": text}},
        }]});
        if let Ok(policy) = Policy::parse(Kind::Identity, document.to_string().as_bytes()) {
            let read: Value = serde_json::from_str(policy.document()).unwrap();
            prop_assert_eq!(&read["Id"], &document["Id"]);
            prop_assert_eq!(&read["Statement"][0]["Condition"]["StringEquals"]["s3:prefix"][0], &json!(text));
        } else {
            prop_assert!(text.contains("${"), "refused without a variable");
        }
    }
}

/// A document that is taken prints itself, and agrees with another JSON parser; one that is refused says where.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    for kind in [Kind::Identity, Kind::Resource, Kind::Bucket("b")] {
        match Policy::parse(kind, bytes) {
            Ok(policy) => {
                prop_assert!(serde_json::from_slice::<Value>(bytes).is_ok());
                let again = Policy::parse(kind, policy.document().as_bytes());
                prop_assert_eq!(
                    again.map(|again| again.document().to_owned()),
                    Ok(policy.document().to_owned())
                );
            }
            Err(errors) => {
                prop_assert!(errors.iter().count() > 0);
                prop_assert!(errors.iter().all(|error| error.line > 0 && error.column > 0));
            }
        }
    }
    Ok(())
}

#[test]
fn documents_beyond_the_limits_are_refused() {
    let deep = "[".repeat(100_000);
    let wide = format!("[{}]", vec!["{}"; 10_000].join(","));
    let many = json!({"Version": "2012-10-17", "Statement": vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*"}); limit::STATEMENTS + 1]});
    let values = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": vec!["*"; limit::VALUES + 1], "Resource": "*"}});
    let long = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": format!("arn:aws:s3:::{}", "a".repeat(limit::PATTERN + 1))}});
    let spaces = " ".repeat(limit::DOCUMENT + 1);
    for text in [deep, wide, many.to_string(), values.to_string(), long.to_string(), spaces] {
        assert!(Policy::parse(Kind::Identity, text.as_bytes()).is_err());
    }
    let most = json!({"Version": "2012-10-17", "Statement": vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*"}); limit::STATEMENTS]});
    assert_eq!(
        Policy::parse(Kind::Identity, most.to_string().as_bytes()).unwrap().len(),
        limit::STATEMENTS
    );
}

/// All patterns up to 7 characters of {a, b, *, ?} with all texts up to 8 of {a, b, /}: 215 million pairs.
#[test]
fn the_matcher_is_the_plain_one_on_everything_small() {
    let patterns = words(b"ab*?", 7);
    let texts = words(b"ab/", 8);
    assert_eq!((patterns.len(), texts.len()), (21_845, 9_841));
    std::thread::scope(|scope| {
        for half in patterns.chunks(patterns.len().div_ceil(2)) {
            let texts = &texts;
            scope.spawn(move || {
                for pattern in half {
                    let matches = wildcard(pattern).unwrap();
                    for text in texts {
                        assert_eq!(
                            matches(text),
                            plain(pattern.as_bytes(), text.as_bytes()),
                            "{pattern} {text}"
                        );
                    }
                }
            });
        }
    });
}

/// The definition of a pattern, and nothing else.
fn plain(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            plain(rest, text) || (!text.is_empty() && plain(pattern, &text[1..]))
        }
        ([b'?', pattern @ ..], [_, text @ ..]) => plain(pattern, text),
        ([a, pattern @ ..], [b, text @ ..]) => a == b && plain(pattern, text),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

fn words(letters: &[u8], longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|word| {
                letters.iter().map(move |letter| format!("{word}{}", char::from(*letter)))
            })
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}
