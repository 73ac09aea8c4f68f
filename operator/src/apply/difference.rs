//! Whether the cluster holds what was built: everything built must be there; the API server's own additions don't count.

use serde_json::Value;

/// Whether `live` has all that `built` has.
pub fn contains(live: &Value, built: &Value) -> bool {
    within(live, built, Field::Other)
}

/// Where a value stands, where that changes how it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Below `requests` or `limits`: `500m` is `0.5`.
    Quantity,
    /// A list to which others may add.
    Shared,
    /// A map to which nobody may add: it would select other pods.
    Selector,
    /// Anywhere else.
    Other,
}

impl Field {
    fn named(name: &str) -> Self {
        match name {
            "requests" | "limits" => Self::Quantity,
            "ownerReferences" => Self::Shared,
            "selector" | "matchLabels" => Self::Selector,
            _ => Self::Other,
        }
    }
}

fn within(live: &Value, built: &Value, field: Field) -> bool {
    match (live, built) {
        (Value::Object(live), Value::Object(built))
            if field == Field::Selector && live.len() != built.len() =>
        {
            false
        }
        (Value::Object(live), Value::Object(built)) => built.iter().all(|(key, value)| {
            let nested = if field == Field::Quantity { field } else { Field::named(key) };
            value.is_null() || live.get(key).is_some_and(|there| within(there, value, nested))
        }),
        (Value::Array(live), Value::Array(built)) if field == Field::Shared => {
            built.iter().all(|value| live.iter().any(|there| within(there, value, Field::Other)))
        }
        (Value::Array(live), Value::Array(built)) => {
            live.len() == built.len()
                && live.iter().zip(built).all(|(live, built)| within(live, built, Field::Other))
        }
        (Value::String(live), Value::String(built)) if field == Field::Quantity => {
            same_quantity(live, built)
        }
        (live, built) => live == built || (is_empty(live) && is_empty(built)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether two texts are the same quantity.
pub fn same_quantity(one: &str, other: &str) -> bool {
    one == other || compare(one, other) == Some(std::cmp::Ordering::Equal)
}

/// Compares two quantities; none where one isn't a quantity.
pub fn compare(one: &str, other: &str) -> Option<std::cmp::Ordering> {
    parse(one)?.partial_cmp(&parse(other)?)
}

fn parse(text: &str) -> Option<f64> {
    let end =
        text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn additions_of_the_api_server_are_no_difference() {
        let built = json!({"a": 1, "list": [{"name": "x"}], "requests": {"cpu": "0.5"}, "none": null,
            "ownerReferences": [{"uid": "1"}]});
        for (name, live, expected) in [
            ("same", built.clone(), true),
            (
                "defaults added",
                json!({"a": 1, "b": 2, "list": [{"name": "x", "port": 1}], "requests": {"cpu": "500m"},
                "ownerReferences": [{"uid": "2"}, {"uid": "1", "kind": "Tenant"}]}),
                true,
            ),
            (
                "changed",
                json!({"a": 2, "list": [{"name": "x"}], "requests": {"cpu": "0.5"}, "ownerReferences": [{"uid": "1"}]}),
                false,
            ),
            (
                "longer",
                json!({"a": 1, "list": [{"name": "x"}, {"name": "y"}], "requests": {"cpu": "0.5"}, "ownerReferences": [{"uid": "1"}]}),
                false,
            ),
            (
                "more CPU",
                json!({"a": 1, "list": [{"name": "x"}], "requests": {"cpu": "1"}, "ownerReferences": [{"uid": "1"}]}),
                false,
            ),
            (
                "no owner",
                json!({"a": 1, "list": [{"name": "x"}], "requests": {"cpu": "0.5"}, "ownerReferences": []}),
                false,
            ),
        ] {
            assert_eq!(contains(&live, &built), expected, "{name}");
        }
    }

    #[test]
    fn a_selector_is_compared_as_a_whole() {
        let built = json!({"selector": {"a": "b"}});
        assert!(contains(&json!({"selector": {"a": "b"}, "type": "ClusterIP"}), &built));
        assert!(!contains(&json!({"selector": {"a": "b", "c": "d"}}), &built));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        use std::cmp::Ordering;
        for (one, other, expected) in [
            ("1Gi", "1024Mi", Some(Ordering::Equal)),
            ("1G", "1Gi", Some(Ordering::Less)),
            ("1500m", "1.5", Some(Ordering::Equal)),
            ("2Ti", "2048Gi", Some(Ordering::Equal)),
            ("x", "1", None),
            ("", "1", None),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
        }
    }
}
