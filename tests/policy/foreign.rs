//! The same questions to a foreign evaluator: npm `@cloud-copilot/iam-simulate`, run by `iam_simulate/simulate.js`.
//!
//! It knows AWS's accounts and keys, so questions are put in those: users have an account, keys that only S3 knows in some
//! actions become global ones of the same type. What it decides otherwise is in `iam_simulate/differences.md`, each with a reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::generate::Generator;
use crate::naive::{Documents, Question};

const QUESTIONS: usize = 20_000;

/// What stands here stands there.
const ABROAD: [(&str, &str); 15] = [
    ("arn:aws:iam:::", "arn:aws:iam::123456789012:"),
    ("arn:aws:s3:::bb", "arn:aws:s3:::second-b"),
    ("arn:aws:s3:::b", "arn:aws:s3:::bucket-b"),
    ("arn:aws:s3:::c", "arn:aws:s3:::bucket-c"),
    ("*:List*", "s3:List*"),
    ("aws:groups", "aws:PrincipalOrgPaths"),
    ("AWS:GROUPS", "AWS:PRINCIPALORGPATHS"),
    ("s3:prefix", "aws:UserAgent"),
    ("S3:PREFIX", "AWS:USERAGENT"),
    ("s3:max-keys", "aws:MultiFactorAuthAge"),
    ("S3:MAX-KEYS", "AWS:MULTIFACTORAUTHAGE"),
    ("s3:RequestObjectTagKeys", "aws:CalledVia"),
    ("S3:REQUESTOBJECTTAGKEYS", "AWS:CALLEDVIA"),
    ("s3:ExistingObjectTag/Team", "aws:SourceIdentity"),
    ("S3:EXISTINGOBJECTTAG/TEAM", "AWS:SOURCEIDENTITY"),
];

#[test]
#[ignore = "needs Node and the package; the long part of tests/run runs it"]
fn iam_simulate_decides_the_same_but_for_what_is_listed() {
    let folder = PathBuf::from(
        std::env::var_os("COFFER_TEST_IAM_SIMULATE")
            .expect("COFFER_TEST_IAM_SIMULATE: a folder with the package"),
    );
    let mut asked = Vec::new();
    let mut input = String::new();
    let mut seed = 1_000_000;
    while asked.len() < QUESTIONS {
        seed += 1;
        let mut generator = Generator(StdRng::seed_from_u64(seed));
        let (documents, question) = (generator.documents(), generator.question());
        let Some((documents, question)) = abroad(documents, question) else { continue };
        let context: serde_json::Map<String, Value> = question
            .context
            .iter()
            .map(|(key, values)| (key.clone(), one_or_many(key, values)))
            .collect();
        let line = json!({
            "documents": {"identity": documents.identity, "boundary": documents.boundary, "bucket": documents.bucket},
            "question": {"kind": question.kind, "arn": question.arn, "action": question.action, "resource": question.resource, "context": context},
        });
        writeln!(input, "{line}").unwrap();
        asked.push((seed, documents, question));
    }
    let mut node = Command::new("node")
        .arg("simulate.js")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = node.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = node.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), asked.len());
    let (mut same, mut listed, mut unexplained) = (0, BTreeMap::<_, usize>::new(), Vec::new());
    for (answer, (seed, documents, question)) in answers.lines().zip(&asked) {
        let found = crate::ours(documents, question);
        if found == answer {
            same += 1;
        } else if let Some(reason) = difference(documents, question) {
            *listed.entry(reason).or_default() += 1;
        } else {
            unexplained.push((seed, found, answer, documents, question));
        }
    }
    println!(
        "{same} decided alike, {listed:?} by listed differences, {} unexplained",
        unexplained.len()
    );
    for (seed, found, answer, documents, question) in unexplained.iter().take(8) {
        println!(
            "seed {seed}: {found}, there {answer}\n{}\n{question:?}",
            json!([documents.identity, documents.boundary, documents.bucket])
        );
    }
    assert!(unexplained.is_empty());
    assert!(same > QUESTIONS / 2);
}

/// The question as it is put there; `None` if it has no meaning there.
fn abroad(documents: Documents, question: Question) -> Option<(Documents, Question)> {
    let Documents { mut identity, groups, session: _, boundary, limits: _, mut bucket } = documents;
    identity.extend(groups);
    if !question.action.starts_with("s3:")
        || question.kind == "Account"
        || question.kind == "AssumedRole"
    {
        return None;
    }
    // It checks that action and resource go together, and takes a wildcard in the question for a pattern.
    let fits = match question.action.as_str() {
        "s3:ListAllMyBuckets" => false,
        "s3:ListBucket" => !question.resource.contains('/'),
        _ => question.resource.contains('/'),
    };
    if !fits || question.resource.contains('*') || question.resource.contains(":kms:") {
        return None;
    }
    if let Some(bucket) = &mut bucket {
        principals(bucket);
    }
    let translate = |value: &Value| -> Option<Value> {
        let text = value.to_string();
        if [
            "admin:",
            "kms:",
            "sts:*",
            "jwt:sub",
            "JWT:",
            "assumed-role",
            "aws:TagKeys",
            "AWS:TAGKEYS",
        ]
        .iter()
        .any(|no| text.contains(no))
        {
            return None;
        }
        serde_json::from_str(&words(&text)).ok()
    };
    let identity = identity.iter().filter_map(translate).collect();
    let boundary = boundary.as_ref().and_then(translate);
    let bucket = bucket.as_ref().and_then(translate);
    let keep = |key: &str| !matches!(key, "jwt:sub" | "aws:TagKeys");
    let context = question
        .context
        .iter()
        .filter(|(key, values)| keep(key) && !values.is_empty())
        .map(|(key, values)| {
            (words(key), values.iter().map(|value| words(value)).collect::<Vec<_>>())
        })
        .filter(|(key, values)| key != "aws:UserAgent" || values.len() == 1)
        .collect();
    Some((
        Documents { identity, boundary, bucket, ..Documents::default() },
        Question {
            arn: words(&question.arn),
            resource: words(&question.resource),
            context,
            ..question
        },
    ))
}

