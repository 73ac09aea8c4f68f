//! Texts that a policy compares with: wildcards, variables, or neither.
//!
//! Matching takes time in proportion to pattern times text at worst: only the last `*` is ever tried again.

use crate::context::Context;
use crate::fault::Problem;
use crate::limit;
use crate::variable::{self, Variable};

/// Whether wildcards and variables mean something in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildcards {
    /// `*` is any run of characters, `?` one character.
    Meant,
    /// They are themselves.
    Literal,
}

/// Whether `${…}` means something: from version 2012-10-17 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variables {
    /// A value of the request stands there.
    Meant,
    /// It is itself.
    Literal,
}

/// The answer of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    No,
    /// A variable has no value and no default.
    Unresolved,
}

impl From<bool> for Match {
    fn from(matches: bool) -> Self {
        if matches { Self::Yes } else { Self::No }
    }
}

/// A compiled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `*`
    Any,
    /// No wildcard, no variable.
    Exact(Box<str>),
    /// A text and `*`.
    Prefix(Box<str>),
    /// Anything else.
    Pieces(Box<[Piece]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    /// `?`
    One,
    /// `*`
    Many,
    Variable(Box<Variable>),
}

impl Pattern {
    pub(crate) fn parse(
        text: &str,
        wildcards: Wildcards,
        variables: Variables,
    ) -> Result<Self, Problem> {
        if text.len() > limit::PATTERN {
            return Err(Problem::TooLongText { found: text.len(), max: limit::PATTERN });
        }
        pieces(text, wildcards, variables).map(Self::from_pieces)
    }

    pub(crate) fn from_pieces(pieces: Vec<Piece>) -> Self {
        match pieces.as_slice() {
            [] => Self::Exact("".into()),
            [Piece::Many] => Self::Any,
            [Piece::Text(text)] => Self::Exact(text.clone()),
            [Piece::Text(text), Piece::Many] => Self::Prefix(text.clone()),
            _ => Self::Pieces(pieces.into()),
        }
    }

    /// Whether it matches all of `text`. Case counts.
    pub(crate) fn matches(&self, text: &str, context: &Context<'_>) -> Match {
        match self {
            Self::Any => Match::Yes,
            Self::Exact(exact) => (**exact == *text).into(),
            Self::Prefix(prefix) => text.starts_with(&**prefix).into(),
            Self::Pieces(pieces) => {
                if self.is_unresolved(context) {
                    return Match::Unresolved;
                }
                glob(pieces, text, context).into()
            }
        }
    }

    /// Whether it is `text`, but for case. For texts without wildcards.
    pub(crate) fn equals_ignoring_case(&self, text: &str, context: &Context<'_>) -> Match {
        match self {
            Self::Any | Self::Prefix(_) => Match::No,
            Self::Exact(exact) => same_ignoring_case(exact.chars(), text).into(),
            Self::Pieces(pieces) => {
                if self.is_unresolved(context) {
                    return Match::Unresolved;
                }
                let literal = pieces
                    .iter()
                    .flat_map(|piece| piece.literal(context).unwrap_or_default().chars());
                same_ignoring_case(literal, text).into()
            }
        }
    }

    /// Whether a variable in it has neither value nor default.
    pub(crate) fn is_unresolved(&self, context: &Context<'_>) -> bool {
        match self {
            Self::Any | Self::Exact(_) | Self::Prefix(_) => false,
            Self::Pieces(pieces) => pieces.iter().any(|piece| match piece {
                Piece::Text(_) | Piece::One | Piece::Many => false,
                Piece::Variable(variable) => variable.resolve(context).is_none(),
            }),
        }
    }

    /// The literal text that all of its matches begin with.
    pub(crate) fn literal_start(&self) -> &str {
        match self {
            Self::Any => "",
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Pieces(pieces) => match pieces.first() {
                Some(Piece::Text(text)) => text,
                Some(Piece::One | Piece::Many | Piece::Variable(_)) | None => "",
            },
        }
    }

    /// Whether it is one text: no wildcard, no variable.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

impl Piece {
    fn literal<'a>(&'a self, context: &'a Context<'_>) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Variable(variable) => variable.resolve(context),
            Self::One | Self::Many => None,
        }
    }
}

/// Cuts a text into pieces; the neighbours of one kind are joined.
pub(crate) fn pieces(
    text: &str,
    wildcards: Wildcards,
    variables: Variables,
) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match (c, wildcards, variables) {
            ('*', Wildcards::Meant, _) => {
                flush(&mut literal, &mut pieces);
                if pieces.last() != Some(&Piece::Many) {
                    pieces.push(Piece::Many);
                }
            }
            ('?', Wildcards::Meant, _) => {
                flush(&mut literal, &mut pieces);
                pieces.push(Piece::One);
            }
            ('$', _, Variables::Meant) if after.starts_with('{') => {
                let (part, length) = variable::parse(rest)?;
                match part {
                    variable::Part::Literal(c) => literal.push(c),
                    variable::Part::Variable(variable) => {
                        flush(&mut literal, &mut pieces);
                        pieces.push(Piece::Variable(Box::new(variable)));
                    }
                }
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            _ => literal.push(c),
        }
        rest = after;
    }
    flush(&mut literal, &mut pieces);
    Ok(pieces)
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal).into()));
    }
}

