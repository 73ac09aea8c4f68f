//! A document as it is written, and its canonical text.

use crate::json::write_string;

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It lets in, if nothing denies.
    Allow,
    /// It shuts out, whatever allows.
    Deny,
}

/// Whether a statement is about what it lists or about all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polarity {
    Listed,
    AllBut,
}

/// A document's parts, in the words of its author.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) version: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) statements: Vec<Written>,
}

/// Operators, of each its keys, of each its values.
pub(crate) type WrittenConditions = Vec<(String, Vec<(String, Vec<String>)>)>;

/// A statement, in the words of its author.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    /// `*` alone stands for everyone.
    pub(crate) principals: Option<(Polarity, Vec<String>)>,
    pub(crate) actions: (Polarity, Vec<String>),
    pub(crate) resources: Option<(Polarity, Vec<String>)>,
    pub(crate) conditions: WrittenConditions,
}

impl Document {
    /// Its canonical JSON: members in AWS's order, every list an array, no white space.
    pub(crate) fn text(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in [("Version", &self.version), ("Id", &self.id)] {
            if let Some(value) = value {
                member(&mut out, name);
                write_string(&mut out, value);
                out.push(',');
            }
        }
        member(&mut out, "Statement");
        out.push('[');
        for (i, statement) in self.statements.iter().enumerate() {
            comma(&mut out, i);
            statement.write(&mut out);
        }
        out.push_str("]}");
        out
    }
}

impl Written {
    fn write(&self, out: &mut String) {
        out.push('{');
        if let Some(sid) = &self.sid {
            member(out, "Sid");
            write_string(out, sid);
            out.push(',');
        }
        member(out, "Effect");
        write_string(
            out,
            match self.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            },
        );
        if let Some((polarity, principals)) = &self.principals {
            out.push(',');
            member(out, by(*polarity, "Principal", "NotPrincipal"));
            if principals.as_slice() == ["*"] {
                write_string(out, "*");
            } else {
                out.push('{');
                member(out, "AWS");
                list(out, principals);
                out.push('}');
            }
        }
        out.push(',');
        let (polarity, actions) = &self.actions;
        member(out, by(*polarity, "Action", "NotAction"));
        list(out, actions);
        if let Some((polarity, resources)) = &self.resources {
            out.push(',');
            member(out, by(*polarity, "Resource", "NotResource"));
            list(out, resources);
        }
        if !self.conditions.is_empty() {
            out.push(',');
            member(out, "Condition");
            out.push('{');
            for (i, (operator, keys)) in self.conditions.iter().enumerate() {
                comma(out, i);
                member(out, operator);
                out.push('{');
                for (i, (key, values)) in keys.iter().enumerate() {
                    comma(out, i);
                    member(out, key);
                    list(out, values);
                }
                out.push('}');
            }
            out.push('}');
        }
        out.push('}');
    }
}

fn by(polarity: Polarity, listed: &'static str, all_but: &'static str) -> &'static str {
    match polarity {
        Polarity::Listed => listed,
        Polarity::AllBut => all_but,
    }
}

fn comma(out: &mut String, i: usize) {
    if i > 0 {
        out.push(',');
    }
}

fn member(out: &mut String, name: &str) {
    write_string(out, name);
    out.push(':');
}

fn list(out: &mut String, values: &[String]) {
    out.push('[');
    for (i, value) in values.iter().enumerate() {
        comma(out, i);
        write_string(out, value);
    }
    out.push(']');
}
