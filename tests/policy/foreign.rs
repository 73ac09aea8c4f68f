//! The same questions to a foreign evaluator: npm `@cloud-copilot/iam-simulate`, run by `iam_simulate/simulate.js`.
//!
//! It knows AWS's accounts and keys, so questions are put in those: users have an account, keys that only S3 knows in some
//! actions become global ones of the same type. What it decides otherwise is in `iam_simulate/differences.md`, each with a reason.

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
const ABROAD: [(&str, &str); 14] = [
    ("arn:aws:iam:::", "arn:aws:iam::123456789012:"),
    ("arn:aws:s3:::bb", "arn:aws:s3:::bucket-b2"),
    ("arn:aws:s3:::b", "arn:aws:s3:::bucket-b"),
    ("arn:aws:s3:::c", "arn:aws:s3:::bucket-c"),
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
    let (mut same, mut listed, mut unexplained) = (0, 0, Vec::new());
    for (answer, (seed, documents, question)) in answers.lines().zip(&asked) {
        let found = crate::ours(documents, question);
        if found == answer {
            same += 1;
        } else if difference(documents, question).is_some() {
            listed += 1;
        } else {
            unexplained.push((seed, found, answer, documents, question));
        }
    }
    println!(
        "{same} decided alike, {listed} by a listed difference, {} unexplained",
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
    if question.resource == "*" || question.resource.contains(":kms:") {
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

/// Why it may decide otherwise there; the list is `iam_simulate/differences.md`.
fn difference(_documents: &Documents, _question: &Question) -> Option<&'static str> {
    None
}