/// Matches greedily; what fails is tried again one character further on, from the last `*` only.
fn glob(pieces: &[Piece], text: &str, context: &Context<'_>) -> bool {
    let (mut piece, mut at) = (0_usize, 0_usize);
    let mut again: Option<(usize, usize)> = None;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let matched = match pieces.get(piece) {
            None => {
                if rest.is_empty() {
                    return true;
                }
                None
            }
            Some(Piece::Many) => {
                piece = piece.saturating_add(1);
                if piece == pieces.len() {
                    return true;
                }
                again = Some((piece, at));
                continue;
            }
            Some(Piece::One) => rest.chars().next().map(char::len_utf8),
            Some(Piece::Text(literal)) => rest.starts_with(&**literal).then_some(literal.len()),
            Some(Piece::Variable(variable)) => variable
                .resolve(context)
                .and_then(|value| rest.starts_with(value).then_some(value.len())),
        };
        if let Some(length) = matched {
            piece = piece.saturating_add(1);
            at = at.saturating_add(length);
            continue;
        }
        let Some((star, from)) = again else { return false };
        let rest = text.get(from..).unwrap_or_default();
        // A literal behind the `*` is sought at once; anything else is tried at the next character.
        let Some(first) = rest.chars().next() else { return false };
        let next = match pieces.get(star) {
            Some(Piece::Text(literal)) => {
                match rest.get(first.len_utf8()..).unwrap_or_default().find(&**literal) {
                    Some(found) => found.saturating_add(first.len_utf8()),
                    None => return false,
                }
            }
            Some(Piece::One | Piece::Many | Piece::Variable(_)) | None => first.len_utf8(),
        };
        at = from.saturating_add(next);
        piece = star;
        again = Some((star, at));
    }
}

fn same_ignoring_case(a: impl Iterator<Item = char>, b: &str) -> bool {
    a.flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// Whether a pattern of wildcards matches a text, case aside: for the names of actions.
pub(crate) fn wildcard_ignoring_case(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut again: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p = p.saturating_add(1);
                again = Some((p, t));
                continue;
            }
            (Some(b'?'), Some(_)) => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
                continue;
            }
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match again {
            Some((star, from)) if from < text.len() => {
                let from = from.saturating_add(1);
                again = Some((star, from));
                (p, t) = (star, from);
            }
            _ => return false,
        }
    }
}

/// Whether a pattern with `*` (any run) and `?` (one character) matches all of a text: the matcher that resources go through.
///
/// # Errors
/// [`Problem::TooLongText`] beyond [`limit::PATTERN`] bytes.
pub fn compile(pattern: &str) -> Result<impl Fn(&str) -> bool, Problem> {
    let pattern = Pattern::parse(pattern, Wildcards::Meant, Variables::Literal)?;
    let context = Context::new();
    Ok(move |text: &str| pattern.matches(text, &context) == Match::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn matches(pattern: &str, text: &str) -> Match {
        let mut context = Context::new();
        context
            .set(Key::AwsUsername, "a*")
            .set(Key::AwsUserAgent, "")
            .set_all(Key::AwsGroups, ["x", "y"]);
        Pattern::parse(pattern, Wildcards::Meant, Variables::Meant).unwrap().matches(text, &context)
    }

    #[test]
    fn the_commonest_forms_are_matched_without_a_walk() {
        let parse = |text| Pattern::parse(text, Wildcards::Meant, Variables::Meant).unwrap();
        assert!(matches!(parse("*"), Pattern::Any));
        assert!(matches!(parse("a"), Pattern::Exact(_)));
        assert!(matches!(parse("a*"), Pattern::Prefix(_)));
        assert!(matches!(parse("*a"), Pattern::Pieces(_)));
    }

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, text, expected) in [
            ("", "", Match::Yes),
            ("*", "", Match::Yes),
            ("a.b", "axb", Match::No),
            ("a*", "ba", Match::No),
            ("?", "é", Match::Yes),
            ("*?", "é", Match::Yes),
            ("*??", "é", Match::No),
            ("a*b*c", "abxbc/c", Match::Yes),
            ("a*/", "a/b", Match::No),
            ("${*}", "*", Match::Yes),
            ("${*}", "x", Match::No),
            ("${?}${$}{x}", "?${x}", Match::Yes),
            ("home/${aws:username}/*", "home/a*/x", Match::Yes),
            ("home/${aws:username}/*", "home/ab/x", Match::No),
            ("*${aws:username}", "a*a*a*", Match::Yes),
            ("${aws:userid}", "", Match::Unresolved),
            ("${aws:userid, 'nobody'}", "nobody", Match::Yes),
            ("${aws:groups}", "x", Match::Unresolved),
            ("a$b", "a$b", Match::Yes),
            ("a${aws:UserAgent}b", "ab", Match::Yes),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
