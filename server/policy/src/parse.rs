//! JSON text becomes a compiled policy, or all that is wrong with it.

mod statement;
mod condition;

use crate::document::Document;
use crate::fault::{Faults, ParseErrors, Problem};
use crate::json::{self, Member, Node, Value};
use crate::limit;
use crate::pattern::Variables;
use crate::policy::{Kind, Policy};
use crate::suggest;

/// Reads and compiles a document.
pub(crate) fn parse(kind: Kind<'_>, text: &[u8]) -> Result<Policy, ParseErrors> {
    let fail = |problem| {
        let mut faults = Faults::new("");
        faults.add(0, "", problem);
        faults.finish(None)
    };
    if text.len() > limit::DOCUMENT {
        return fail(Problem::TooLong(text.len()));
    }
    let Ok(text) = std::str::from_utf8(text) else { return fail(Problem::NotUtf8) };
    let mut faults = Faults::new(text);
    let root = match json::parse(text) {
        Ok(root) => root,
        Err((at, problem)) => {
            faults.add(at, "", problem);
            return faults.finish(None);
        }
    };
    let policy = document(kind, root, &mut faults);
    faults.finish(policy)
}

fn document(kind: Kind<'_>, root: Node, faults: &mut Faults<'_>) -> Option<Policy> {
    let at = root.at;
    let members = object(root, "", "a JSON object", faults)?;
    let (mut version, mut id, mut statements) = (None, None, None);
    for Member { at, name, value } in members {
        match name.as_str() {
            "Version" => version = text(value, "Version", faults),
            "Id" | "ID" => {
                id = short_text(value, "Id", faults);
            }
            "Statement" => statements = Some(value),
            _ => unknown(at, &name, "", &["Version", "Id", "Statement"], faults),
        }
    }
    // Without a version the older language is meant, as on AWS.
    let variables = match version.as_ref().map(|(_, version)| version.as_str()) {
        Some("2012-10-17") => Variables::Meant,
        Some("2008-10-17") | None => Variables::Literal,
        Some(other) => {
            let at = version.as_ref().map_or(at, |(at, _)| *at);
            faults.add(at, "Version", Problem::Version(other.to_owned()));
            Variables::Meant
        }
    };
    let Some(statements) = statements else {
        faults.add(at, "", Problem::Missing("Statement"));
        return None;
    };
    let start = statements.at;
    let (nodes, single) = match statements.value {
        Value::List(nodes) => (nodes, false),
        Value::Object(_) => (vec![statements], true),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_)) => {
            let expected = "an array of statements, or one statement";
            faults.add(start, "Statement", Problem::Type { expected, found: other.kind() });
            return None;
        }
    };
    if nodes.is_empty() {
        faults.add(start, "Statement", Problem::Empty);
    }
    if nodes.len() > limit::STATEMENTS {
        let problem =
            Problem::TooMany { what: "statements", found: nodes.len(), max: limit::STATEMENTS };
        faults.add(start, "Statement", problem);
        return None;
    }
    let mut document = Document {
        version: version.map(|(_, version)| version),
        id: id.map(|(_, id)| id),
        statements: Vec::new(),
    };
    let mut compiled = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.into_iter().enumerate() {
        let path = if single { "Statement".to_owned() } else { format!("Statement[{i}]") };
        let at = node.at;
        if let Some((written, statement)) = statement::parse(kind, node, &path, variables, faults) {
            if let Some(sid) = written.sid.as_ref().filter(|sid| !sid.is_empty())
                && document.statements.iter().any(|other| other.sid.as_ref() == Some(sid))
            {
                faults.add(at, format_args!("{path}.Sid"), Problem::SidTwice(sid.clone()));
            }
            document.statements.push(written);
            compiled.push(statement);
        }
    }
    Some(Policy::new(document.text(), compiled))
}

fn object(
    node: Node,
    path: &str,
    expected: &'static str,
    faults: &mut Faults<'_>,
) -> Option<Vec<Member>> {
    match node.value {
        Value::Object(members) => Some(members),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)) => {
            faults.add(node.at, path, Problem::Type { expected, found: other.kind() });
            None
        }
    }
}

fn text(node: Node, path: &str, faults: &mut Faults<'_>) -> Option<(usize, String)> {
    match node.value {
        Value::Text(text) => Some((node.at, text)),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::List(_)
        | Value::Object(_)) => {
            faults.add(node.at, path, Problem::Type { expected: "a string", found: other.kind() });
            None
        }
    }
}

fn short_text(node: Node, path: &str, faults: &mut Faults<'_>) -> Option<(usize, String)> {
    let (at, text) = text(node, path, faults)?;
    if text.len() > limit::SID {
        faults.add(at, path, Problem::TooLongText { found: text.len(), max: limit::SID });
        return None;
    }
    Some((at, text))
}

fn unknown(at: usize, name: &str, path: &str, known: &[&str], faults: &mut Faults<'_>) {
    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let near = suggest::near(name, known.iter().copied());
    faults.add(at, path, Problem::Element { name: name.to_owned(), near });
}
