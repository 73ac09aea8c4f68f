//! The walls of the admin API: who is nobody gets nothing, nobody acts for another, and an archive is taken whole or not at all.

use std::io::{Cursor, Write as _};

use coffer_server::admin::payload;
use coffer_server::iam::entity::Parent;
use coffer_server::iam::name::Name;
use coffer_server::route::admin::{KMS_PREFIX, KMS_ROWS, PREFIX, Permission, ROWS, Row};
use coffer_tests::client::{Answer, Client};
use coffer_tests::server::{ACCESS_KEY, Server};
use serde_json::{Value, json};
use zeroize::Zeroizing;
use zip::write::SimpleFileOptions;

use crate::people::{access_key, allow, client_of, server_of, user};

fn path(route: &str) -> String {
    format!("{PREFIX}v3/{route}")
}

/// The `Code` of an error of the admin API.
fn code(answer: &Answer) -> String {
    let error: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    error["Code"].as_str().unwrap_or_default().to_owned()
}

fn name(text: &str) -> Name {
    Name::user(text).unwrap()
}

/// Administrators of several kinds, users with keys of their own, and one without any policy.
async fn peopled() -> Server {
    server_of(|draft| {
        user(draft, "admin", &allow(&["admin:*"]))?;
        user(draft, "importer", &allow(&["admin:ImportIAM"]))?;
        user(draft, "exporter", &allow(&["admin:ExportIAM"]))?;
        user(draft, "nobody", "")?;
        for one in ["alice", "bobby"] {
            user(draft, one, &allow(&["s3:*"]))?;
            let key = format!("{one}-key");
            access_key(draft, &key, Parent::User(name(one)), "")?;
        }
        access_key(draft, "alice-limited", Parent::User(name("alice")), &allow(&["s3:GetObject"]))?;
        access_key(draft, "root-key", Parent::Root, "")
    })
    .await
}

fn query_of(row: &Row) -> String {
    let value = |name: &str| match name {
        "accessKey" | "userOrGroup" => "bobby",
        "status" => "enabled",
        "isGroup" => "false",
        "listType" => "all",
        "name" | "policyName" => "readonly",
        "bucket" => "photos",
        "action" => "s3:GetObject",
        _ => "x",
    };
    row.query.iter().map(|name| format!("{name}={}", value(name))).collect::<Vec<_>>().join("&")
}

/// CVE-2026-40937, CVE-2026-55838, CVE-2026-45044, CVE-2023-28432, CVE-2025-64179: a route that asks nobody who he is.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_strangers_or_those_without_a_policy() {
    let server = peopled().await;
    let strangers = server.client().clone();
    let nobody = client_of(&server, "nobody");
    for row in ROWS.iter().chain(KMS_ROWS) {
        let path = match row.path.strip_prefix("kms/") {
            Some(rest) => format!("{KMS_PREFIX}v1/{rest}"),
            None => path(row.path),
        };
        let query = query_of(row);
        let headers = strangers.headers(&[]);
        let method = row.method.as_str();
        let answer = strangers.send_as_is(method, &path, &query, headers, "").await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), code(&answer).as_str()),
            (403, "AccessDenied"),
            "{row:?}"
        );
        let answer = nobody.send(method, &path, &query, &[], "").await;
        let own = match row.permission {
            // What these tell is of the caller itself: bobby's they may not.
            Permission::Everyone => true,
            Permission::OwnOr(_) => row.query.is_empty(),
            Permission::Any(_, _)
            | Permission::OwnUnlessDenied(_)
            | Permission::OnKey
            | Permission::Control => false,
        };
        if own {
            assert_eq!(answer.status, 200, "{row:?}: {}", answer.text());
            assert!(!answer.text().contains("bobby"), "{row:?}");
        } else {
            assert!(matches!(answer.status.as_u16(), 403 | 404), "{row:?}: {}", answer.text());
        }
    }
}

const OCTETS: &[(&str, &str)] = &[("content-type", "application/octet-stream")];

