//! The names of operators and what they ask.

use crate::fault::Problem;
use crate::suggest;

/// An operator, with its prefix and suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) comparison: Comparison,
    pub(crate) sense: Sense,
    pub(crate) quantifier: Option<Quantifier>,
    /// Whether an absent key fulfils it.
    pub(crate) if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    String,
    StringIgnoringCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Whether the comparison is to be true or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sense {
    Is,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

const OPERATORS: [(&str, Comparison, Sense); 27] = [
    ("StringEquals", Comparison::String, Sense::Is),
    ("StringNotEquals", Comparison::String, Sense::Not),
    ("StringEqualsIgnoreCase", Comparison::StringIgnoringCase, Sense::Is),
    ("StringNotEqualsIgnoreCase", Comparison::StringIgnoringCase, Sense::Not),
    ("StringLike", Comparison::StringLike, Sense::Is),
    ("StringNotLike", Comparison::StringLike, Sense::Not),
    ("NumericEquals", Comparison::Numeric(Order::Equal), Sense::Is),
    ("NumericNotEquals", Comparison::Numeric(Order::Equal), Sense::Not),
    ("NumericLessThan", Comparison::Numeric(Order::Less), Sense::Is),
    ("NumericLessThanEquals", Comparison::Numeric(Order::LessOrEqual), Sense::Is),
    ("NumericGreaterThan", Comparison::Numeric(Order::Greater), Sense::Is),
    ("NumericGreaterThanEquals", Comparison::Numeric(Order::GreaterOrEqual), Sense::Is),
    ("DateEquals", Comparison::Date(Order::Equal), Sense::Is),
    ("DateNotEquals", Comparison::Date(Order::Equal), Sense::Not),
    ("DateLessThan", Comparison::Date(Order::Less), Sense::Is),
    ("DateLessThanEquals", Comparison::Date(Order::LessOrEqual), Sense::Is),
    ("DateGreaterThan", Comparison::Date(Order::Greater), Sense::Is),
    ("DateGreaterThanEquals", Comparison::Date(Order::GreaterOrEqual), Sense::Is),
    ("Bool", Comparison::Bool, Sense::Is),
    ("BinaryEquals", Comparison::Binary, Sense::Is),
    ("IpAddress", Comparison::Ip, Sense::Is),
    ("NotIpAddress", Comparison::Ip, Sense::Not),
    ("ArnEquals", Comparison::Arn, Sense::Is),
    ("ArnLike", Comparison::Arn, Sense::Is),
    ("ArnNotEquals", Comparison::Arn, Sense::Not),
    ("ArnNotLike", Comparison::Arn, Sense::Not),
    ("Null", Comparison::Null, Sense::Is),
];

impl Operator {
    pub(crate) fn parse(name: &str) -> Result<Self, Problem> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(Quantifier::All), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::Any), rest),
            Some(_) | None => (None, name),
        };
        let (if_exists, base) = match rest.strip_suffix("IfExists") {
            Some(base) => (true, base),
            None => (false, rest),
        };
        let form = |reason| Err(Problem::OperatorForm { name: name.to_owned(), reason });
        let Some((_, comparison, sense)) = OPERATORS.iter().find(|(known, ..)| *known == base)
        else {
            return Err(Problem::Operator { name: name.to_owned(), near: near(name, base) });
        };
        if *comparison == Comparison::Null && if_exists {
            return form("Null asks whether the key is there; write it without IfExists");
        }
        if *comparison == Comparison::Null && quantifier.is_some() {
            return form(
                "Null asks for the key, not its values; write it without ForAllValues and ForAnyValue",
            );
        }
        Ok(Self { comparison: *comparison, sense: *sense, quantifier, if_exists })
    }

    /// The names of all operators, without prefix and suffix.
    #[cfg(test)]
    fn names() -> impl Iterator<Item = &'static str> {
        OPERATORS.iter().map(|(name, ..)| *name)
    }
}

/// What was likely meant by an unknown `name`, whose middle is `base`.
fn near(name: &str, base: &str) -> Option<String> {
    let prefix = name.split_once(':').map(|(prefix, _)| prefix);
    let found = suggest::near(
        base.rsplit(':').next().unwrap_or(base),
        OPERATORS.iter().map(|(known, ..)| *known),
    )?;
    let suffix = if name.ends_with("IfExists") && found != "Null" { "IfExists" } else { "" };
    Some(match prefix.map(|prefix| suggest::near(prefix, ["ForAllValues", "ForAnyValue"])) {
        None => format!("{found}{suffix}"),
        Some(prefix) => format!("{}:{found}{suffix}", prefix?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_takes_its_prefixes_and_suffix() {
        assert_eq!(Operator::names().count(), 27);
        for name in Operator::names() {
            let plain = Operator::parse(name).unwrap();
            assert!(plain.quantifier.is_none() && !plain.if_exists, "{name}");
            for (prefix, suffix) in
                [("ForAllValues:", ""), ("ForAnyValue:", "IfExists"), ("", "IfExists")]
            {
                let full = format!("{prefix}{name}{suffix}");
                assert_eq!(Operator::parse(&full).is_ok(), name != "Null", "{full}");
            }
        }
    }

    #[test]
    fn a_slip_gets_a_proposal() {
        for (name, near) in [
            ("StringLikes", Some("StringLike")),
            ("stringequalsifexists", None),
            ("StringEqualIfExists", Some("StringEqualsIfExists")),
            ("ForAnyValues:StringLike", Some("ForAnyValue:StringLike")),
            ("ForAllValues:StringLik", Some("ForAllValues:StringLike")),
            ("Foo", None),
        ] {
            match Operator::parse(name) {
                Err(Problem::Operator { name: _, near: found }) => {
                    assert_eq!(found.as_deref(), near, "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
