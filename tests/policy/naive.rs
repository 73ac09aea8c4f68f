//! A second evaluator, as plain as possible: written from AWS's text, not from the crate. It knows no index, no compilation, no
//! interning; it reads the documents anew for each question. Documents are taken to be valid.
//!
//! Source: AWS IAM user guide, "Policy evaluation logic", "IAM JSON policy element reference", "Condition operators",
//! "Set operators", "Policy variables"; where those are silent, the list in the documentation of `coffer-policy`.

use std::net::IpAddr;

use serde_json::Value;

/// A ask.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) parent: Option<(String, String)>,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: Vec<(String, Vec<String>)>,
}

/// All documents that have a say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    pub(crate) identity: Vec<Value>,
    pub(crate) groups: Vec<Value>,
    pub(crate) session: Option<Vec<Value>>,
    pub(crate) boundary: Option<Value>,
    pub(crate) limits: Vec<Value>,
    pub(crate) bucket: Option<Value>,
}

/// How a statement names the caller: itself, the role or user behind it, or only its account.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Itself,
    Behind,
    Account,
}

/// `Allow`, `Deny` or `DefaultDeny`.
pub(crate) fn decide(documents: &Documents, ask: &Question) -> &'static str {
    let anonymous = ask.kind == "Anonymous";
    let mut own: Vec<&Value> = Vec::new();
    if !anonymous {
        own.extend(&documents.identity);
        own.extend(&documents.groups);
    }
    let boundary: Vec<&Value> = documents.boundary.iter().filter(|_| !anonymous).collect();
    let session: Option<Vec<&Value>> =
        documents.session.as_ref().filter(|_| !anonymous).map(|session| session.iter().collect());

    // An explicit deny in any policy overrides all allows.
    let everything = own
        .iter()
        .chain(&boundary)
        .copied()
        .chain(session.iter().flatten().copied())
        .chain(&documents.limits)
        .chain(&documents.bucket);
    for document in everything {
        if !applying(document, "Deny", ask).is_empty() {
            return "Deny";
        }
    }

    let allows = |document: &Value| !applying(document, "Allow", ask).is_empty();
    let inside_boundary = boundary.iter().all(|document| allows(document));
    let inside_session =
        session.is_none_or(|session| session.iter().any(|document| allows(document)));
    let inside_limits = documents.limits.iter().all(allows);
    let identity_allows = ask.kind == "Account" || own.iter().any(|document| allows(document));
    let bucket_allows: Vec<Named> =
        documents.bucket.iter().flat_map(|bucket| applying(bucket, "Allow", ask)).collect();

    let by_identity = identity_allows && inside_boundary && inside_session;
    let by_bucket = bucket_allows.iter().any(|named| match named {
        Named::Account => false,
        Named::Behind => inside_boundary && inside_session,
        Named::Itself => anonymous || ask.kind == "AssumedRole" || inside_session,
    });
    if inside_limits && (by_identity || by_bucket) { "Allow" } else { "DefaultDeny" }
}

/// The statements of this effect that apply, by how they name the caller.
fn applying(document: &Value, effect: &str, ask: &Question) -> Vec<Named> {
    let variables = document["Version"] == "2012-10-17";
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        single => vec![single.clone()],
    };
    statements
        .iter()
        .filter(|statement| statement["Effect"] == effect)
        .filter_map(|statement| applies(statement, effect, variables, ask))
        .collect()
}

