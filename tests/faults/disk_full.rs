//! A disk that is full: an error to the client, nothing lost, and it serves again once there is room.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use coffer_tests::client::Answer;
use coffer_tests::server::Server;
use futures_util::future::join_all;

use crate::held::{content, of_bytes, told};

const MIB: usize = 1 << 20;

/// A server whose data lies on an ext4 of 256 MiB, mounted where only it sees it: with the process the mount is gone.
struct Small {
    server: Server,
    image: PathBuf,
}

impl Small {
    async fn start(reserve: usize) -> Self {
        let reserve = reserve.to_string();
        let mut server =
            Server::start_with(&[("COFFER_LOG", "warn"), ("COFFER_RESERVE_BYTES", &reserve)]).await;
        server.kill();
        std::fs::remove_dir_all(server.folder().join("data")).unwrap();
        std::fs::create_dir(server.folder().join("data")).unwrap();
        let image = server.folder().join("image");
        std::fs::File::create(&image).unwrap().set_len(256 * MIB as u64).unwrap();
        let made =
            Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).status().unwrap();
        assert!(made.success());
        let mut small = Self { server, image };
        small.launch().await;
        small
    }

    async fn launch(&mut self) {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "sh",
                "-c",
                "mount -o loop \"$1\" \"$2\" && shift 2 && exec \"$@\"",
                "sh",
            ])
            .arg(&self.image)
            .arg(self.server.folder().join("data"))
            .arg(self.server.command().get_program())
            .args(self.server.arguments());
        self.server.spawn(command).await;
    }

    /// The data folder as the server sees it.
    fn data(&self) -> PathBuf {
        let path = self.server.folder().join("data");
        PathBuf::from(format!("/proc/{}/root{}", self.server.pid(), path.display()))
    }

    async fn put(
        &self,
        key: &str,
        byte: u8,
        size: usize,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        self.server
            .client()
            .reconnecting()
            .try_send("PUT", &format!("/photos/{key}"), "", &[], content(byte, size))
            .await
    }

    async fn assert_held(&self, objects: &[(String, u8, usize)], why: &str) {
        for (key, byte, size) in objects {
            let got = self
                .server
                .client()
                .reconnecting()
                .send("GET", &format!("/photos/{key}"), "", &[], "")
                .await;
            assert_eq!(
                (got.status.as_u16(), of_bytes(&got.body)),
                (200, told(*byte, *size)),
                "{why}: {key}"
            );
        }
    }

    /// Waits until a write works.
    async fn recovers(&self, why: &str) {
        let began = Instant::now();
        loop {
            let answers =
                [self.put("again", 6, 200_000).await, self.put("again-small", 6, 1000).await];
            if answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200))
            {
                eprintln!("{why}: serves again after {:?}", began.elapsed());
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{why}: {answers:?}\n{}",
                self.server.read_log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserve_refuses_first_and_deleting_makes_room() {
    let reserve = 64 * MIB;
    let small = Small::start(reserve).await;
    let client = small.server.client().reconnecting();
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, 200);
    let mut held = Vec::new();
    let refused = loop {
        let key = format!("k{}", held.len());
        let byte = u8::try_from(held.len()).unwrap() + 1;
        let answer = small.put(&key, byte, 8 * MIB).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        held.push((key, byte, 8 * MIB));
        assert!(held.len() < 40, "nothing was ever refused");
    };
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (507, "XMinioStorageFull"),
        "{}",
        refused.text()
    );
    assert!(held.len() >= 8, "only {} objects fit", held.len());
    let free = rustix::fs::statvfs(small.data()).unwrap();
    assert!(
        free.f_bavail * free.f_frsize >= reserve as u64,
        "the reserve was touched: {}",
        free.f_bavail * free.f_frsize
    );
    small.assert_held(&held, "at the reserve").await;
    // Reading, listing and deleting work; then writing does again.
    assert_eq!(client.send("GET", "/photos", "", &[], "").await.status, 200);
    for (key, ..) in held.split_off(held.len() - 3) {
        assert_eq!(client.send("DELETE", &format!("/photos/{key}"), "", &[], "").await.status, 204);
    }
    small.recovers("reserve").await;
    small.assert_held(&held, "with room again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_serves_again_without_a_restart() {
    let mut small = Small::start(0).await;
    let client = small.server.client().reconnecting();
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, 200);
    let mut held = Vec::new();
    for n in 0..20 {
        let size = if n % 2 == 0 { 1000 } else { 200_000 };
        assert_eq!(small.put(&format!("before{n}"), 1, size).await.unwrap().status, 200);
        held.push((format!("before{n}"), 1, size));
    }
    for round in 0..2 {
        // All the room but a little is taken from outside, as another program might.
        let filler = small.data().join("lost+found/filler");
        let free = rustix::fs::statvfs(small.data()).unwrap();
        let most = free.f_bavail * free.f_frsize - 3 * MIB as u64;
        let file = std::fs::File::create(&filler).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, most).unwrap();
        // Then writers fill the rest, with objects of both kinds at once.
        let puts = (0..8_u8).map(|writer| {
            let small = &small;
            async move {
                let (mut put, mut failed) = (Vec::new(), 0);
                for n in 0..200 {
                    let size = if (n + usize::from(writer)) % 2 == 0 { 30_000 } else { 150_000 };
                    let key = format!("full{round}-{writer}-{n}");
                    let answer = small.put(&key, writer + 1, size).await;
                    // A refusal may come before the body is read, and the connection ends with it.
                    let Ok(answer) = answer else {
                        failed += 1;
                        continue;
                    };
                    match answer.status.as_u16() {
                        200 => put.push((key, writer + 1, size)),
                        500 | 503 | 507 => failed += 1,
                        other => panic!("{other}: {}", answer.text()),
                    }
                    if failed >= 10 {
                        break;
                    }
                }
                (put, failed)
            }
        });
        let (put, failed): (Vec<_>, Vec<usize>) = join_all(puts).await.into_iter().unzip();
        let failed: usize = failed.iter().sum();
        assert!(failed >= 10, "the disk never filled up: {failed} failed");
        held.extend(put.into_iter().flatten());
        // While it is full, nothing is served wrong: what is answered is right.
        for (key, byte, size) in held.iter().take(5) {
            let got = client.send("GET", &format!("/photos/{key}"), "", &[], "").await;
            assert!(
                got.status.is_server_error() || of_bytes(&got.body) == told(*byte, *size),
                "{key}"
            );
        }
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        small.recovers(&format!("full disk, {failed} refused")).await;
        small.assert_held(&held, "with room again").await;
    }
    small.server.kill();
    small.launch().await;
    small.assert_held(&held, "after a restart").await;
}
