//! ARNs, compared part by part: a wildcard never reaches over a colon, but within the last part.

use crate::context::Context;
use crate::fault::Problem;
use crate::limit;
use crate::pattern::{self, Match, Pattern, Piece, Variables, Wildcards};

/// A pattern of ARNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    /// `*`, or one variable that is a whole ARN.
    Whole(Pattern),
    Parts(Box<[Pattern; PARTS]>),
}

const PARTS: usize = 6;

impl ArnPattern {
    pub(crate) fn parse(text: &str, variables: Variables) -> Result<Self, Problem> {
        if text.len() > limit::PATTERN {
            return Err(Problem::TooLongText { found: text.len(), max: limit::PATTERN });
        }
        let pieces = pattern::pieces(text, Wildcards::Meant, variables)?;
        if let [Piece::Many | Piece::Variable(_)] = pieces.as_slice() {
            return Ok(Self::Whole(Pattern::from_pieces(pieces)));
        }
        let bad = || Problem::Value {
            value: text.to_owned(),
            expected: "an ARN of six parts such as arn:aws:iam:::user/alice, or *",
        };
        let parts = split(pieces).into_iter().map(Pattern::from_pieces).collect::<Vec<_>>();
        let parts = Box::<[Pattern; PARTS]>::try_from(parts).map_err(|_parts| bad())?;
        Ok(Self::Parts(parts))
    }

    pub(crate) fn matches(&self, text: &str, context: &Context<'_>) -> Match {
        let mut found = [""; PARTS];
        let mut parts = text.splitn(PARTS, ':');
        for slot in &mut found {
            match parts.next() {
                Some(part) => *slot = part,
                None => return self.unmatched(context),
            }
        }
        match self {
            Self::Whole(pattern) => pattern.matches(text, context),
            Self::Parts(patterns) => {
                let mut answer = Match::Yes;
                for (pattern, part) in patterns.iter().zip(found) {
                    match pattern.matches(part, context) {
                        Match::No if answer == Match::Yes => answer = Match::No,
                        Match::Yes | Match::No => {}
                        Match::Unresolved => answer = Match::Unresolved,
                    }
                }
                answer
            }
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Self::Whole(pattern) => pattern.is_fixed(),
            Self::Parts(parts) => parts.iter().all(Pattern::is_fixed),
        }
    }

    /// What is no ARN matches none.
    fn unmatched(&self, context: &Context<'_>) -> Match {
        let unresolved = match self {
            Self::Whole(pattern) => pattern.is_unresolved(context),
            Self::Parts(parts) => parts.iter().any(|part| part.is_unresolved(context)),
        };
        if unresolved { Match::Unresolved } else { Match::No }
    }
}

/// Cuts at the first five colons outside of variables.
fn split(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut parts = vec![Vec::new()];
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let mut rest = &*text;
                while parts.len() < PARTS
                    && let Some((before, after)) = rest.split_once(':')
                {
                    push(&mut parts, before);
                    parts.push(Vec::new());
                    rest = after;
                }
                push(&mut parts, rest);
            }
            piece @ (Piece::One | Piece::Many | Piece::Variable(_)) => {
                if let Some(part) = parts.last_mut() {
                    part.push(piece);
                }
            }
        }
    }
    parts
}

fn push(parts: &mut [Vec<Piece>], text: &str) {
    if let Some(part) = parts.last_mut()
        && !text.is_empty()
    {
        part.push(Piece::Text(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_matched_part_by_part() {
        let context = Context::new();
        let longest = format!("arn:aws:iam:::{}", "u".repeat(limit::PATTERN - 14));
        for (pattern, text, expected) in [
            ("*", "arn:aws:iam:::user/alice", Match::Yes),
            ("arn:aws:iam:::user/*", "arn:aws:iam:::user/a/b:c", Match::Yes),
            ("arn:*:iam:::user/alice", "arn:aws:iam:::user/alice", Match::Yes),
            ("arn:aws:iam:::user/alice", "arn:aws:sts:::user/alice", Match::No),
            ("arn:aws:iam:::user/alice", "alice", Match::No),
            (longest.as_str(), longest.as_str(), Match::Yes),
            // Whatever else is in it: what a variable leaves open is open.
            ("arn:aws:iam::${aws:userid}:role/a", "arn:aws:iam::1:role/b", Match::Unresolved),
            ("arn:aws:sts::${aws:userid}:role/a", "arn:aws:iam::1:role/a", Match::Unresolved),
            ("arn:aws:sts::${aws:userid}:role/a", "role/a", Match::Unresolved),
        ] {
            let parsed = ArnPattern::parse(pattern, Variables::Meant).unwrap();
            assert_eq!(parsed.matches(text, &context), expected, "{pattern} {text}");
        }
        assert!(ArnPattern::parse("arn:*:user/alice", Variables::Meant).is_err(), "four parts");
        let longer = format!("{longest}u");
        assert!(matches!(
            ArnPattern::parse(&longer, Variables::Meant),
            Err(Problem::TooLongText { found: 2305, max: 2304 })
        ));
    }
}
