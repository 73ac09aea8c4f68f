//! `coffer-operator explain --batch`: JSON lines in, a decision for each out.
//!
//! A question is `{"policies": {name: document}, "sessionPolicies": {name: document}, "boundary": document, "bucketPolicy":
//! document, "request": {"principal": {"kind", "name", "arn"}, "action", "resource", "context": {key: [values]}}}`; all but
//! `request` may be left out. The answer is `{"decision", "policy", "statement", "error"}`.
//!
//! What follows from the principal need not be said in the context: `aws:username` (of a User), `aws:userid`,
//! `aws:PrincipalType` and `aws:PrincipalArn` are its, unless the context says otherwise. A question that names an unknown
//! action, key or kind is `Invalid`, as is one with a policy that can't be read: the error says where.

pub mod running;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Write};

use coffer_policy::{
    Action, By, Context, ContextKey, Decision, Key, Kind, Named, Policies, Policy, Principal,
    PrincipalKind, Request, Resource, decide,
};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Documents that are kept compiled, since most questions of a batch ask the same ones.
const KEPT: usize = 4096;

/// Answers each line of `questions` with a line of `answers`. An empty line is skipped.
///
/// # Errors
/// What reading or writing meets.
pub fn batch(mut questions: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let mut library = Library::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if questions.read_until(b'\n', &mut line)? == 0 {
            return answers.flush();
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        library.answer(&line, |answer| {
            serde_json::to_writer(&mut answers, answer)?;
            answers.write_all(b"\n")
        })?;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question<'a> {
    #[serde(borrow, default)]
    policies: Ordered<'a, &'a RawValue>,
    #[serde(borrow, default)]
    session_policies: Ordered<'a, &'a RawValue>,
    #[serde(borrow, default)]
    boundary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bucket_policy: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Asked<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    principal: Caller<'a>,
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    context: Ordered<'a, Values<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caller<'a> {
    kind: CallerKind,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arn: Cow<'a, str>,
}

#[derive(Clone, Copy, Deserialize)]
enum CallerKind {
    User,
    Anonymous,
    AssumedRole,
    Account,
}

impl From<CallerKind> for PrincipalKind {
    fn from(kind: CallerKind) -> Self {
        match kind {
            CallerKind::User => Self::User,
            CallerKind::Anonymous => Self::Anonymous,
            CallerKind::AssumedRole => Self::AssumedRole,
            CallerKind::Account => Self::Account,
        }
    }
}

/// One value of a condition key, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values<'a> {
    Many(#[serde(borrow)] Vec<Scalar<'a>>),
    One(#[serde(borrow)] Scalar<'a>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(serde_json::Number),
    Bool(bool),
}

impl<'a> Scalar<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        }
    }
}

/// The members of an object, in their order. A name given twice is an error.
struct Ordered<'a, T>(Vec<(Cow<'a, str>, T)>);

impl<T> Default for Ordered<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Ordered<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a, T>(Ordered<'a, T>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Members<'a, T> {
            type Value = Ordered<'a, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or null")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(self.0)
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
                while let Some((Name(name), value)) = map.next_entry()? {
                    let members = &mut self.0.0;
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(de::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    members.push((name, value));
                }
                Ok(self.0)
            }
        }
        deserializer.deserialize_any(Members(Self::default()))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Serialize)]
struct Answer {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A statement's `Sid`, or its place.
#[derive(Serialize)]
#[serde(untagged)]
enum Statement {
    Sid(String),
    Place(usize),
}

impl From<By<'_>> for Statement {
    fn from(by: By<'_>) -> Self {
        by.sid.map_or(Self::Place(by.statement), |sid| Self::Sid(sid.to_owned()))
    }
}

/// Documents that were compiled before, or why they can't be.
#[derive(Default)]
struct Library {
    identity: HashMap<Box<str>, Result<Policy, String>>,
    bucket: HashMap<Box<str>, Result<Policy, String>>,
}

