//! Floods of strangers beside an honest client: it is answered, memory is bounded, and what they held is free again.
//!
//! CVE-2023-44487, CVE-2025-8671, RUSTSEC-2024-0003, RUSTSEC-2024-0332, RUSTSEC-2026-0258, CVE-2022-31028, CVE-2020-1700,
//! CVE-2019-3821, CVE-2019-9512, CVE-2019-9515, CVE-2019-9518. How fast the honest client is answered is printed, not judged: attackers and server share this machine,
//! though the attackers come last on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coffer_signature::{PayloadHash, SecretKey};
use coffer_tests::client::Client;
use coffer_tests::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, field, frame, preface,
};
use coffer_tests::server::Server;
use futures_util::future::join_all;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// More than this the server may not grow by in one flood, nor keep after all of them. In KiB.
const MAX_GROWTH: u64 = 64 << 10;

/// What the attackers do, all at once and again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    /// Connections that say nothing, many more than one source may have.
    Idle,
    /// Heads that come byte by byte.
    SlowHeads,
    /// Large objects that are asked for and not read.
    UnreadGets,
    /// The same over HTTP/2, with the window shut.
    ShutWindows,
    /// CVE-2023-44487: streams that are reset as soon as they are opened.
    RapidReset,
    /// CVE-2025-8671: streams that the server has to reset.
    MadeYouReset,
    /// A head that goes on for ever.
    Continuation,
    /// An upload of frames without content.
    EmptyData,
    /// Settings and pings, each of which wants an answer.
    SettingsAndPings,
    /// Signatures by guessing.
    WrongSignatures,
}

const ALL: [Flood; 10] = [
    Flood::Idle,
    Flood::SlowHeads,
    Flood::UnreadGets,
    Flood::ShutWindows,
    Flood::RapidReset,
    Flood::MadeYouReset,
    Flood::Continuation,
    Flood::EmptyData,
    Flood::SettingsAndPings,
    Flood::WrongSignatures,
];

impl Flood {
    /// How many attackers do it at once.
    fn attackers(self) -> usize {
        match self {
            Self::Idle => 5_000,
            Self::SlowHeads => 200,
            Self::UnreadGets | Self::ShutWindows => 64,
            Self::RapidReset
            | Self::MadeYouReset
            | Self::Continuation
            | Self::EmptyData
            | Self::SettingsAndPings
            | Self::WrongSignatures => 4,
        }
    }

    /// One attack, until the server ends it; counts what was sent.
    async fn attack(self, client: &Client, sent: &AtomicU64, pause: Duration) {
        // Whatever breaks off an attack is what it is for.
        let _ended = match self {
            Self::Idle => idle(client, sent).await,
            Self::SlowHeads => slow_head(client, sent, pause).await,
            Self::UnreadGets => unread(client, sent).await,
            Self::WrongSignatures => wrong_signatures(client, sent).await,
            Self::ShutWindows => {
                frames(client, sent, 0, |stream| {
                    let headers =
                        client.signed("GET", "/photos/large", "", &[], &PayloadHash::of(b""));
                    let end = END_STREAM | END_HEADERS;
                    (stream < 16)
                        .then(|| head(client, stream, end, "GET", "/photos/large", &headers))
                })
                .await
            }
            Self::RapidReset => {
                frames(client, sent, 65_535, |stream| {
                    let end = END_STREAM | END_HEADERS;
                    let head = head(client, stream, end, "GET", "/photos/k", &HeaderMap::new());
                    Some([head, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat())
                })
                .await
            }
            Self::MadeYouReset => {
                frames(client, sent, 65_535, |stream| {
                    let head =
                        head(client, stream, END_HEADERS, "POST", "/photos", &HeaderMap::new());
                    // A window that grows by nothing is a fault of the stream.
                    Some([head, frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes())].concat())
                })
                .await
            }
            Self::Continuation => {
                frames(client, sent, 65_535, |stream| {
                    let mut more = Vec::new();
                    field(&mut more, "x-a", &[b'a'; 1000]);
                    Some(match stream {
                        1 => head(client, 1, 0, "GET", "/photos/k", &HeaderMap::new()),
                        _ => frame(CONTINUATION, 0, 1, &more),
                    })
                })
                .await
            }
            Self::EmptyData => {
                frames(client, sent, 65_535, |stream| {
                    let headers = client.signed(
                        "PUT",
                        "/photos/empty",
                        "",
                        &[("content-length", "5")],
                        &PayloadHash::Unsigned,
                    );
                    Some(match stream {
                        1 => head(client, 1, END_HEADERS, "PUT", "/photos/empty", &headers),
                        _ => frame(DATA, 0, 1, b"").repeat(64),
                    })
                })
                .await
            }
            Self::SettingsAndPings => {
                frames(client, sent, 65_535, |_| {
                    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]);
                    Some([settings, frame(PING, 0, 0, &[7; 8])].concat().repeat(16))
                })
                .await
            }
        };
    }
}

