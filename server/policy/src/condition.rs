//! Conditions: an operator, a key, and the values it is compared with.
//!
//! Source: AWS IAM user guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys".

pub(crate) mod operator;
mod arn;
mod value;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use crate::condition::arn::ArnPattern;
use crate::condition::operator::{Comparison, Operator, Order, Quantifier, Sense};
use crate::condition::value::{IpRange, Number};
use crate::context::Context;
use crate::document::Effect;
use crate::fault::Problem;
use crate::key::OwnedKey;
use crate::pattern::{Match, Pattern, Variables, Wildcards};

/// A compiled condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    operator: Operator,
    key: OwnedKey,
    values: Values,
}

/// The values of a policy, as its operator compares them. Which is chosen by the operator alone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    Equal(Box<[Pattern]>),
    EqualIgnoringCase(Box<[Pattern]>),
    Like(Box<[Pattern]>),
    Arns(Box<[ArnPattern]>),
    Numbers(Order, Box<[Number]>),
    Dates(Order, Box<[jiff::Timestamp]>),
    Bools(Box<[bool]>),
    /// Base64.
    Bytes(Box<[Box<str>]>),
    Addresses(Box<[IpRange]>),
    /// Whether the key is to be absent.
    Absent(Box<[bool]>),
}

/// A value that an operator can't compare: its place in the list, and why.
pub(crate) type BadValue = (usize, Problem);

impl Condition {
    pub(crate) fn compile(
        operator: Operator,
        key: OwnedKey,
        texts: &[String],
        variables: Variables,
    ) -> Result<Self, Vec<BadValue>> {
        let text = |text: &String| Pattern::parse(text, Wildcards::Literal, variables);
        let values = match operator.comparison {
            Comparison::String => Values::Equal(all(texts, text)?),
            Comparison::StringIgnoringCase => Values::EqualIgnoringCase(all(texts, text)?),
            Comparison::StringLike => {
                Values::Like(all(texts, |text| Pattern::parse(text, Wildcards::Meant, variables))?)
            }
            Comparison::Arn => Values::Arns(all(texts, |text| ArnPattern::parse(text, variables))?),
            Comparison::Numeric(order) => Values::Numbers(
                order,
                all(texts, |text| parsed(text, value::number(text), "a number such as 10 or 2.5"))?,
            ),
            Comparison::Date(order) => Values::Dates(
                order,
                all(texts, |text| {
                    parsed(
                        text,
                        value::date(text),
                        "a date such as 2026-01-31T12:00:00Z, or seconds since 1970",
                    )
                })?,
            ),
            Comparison::Bool => Values::Bools(all(texts, |text| {
                parsed(text, value::boolean(text), "true or false")
            })?),
            Comparison::Null => Values::Absent(all(texts, |text| {
                parsed(
                    text,
                    value::boolean(text),
                    "true (the key is absent) or false (it is there)",
                )
            })?),
            Comparison::Binary => Values::Bytes(all(texts, |text| {
                parsed(text, value::is_base64(text).then(|| text.as_str().into()), "base64")
            })?),
            Comparison::Ip => Values::Addresses(all(texts, |text| {
                parsed(
                    text,
                    IpRange::parse(text),
                    "an address or range such as 10.0.0.0/8 or 2001:db8::/32",
                )
            })?),
        };
        Ok(Self { operator, key, values })
    }

