//! The client's side of Signature V2.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, DATE},
};
use jiff::{Timestamp, fmt::rfc2822};

use crate::{
    Credentials, Request, SignError, canonical,
    v2::{V2Signature, text::string_to_sign},
    v4::{X_AMZ_DATE, X_AMZ_SECURITY_TOKEN},
};

/// Who signs by the deprecated Signature V2, for clients that know no other.
#[derive(Clone, Copy, Debug)]
pub struct V2Signer<'a> {
    /// The key pair.
    pub credentials: &'a Credentials,
    /// The bucket, where the host names it.
    pub host_bucket: Option<&'a str>,
}

impl V2Signer<'_> {
    /// Sets `date`, unless `x-amz-date` is there, `x-amz-security-token` and
    /// `authorization` in `headers`. `path` and `query` are as they will be sent.
    ///
    /// # Errors
    /// [`SignError`], without a change that could be taken for a signature.
    pub fn sign_headers(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<(), SignError> {
        headers.remove(AUTHORIZATION);
        let mut date = String::new();
        if !headers.contains_key(X_AMZ_DATE) {
            date = rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&now)
                .map_err(SignError::Time)?;
            headers.insert(DATE, HeaderValue::from_str(&date).map_err(SignError::Scope)?);
        }
        if let Some(token) = &self.credentials.session_token {
            let mut token =
                HeaderValue::from_str(token.expose()).map_err(SignError::SessionToken)?;
            token.set_sensitive(true);
            headers.insert(X_AMZ_SECURITY_TOKEN, token);
        }
        let request = Request { method, path, query, headers };
        let signature = self.signature(&request, &date, None)?;
        let id = &self.credentials.access_key_id;
        let mut authorization = HeaderValue::from_str(&format!("AWS {id}:{}", signature.base64()))
            .map_err(SignError::Scope)?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }

    /// The query of a URL that is good until `expires`. Whoever uses it sends `headers`
    /// as they are here.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn presign(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        expires: Timestamp,
    ) -> Result<String, SignError> {
        let expires = expires.as_second().to_string();
        let token = self.credentials.session_token.as_ref().map(crate::SecretKey::expose);
        let request = Request { method, path, query, headers };
        let signature = self.signature(&request, &expires, token)?.base64();
        let id = self.credentials.access_key_id.as_str();
        let mut full = String::from(query);
        for (name, value) in [
            ("AWSAccessKeyId", Some(id)),
            ("Expires", Some(expires.as_str())),
            ("Signature", Some(signature.as_str())),
            ("x-amz-security-token", token),
        ] {
            let Some(value) = value else { continue };
            let mut encoded = Vec::with_capacity(value.len());
            value.bytes().for_each(|byte| canonical::encode(byte, &mut encoded));
            if !full.is_empty() {
                full.push('&');
            }
            full.push_str(name);
            full.push('=');
            full.push_str(&String::from_utf8_lossy(&encoded));
        }
        Ok(full)
    }

    fn signature(
        &self,
        request: &Request<'_>,
        date: &str,
        token: Option<&str>,
    ) -> Result<V2Signature, SignError> {
        let text =
            string_to_sign(request, self.host_bucket, date, token).map_err(SignError::Uri)?;
        Ok(V2Signature::of(&self.credentials.secret_key, &text))
    }
}
