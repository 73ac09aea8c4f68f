//! The token of a scraper: a JWT under the secret of the access key that it names, as `mc admin prometheus generate` makes it.
//!
//! Good for metrics alone. Source: MinIO's clients; RFC 7519, HMAC as in RFC 7518 section 3.2.

use coffer_signature::SecretKey;
use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// The longest token that is looked at.
const LONGEST: usize = 4096;
const ISSUER: &str = "prometheus";

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    /// How older clients name the subject.
    #[serde(rename = "accessKey", default)]
    access_key: String,
    exp: i64,
    iss: String,
}

impl Claims {
    fn subject(&self) -> &str {
        if self.sub.is_empty() { &self.access_key } else { &self.sub }
    }
}

/// The access key that a token is proven for. `secret_of` looks secrets up.
pub(super) fn subject(
    token: &str,
    secret_of: impl Fn(&str) -> Option<SecretKey>,
    now: Timestamp,
) -> Option<String> {
    if token.len() > LONGEST {
        return None;
    }
    let claimed = insecure_decode::<Claims>(token).ok()?;
    // Whoever names an unknown key waits as long as who guesses.
    let unknown = || SecretKey::new("0000000000000000000000000000000000000000".to_owned());
    let secret = secret_of(claimed.claims.subject());
    let is_known = secret.is_some();
    let secret = secret.unwrap_or_else(unknown);
    let mut validation = Validation::new(Algorithm::HS512);
    validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    // Time is an argument here.
    validation.validate_exp = false;
    validation.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let proven = decode::<Claims>(token, &key, &validation).ok()?.claims;
    let is_valid = is_known && proven.iss == ISSUER && now.as_second() < proven.exp;
    is_valid.then(|| proven.subject().to_owned())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_token_under_the_keys_own_secret_is_good() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let secret_of =
            |key: &str| (key == "alice").then(|| SecretKey::new("alice-secret".to_owned()));
        let token = |algorithm, secret: &str, claims: serde_json::Value| {
            let key = EncodingKey::from_secret(secret.as_bytes());
            encode(&Header::new(algorithm), &claims, &key).unwrap()
        };
        let claims = |sub: &str, iss: &str, exp: i64| json!({"sub": sub, "iss": iss, "exp": exp});
        let later = now.as_second() + 60;
        let good = token(Algorithm::HS512, "alice-secret", claims("alice", "prometheus", later));
        assert_eq!(subject(&good, secret_of, now).as_deref(), Some("alice"));
        let old_name = json!({"accessKey": "alice", "iss": "prometheus", "exp": later});
        let old_name = token(Algorithm::HS256, "alice-secret", old_name);
        assert_eq!(subject(&old_name, secret_of, now).as_deref(), Some("alice"));
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        let stripped = format!("{none}.{}.", good.split('.').nth(1).unwrap());
        for (name, bad) in [
            (
                "another secret",
                token(Algorithm::HS512, "guess", claims("alice", "prometheus", later)),
            ),
            (
                "an unknown key",
                token(Algorithm::HS512, "alice-secret", claims("bob", "prometheus", later)),
            ),
            (
                "another issuer",
                token(Algorithm::HS512, "alice-secret", claims("alice", "minio", later)),
            ),
            (
                "expired",
                token(Algorithm::HS512, "alice-secret", claims("alice", "prometheus", later - 60)),
            ),
            ("no algorithm", stripped),
            ("no token", "a.b.c".to_owned()),
            ("nothing", String::new()),
            ("too long", format!("{good}{}", "a".repeat(LONGEST))),
        ] {
            assert_eq!(subject(&bad, secret_of, now), None, "{name}");
        }
    }
}