    /// Whether it holds. What an unresolved variable leaves open never helps an Allow.
    pub(crate) fn holds(&self, effect: Effect, context: &Context<'_>) -> bool {
        let found = context.values(self.key.borrow());
        if let Values::Absent(absent) = &self.values {
            return absent.contains(&found.is_empty());
        }
        let one =
            |value: &Cow<'_, str>| match (self.values.any(value, context), self.operator.sense) {
                (Match::Yes, sense) => sense == Sense::Is,
                (Match::No, sense) => sense == Sense::Not,
                (Match::Unresolved, Sense::Is) => false,
                (Match::Unresolved, Sense::Not) => effect == Effect::Deny,
            };
        match self.operator.quantifier {
            None if found.is_empty() => {
                self.operator.if_exists || self.operator.sense == Sense::Not
            }
            // Several values without a quantifier: one that is equal makes them equal, and not different.
            None => match self.operator.sense {
                Sense::Is => found.iter().any(one),
                Sense::Not => found.iter().all(one),
            },
            // Nothing but empty texts is nothing at all.
            Some(Quantifier::All) => {
                found.iter().all(|value| value.is_empty()) || found.iter().all(one)
            }
            Some(Quantifier::Any) if found.is_empty() => self.operator.if_exists,
            Some(Quantifier::Any) => found.iter().any(one),
        }
    }

    pub(crate) fn operator(&self) -> Operator {
        self.operator
    }

    pub(crate) fn key(&self) -> &OwnedKey {
        &self.key
    }

    /// The address ranges, if it compares such.
    pub(crate) fn widest_range(&self) -> Option<u8> {
        match &self.values {
            Values::Addresses(ranges) => ranges.iter().map(IpRange::openness).max(),
            Values::Equal(_)
            | Values::EqualIgnoringCase(_)
            | Values::Like(_)
            | Values::Arns(_)
            | Values::Numbers(..)
            | Values::Dates(..)
            | Values::Bools(_)
            | Values::Bytes(_)
            | Values::Absent(_) => None,
        }
    }

    /// Whether a key of this one value fulfils its comparison.
    pub(crate) fn holds_for(&self, value: &str) -> bool {
        self.values.any(value, &Context::new()) == Match::Yes
    }

    /// Whether all of its values are texts without wildcard and variable.
    pub(crate) fn is_fixed(&self) -> bool {
        match &self.values {
            Values::Equal(texts) | Values::EqualIgnoringCase(texts) | Values::Like(texts) => {
                texts.iter().all(Pattern::is_fixed)
            }
            Values::Arns(arns) => arns.iter().all(ArnPattern::is_fixed),
            Values::Numbers(..)
            | Values::Dates(..)
            | Values::Bools(_)
            | Values::Bytes(_)
            | Values::Addresses(_)
            | Values::Absent(_) => false,
        }
    }
}

impl Values {
    /// Whether one of them goes with a value of the request. A value that can't be read goes with none.
    fn any(&self, value: &str, context: &Context<'_>) -> Match {
        match self {
            Self::Equal(texts) | Self::Like(texts) => {
                first(texts, |text| text.matches(value, context))
            }
            Self::EqualIgnoringCase(texts) => {
                first(texts, |text| text.equals_ignoring_case(value, context))
            }
            Self::Arns(arns) => first(arns, |arn| arn.matches(value, context)),
            Self::Numbers(order, numbers) => compare(*order, value::number(value), numbers),
            Self::Dates(order, dates) => compare(*order, value::date(value), dates),
            Self::Bools(bools) => {
                value::boolean(value).is_some_and(|value| bools.contains(&value)).into()
            }
            Self::Bytes(all) => all.iter().any(|bytes| **bytes == *value).into(),
            Self::Addresses(ranges) => value
                .parse::<IpAddr>()
                .is_ok_and(|address| ranges.iter().any(|range| range.contains(address)))
                .into(),
            Self::Absent(_) => Match::No,
        }
    }
}

fn first<T>(values: &[T], matches: impl Fn(&T) -> Match) -> Match {
    let mut answer = Match::No;
    for value in values {
        match matches(value) {
            Match::Yes => return Match::Yes,
            Match::No => {}
            Match::Unresolved => answer = Match::Unresolved,
        }
    }
    answer
}

fn compare<T: Ord>(order: Order, value: Option<T>, with: &[T]) -> Match {
    let Some(value) = value else { return Match::No };
    with.iter()
        .any(|with| match (order, value.cmp(with)) {
            (Order::Equal | Order::LessOrEqual | Order::GreaterOrEqual, Ordering::Equal)
            | (Order::Less | Order::LessOrEqual, Ordering::Less)
            | (Order::Greater | Order::GreaterOrEqual, Ordering::Greater) => true,
            (Order::Equal | Order::Greater | Order::GreaterOrEqual, Ordering::Less)
            | (Order::Less | Order::Greater, Ordering::Equal)
            | (Order::Equal | Order::Less | Order::LessOrEqual, Ordering::Greater) => false,
        })
        .into()
}

fn all<T>(
    texts: &[String],
    read: impl Fn(&String) -> Result<T, Problem>,
) -> Result<Box<[T]>, Vec<BadValue>> {
    let mut values = Vec::with_capacity(texts.len());
    let mut bad = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match read(text) {
            Ok(value) => values.push(value),
            Err(problem) => bad.push((i, problem)),
        }
    }
    if bad.is_empty() { Ok(values.into()) } else { Err(bad) }
}

fn parsed<T>(text: &str, value: Option<T>, expected: &'static str) -> Result<T, Problem> {
    value.ok_or_else(|| Problem::Value { value: text.to_owned(), expected })
}