fn words(text: &str) -> String {
    ABROAD.iter().fold(text.to_owned(), |text, (here, there)| text.replace(here, there))
}

/// Names of users become their ARNs.
fn principals(document: &mut Value) {
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "AWS" {
                    let text = value.to_string();
                    let text = ["alice", "bob"].iter().fold(text, |text, name| {
                        text.replace(
                            &format!("\"{name}\""),
                            &format!("\"arn:aws:iam:::user/{name}\""),
                        )
                    });
                    *value = serde_json::from_str(&text).unwrap();
                } else {
                    principals(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(principals),
        _ => {}
    }
}

fn one_or_many(key: &str, values: &[String]) -> Value {
    match values {
        [one] if !matches!(key, "aws:PrincipalOrgPaths" | "aws:CalledVia") => json!(one),
        values => json!(values),
    }
}

/// Why it may decide otherwise there; the reasons are in `iam_simulate/differences.md`.
fn difference(documents: &Documents, question: &Question) -> Option<&'static str> {
    let all = documents.identity.iter().chain(&documents.boundary).chain(&documents.bucket);
    if all
        .clone()
        .any(|document| document["Version"] != "2012-10-17" && document.to_string().contains("${"))
    {
        return Some("a variable in the older language");
    }
    all.flat_map(statements).find_map(|statement| {
        if is_unresolved(&statement.to_string(), question) {
            return Some("a variable without value");
        }
        let empty = |(key, values): &(String, Vec<String>)| {
            *values == [""] && statement.to_string().contains(&format!("${{{key}, "))
        };
        if question.context.iter().any(empty) {
            return Some("an empty value where a variable has a default");
        }
        if statement["NotPrincipal"].to_string().contains(":root\"")
            || statement["NotPrincipal"].to_string().contains("\"123456789012\"")
        {
            return Some("an account that is left out");
        }
        let conditions = statement["Condition"].as_object()?;
        conditions.iter().find_map(|(operator, keys)| {
            keys.as_object()?
                .iter()
                .find_map(|(key, wanted)| unlike(operator, key, wanted, question))
        })
    })
}

fn statements(document: &Value) -> Vec<Value> {
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        single => vec![single.clone()],
    }
}

fn is_unresolved(text: &str, question: &Question) -> bool {
    text.match_indices("${").any(|(at, _)| {
        let rest = &text[at + 2..];
        let inside = &rest[..rest.find('}').unwrap_or_default()];
        inside.contains(':')
            && !inside.contains(',')
            && (values(inside, question).len() != 1 || can_be_many(inside))
    })
}

fn can_be_many(key: &str) -> bool {
    ["aws:PrincipalOrgPaths", "aws:CalledVia"].iter().any(|many| many.eq_ignore_ascii_case(key))
}

fn values<'q>(key: &str, question: &'q Question) -> &'q [String] {
    let found = question.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
    found.map_or(&[], |(_, values)| values)
}

fn unlike(operator: &str, key: &str, wanted: &Value, question: &Question) -> Option<&'static str> {
    let found = values(key, question);
    let is_date =
        |value: &String| value.parse::<jiff::Timestamp>().is_ok() || value.parse::<i64>().is_ok();
    let many = can_be_many(key);
    if operator != "Null"
        && !operator.contains(':')
        && (found.len() > 1 || many && !found.is_empty())
    {
        Some("several values without a quantifier")
    } else if operator.starts_with("ForAnyValue:")
        && operator.ends_with("IfExists")
        && found.is_empty()
    {
        Some("ForAnyValue with IfExists of an absent key")
    } else if operator.contains("IpAddress")
        && found.iter().any(|value| value.parse::<std::net::IpAddr>().is_err())
    {
        Some("an address that is none")
    } else if operator.contains("IpAddress") && wanted.to_string().contains("/0\"") {
        Some("a range of all addresses")
    } else if operator.contains("Arn") && found.iter().any(|value| value.split(':').count() < 6) {
        Some("an ARN that is none")
    } else if operator.contains("Arn") && wanted.to_string().contains("\"*\"") {
        Some("an ARN that is only a wildcard")
    } else if operator.contains("Numeric")
        && found.iter().any(|value| value.parse::<f64>().is_err())
    {
        Some("a number that is none")
    } else if operator.contains("Date") && !found.iter().all(is_date) {
        Some("a date that is none")
    } else {
        None
    }
}