/// The status and code of each call, one a line.
async fn table(server: &Server, caller: &str) -> String {
    let client = match caller {
        "root" => server.client().clone(),
        name => client_of(server, name),
    };
    let users = ["alice", "bobby", ACCESS_KEY];
    let keys = ["alice-key", "alice-limited", "bobby-key", "root-key"];
    let mut lines = format!("{caller}\n");
    let sealed = async |value: Value| {
        let text = Zeroizing::new(value.to_string().into_bytes());
        payload::seal(&client.credentials.secret_key, text).await.unwrap()
    };
    let told =
        |answer: &Answer| format!("{} {}", answer.status.as_u16(), code(answer)).trim().to_owned();
    let mut tell = |what: &str, target: &str, answer: &Answer| {
        let target = if target == ACCESS_KEY { "root" } else { target };
        lines.push_str(&format!("  {what:<24} {target:<14} {}\n", told(answer)));
    };
    for target in users {
        let of = format!("accessKey={target}");
        tell("user-info", target, &client.send("GET", &path("user-info"), &of, &[], "").await);
        let of = format!("user={target}");
        let listed = client.send("GET", &path("list-service-accounts"), &of, &[], "").await;
        tell("list-service-accounts", target, &listed);
        let of = format!("listType=all&users={target}");
        let listed = client.send("GET", &path("list-access-keys-bulk"), &of, &[], "").await;
        tell("list-access-keys-bulk", target, &listed);
        let new = json!({"targetUser": target, "accessKey": format!("made-for-{}", &target[..4]), "secretKey": "a-new-secret"});
        let made =
            client.send("PUT", &path("add-service-account"), "", &[], sealed(new).await).await;
        tell("add-service-account", target, &made);
        let of = format!("userOrGroup={target}&isGroup=false&policyName=readwrite");
        let set = client.send("PUT", &path("set-user-or-group-policy"), &of, &[], "").await;
        tell("set-policy", target, &set);
        let change = json!({"policies": ["consoleAdmin"], "user": target});
        let (attach, change) = (path("idp/builtin/policy/attach"), sealed(change).await);
        let attached = client.send("POST", &attach, "", OCTETS, change).await;
        tell("policy/attach", target, &attached);
    }
    for target in keys {
        let of = format!("accessKey={target}");
        for route in ["info-service-account", "info-access-key"] {
            tell(route, target, &client.send("GET", &path(route), &of, &[], "").await);
        }
        let change = sealed(json!({"newStatus": "on", "newDescription": "changed"})).await;
        let changed = client.send("POST", &path("update-service-account"), &of, &[], change).await;
        tell("update-service-account", target, &changed);
    }
    // What ends something comes last, and a caller doesn't end himself before others were tried.
    for target in
        keys.iter().filter(|key| **key != caller).chain(keys.iter().filter(|key| **key == caller))
    {
        let of = format!("accessKey={target}");
        let ended = client.send("DELETE", &path("delete-service-account"), &of, &[], "").await;
        tell("delete-service-account", target, &ended);
    }
    if keys.contains(&caller) {
        return lines;
    }
    let others = users.iter().filter(|user| **user != caller);
    for target in others.chain(users.iter().filter(|user| **user == caller)) {
        let of = format!("accessKey={target}&status=disabled");
        let disabled = client.send("PUT", &path("set-user-status"), &of, &[], "").await;
        tell("set-user-status", target, &disabled);
        let of = format!("accessKey={target}");
        let ended = client.send("DELETE", &path("remove-user"), &of, &[], "").await;
        tell("remove-user", target, &ended);
        let new = sealed(json!({"secretKey": "a-new-secret", "status": "enabled"})).await;
        let made = client.send("PUT", &path("add-user"), &of, &[], new).await;
        tell("add-user", target, &made);
    }
    lines
}

