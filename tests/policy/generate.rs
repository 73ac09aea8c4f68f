//! Random documents and questions, from few names, so that they meet each other often.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use crate::naive::{Documents, Question};

const ACTIONS: [&str; 9] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:GetObjectVersion",
    "s3:ListAllMyBuckets",
    "admin:ListUsers",
    "kms:Decrypt",
    "sts:AssumeRole",
];
const ACTION_PATTERNS: [&str; 14] = [
    "*",
    "s3:*",
    "s3:Get*",
    "S3:getobject",
    "s3:*Object",
    "s3:?etObject",
    "*:List*",
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "s3:DeleteObject*",
    "s3:ListAllMyBuckets",
    "s3:*Version",
    "s3:G*O*t",
];
const TENANT_PATTERNS: [&str; 5] = ["admin:*", "admin:ListUsers", "sts:*", "kms:*", "kms:Decrypt"];
const RESOURCES: [&str; 12] = [
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/k",
    "arn:aws:s3:::b/alice/k",
    "arn:aws:s3:::b/bob/k",
    "arn:aws:s3:::b/a*/k",
    "arn:aws:s3:::bb/k",
    "arn:aws:s3:::c",
    "arn:aws:s3:::c/k:1/é",
    "arn:aws:s3:::long-bucket-name/alice/k",
    "arn:aws:s3:::b/*",
    "arn:aws:kms:::main",
    "*",
];
const RESOURCE_PATTERNS: [&str; 22] = [
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/*",
    "arn:aws:s3:::b*",
    "arn:aws:s3:::?",
    "arn:aws:s3:::?/k",
    "arn:aws:s3:::b/${aws:username}/*",
    "arn:aws:s3:::b/${aws:username, 'bob'}/k",
    "arn:aws:s3:::b/${aws:PrincipalTag/team, 'k'}",
    "arn:aws:s3:::${aws:groups}/k",
    "arn:aws:s3:::b/a${*}/k",
    "arn:aws:s3:::b/alice/?",
    "arn:aws:s3:::*/k",
    "arn:aws:s3:::*b/*e/*",
    "arn:aws:s3:::long-bucket-name/*",
    "arn:aws:s3:::long-bucket-name/alice/*",
    "arn:aws:s3:::c/k:?/?",
    "arn:aws:kms:::main",
    "arn:aws:kms:::m*",
    "arn:aws:s3:::b/${s3:prefix}",
    "arn:aws:s3:::${$}{aws:username}",
];
const KEYS: [(&str, &[&str]); 13] = [
    ("aws:username", &["alice", "bob", "a*", "Alice"]),
    ("aws:PrincipalTag/team", &["red", "k", "*", ""]),
    ("aws:groups", &["red", "blue", "ops"]),
    ("s3:prefix", &["alice/", "bob/", "", "a"]),
    ("s3:max-keys", &["10", "100", "-1", "10.0", "ten"]),
    ("s3:ExistingObjectTag/Team", &["red", "blue", ""]),
    ("aws:SecureTransport", &["true", "false", "TRUE", "maybe"]),
    (
        "aws:SourceIp",
        &["10.0.0.1", "10.1.2.3", "192.168.0.9", "2001:db8::1", "::ffff:10.0.0.1", "nowhere"],
    ),
    ("aws:CurrentTime", &["2026-01-31T12:00:00Z", "2026-02-01T00:00:00Z", "1769860800"]),
    (
        "aws:PrincipalArn",
        &[
            "arn:aws:iam:::user/alice",
            "arn:aws:iam:::user/bob:x",
            "arn:aws:iam::123456789012:role/r",
            "x",
        ],
    ),
    ("jwt:sub", &["YWxpY2U=", "Ym9i", "alice"]),
    ("s3:RequestObjectTagKeys", &["team", "cost", "owner"]),
    ("aws:TagKeys", &["team", "cost"]),
];
const TEXTS: [&str; 16] = [
    "alice",
    "bob",
    "a*",
    "*",
    "?ob",
    "red",
    "blue",
    "",
    "alice/",
    "${aws:username}",
    "${aws:username}/",
    "${aws:PrincipalTag/team}",
    "${aws:PrincipalTag/team, 'red'}",
    "${*}",
    "BLUE",
    "a${?}",
];
const ARNS: [&str; 7] = [
    "*",
    "arn:aws:iam:::user/alice",
    "arn:aws:iam:::user/*",
    "arn:aws:iam::*:role/?",
    "arn:aws:*:::user/${aws:username}",
    "${aws:PrincipalArn}",
    "arn:*:iam:*:*:*",
];
const NUMBERS: [&str; 5] = ["10", "100", "9.5", "-1", "0"];
const DATES: [&str; 3] = ["2026-01-31T12:00:00Z", "1769860800", "2026-02-01T00:00:00+01:00"];
const RANGES: [&str; 8] = [
    "10.0.0.0/8",
    "10.0.0.1",
    "10.1.0.0/16",
    "0.0.0.0/0",
    "2001:db8::/32",
    "::/0",
    "2001:db8::1",
    "192.168.0.0/29",
];
const PRINCIPALS: [&str; 9] = [
    "*",
    "alice",
    "bob",
    "arn:aws:iam:::user/alice",
    "arn:aws:iam::123456789012:role/r",
    "arn:aws:sts::123456789012:assumed-role/r/s",
    "123456789012",
    "arn:aws:iam:::root",
    "arn:aws:iam::123456789012:root",
];

