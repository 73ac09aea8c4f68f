//! The conditions of a statement.

use crate::condition::Condition;
use crate::condition::operator::Operator;
use crate::document::WrittenConditions;
use crate::fault::{Faults, Problem};
use crate::json::{Member, Node, Value};
use crate::key::ContextKey;
use crate::limit;
use crate::pattern::Variables;

use super::object;
use super::statement::{Spanned, counted};

/// Reads all conditions: their words, and what they mean into `compiled`.
pub(super) fn conditions(
    node: Node,
    path: &str,
    variables: Variables,
    compiled: &mut Vec<Condition>,
    faults: &mut Faults<'_>,
) -> Option<WrittenConditions> {
    let at = node.at;
    let mut written = Vec::new();
    let mut good = true;
    for Member { at, name, value } in object(node, path, "an object of operators", faults)? {
        let path = format!("{path}.{name}");
        let operator = match Operator::parse(&name) {
            Ok(operator) => Some(operator),
            Err(problem) => {
                faults.add(at, &path, problem);
                None
            }
        };
        let node_at = value.at;
        let Some(members) = object(value, &path, "an object of condition keys", faults) else {
            good = false;
            continue;
        };
        if members.is_empty() {
            faults.add(node_at, &path, Problem::Empty);
            good = false;
        }
        let mut keys = Vec::with_capacity(members.len());
        for member in members {
            match condition(member, operator, &path, variables, faults) {
                Some((key, values, condition)) => {
                    keys.push((key, values));
                    compiled.push(condition);
                }
                None => good = false,
            }
        }
        written.push((name, keys));
    }
    if compiled.len() > limit::CONDITIONS {
        let problem =
            Problem::TooMany { what: "conditions", found: compiled.len(), max: limit::CONDITIONS };
        faults.add(at, path, problem);
        return None;
    }
    good.then_some(written)
}

fn condition(
    member: Member,
    operator: Option<Operator>,
    path: &str,
    variables: Variables,
    faults: &mut Faults<'_>,
) -> Option<(String, Vec<String>, Condition)> {
    let Member { at, name, value } = member;
    let path = format!("{path}.{name}");
    let key = match ContextKey::parse(&name) {
        Ok(key) if !key.suffix().contains("${") => Some(key),
        Ok(_) => {
            let reason = "a variable can't stand in a key";
            faults.add(at, &path, Problem::Variable { text: name.clone(), reason });
            None
        }
        Err(unknown) => {
            faults.add(at, &path, Problem::Key { name: unknown.name, near: unknown.near });
            None
        }
    };
    let values = scalars(value, &path, faults)?;
    let texts: Vec<String> = values.iter().map(|(_, text)| text.clone()).collect();
    let (key, operator) = (key?, operator?);
    match Condition::compile(operator, key.into(), &texts, variables) {
        Ok(condition) => Some((name, texts, condition)),
        Err(bad) => {
            for (i, problem) in bad {
                let at = values.get(i).map_or(at, |(at, _)| *at);
                let path = if values.len() == 1 { path.clone() } else { format!("{path}[{i}]") };
                faults.add(at, path, problem);
            }
            None
        }
    }
}

/// One string, number or boolean, or a list of them that isn't empty; as texts.
fn scalars(node: Node, path: &str, faults: &mut Faults<'_>) -> Option<Vec<Spanned>> {
    let at = node.at;
    let scalar = |node: Node| match node.value {
        Value::Text(text) | Value::Number(text) => Ok((node.at, text)),
        Value::Bool(value) => Ok((node.at, value.to_string())),
        other @ (Value::Null | Value::List(_) | Value::Object(_)) => Err((
            node.at,
            Problem::Type {
                expected: "a string, a number, a boolean, or an array of them",
                found: other.kind(),
            },
        )),
    };
    let nodes = match node.value {
        Value::List(nodes) => nodes,
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Object(_)) => {
            return match scalar(Node { at, value }) {
                Ok(text) => Some(vec![text]),
                Err((at, problem)) => {
                    faults.add(at, path, problem);
                    None
                }
            };
        }
    };
    counted(nodes.len(), at, path, "values", faults)?;
    let mut texts = Vec::with_capacity(nodes.len());
    let mut good = true;
    for (i, node) in nodes.into_iter().enumerate() {
        match scalar(node) {
            Ok(text) => texts.push(text),
            Err((at, problem)) => {
                good = false;
                faults.add(at, format_args!("{path}[{i}]"), problem);
            }
        }
    }
    good.then_some(texts)
}