/// CVE-2022-24842, CVE-2021-43858, GHSA-5354-r3w2-34m8, GHSA-mm2q-qcmx-gw4w, CVE-2024-45106, CVE-2021-39236: acting for another.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_another_without_the_action_for_it() {
    let mut found = String::new();
    for caller in ["root", "admin", "nobody", "alice", "alice-key", "alice-limited"] {
        let server = peopled().await;
        found.push_str(&table(&server, caller).await);
    }
    let expected = include_str!("callers_and_targets.txt");
    if let Ok(file) = std::env::var("COFFER_TEST_TABLE") {
        std::fs::write(file, &found).unwrap();
    }
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// CVE-2023-27589: a user, or an access key, that could be taken for root.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_named_like_root() {
    let server = Server::start().await;
    let client = server.client();
    let sealed = async |value: Value| {
        let text = Zeroizing::new(value.to_string().into_bytes());
        payload::seal(&client.credentials.secret_key, text).await.unwrap()
    };
    for name in [
        ACCESS_KEY.to_owned(),
        ACCESS_KEY.to_uppercase(),
        format!("{ACCESS_KEY}%20"),
        format!("%20{ACCESS_KEY}"),
        format!("{ACCESS_KEY}%09"),
    ] {
        let new = sealed(json!({"secretKey": "a-new-secret", "status": "enabled"})).await;
        let of = format!("accessKey={name}");
        let made = client.send("PUT", &path("add-user"), &of, &[], new).await;
        assert!(
            matches!(made.status.as_u16(), 400 | 403),
            "{name}: {} {}",
            made.status,
            made.text()
        );
        let plain = name.replace("%20", " ").replace("%09", "\t");
        let new = sealed(json!({"accessKey": plain, "secretKey": "a-new-secret"})).await;
        let made = client.send("PUT", &path("add-service-account"), "", &[], new).await;
        assert!(
            matches!(made.status.as_u16(), 400 | 403),
            "{name}: {} {}",
            made.status,
            made.text()
        );
    }
}

/// GHSA-3495-h8r9-gfqg, CVE-2026-55188: secrets in what is exported or listed.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_in_clear_but_for_who_may_see_it() {
    let server = peopled().await;
    let exporter = client_of(&server, "exporter");
    let export = path("export-iam");
    let archive = exporter.send("GET", &export, "", &[], "").await;
    assert_eq!(archive.status, 200);
    let files = unzipped(&archive.body);
    assert_eq!(files.len(), 7);
    let text: String = files.iter().map(|(_, text)| text.as_str()).collect();
    assert!(text.contains("bobby-key") && !text.contains("secret-of-"), "{text}");
    assert_eq!(exporter.send("GET", &export, "secrets=clear", &[], "").await.status, 403);
    let clear = server.client().send("GET", &export, "secrets=clear", &[], "").await;
    let files = unzipped(&clear.body);
    assert!(files.iter().any(|(_, text)| text.contains("secret-of-bobby")), "{files:?}");
}

// -- archives

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn unzipped(bytes: &[u8]) -> Vec<(String, String)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|at| {
            let file = zip.by_index(at).unwrap();
            let name = file.name().to_owned();
            (name, std::io::read_to_string(file).unwrap())
        })
        .collect()
}

/// A file of an archive in which one user is good.
const INTRUDER: &str = r#""intruder":{"secretKey":"a-good-secret","status":"enabled"}"#;

fn users(more: &str) -> String {
    format!("{{{INTRUDER}{more}}}")
}

/// An access key of an archive.
fn key(name: &str, says: &str, parent: &str, more: &str) -> String {
    format!(
        r#"{{"{name}":{{"parent":"{parent}","accessKey":"{says}","secretKey":"a-good-secret","sessionPolicy":null,"status":"on"{more}}}}}"#
    )
}

/// All that an archive could change.
async fn everything(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    let archive = client.send("GET", &path("export-iam"), "secrets=clear", &[], "").await;
    assert_eq!(archive.status, 200, "{}", archive.text());
    all.extend(unzipped(&archive.body).into_iter().map(|(name, text)| format!("{name}: {text}")));
    all
}

