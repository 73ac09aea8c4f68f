//! What a hundred thousand users with a key each, and ten thousand policies, cost: `cargo bench -p coffer-tests --bench scale`.
//!
//! | figure | of |
//! |---|---|
//! | load | opening identities and policies, in this process |
//! | start | of the server, to its first answer, beside one with one user |
//! | memory | of the server, beside one with one user: a user with its key |
//! | change | from a policy's change by the admin API to the first request that it decides |
//! | get | of 4 KiB by 16 connections, signed by keys of all users in turn, beside one user |

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark ends when a part of it fails, and tells by its output"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use coffer_policy::{Kind, Policy};
use coffer_server::iam::draft::{Holder, NewAccessKey};
use coffer_server::iam::entity::{Parent, Status};
use coffer_server::iam::name::Name;
use coffer_server::iam::{Draft, Iam, Refused, SealingKeys};
use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_store::{Settings, Store};
use coffer_tests::client::{Client, now};
use coffer_tests::identity;
use coffer_tests::server::Server;
use futures_util::future::join_all;
use tempfile::TempDir;

const USERS: usize = 100_000;
const POLICIES: usize = 10_000;
/// Identities that are made by one commit.
const BATCH: usize = 5_000;
const CONNECTIONS: usize = 16;
const MEASURED: Duration = Duration::from_secs(8);

fn allow(action: &str, bucket: &str) -> Policy {
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["{action}"],"Resource":["arn:aws:s3:::{bucket}/*"]}}]}}"#
    );
    Policy::parse(Kind::Identity, document.as_bytes()).expect("a policy")
}

fn key(number: usize) -> String {
    format!("key-{number:08}")
}

fn secret(number: usize) -> SecretKey {
    SecretKey::new(format!("secret-of-user-{number:08}-and-some-more"))
}

/// Users `from` to `to`, each with a key and one of the policies.
fn people(draft: &mut Draft, from: usize, to: usize, policies: usize) -> Result<(), Refused> {
    for number in from..to {
        let user = Name::user(&format!("user-{number:08}"))?;
        draft.put_user(&user, secret(number), Status::Enabled, now())?;
        let policy = Name::policy(&format!("policy-{:06}", number % policies))?;
        draft.attach(&Holder::User(user.clone()), &[policy], now())?;
        let new = NewAccessKey {
            name: Name::access_key(&key(number))?,
            secret_key: secret(number),
            parent: Parent::User(user),
            policy: None,
            label: String::new(),
            description: String::new(),
            expires: None,
        };
        draft.put_access_key(new, now())?;
    }
    Ok(())
}

async fn open(folder: &Path) -> (Store, Iam) {
    let store = Store::open(Settings::new(folder.join("data"))).await.expect("a store");
    let keys = SealingKeys::read(&folder.join("iam")).expect("keys");
    let iam = Iam::open(store.clone(), Arc::new(ArcSwap::from_pointee(keys))).await.expect("rows");
    (store, iam)
}

/// A data folder with so many.
async fn filled(users: usize, policies: usize) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let (store, iam) = open(folder.path()).await;
    for from in (0..policies).step_by(BATCH) {
        let made = iam.change(|draft| {
            for number in from..(from + BATCH).min(policies) {
                let name = Name::policy(&format!("policy-{number:06}"))?;
                draft.put_policy(&name, allow("s3:GetObject", "photos"), now())?;
            }
            Ok(())
        });
        made.await.expect("policies");
    }
    for from in (0..users).step_by(BATCH) {
        let made = iam.change(|draft| people(draft, from, (from + BATCH).min(users), policies));
        made.await.expect("users");
    }
    drop(iam);
    store.close().await;
    folder
}

fn client_of(server: &Server, number: usize) -> Client {
    let mut client = server.client().clone();
    client.credentials = Credentials {
        access_key_id: key(number).parse::<AccessKeyId>().expect("a key"),
        secret_key: secret(number),
        session_token: None,
    };
    client
}

/// Gets in a second, signed by the keys of `users` in turn.
async fn gets(server: &Server, users: usize) -> f64 {
    let end = Instant::now() + MEASURED;
    let connections = (0..CONNECTIONS).map(|connection| async move {
        let mut client = server.client().clone();
        let mut done = 0_usize;
        while Instant::now() < end {
            let number = (connection + done * CONNECTIONS) % users;
            client.credentials = client_of(server, number).credentials;
            let got = client.send("GET", "/photos/k", "", &[], "").await;
            assert_eq!(got.status, 200, "{}", got.text());
            done += 1;
        }
        done
    });
    let done: usize = join_all(connections).await.into_iter().sum();
    done as f64 / MEASURED.as_secs_f64()
}

async fn started(folder: TempDir) -> (Server, Duration) {
    let begun = Instant::now();
    let server = Server::start_in(folder, &[("COFFER_LOG", "warn")]).await;
    let took = begun.elapsed();
    for path in ["/photos", "/photos/k"] {
        let body = if path.ends_with('k') { vec![b'x'; 4096] } else { Vec::new() };
        assert_eq!(server.client().send("PUT", path, "", &[], body).await.status, 200);
    }
    (server, took)
}

/// From the change of a policy to the first request that it decides otherwise.
async fn change(server: &Server) -> Duration {
    let client = client_of(server, 1);
    let document = allow("s3:PutObject", "photos").document().to_owned();
    let begun = Instant::now();
    let path = "/minio/admin/v3/add-canned-policy";
    let put = server.client().send("PUT", path, "name=policy-000001", &[], document).await;
    assert_eq!(put.status, 200, "{}", put.text());
    while client.send("GET", "/photos/k", "", &[], "").await.status == 200 {}
    let took = begun.elapsed();
    let document = allow("s3:GetObject", "photos").document().to_owned();
    server.client().send("PUT", path, "name=policy-000001", &[], document).await;
    took
}

#[tokio::main]
async fn main() {
    let one = filled(1, 2).await;
    let begun = Instant::now();
    let many = filled(USERS, POLICIES).await;
    println!("made in {:.1} s, by commits of {BATCH}", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let (store, iam) = open(many.path()).await;
    println!("load: {:.2} s", begun.elapsed().as_secs_f64());
    drop(iam);
    store.close().await;

    let (one, start_one) = started(one).await;
    let (many, start_many) = started(many).await;
    println!(
        "start: {:.2} s, with one user {:.2} s",
        start_many.as_secs_f64(),
        start_one.as_secs_f64()
    );
    let (rss_one, rss_many) = (one.resident() * 1024, many.resident() * 1024);
    let each = rss_many.saturating_sub(rss_one) as f64 / USERS as f64;
    println!(
        "memory: {} MiB, with one user {} MiB: {each:.0} bytes a user with its key",
        rss_many >> 20,
        rss_one >> 20
    );
    let mut changes: Vec<Duration> = Vec::new();
    for _ in 0..10 {
        changes.push(change(&many).await);
    }
    changes.sort();
    let shown = |at: usize| changes.get(at).map_or(0.0, |took| took.as_secs_f64() * 1000.0);
    println!("change in force: {:.1} ms, the longest of ten {:.1} ms", shown(5), shown(9));
    // Twice, turn by turn.
    for _ in 0..2 {
        let (with_many, of_many, with_one) =
            (gets(&many, USERS).await, gets(&many, 1).await, gets(&one, 1).await);
        println!(
            "get 4 KiB: {with_many:.0}/s by all in turn, {of_many:.0}/s by one of them; where there is one user {with_one:.0}/s"
        );
    }
}
