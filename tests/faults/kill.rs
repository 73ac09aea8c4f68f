//! G1: `kill -9` before each call that changes a file, for each operation, enumerated.
//!
//! The oracle: what was acknowledged is durable; what wasn't is whole or absent; nothing else changed; after the sweep no blob is
//! left that no record names.

use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::server::Server;
use tempfile::TempDir;

use crate::held::{self, Held, content, told};
use crate::trace::Killer;

pub(crate) const INLINE: usize = 1000;
pub(crate) const BLOB: usize = 100_000;
/// Several writes, and room that is claimed first.
pub(crate) const LARGE: usize = 2_500_000;

/// An operation to be killed in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Put {
        size: usize,
    },
    /// Over an object of this size, whose blob is garbage then.
    Replace {
        size: usize,
    },
    Part {
        size: usize,
    },
    Complete,
    Abort,
    Copy {
        size: usize,
    },
    Delete {
        size: usize,
    },
    DeleteMany,
    Begin,
    /// A part over one of the same number.
    ReplacePart {
        size: usize,
    },
    CopyPart {
        size: usize,
    },
    /// Over an object that was made of parts.
    ReplaceParts,
}

/// What there is before, what there is after, and the request between.
pub(crate) struct Case {
    pub(crate) before: Held,
    pub(crate) after: Held,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The files of blobs that there are when all is done, garbage included.
    blobs: usize,
}

/// `METHOD /path?query` in three.
pub(crate) fn parts(line: &str) -> (&str, &str, &str) {
    let (method, uri) = line.split_once(' ').unwrap();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    (method, path, query)
}

