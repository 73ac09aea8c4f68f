//! What is wrong with a document, where, and what to do.

use std::fmt;

use crate::limit;

/// Why a document was refused: every fault found, in the document's order, up to [`limit::FAULTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {}{problem}", prefix(path))]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where in the document, such as `Statement[1].Condition.StringLike.s3:prefix`; empty for the document itself.
    pub path: String,
    /// What is wrong, and the remedy.
    pub problem: Problem,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl ParseErrors {
    /// The faults: never none.
    pub fn iter(&self) -> std::slice::Iter<'_, ParseError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ParseErrors {
    type Item = &'a ParseError;
    type IntoIter = std::slice::Iter<'a, ParseError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseErrors {}

/// A kind of fault. Its text says what is wrong and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Longer than a document may be.
    #[error("the document has {0} bytes, at most {max} are allowed; split it into several policies", max = limit::DOCUMENT)]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the document is not UTF-8; save it as UTF-8 without a byte order mark")]
    NotUtf8,
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    Json(&'static str),
    /// A member given twice.
    #[error("`{0}` is given twice; join the two")]
    Twice(String),
    /// Nested too deep.
    #[error("nested deeper than {max}; a policy needs 5 levels", max = limit::DEPTH)]
    TooDeep,
    /// A value of the wrong type.
    #[error("this is {found}, it must be {expected}")]
    Type {
        /// What is wanted.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// An element the language doesn't have.
    #[error("unknown element `{name}`; {}", remedy(near.as_deref(), "remove it"))]
    Element {
        /// What stands there.
        name: String,
        /// The element that was likely meant.
        near: Option<String>,
    },
    /// An element that is needed.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Two elements of which only one may be there.
    #[error("{0} and {1} exclude each other; keep one")]
    Both(&'static str, &'static str),
    /// A list without values.
    #[error("the list is empty; name at least one value, or remove the element")]
    Empty,
    /// A list with too many values.
    #[error("{found} {what}, at most {max} are allowed; split the policy")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A text that is too long.
    #[error("{found} bytes, at most {max} are allowed here")]
    TooLongText {
        /// How many bytes it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// A version of the language that doesn't exist.
    #[error("unknown version `{0}`; write `2012-10-17`")]
    Version(String),
    /// An effect that doesn't exist.
    #[error("unknown effect `{0}`; write `Allow` or `Deny`")]
    Effect(String),
    /// A `Sid` that another statement has.
    #[error("the Sid `{0}` is taken by another statement; give each its own")]
    SidTwice(String),
    /// An action that doesn't exist.
    #[error("unknown action `{name}`; {}", remedy(near.as_deref(), "see the list of actions"))]
    Action {
        /// What stands there.
        name: String,
        /// The action that was likely meant.
        near: Option<String>,
    },
    /// An action of a service that isn't here.
    #[error(
        "`{0}` is no service of this server; actions begin with `s3:`, `admin:`, `kms:` or `sts:`"
    )]
    Service(String),
    /// A pattern of actions that matches none.
    #[error("no action matches `{0}`; see the list of actions")]
    NoAction(String),
    /// An action without a service.
    #[error("`{name}` names no service; {}", remedy(near.as_deref(), "write it as `s3:…`, `admin:…`, `kms:…` or `sts:…`"))]
    NoService {
        /// What stands there.
        name: String,
        /// The action that was likely meant.
        near: Option<String>,
    },
    /// A resource of the wrong form.
    #[error(
        "`{0}` is no resource of this server; write `arn:aws:s3:::bucket`, `arn:aws:s3:::bucket/key`, `arn:aws:kms:::key` or `*`"
    )]
    Resource(String),
    /// A resource that names a region or an account.
    #[error(
        "`{0}` names a region or account, which buckets here don't have; write `arn:aws:s3:::…`"
    )]
    Region(String),
    /// A resource without a bucket.
    #[error("`{0}` names no bucket; write `arn:aws:s3:::bucket`, or `*` for all")]
    NoBucket(String),
    /// Actions of the tenant on a bucket.
    #[error(
        "`{0}` acts on the tenant, not on a bucket or key; a statement with it needs the Resource `*`"
    )]
    NeedsAll(String),
    /// A bucket policy that speaks of another bucket.
    #[error(
        "`{resource}` lies outside of the bucket `{bucket}`; write `arn:aws:s3:::{bucket}` or `arn:aws:s3:::{bucket}/…`"
    )]
    OtherBucket {
        /// The resource.
        resource: String,
        /// The policy's bucket.
        bucket: String,
    },
    /// An action with which none of the statement's resources go.
    #[error("`{action}` acts on {on}, but no resource of this statement is one; {remedy}")]
    NoSuchResource {
        /// The action.
        action: String,
        /// What it acts on.
        on: &'static str,
        /// What to write.
        remedy: String,
    },
    /// A principal in an identity policy.
    #[error("a policy for identities has no {0}: it applies to whom it is attached; remove it")]
    PrincipalHere(&'static str),
    /// `NotPrincipal` with `Allow`.
    #[error(
        "NotPrincipal with Allow would let in everyone else, anonymous callers too; name who is allowed, or use Deny"
    )]
    NotPrincipalAllow,
    /// A kind of principal that isn't here.
    #[error(
        "`{name}` is no kind of principal here ({reason}); write {{\"AWS\": [\"arn:aws:iam:::user/NAME\"]}} or \"*\""
    )]
    PrincipalKind {
        /// What stands there.
        name: String,
        /// Why it can't be.
        reason: &'static str,
    },
    /// A principal of the wrong form.
    #[error("`{0}` is no principal; write a user's name, `arn:aws:iam:::user/NAME` or `*`")]
    Principal(String),
    /// A principal with wildcards.
    #[error(
        "`{0}`: a principal can't hold wildcards; write `*` and a condition ArnLike on aws:PrincipalArn"
    )]
    PrincipalWildcard(String),
    /// A condition operator that doesn't exist.
    #[error("unknown operator `{name}`; {}", remedy(near.as_deref(), "see the list of operators"))]
    Operator {
        /// What stands there.
        name: String,
        /// The operator that was likely meant.
        near: Option<String>,
    },
    /// An operator form that can't be meant.
    #[error("`{name}`: {reason}")]
    OperatorForm {
        /// The operator.
        name: String,
        /// Why, and what to write.
        reason: &'static str,
    },
    /// A condition key that doesn't exist.
    #[error("unknown condition key `{name}`; {}", remedy(near.as_deref(), "see the list of keys"))]
    Key {
        /// What stands there.
        name: String,
        /// The key that was likely meant.
        near: Option<String>,
    },
    /// A value that the operator can't compare.
    #[error("`{value}` is not {expected}")]
    Value {
        /// What stands there.
        value: String,
        /// What the operator compares.
        expected: &'static str,
    },
    /// A policy variable that can't be read.
    #[error("`{text}`: {reason}; a literal `${{` is written `${{$}}{{`")]
    Variable {
        /// The text from the `$` on.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A policy variable of a key that doesn't exist.
    #[error("unknown key `{name}` in a variable; {}", remedy(near.as_deref(), "a literal `${` is written `${$}{`"))]
    VariableKey {
        /// The key.
        name: String,
        /// The key that was likely meant.
        near: Option<String>,
    },
}

fn remedy(near: Option<&str>, otherwise: &str) -> String {
    near.map_or_else(|| otherwise.to_owned(), |near| format!("did you mean `{near}`?"))
}

/// Gathers faults and turns offsets into lines and columns.
pub(crate) struct Faults<'a> {
    text: &'a str,
    found: Vec<ParseError>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: usize, path: impl fmt::Display, problem: Problem) {
        if self.found.len() >= limit::FAULTS {
            return;
        }
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let column = before.get(start..).unwrap_or_default().chars().count().saturating_add(1);
        self.found.push(ParseError { line, column, path: path.to_string(), problem });
    }

    /// Whether a fault at this path was told.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.found.iter().any(|error| error.path == path)
    }

    /// The value, if nothing was wrong.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, ParseErrors> {
        self.found.sort_by_key(|error| (error.line, error.column));
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            // INVARIANT: a value is missing only after a fault was added.
            _ => Err(ParseErrors(self.found)),
        }
    }
}