impl Library {
    fn answer(
        &mut self,
        line: &[u8],
        write: impl FnOnce(&Answer) -> io::Result<()>,
    ) -> io::Result<()> {
        let invalid = |error: String| Answer {
            decision: "Invalid",
            policy: None,
            statement: None,
            error: Some(error),
        };
        let question: Question<'_> = match serde_json::from_slice(line) {
            Ok(question) => question,
            Err(error) => return write(&invalid(format!("the question can't be read: {error}"))),
        };
        let loaded = match self.load(&question) {
            Ok(loaded) => loaded,
            Err(error) => return write(&invalid(error)),
        };
        match loaded.decide(question.request) {
            Ok(answer) => write(&answer),
            Err(error) => write(&invalid(error)),
        }
    }

    fn load<'q>(&mut self, question: &Question<'q>) -> Result<Loaded<'q>, String> {
        let mut loaded = Loaded {
            identity: Vec::with_capacity(question.policies.0.len()),
            session: Vec::with_capacity(question.session_policies.0.len()),
            boundary: None,
            bucket: None,
        };
        let identity = &mut self.identity;
        for (from, into) in [
            (&question.policies, &mut loaded.identity),
            (&question.session_policies, &mut loaded.session),
        ] {
            for (name, document) in &from.0 {
                into.push((name.clone(), compiled(identity, Kind::Identity, name, document)?));
            }
        }
        if let Some(document) = question.boundary {
            loaded.boundary = Some(compiled(identity, Kind::Identity, "boundary", document)?);
        }
        if let Some(document) = question.bucket_policy {
            loaded.bucket =
                Some(compiled(&mut self.bucket, Kind::Resource, "bucketPolicy", document)?);
        }
        Ok(loaded)
    }
}

fn compiled(
    kept: &mut HashMap<Box<str>, Result<Policy, String>>,
    kind: Kind<'_>,
    name: &str,
    document: &RawValue,
) -> Result<Policy, String> {
    let text = document.get();
    let found = if let Some(found) = kept.get(text) {
        found.clone()
    } else {
        let made = Policy::parse(kind, text.as_bytes()).map_err(|errors| errors.to_string());
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(text.into(), made.clone());
        made
    };
    found.map_err(|error| format!("policy `{name}`: {error}"))
}

struct Loaded<'q> {
    identity: Vec<(Cow<'q, str>, Policy)>,
    session: Vec<(Cow<'q, str>, Policy)>,
    boundary: Option<Policy>,
    bucket: Option<Policy>,
}

impl Loaded<'_> {
    fn decide(&self, asked: Asked<'_>) -> Result<Answer, String> {
        let action = Action::parse(&asked.action)
            .ok_or_else(|| format!("request.action: unknown action `{}`", asked.action))?;
        let resource = Resource::parse(&asked.resource).ok_or_else(|| {
            let resource = &asked.resource;
            format!("request.resource: `{resource}` is no resource; write `arn:aws:s3:::…`, `arn:aws:kms:::…` or `*`")
        })?;
        let Caller { kind, name, arn } = asked.principal;
        let kind = PrincipalKind::from(kind);
        let arn = if kind == PrincipalKind::User && arn.is_empty() {
            Cow::Owned(format!("arn:aws:iam:::user/{name}"))
        } else {
            arn
        };
        let mut context = Context::new();
        describe(kind, &name, &arn, &mut context);
        let mut keys = Vec::with_capacity(asked.context.0.len());
        for (key, values) in asked.context.0 {
            let values = match values {
                Values::One(value) => vec![value.text()],
                Values::Many(values) => values.into_iter().map(Scalar::text).collect(),
            };
            keys.push((key, values));
        }
        for (key, values) in &keys {
            let key = ContextKey::parse(key).map_err(|unknown| {
                let near = unknown.near.as_ref().map(|near| format!("; did you mean `{near}`?"));
                format!("request.context: {unknown}{}", near.unwrap_or_default())
            })?;
            context.set_all(key, values.iter().map(|value| Cow::Borrowed(&**value)));
        }
        let principal = Principal { kind, name: &name, arn: &arn, parent: None };
        let identity = named(&self.identity);
        let session = named(&self.session);
        let policies = Policies {
            identity: &identity,
            groups: &[],
            session: (!session.is_empty()).then_some(&*session),
            boundary: self.boundary.as_ref().map(|policy| Named { name: "boundary", policy }),
            limits: &[],
            bucket: self.bucket.as_ref().map(|policy| Named { name: "bucketPolicy", policy }),
        };
        let request = Request { principal: &principal, action, resource, context: &context };
        let Decision { outcome, by, lacking: _ } = decide(&policies, &request);
        Ok(Answer {
            decision: outcome.name(),
            policy: by.map(|by| by.policy.to_owned()),
            statement: by.map(Into::into),
            error: None,
        })
    }
}