fn applies(statement: &Value, effect: &str, variables: bool, ask: &Question) -> Option<Named> {
    let named = if let Some(principal) = statement.get("Principal") {
        names(principal, ask)?
    } else if let Some(principal) = statement.get("NotPrincipal") {
        match names(principal, ask) {
            Some(Named::Itself | Named::Behind) => return None,
            Some(Named::Account) | None => Named::Itself,
        }
    } else {
        Named::Itself
    };
    let action_named = |list: &Value| {
        texts(list).iter().any(|pattern| {
            matches(
                &tokens(&pattern.to_lowercase(), true),
                &ask.action.to_lowercase().chars().collect::<Vec<_>>(),
            )
        })
    };
    let action = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(list), _) => action_named(list),
        (None, Some(list)) => !action_named(list),
        (None, None) => false,
    };
    let resource = match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(list), _) => {
            texts(list).iter().any(|pattern| resource_named(pattern, variables, ask) == Some(true))
        }
        (None, Some(list)) => texts(list).iter().all(|pattern| {
            resource_named(pattern, variables, ask).map_or(effect == "Deny", |named| !named)
        }),
        // Without a resource: actions on the tenant as a whole.
        (None, None) => true,
    };
    let conditions = statement.get("Condition").and_then(Value::as_object).cloned();
    let fulfilled = conditions.unwrap_or_default().iter().all(|(operator, keys)| {
        keys.as_object()
            .unwrap()
            .iter()
            .all(|(key, values)| condition(operator, key, &texts(values), effect, variables, ask))
    });
    (action && resource && fulfilled).then_some(named)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn names(principal: &Value, ask: &Question) -> Option<Named> {
    let anonymous = ask.kind == "Anonymous";
    let account = ask.arn.split(':').nth(4);
    let list = if principal == "*" { vec!["*".to_owned()] } else { texts(&principal["AWS"]) };
    let mut found = Vec::new();
    for text in list {
        let id =
            text.strip_suffix(":root").and_then(|arn| arn.split(':').nth(4)).map(ToOwned::to_owned);
        let id = id.or_else(|| {
            (text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())).then(|| text.clone())
        });
        if text == "*" {
            found.push(if ask.kind == "AssumedRole" { Named::Behind } else { Named::Itself });
        } else if anonymous {
            // Only `*` is for those who didn't sign.
        } else if let Some(id) = id {
            if account == Some(id.as_str()) {
                found.push(if ask.kind == "Account" { Named::Itself } else { Named::Account });
            }
        } else if text == ask.arn || (ask.kind == "User" && text == ask.name) {
            found.push(Named::Itself);
        } else if ask.parent.as_ref().is_some_and(|(name, arn)| text == *name || text == *arn)
            || role_of_session(&ask.arn).is_some_and(|role| role == text)
        {
            found.push(Named::Behind);
        }
    }
    [Named::Itself, Named::Behind, Named::Account].into_iter().find(|named| found.contains(named))
}

/// `arn:aws:sts::1:assumed-role/R/S` is a session of `arn:aws:iam::1:role/R`.
fn role_of_session(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let role = parts.get(5)?.strip_prefix("assumed-role/")?.split('/').next()?;
    Some(format!("arn:aws:iam::{}:role/{role}", parts[4]))
}

/// Whether the pattern names what is asked about; `None` if a variable in it has no value.
fn resource_named(pattern: &str, variables: bool, ask: &Question) -> Option<bool> {
    if pattern == "*" {
        return Some(true);
    }
    let pattern = substituted(pattern, variables, true, ask)?;
    let (service, _) = ask.action.split_once(':').unwrap();
    let all = ask.action == "s3:ListAllMyBuckets" || ask.resource == "*";
    let resource = match service {
        "admin" | "sts" => "*",
        // Listing all buckets is about all buckets.
        "s3" if all => "arn:aws:s3:::*",
        _ => &ask.resource,
    };
    Some(matches(&pattern, &resource.chars().collect::<Vec<_>>()))
}

/// One character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Run,
    One,
    Char(char),
}

fn tokens(text: &str, wild: bool) -> Vec<Token> {
    text.chars()
        .map(|c| match c {
            '*' if wild => Token::Run,
            '?' if wild => Token::One,
            c => Token::Char(c),
        })
        .collect()
}

/// With the variables' values in it; `None` if one has none.
fn substituted(text: &str, variables: bool, wild: bool, ask: &Question) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    while variables && let Some(start) = rest.find("${") {
        out.extend(tokens(&rest[..start], wild));
        let end = start + rest[start..].find('}').unwrap();
        let inside = &rest[start + 2..end];
        let (key, default) = match inside.split_once(',') {
            Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
            None => (inside, None),
        };
        let value = match key {
            "*" | "?" | "$" => Some(key.to_owned()),
            key => match values(key, ask).as_slice() {
                [value] => Some(value.clone()),
                _ => default,
            },
        };
        out.extend(tokens(&value?, false));
        rest = &rest[end + 1..];
    }
    out.extend(tokens(rest, wild));
    Some(out)
}

fn matches(pattern: &[Token], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(Token::Run), _) => {
            matches(&pattern[1..], text) || (!text.is_empty() && matches(pattern, &text[1..]))
        }
        (Some(Token::One), Some(_)) => matches(&pattern[1..], &text[1..]),
        (Some(Token::Char(a)), Some(b)) => a == b && matches(&pattern[1..], &text[1..]),
        (None, Some(_)) | (Some(Token::One | Token::Char(_)), None) => false,
    }
}

fn values(key: &str, ask: &Question) -> Vec<String> {
    let found = ask.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(key));
    found.map(|(_, values)| values.clone()).unwrap_or_default()
}