async fn must(
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> coffer_tests::client::Answer {
    let (method, path, query) = parts(line);
    let answer = client.send(method, path, query, headers, body).await;
    assert!(answer.status.is_success(), "{line}: {}", answer.text());
    answer
}

fn md5_of(answer: &coffer_tests::client::Answer) -> String {
    answer.header("etag").trim_matches('"').to_owned()
}

impl Act {
    /// Makes what is there before.
    pub(crate) async fn prepare(self, client: &Client) -> Case {
        // Warms up the threads that the operation needs, and stays.
        must(client, "PUT /photos/kept", &[], content(7, LARGE)).await;
        must(client, "PUT /photos/small", &[], content(8, INLINE)).await;
        let mut before = Held::from([
            ("kept".to_owned(), told(7, LARGE)),
            ("small".to_owned(), told(8, INLINE)),
        ]);
        let mut blobs = 1;
        let is_blob = |size: usize| usize::from(size > 32 << 10);
        let mut case = Case {
            before: Held::new(),
            after: Held::new(),
            line: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            blobs: 0,
        };
        let put_before = async |key: &str, size: usize, before: &mut Held, blobs: &mut usize| {
            must(client, &format!("PUT /photos/{key}"), &[], content(1, size)).await;
            before.insert(key.to_owned(), told(1, size));
            *blobs += is_blob(size);
        };
        let begin = async || {
            must(client, "POST /photos/k?uploads", &[], Vec::new())
                .await
                .element("UploadId")
                .unwrap()
        };
        let part = async |id: &str, number: u32, size: usize| {
            must(
                client,
                &format!("PUT /photos/k?partNumber={number}&uploadId={id}"),
                &[],
                content(2, size),
            )
            .await
        };
        match self {
            Self::Put { size } => {
                "PUT /photos/k".clone_into(&mut case.line);
                case.body = content(2, size);
                case.after = before.clone();
                case.after.insert("k".to_owned(), told(2, size));
                blobs += is_blob(size);
            }
            Self::Replace { size } => {
                put_before("k", size, &mut before, &mut blobs).await;
                "PUT /photos/k".clone_into(&mut case.line);
                case.body = content(2, size);
                case.after = before.clone();
                case.after.insert("k".to_owned(), told(2, size));
            }
            Self::Part { size } => {
                let id = begin().await;
                // Its digest is known from a part that was put before under another number.
                let etag = md5_of(&part(&id, 9, size).await);
                before.insert("upload of k".to_owned(), "begun".to_owned());
                before.insert("upload of k, part 9".to_owned(), etag.clone());
                case.line = format!("PUT /photos/k?partNumber=1&uploadId={id}");
                case.body = content(2, size);
                case.after = before.clone();
                case.after.insert("upload of k, part 1".to_owned(), etag);
                blobs += 2 * is_blob(size);
            }
            Self::Begin => {
                "POST /photos/k?uploads".clone_into(&mut case.line);
                case.after = before.clone();
                case.after.insert("upload of k".to_owned(), "begun".to_owned());
            }
            Self::ReplacePart { size } => {
                let id = begin().await;
                before.insert("upload of k".to_owned(), "begun".to_owned());
                // Its digest is known from a part that was put before under another number.
                let etag = md5_of(&part(&id, 9, size).await);
                before.insert("upload of k, part 9".to_owned(), etag.clone());
                let old = md5_of(&part(&id, 1, size + 1).await);
                case.line = format!("PUT /photos/k?partNumber=1&uploadId={id}");
                case.body = content(2, size);
                case.after = before.clone();
                case.after.insert("upload of k, part 1".to_owned(), etag);
                before.insert("upload of k, part 1".to_owned(), old);
                blobs += 2 * is_blob(size);
            }
            Self::CopyPart { size } => {
                let id = begin().await;
                let etag = md5_of(&must(client, "PUT /photos/source", &[], content(1, size)).await);
                before.insert("source".to_owned(), told(1, size));
                before.insert("upload of k".to_owned(), "begun".to_owned());
                case.line = format!("PUT /photos/k?partNumber=1&uploadId={id}");
                case.headers = vec![("x-amz-copy-source".to_owned(), "/photos/source".to_owned())];
                case.after = before.clone();
                case.after.insert("upload of k, part 1".to_owned(), etag);
                blobs += 2 * is_blob(size);
            }
            Self::ReplaceParts => {
                let id = begin().await;
                let mut document = String::from("<CompleteMultipartUpload>");
                for (number, size) in [(1, 5 << 20), (2, BLOB)] {
                    let etag = md5_of(&part(&id, number, size).await);
                    document.push_str(&format!(
                        "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
                    ));
                }
                document.push_str("</CompleteMultipartUpload>");
                must(client, &format!("POST /photos/k?uploadId={id}"), &[], document.into_bytes())
                    .await;
                before.insert("k".to_owned(), told(2, (5 << 20) + BLOB));
                "PUT /photos/k".clone_into(&mut case.line);
                case.body = content(3, BLOB);
                case.after = before.clone();
                case.after.insert("k".to_owned(), told(3, BLOB));
                blobs += 1;
            }
            Self::Complete | Self::Abort => {
                put_before("k", BLOB, &mut before, &mut blobs).await;
                let id = begin().await;
                let whole = before.clone();
                before.insert("upload of k".to_owned(), "begun".to_owned());
                let mut document = String::from("<CompleteMultipartUpload>");
                for (number, size) in [(1, 5 << 20), (2, BLOB), (3, INLINE), (4, BLOB)] {
                    let etag = md5_of(&part(&id, number, size).await);
                    // The fourth isn't named, and goes.
                    if number < 3 {
                        document.push_str(&format!(
                            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
                        ));
                    }
                    before.insert(format!("upload of k, part {number}"), etag);
                }
                document.push_str("</CompleteMultipartUpload>");
                case.after = whole;
                if matches!(self, Self::Complete) {
                    case.line = format!("POST /photos/k?uploadId={id}");
                    case.body = document.into_bytes();
                    case.after.insert("k".to_owned(), told(2, (5 << 20) + BLOB));
                    blobs += 1;
                } else {
                    case.line = format!("DELETE /photos/k?uploadId={id}");
                }
            }
            Self::Copy { size } => {
                put_before("source", size, &mut before, &mut blobs).await;
                "PUT /photos/k".clone_into(&mut case.line);
                case.headers = vec![("x-amz-copy-source".to_owned(), "/photos/source".to_owned())];
                case.after = before.clone();
                case.after.insert("k".to_owned(), told(1, size));
                blobs += is_blob(size);
            }
            Self::Delete { size } => {
                case.after = before.clone();
                put_before("k", size, &mut before, &mut blobs).await;
                blobs -= is_blob(size);
                "DELETE /photos/k".clone_into(&mut case.line);
            }
            Self::DeleteMany => {
                case.after = before.clone();
                let mut document = String::from("<Delete>");
                for n in 0..32 {
                    let size = if n % 2 == 0 { BLOB } else { INLINE };
                    put_before(&format!("k{n}"), size, &mut before, &mut blobs).await;
                    document.push_str(&format!("<Object><Key>k{n}</Key></Object>"));
                }
                document.push_str("</Delete>");
                blobs = 1;
                "POST /photos?delete".clone_into(&mut case.line);
                case.headers =
                    vec![("x-amz-checksum-crc32".to_owned(), crc32(document.as_bytes()))];
                case.body = document.into_bytes();
            }
        }
        case.before = before;
        case.blobs = blobs;
        case
    }
}

/// CRC-32 as S3 writes it.
fn crc32(bytes: &[u8]) -> String {
    use base64::Engine;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    base64::engine::general_purpose::STANDARD.encode((!crc).to_be_bytes())
}

fn blob_files(server: &Server) -> usize {
    let mut count = 0;
    for shard in std::fs::read_dir(server.folder().join("data/blobs")).unwrap() {
        count += std::fs::read_dir(shard.unwrap().path()).unwrap().count();
    }
    count
}

/// Kills before each call, and counts the points.
async fn enumerate(act: Act, least: usize) {
    let mut server = Server::start_in(TempDir::new().unwrap(), &[("COFFER_LOG", "warn")]).await;
    must(&server.client().reconnecting(), "PUT /photos", &[], Vec::new()).await;
    let data = server.folder().join("data");
    let mut points = 0;
    let all = loop {
        let n = points + 1;
        let client = server.client().reconnecting();
        let case = act.prepare(&client).await;
        let watcher = Killer::attach(server.pid(), n);
        let (method, path, query) = parts(&case.line);
        let headers: Vec<(&str, &str)> =
            case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = client.try_send(method, path, query, &headers, case.body.clone()).await;
        let acknowledged = answer.as_ref().is_ok_and(|answer| answer.status.is_success());
        let deadline = Instant::now() + Duration::from_secs(20);
        // Acknowledged, the server goes on with its garbage: done when nothing more was called for a while.
        let mut quiet = (0, Instant::now());
        let killed = loop {
            if server.has_ended() {
                break true;
            }
            let seen = watcher.seen().len();
            if seen != quiet.0 {
                quiet = (seen, Instant::now());
            }
            if acknowledged
                && blob_files(&server) == case.blobs
                && quiet.1.elapsed() > Duration::from_millis(150)
            {
                break false;
            }
            assert!(
                Instant::now() < deadline,
                "{act:?} {n}: neither killed nor done: {answer:?}, {} blobs, not {}",
                blob_files(&server),
                case.blobs
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        if !killed {
            server.kill();
        }
        let seen = watcher.seen();
        let trace = watcher.finish();
        let why = format!("{act:?} killed before call {n} (acknowledged: {acknowledged})\n{trace}");
        if matches!(act, Act::DeleteMany) && !acknowledged {
            // Each key on its own is whole or gone.
            let store = held::open(&data).await;
            let mut held = held::read(&store).await;
            for (key, value) in &case.before {
                held.entry(key.clone()).or_insert_with(|| value.clone());
            }
            assert_eq!(held, case.before, "{why}");
            held::empty_out(&store).await;
            store.close().await;
        } else if acknowledged {
            held::assert_one_of(&data, &[&case.after], &why).await;
        } else {
            held::assert_one_of(&data, &[&case.before, &case.after], &why).await;
        }
        server.launch().await;
        if !killed {
            assert!(seen.len() <= points, "call {n} was made, and it wasn't killed: {trace}");
            break seen;
        }
        points += 1;
    };
    eprintln!("{act:?}: {points} points: {}", all.join(" "));
    assert!(points >= least, "{act:?}: only {points} points");
}

macro_rules! points {
    ($($name:ident: $act:expr, $least:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            enumerate($act, $least).await;
        })*
    };
}

points! {
    g1_put_inline: Act::Put { size: INLINE }, 2;
    g1_put_blob: Act::Put { size: BLOB }, 5;
    g1_put_large: Act::Put { size: LARGE }, 8;
    g1_replace_inline: Act::Replace { size: INLINE }, 2;
    g1_replace_blob: Act::Replace { size: BLOB }, 6;
    g1_replace_large: Act::Replace { size: LARGE }, 9;
    g1_part_inline: Act::Part { size: INLINE }, 2;
    g1_part_blob: Act::Part { size: BLOB }, 5;
    g1_part_large: Act::Part { size: LARGE }, 8;
    g1_begin: Act::Begin, 2;
    g1_replace_part: Act::ReplacePart { size: BLOB }, 9;
    g1_copy_part: Act::CopyPart { size: BLOB }, 6;
    g1_replace_parts: Act::ReplaceParts, 9;
    g1_complete: Act::Complete, 4;
    g1_abort: Act::Abort, 5;
    g1_copy_inline: Act::Copy { size: INLINE }, 2;
    g1_copy_blob: Act::Copy { size: BLOB }, 5;
    g1_copy_large: Act::Copy { size: LARGE }, 8;
    g1_delete_inline: Act::Delete { size: INLINE }, 2;
    g1_delete_blob: Act::Delete { size: BLOB }, 4;
    g1_delete_many: Act::DeleteMany, 20;
}