pub(crate) struct Generator(pub(crate) StdRng);

impl Generator {
    pub(crate) fn question(&mut self) -> Question {
        let (kind, name, arn, parent) = match self.0.random_range(0..8) {
            0 => ("Anonymous", "", "", false),
            1 => ("Account", "root", "arn:aws:iam:::root", false),
            2 => ("AssumedRole", "s", "arn:aws:sts::123456789012:assumed-role/r/s", false),
            3 => ("AssumedRole", "s", "arn:aws:sts:::assumed-role/r/s", true),
            4 => ("User", "bob", "arn:aws:iam:::user/bob", false),
            5 => ("User", "a*", "arn:aws:iam:::user/a*", false),
            _ => ("User", "alice", "arn:aws:iam:::user/alice", false),
        };
        let mut context = Vec::new();
        for (key, values) in KEYS {
            if self.0.random_bool(0.45) {
                let several = matches!(
                    key,
                    "aws:groups" | "aws:TagKeys" | "s3:RequestObjectTagKeys" | "s3:prefix"
                );
                let count = if several { self.0.random_range(0..3) } else { 1 };
                let values: Vec<String> =
                    (0..count).map(|_| self.pick(values).to_owned()).collect();
                context.push((key.to_owned(), values));
            }
        }
        Question {
            kind,
            name: name.to_owned(),
            arn: arn.to_owned(),
            parent: parent.then(|| ("alice".to_owned(), "arn:aws:iam:::user/alice".to_owned())),
            action: self.pick(&ACTIONS).to_owned(),
            resource: self.pick(&RESOURCES).to_owned(),
            context,
        }
    }

    pub(crate) fn documents(&mut self) -> Documents {
        let mut some = |chance, most, principals| -> Vec<Value> {
            if !self.0.random_bool(chance) {
                return Vec::new();
            }
            (0..self.0.random_range(1..=most)).map(|_| self.document(principals)).collect()
        };
        let session = some(0.2, 2, false);
        Documents {
            identity: some(0.8, 3, false),
            groups: some(0.3, 2, false),
            session: (!session.is_empty()).then_some(session),
            boundary: some(0.2, 1, false).pop(),
            limits: some(0.15, 2, false),
            bucket: some(0.5, 1, true).pop(),
        }
    }

    fn document(&mut self, principals: bool) -> Value {
        let mut document = Map::new();
        match self.0.random_range(0..10) {
            0 => document.insert("Version".to_owned(), json!("2008-10-17")),
            1 => None,
            _ => document.insert("Version".to_owned(), json!("2012-10-17")),
        };
        let statements: Vec<Value> =
            (0..self.0.random_range(1..4)).map(|_| self.statement(principals)).collect();
        let statement = match statements.as_slice() {
            [one] if self.0.random_bool(0.3) => one.clone(),
            _ => Value::Array(statements),
        };
        // A variable alone is an ARN only where variables are known.
        let statement = match document.get("Version") {
            Some(version) if version == "2012-10-17" => statement,
            _ => {
                let text = statement
                    .to_string()
                    .replace("\"${aws:PrincipalArn}\"", "\"arn:aws:iam:::user/bob:x\"");
                serde_json::from_str(&text).unwrap()
            }
        };
        document.insert("Statement".to_owned(), statement);
        Value::Object(document)
    }