/// What follows from the principal alone. Source: AWS IAM user guide, the table of principal key values.
fn describe<'a>(kind: PrincipalKind, name: &'a str, arn: &'a str, context: &mut Context<'a>) {
    context.set(Key::AwsPrincipalType, kind.name());
    match kind {
        PrincipalKind::Anonymous => {
            context.set(Key::AwsUserid, "anonymous");
        }
        PrincipalKind::User if !name.is_empty() => {
            context.set(Key::AwsUsername, name).set(Key::AwsUserid, name);
        }
        PrincipalKind::AssumedRole if !name.is_empty() => {
            context.set(Key::AwsUserid, name);
        }
        PrincipalKind::User | PrincipalKind::AssumedRole | PrincipalKind::Account => {}
    }
    if !arn.is_empty() {
        context.set(Key::AwsPrincipalArn, arn);
    }
}

fn named<'a>(policies: &'a [(Cow<'_, str>, Policy)]) -> Vec<Named<'a>> {
    policies.iter().map(|(name, policy)| Named { name, policy }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(questions: &str) -> Vec<String> {
        let mut out = Vec::new();
        batch(questions.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn question(policy: &str, rest: &str, request: &str) -> String {
        format!(r#"{{"policies":{{"p":{policy}}}{rest},"request":{request}}}"#)
    }

    const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}/*"}]}"#;
    const ALICE: &str = r#"{"principal":{"kind":"User","name":"alice"},"action":"s3:GetObject","resource":"arn:aws:s3:::b/alice/k"}"#;

    #[test]
    fn each_line_gets_its_answer() {
        let deny = r#"{"Version":"2012-10-17","Statement":[{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}]}"#;
        let public = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
        let anonymous = r#"{"principal":{"kind":"Anonymous"},"action":"s3:GetObject","resource":"arn:aws:s3:::b/k","context":{"aws:SecureTransport":true,"s3:max-keys":[10]}}"#;
        for (name, line, expected) in [
            (
                "allowed",
                question(ALLOW, "", ALICE),
                r#"{"decision":"Allow","policy":"p","statement":0}"#,
            ),
            (
                "denied",
                question(deny, "", ALICE),
                r#"{"decision":"Deny","policy":"p","statement":"No"}"#,
            ),
            (
                "limited by the boundary",
                question(
                    ALLOW,
                    &format!(r#","boundary":{}"#, ALLOW.replace("GetObject", "PutObject")),
                    ALICE,
                ),
                r#"{"decision":"DefaultDeny"}"#,
            ),
            (
                "anonymous",
                format!(r#"{{"bucketPolicy":{public},"request":{anonymous}}}"#),
                r#"{"decision":"Allow","policy":"bucketPolicy","statement":0}"#,
            ),
            (
                "no session",
                question(ALLOW, r#","sessionPolicies":null,"boundary":null"#, ALICE),
                r#"{"decision":"Allow","policy":"p","statement":0}"#,
            ),
        ] {
            assert_eq!(answers(&line), [expected], "{name}");
        }
    }

    #[test]
    fn what_can_t_be_asked_is_invalid() {
        for (line, part) in [
            ("nonsense".to_owned(), "can't be read"),
            (question(ALLOW, r#","bondary":{}"#, ALICE), "unknown field `bondary`"),
            (
                question(r#"{"Statement":[]}"#, "", ALICE),
                "policy `p`: line 1, column 14: Statement: the list is empty",
            ),
            (
                question(ALLOW, "", &ALICE.replace("GetObject", "GetObjects")),
                "unknown action `s3:GetObjects`",
            ),
            (question(ALLOW, "", &ALICE.replace("arn:aws:s3:::b", "b")), "is no resource"),
            (question(ALLOW, "", &ALICE.replace("User", "Robot")), "unknown variant `Robot`"),
            (
                question(
                    ALLOW,
                    "",
                    &ALICE.replace("/k\"}", r#"/k","context":{"s3:prefx":["x"]}}"#),
                ),
                "did you mean `s3:prefix`?",
            ),
        ] {
            let answers = answers(&line);
            assert!(answers[0].contains(r#"{"decision":"Invalid","error":""#), "{answers:?}");
            assert!(answers[0].contains(part), "{answers:?} {part}");
        }
    }

    #[test]
    fn a_bad_line_doesn_t_end_the_batch() {
        let lines = format!("{{\n\n{}\n\u{0}\n", question(ALLOW, "", ALICE));
        let answers = answers(&lines);
        assert_eq!(answers.len(), 3);
        assert!(answers[1].contains("Allow"));
    }
}