fn condition(
    operator: &str,
    key: &str,
    wanted: &[String],
    effect: &str,
    variables: bool,
    ask: &Question,
) -> bool {
    let found = values(key, ask);
    if operator == "Null" {
        return wanted.iter().any(|wanted| (wanted == "true") == found.is_empty());
    }
    let (set, rest) = operator.split_once(':').unwrap_or(("", operator));
    let (base, if_exists) = match rest.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (rest, false),
    };
    let (positive, negated) = match base {
        "NotIpAddress" => ("IpAddress".to_owned(), true),
        base if base.contains("Not") => (base.replace("Not", ""), true),
        base => (base.to_owned(), false),
    };
    let fulfils = |value: &String| {
        let mut unresolved = false;
        for wanted in wanted {
            match compare(&positive, value, wanted, variables, ask) {
                Some(true) => return !negated,
                Some(false) => {}
                None => unresolved = true,
            }
        }
        negated && (!unresolved || effect == "Deny")
    };
    match set {
        "ForAllValues" => found.iter().all(String::is_empty) || found.iter().all(fulfils),
        "ForAnyValue" => (found.is_empty() && if_exists) || found.iter().any(fulfils),
        _ if found.is_empty() => negated || if_exists,
        _ if negated => found.iter().all(fulfils),
        _ => found.iter().any(fulfils),
    }
}

/// Whether a value of the request goes with one of the policy; `None` if a variable in that has no value.
fn compare(
    operator: &str,
    value: &str,
    wanted: &str,
    variables: bool,
    ask: &Question,
) -> Option<bool> {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let numbers = value.parse::<f64>().ok().zip(wanted.parse::<f64>().ok());
    let dates = date(value).zip(date(wanted));
    let answer = match operator {
        "StringEquals" => matches(&substituted(wanted, variables, false, ask)?, &chars(value)),
        "StringEqualsIgnoreCase" => {
            let lower = |token| {
                if let Token::Char(c) = token {
                    c.to_lowercase().to_string()
                } else {
                    String::new()
                }
            };
            let wanted = substituted(wanted, variables, false, ask)?;
            wanted.into_iter().map(lower).collect::<String>() == value.to_lowercase()
        }
        "StringLike" => matches(&substituted(wanted, variables, true, ask)?, &chars(value)),
        "ArnEquals" | "ArnLike" => return arn(value, wanted, variables, ask),
        "NumericEquals" => numbers.is_some_and(|(a, b)| a.total_cmp(&b).is_eq()),
        "NumericLessThan" => numbers.is_some_and(|(a, b)| a < b),
        "NumericLessThanEquals" => numbers.is_some_and(|(a, b)| a <= b),
        "NumericGreaterThan" => numbers.is_some_and(|(a, b)| a > b),
        "NumericGreaterThanEquals" => numbers.is_some_and(|(a, b)| a >= b),
        "DateEquals" => dates.is_some_and(|(a, b)| a == b),
        "DateLessThan" => dates.is_some_and(|(a, b)| a < b),
        "DateLessThanEquals" => dates.is_some_and(|(a, b)| a <= b),
        "DateGreaterThan" => dates.is_some_and(|(a, b)| a > b),
        "DateGreaterThanEquals" => dates.is_some_and(|(a, b)| a >= b),
        "Bool" => value.eq_ignore_ascii_case(wanted),
        "BinaryEquals" => value == wanted,
        "IpAddress" => value.parse().is_ok_and(|address| in_range(address, wanted)),
        other => panic!("{other}"),
    };
    Some(answer)
}

/// Each of the six parts is compared by itself.
fn arn(value: &str, wanted: &str, variables: bool, ask: &Question) -> Option<bool> {
    let value: Vec<Vec<char>> = value.splitn(6, ':').map(|part| part.chars().collect()).collect();
    let is_arn = value.len() == 6;
    if wanted == "*" {
        return Some(is_arn);
    }
    if wanted.starts_with("${") && wanted.find('}') == Some(wanted.len() - 1) {
        let whole: Vec<char> = value.join(&':');
        return Some(matches(&substituted(wanted, variables, true, ask)?, &whole) && is_arn);
    }
    // A colon within a value that is put in is no border.
    let mut patterns = Vec::new();
    let mut rest = wanted;
    while patterns.len() < 5 {
        let mut depth = false;
        let end = rest.char_indices().find(|(i, c)| {
            depth = (depth || rest[*i..].starts_with("${")) && *c != '}';
            *c == ':' && !depth
        });
        let (end, _) = end.unwrap();
        patterns.push(substituted(&rest[..end], variables, true, ask));
        rest = &rest[end + 1..];
    }
    patterns.push(substituted(rest, variables, true, ask));
    let patterns = patterns.into_iter().collect::<Option<Vec<_>>>()?;
    Some(is_arn && patterns.iter().zip(&value).all(|(pattern, part)| matches(pattern, part)))
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    let seconds = text.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    seconds.or_else(|| text.parse().ok())
}

fn in_range(address: IpAddr, range: &str) -> bool {
    let (network, length) = range.split_once('/').unwrap_or((range, ""));
    let network: IpAddr = network.parse().unwrap();
    let bits = |address: IpAddr| -> Vec<bool> {
        let bytes = match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect()
    };
    let (address, network) = (bits(address), bits(network));
    let length = length.parse().unwrap_or(network.len());
    address.len() == network.len() && address[..length] == network[..length]
}
