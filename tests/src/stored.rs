//! What a server holds, seen from outside: shows that a request which was refused changed nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::Server;

/// Buckets, objects, uploads, and the files of the blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    documents: Vec<String>,
    blobs: Vec<String>,
}

impl Stored {
    /// Looks at all that there is.
    ///
    /// # Panics
    /// When it can't be listed.
    pub async fn of(server: &Server) -> Self {
        let client = server.client();
        let list = async |path: &str, query: &str| {
            let answer = client.send("GET", path, query, &[], "").await;
            assert_eq!(answer.status, 200, "{path}?{query}: {}", answer.text());
            answer.text()
        };
        let mut documents = vec![list("/", "").await];
        let names: Vec<String> = texts(&documents[0], "Name");
        for name in names {
            for query in ["versions", "uploads"] {
                documents.push(list(&format!("/{name}"), query).await);
            }
        }
        let mut blobs = Vec::new();
        files(&server.folder().join("data/blobs"), &mut blobs);
        blobs.sort();
        Self { documents, blobs }
    }

    /// Asserts that the server holds the same as when this was taken.
    ///
    /// # Panics
    /// When it doesn't.
    pub async fn assert_same(&self, server: &Server, why: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let now = Self::of(server).await;
            assert_eq!(self.documents, now.documents, "{why}");
            if self.blobs == now.blobs {
                return;
            }
            // What was refused in the midst of a body is removed beside the answer.
            assert!(Instant::now() < deadline, "{why}: {:?}, now {:?}", self.blobs, now.blobs);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The texts of all XML elements of this name.
pub fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    document
        .split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| text.to_owned())
        .collect()
}

/// The files below a folder.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path.display().to_string());
        }
    }
}