    fn statement(&mut self, principals: bool) -> Value {
        let mut statement = Map::new();
        let effect = if self.0.random_bool(0.25) { "Deny" } else { "Allow" };
        statement.insert("Effect".to_owned(), json!(effect));
        if principals {
            let not = effect == "Deny" && self.0.random_bool(0.3);
            let value = if self.0.random_bool(0.3) && !not {
                json!("*")
            } else {
                json!({"AWS": self.list(&PRINCIPALS, 3)})
            };
            statement.insert(if not { "NotPrincipal" } else { "Principal" }.to_owned(), value);
        }
        let not = self.0.random_bool(0.15);
        let tenant = !principals && !not && self.0.random_bool(0.15);
        let actions = self.list(if tenant { &TENANT_PATTERNS } else { &ACTION_PATTERNS }, 3);
        statement.insert(if not { "NotAction" } else { "Action" }.to_owned(), actions);
        let not = self.0.random_bool(0.12);
        // What acts on the tenant is refused without the Resource `*`.
        if tenant {
            if self.0.random_bool(0.5) {
                statement.insert("Resource".to_owned(), json!("*"));
            }
        } else {
            let resources = self.list(&RESOURCE_PATTERNS, 3);
            statement.insert(if not { "NotResource" } else { "Resource" }.to_owned(), resources);
        }
        if self.0.random_bool(0.5) {
            let mut conditions = Map::new();
            for _ in 0..self.0.random_range(1..3) {
                let (operator, values) = self.operator();
                let mut keys = Map::new();
                for _ in 0..self.0.random_range(1..3) {
                    let (key, _) = KEYS[self.0.random_range(0..KEYS.len())];
                    let key = if self.0.random_bool(0.2) {
                        key.to_uppercase().replace("JWT:SUB", "JWT:sub")
                    } else {
                        key.to_owned()
                    };
                    let wanted = self.list(values, 3);
                    keys.insert(key, wanted);
                }
                conditions.insert(operator, Value::Object(keys));
            }
            statement.insert("Condition".to_owned(), Value::Object(conditions));
        }
        Value::Object(statement)
    }

    fn operator(&mut self) -> (String, &'static [&'static str]) {
        let families: [(&[&str], &'static [&'static str]); 9] = [
            (&["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"], &TEXTS),
            (&["StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"], &TEXTS),
            (
                &[
                    "NumericEquals",
                    "NumericNotEquals",
                    "NumericLessThan",
                    "NumericLessThanEquals",
                    "NumericGreaterThan",
                    "NumericGreaterThanEquals",
                ],
                &NUMBERS,
            ),
            (
                &[
                    "DateEquals",
                    "DateNotEquals",
                    "DateLessThan",
                    "DateLessThanEquals",
                    "DateGreaterThan",
                    "DateGreaterThanEquals",
                ],
                &DATES,
            ),
            (&["Bool"], &["true", "false"]),
            (&["BinaryEquals"], &["YWxpY2U=", "Ym9i"]),
            (&["IpAddress", "NotIpAddress"], &RANGES),
            (&["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"], &ARNS),
            (&["Null"], &["true", "false"]),
        ];
        let family = match self.0.random_range(0..12) {
            0..4 => 0,
            family => family - 3,
        };
        let (names, values) = families[family];
        let base = self.pick(names).to_owned();
        if base == "Null" {
            return (base, values);
        }
        let prefix = ["", "", "", "ForAllValues:", "ForAnyValue:"][self.0.random_range(0..5)];
        let suffix = if self.0.random_bool(0.2) { "IfExists" } else { "" };
        (format!("{prefix}{base}{suffix}"), values)
    }

    fn list(&mut self, from: &[&str], most: usize) -> Value {
        if self.0.random_bool(0.4) {
            return json!(self.pick(from));
        }
        let values: Vec<&str> =
            (0..self.0.random_range(1..=most)).map(|_| self.pick(from)).collect();
        json!(values)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.0.random_range(0..from.len())]
    }
}
