//! A browser's form that can be bent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coffer_signature::post_form::{Fields, sign_form, sign_form_v2};
use coffer_tests::client::{Answer, Client, now};
use jiff::SignedDuration;

/// Which signature a form has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Version {
    None,
    V2,
    V4,
}

/// A form that can be bent.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    version: Version,
    bucket: String,
    /// From now on, until when its policy is good.
    minutes: i64,
    conditions: Vec<String>,
    fields: Vec<(String, String)>,
    /// Put in after it was signed.
    more: Vec<(String, String)>,
    filename: String,
}

/// What stands between its parts.
pub(crate) const BOUNDARY: &str = "a-boundary";

impl Form {
    /// A form for `bucket`, good for a minute.
    pub(crate) fn new(version: Version, bucket: &str) -> Self {
        Self {
            version,
            bucket: bucket.to_owned(),
            minutes: 1,
            conditions: Vec::new(),
            fields: Vec::new(),
            more: Vec::new(),
            filename: "a.txt".to_owned(),
        }
    }

    /// With a field, and the condition that it is so.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// With a policy that is good for so many minutes from now on.
    pub(crate) fn good_for(mut self, minutes: i64) -> Self {
        self.minutes = minutes;
        self
    }

    /// With this name of its file.
    pub(crate) fn file_named(mut self, filename: &str) -> Self {
        filename.clone_into(&mut self.filename);
        self
    }

    /// With a field that the policy doesn't know.
    pub(crate) fn unsigned(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// All its fields, signed by the client's credentials.
    fn signed(&self, client: &Client) -> Vec<(String, String)> {
        let mut fields = Fields::default();
        for (name, value) in &self.fields {
            fields.push(name, value).unwrap();
        }
        let expiration = now() + SignedDuration::from_mins(self.minutes);
        let policy = |fields: &Fields| {
            let own = fields
                .iter()
                .filter(|(name, _)| *name != "awsaccesskeyid")
                // What comes of a file's name is another value than the one that is sent.
                .map(|(name, value)| match value.split_once("${filename}") {
                    Some((start, _)) => {
                        serde_json::json!(["starts-with", format!("${name}"), start])
                    }
                    None => serde_json::json!({ name: value }),
                })
                .map(|condition| condition.to_string());
            let all: Vec<String> = own
                .chain(self.conditions.iter().cloned())
                .chain([format!("{{\"bucket\":\"{}\"}}", self.bucket)])
                .collect();
            let conditions = all.join(",");
            STANDARD.encode(format!(
                "{{\"expiration\":\"{expiration:.0}\",\"conditions\":[{conditions}]}}"
            ))
        };
        match self.version {
            Version::None => {}
            Version::V4 => sign_form(&client.signer(), &mut fields, policy, now()).unwrap(),
            Version::V2 => sign_form_v2(&client.credentials, &mut fields, policy).unwrap(),
        }
        let signed = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        signed.chain(self.more.iter().cloned()).collect()
    }

    /// All up to the file's content.
    pub(crate) fn head(&self, client: &Client) -> Vec<u8> {
        let mut head: String = self
            .signed(client)
            .iter()
            .map(|(name, value)| {
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            })
            .collect();
        head.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\n",
            self.filename
        ));
        head.into_bytes()
    }

    /// The whole body.
    pub(crate) fn body(&self, client: &Client, file: &[u8]) -> Vec<u8> {
        [&self.head(client)[..], file, end().as_bytes()].concat()
    }

    /// Sends it as a browser does.
    pub(crate) async fn send(&self, client: &Client, path: &str, file: &[u8]) -> Answer {
        post(client, path, self.body(client, file)).await
    }
}

/// What follows the file.
pub(crate) fn end() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}

/// Sends a body as a browser does.
pub(crate) async fn post(client: &Client, path: &str, body: Vec<u8>) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = client.headers(&[("content-type", &kind)]);
    client.send_as_is("POST", path, "", headers, body).await.unwrap()
}
