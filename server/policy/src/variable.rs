//! Policy variables: `${aws:username}`, `${aws:username, 'anonymous'}`, and `${*}`, `${?}`, `${$}`.
//!
//! A value is put in as it is: no wildcard in it means anything. A key with several values has none here, as on AWS.

use crate::context::Context;
use crate::fault::Problem;
use crate::key::{ContextKey, OwnedKey};

/// A variable of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    key: OwnedKey,
    default: Option<Box<str>>,
}

impl Variable {
    /// Its value in this request, or its default.
    pub(crate) fn resolve<'a>(&'a self, context: &'a Context<'_>) -> Option<&'a str> {
        match context.values(self.key.borrow()) {
            [value] => Some(value),
            _ => self.default.as_deref(),
        }
    }
}

/// What a `${…}` stands for.
pub(crate) enum Part {
    Literal(char),
    Variable(Variable),
}

/// Reads the variable that `text` begins with, and says how long it is.
pub(crate) fn parse(text: &str) -> Result<(Part, usize), Problem> {
    let fail = |reason| Problem::Variable { text: text.chars().take(40).collect(), reason };
    let body = text.strip_prefix("${").ok_or_else(|| fail("a variable begins with `${`"))?;
    for literal in ['*', '?', '$'] {
        if body.strip_prefix(literal).is_some_and(|rest| rest.starts_with('}')) {
            return Ok((Part::Literal(literal), "${*}".len()));
        }
    }
    let end = body.find(['}', ',']).ok_or_else(|| fail("the variable has no end `}`"))?;
    let name = body.get(..end).unwrap_or_default();
    let rest = body.get(end..).unwrap_or_default();
    let key = ContextKey::parse(name.trim())
        .map_err(|unknown| Problem::VariableKey { name: unknown.name, near: unknown.near })?;
    let (default, rest) = match rest.strip_prefix(',') {
        None => (None, rest),
        Some(rest) => {
            const FORM: &str =
                "a default stands in single quotes, as in `${aws:username, 'anonymous'}`";
            let quoted = rest.trim_start().strip_prefix('\'').ok_or_else(|| fail(FORM))?;
            let (default, rest) = quoted.split_once('\'').ok_or_else(|| fail(FORM))?;
            (Some(default.into()), rest.trim_start())
        }
    };
    let rest = rest.strip_prefix('}').ok_or_else(|| fail("the variable has no end `}`"))?;
    let length = text.len().saturating_sub(rest.len());
    Ok((Part::Variable(Variable { key: key.into(), default }), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in [
            "${",
            "${}",
            "${aws:username",
            "${aws:usernam}",
            "${aws:username,}",
            "${aws:username, 'x}",
            "${aws:username, x}",
            "${aws:username, 'x' y}",
            "${**}",
            "${nothing}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_ends_where_it_ends() {
        for (text, length) in
            [("${aws:username}/x", 15), ("${aws:username, 'a}b'}", 22), ("${*}*", 4)]
        {
            assert_eq!(parse(text).unwrap_or_else(|_| panic!("{text}")).1, length, "{text}");
        }
    }
}