/// N11: CVE-2024-55949, CVE-2026-22042, CVE-2026-45043.
#[tokio::test(flavor = "multi_thread")]
async fn n11_a_crafted_archive_is_refused_whole() {
    let server = peopled().await;
    let importer = client_of(&server, "importer");
    let before = everything(server.client()).await;
    let at = |name: &str| format!("iam-assets/{name}");
    let (users_at, keys_at, policies_at) =
        (at("users.json"), at("svcaccts.json"), at("policies.json"));
    let with = |name: &str, text: &str| zipped(&[(&users_at, &users("")), (&at(name), text)]);
    let alone = |text: &str| zipped(&[(&users_at, text)]);
    let many: String = (0..50_001)
        .map(|n| format!(r#","u{n}":{{"secretKey":"a-good-secret","status":"enabled"}}"#))
        .collect();
    let bomb = format!("{{{INTRUDER}{}}}", " ".repeat(17 * 1024 * 1024));
    let sealed_for_another = {
        let exported =
            client_of(&server, "exporter").send("GET", &path("export-iam"), "", &[], "").await;
        let files = unzipped(&exported.body);
        let (_, text) = files.iter().find(|(name, _)| *name == users_at).unwrap();
        let read: Value = serde_json::from_str(text).unwrap();
        let sealed = read["bobby"]["sealedSecretKey"].as_str().unwrap().to_owned();
        users(&format!(r#","mallory":{{"sealedSecretKey":"{sealed}","status":"enabled"}}"#))
    };
    let good = alone(&users(""));
    let twice = {
        // The same name twice, which no writer makes: two of one length, then renamed in the bytes.
        let made = zipped(&[(&users_at, &users("")), ("iam-assets/user5.json", "{}")]);
        let (from, to) = (b"iam-assets/user5.json", b"iam-assets/users.json");
        let mut bytes = made;
        while let Some(found) = bytes.windows(from.len()).position(|part| part == from) {
            bytes[found..found + to.len()].copy_from_slice(to);
        }
        bytes
    };
    let full = r#"{"full":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Fly"],"Resource":["arn:aws:s3:::*"]}]}}"#;
    let root = ACCESS_KEY;
    let crafted: Vec<(&str, Vec<u8>)> = vec![
        (
            "root's name",
            alone(&users(&format!(
                r#","{root}":{{"secretKey":"a-good-secret","status":"enabled"}}"#
            ))),
        ),
        (
            "root's name in capitals",
            alone(&users(&format!(
                r#","{}":{{"secretKey":"a-good-secret","status":"enabled"}}"#,
                root.to_uppercase()
            ))),
        ),
        (
            "root's name with a space",
            alone(&users(&format!(
                r#","{root} ":{{"secretKey":"a-good-secret","status":"enabled"}}"#
            ))),
        ),
        ("a key of root", with("svcaccts.json", &key("stolen-key", "stolen-key", root, ""))),
        ("root's own key", with("svcaccts.json", &key(root, root, "alice", ""))),
        ("another's key", with("svcaccts.json", &key("bobby-key", "bobby-key", "alice", ""))),
        ("a key that is two", with("svcaccts.json", &key("stolen-key", "bobby-key", "alice", ""))),
        (
            "a key freer than it was",
            with(
                "svcaccts.json",
                &key(
                    "freed-key",
                    "freed-key",
                    "alice",
                    r#","claims":{"sa-policy":"embedded-policy"}"#,
                ),
            ),
        ),
        (
            "a key without end that has one",
            with(
                "svcaccts.json",
                &key("later-key", "later-key", "alice", r#","expiration":"soon""#),
            ),
        ),
        (
            "a key with a bad policy",
            with(
                "svcaccts.json",
                &key("bent-key", "bent-key", "alice", "").replace(
                    "\"sessionPolicy\":null",
                    r#""sessionPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}"#,
                ),
            ),
        ),
        ("a bad policy", with("policies.json", full)),
        (
            "a policy with a bad name",
            with("policies.json", &full.replace("s3:Fly", "s3:GetObject").replace("full", "a,b")),
        ),
        (
            "a policy that isn't there",
            with(
                "user_mappings.json",
                r#"{"alice":{"version":1,"policy":"none-such","updatedAt":"2025-01-01T00:00:00Z"}}"#,
            ),
        ),
        (
            "a user that isn't there",
            with(
                "user_mappings.json",
                r#"{"ghost":{"version":1,"policy":"readwrite","updatedAt":"2025-01-01T00:00:00Z"}}"#,
            ),
        ),
        (
            "a member that isn't there",
            with(
                "groups.json",
                r#"{"staff":{"version":1,"status":"enabled","members":["ghost"],"updatedAt":"2025-01-01T00:00:00Z"}}"#,
            ),
        ),
        (
            "neither enabled nor disabled",
            alone(&users(r#","maybe":{"secretKey":"a-good-secret","status":"perhaps"}"#)),
        ),
        (
            "a secret that is none",
            alone(&users(r#","short":{"secretKey":"x","status":"enabled"}"#)),
        ),
        (
            "two secrets",
            alone(&users(
                r#","both":{"secretKey":"a-good-secret","sealedSecretKey":"AAAA","status":"enabled"}"#,
            )),
        ),
        ("no secret", alone(&users(r#","none":{"status":"enabled"}"#))),
        ("another's sealed secret", alone(&sealed_for_another)),
        ("no JSON", alone(&format!("{{{INTRUDER}"))),
        ("too many", alone(&users(&many))),
        ("a bomb", alone(&bomb)),
        (
            "a path upwards",
            zipped(&[(&users_at, &users("")), ("iam-assets/../../etc/passwd", "{}")]),
        ),
        (
            "a path of its own",
            zipped(&[(&users_at, &users("")), ("/iam-assets/policies.json", "{}")]),
        ),
        ("a file beside", zipped(&[(&users_at, &users("")), ("iam-assets/others.json", "{}")])),
        ("a file twice", twice),
        ("cut off", good[..good.len() - 30].to_vec()),
        ("a flipped bit", {
            let mut bytes = good.clone();
            bytes[60] ^= 1;
            bytes
        }),
        ("no archive", b"PK".to_vec()),
        ("nothing", Vec::new()),
        ("no files", zipped(&[])),
    ];
    for (what, archive) in crafted {
        for route in ["import-iam", "import-iam-v2"] {
            let answer = importer.send("PUT", &path(route), "", &[], archive.clone()).await;
            assert!(
                matches!(answer.status.as_u16(), 400 | 413),
                "{what}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!answer.text().contains("a-good-secret"), "{what}: {}", answer.text());
            assert_eq!(everything(server.client()).await, before, "{what}");
        }
    }
    // Who may import isn't who may export, and the other way round.
    for (who, method, route) in
        [("importer", "GET", "export-iam"), ("exporter", "PUT", "import-iam")]
    {
        let answer =
            client_of(&server, who).send(method, &path(route), "", &[], good.clone()).await;
        assert_eq!(answer.status, 403, "{who}");
    }
    assert_eq!(everything(server.client()).await, before);
    // The part that was good in each of them is good alone.
    let policy = full.replace("s3:Fly", "s3:GetObject");
    let whole = zipped(&[
        (&users_at, &users("")),
        (&keys_at, &key("new-key", "new-key", "alice", "")),
        (&policies_at, &policy),
    ]);
    let answer = importer.send("PUT", &path("import-iam"), "", &[], whole).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let after = everything(server.client()).await.join("\n");
    assert!(
        after.contains("intruder") && after.contains("new-key") && after.contains("full"),
        "{after}"
    );
}

/// What an import passes over it leaves as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_import_passes_over_stays() {
    let server = peopled().await;
    let importer = client_of(&server, "importer");
    let soon = coffer_tests::client::now() + jiff::SignedDuration::from_mins(5);
    for expiration in ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", &soon.to_string()] {
        let more = format!(r#","expiration":"{expiration}""#);
        let passed_over =
            zipped(&[("iam-assets/svcaccts.json", &key("alice-key", "alice-key", "alice", &more))]);
        let before = everything(server.client()).await;
        let answer = importer.send("PUT", &path("import-iam"), "", &[], passed_over).await;
        assert_eq!(answer.status, 200, "{expiration}: {}", answer.text());
        assert_eq!(everything(server.client()).await, before, "{expiration}");
    }
}