/// The first frame of a request.
fn head(
    client: &Client,
    stream: u32,
    flags: u8,
    method: &str,
    path: &str,
    headers: &HeaderMap,
) -> Vec<u8> {
    frame(HEADERS, flags, stream, &block(method, path, &client.host(), headers))
}

async fn idle(client: &Client, sent: &AtomicU64) -> std::io::Result<()> {
    let mut stream = client.try_connect_tcp().await?;
    sent.fetch_add(1, Ordering::Relaxed);
    stream.read_to_end(&mut Vec::new()).await?;
    // Closed at once: an attacker has to breathe too.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(())
}

async fn slow_head(client: &Client, sent: &AtomicU64, pause: Duration) -> std::io::Result<()> {
    let mut stream = client.try_connect(b"http/1.1").await?;
    for byte in b"GET /photos/k HTTP/1.1\r\nhost: localhost\r\nx-a: ".iter().chain([&b'a'; 1000]) {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sent.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

async fn unread(client: &Client, sent: &AtomicU64) -> std::io::Result<()> {
    let headers = client.signed("GET", "/photos/large", "", &[], &PayloadHash::of(b""));
    let mut text = "GET /photos/large HTTP/1.1\r\n".to_owned();
    for (name, value) in &headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str("\r\n");
    let mut stream = client.try_connect(b"http/1.1").await?;
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    sent.fetch_add(1, Ordering::Relaxed);
    // Until the server gives it up; what was sent before can't be taken back.
    tokio::time::sleep(Duration::from_secs(4)).await;
    Ok(())
}

async fn wrong_signatures(client: &Client, sent: &AtomicU64) -> std::io::Result<()> {
    let mut guesser = client.clone();
    guesser.credentials.secret_key = SecretKey::new("a-guessed-secret".to_owned());
    for _ in 0..1000 {
        let answer = guesser.try_send("GET", "/photos/k", "", &[], "").await;
        let Ok(answer) = answer else { break };
        assert!(matches!(answer.status.as_u16(), 403 | 503), "{}", answer.status);
        sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Sends what `next` makes for each stream, without a pause, and throws away what is answered.
async fn frames(
    client: &Client,
    sent: &AtomicU64,
    window: u32,
    next: impl Fn(u32) -> Option<Vec<u8>>,
) -> std::io::Result<()> {
    let stream: TlsStream<TcpStream> = client.try_connect(b"h2").await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(1..) = reader.read(&mut buffer).await {}
    };
    let write = async {
        writer.write_all(&preface(window)).await?;
        for stream in (1..u32::MAX / 2).step_by(2) {
            let Some(bytes) = next(stream) else { break };
            writer.write_all(&bytes).await?;
            sent.fetch_add(1, Ordering::Relaxed);
            if stream % 128 == 1 {
                tokio::task::yield_now().await;
            }
        }
        writer.flush().await?;
        std::future::pending::<std::io::Result<()>>().await
    };
    tokio::select! {
        () = read => Ok(()),
        end = write => end,
    }
}

/// Attackers on a thread of their own, so that they share no more than the machine with the honest client.
struct Attack {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Attack {
    fn start(flood: Flood, client: &Client, pause: Duration) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        // A stranger: it is another address than the honest client's.
        let client = client.from_address([127, 0, 0, 2]);
        let thread = std::thread::spawn(move || {
            // Strangers have processors of their own: what their side costs must not be what the honest client waits for.
            rustix::process::setpriority_process(None, 19).unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let attackers = (0..flood.attackers()).map(|_| async {
                    loop {
                        flood.attack(&client, &counted, pause).await;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                });
                let stopped = async {
                    while !stopped.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                tokio::select! {
                    _ = join_all(attackers) => {}
                    () = stopped => {}
                }
            });
        });
        Self { stop, sent, thread: Some(thread) }
    }

    /// Ends it, and says how much was sent.
    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

/// How an honest client fared.
struct Fared {
    latencies: Vec<Duration>,
    /// The most that the server held, in KiB.
    resident: u64,
    /// The most descriptors that it held.
    descriptors: usize,
}

impl Fared {
    fn percentile(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() * percent / 100).min(self.latencies.len() - 1)]
    }
}

/// Writes and reads as an honest client does, every tenth time over a new connection.
async fn honest(server: &Server, time: Duration) -> Fared {
    let kept = server.client();
    let mut fared = Fared { latencies: Vec::new(), resident: 0, descriptors: 0 };
    let began = Instant::now();
    let body = vec![7; 4096];
    for n in 0.. {
        if began.elapsed() >= time {
            break;
        }
        let client = if n % 10 == 9 { kept.reconnecting() } else { kept.clone() };
        let start = Instant::now();
        let answer = if n % 4 == 0 {
            client.try_send("PUT", "/photos/honest", "", &[], body.clone()).await
        } else {
            client.try_send("GET", "/photos/honest", "", &[], "").await
        };
        fared.latencies.push(start.elapsed());
        let answer = answer.expect("an honest client is answered");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(n % 4 == 0 || answer.body == body, "an honest client gets what it wrote");
        if n % 16 == 0 {
            fared.resident = fared.resident.max(server.resident());
            fared.descriptors = fared.descriptors.max(server.descriptors());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    fared.latencies.sort_unstable();
    fared
}

async fn floods(time: Duration, idle: u64) {
    // The attackers of this test are signed where they have to be, and guess without a limit but the server's own.
    let server = Server::start_with(&[
        ("COFFER_LOG", "info"),
        ("COFFER_IDLE_SECONDS", &idle.to_string()),
        ("COFFER_FAILED_SIGNATURES_PER_MINUTE", "120"),
    ])
    .await;
    let client = server.client();
    for (path, body) in [
        ("/photos", Vec::new()),
        ("/photos/k", b"hello world".to_vec()),
        ("/photos/honest", vec![7; 4096]),
        ("/photos/large", vec![7; 32 << 20]),
    ] {
        let answer = client.send("PUT", path, "", &[], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let quiet = honest(&server, time).await;
    let (base, resident) = (server.descriptors(), server.resident());
    eprintln!(
        "quiet: p50 {:?}, p99 {:?} of {} requests; {} MiB, {base} descriptors",
        quiet.percentile(50),
        quiet.percentile(99),
        quiet.latencies.len(),
        resident >> 10
    );
    let only = std::env::var("COFFER_FAULTS_FLOOD").unwrap_or_default();
    for flood in ALL {
        if !only.is_empty() && only != format!("{flood:?}") {
            continue;
        }
        let pause = Duration::from_secs(idle) / 4;
        let before = server.resident();
        let attack = Attack::start(flood, client, pause);
        // The first moments are the attack's beginning.
        tokio::time::sleep(time / 10).await;
        let fared = honest(&server, time).await;
        let sent = attack.end();
        eprintln!(
            "{flood:?}: {sent} sent; p50 {:?}, p99 {:?} ({:.1} times quiet) of {} requests; {} MiB, {} descriptors at the peak",
            fared.percentile(50),
            fared.percentile(99),
            fared.percentile(99).as_secs_f64() / quiet.percentile(99).as_secs_f64(),
            fared.latencies.len(),
            fared.resident >> 10,
            fared.descriptors,
        );
        assert!(sent > 0, "{flood:?}: nothing was sent");
        assert!(
            fared.resident <= before + MAX_GROWTH,
            "{flood:?}: {} KiB, {before} before",
            fared.resident
        );
        let deadline = Instant::now() + Duration::from_secs(3 * idle + 10);
        while server.descriptors() > base + 4 {
            assert!(
                Instant::now() < deadline,
                "{flood:?}: {} descriptors, {base} before",
                server.descriptors()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let answer = client.send("GET", "/photos/k", "", &[], "").await;
    assert_eq!(answer.text(), "hello world");
    let after = server.resident();
    assert!(after <= resident + MAX_GROWTH, "{after} KiB, {resident} before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_client_is_answered_beside_each_flood() {
    floods(Duration::from_millis(1500), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes six minutes and the whole machine"]
async fn an_honest_client_is_answered_beside_each_flood_for_30_seconds() {
    floods(Duration::from_secs(30), 10).await;
}
