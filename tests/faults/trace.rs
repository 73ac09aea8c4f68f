//! `strace`: kills a process at its n-th call that changes a file, or lets that call fail.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

/// All calls that change a file or a folder; of `openat` only what makes a file counts.
const CHANGES: &str = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,\
                       unlinkat,link,linkat,ftruncate,fallocate,mkdir,mkdirat,copy_file_range,openat";
/// How long each call is held back before it is made. In that time the process is killed, if it is its turn.
const HOLD: &str = "delay_enter=25000";

/// A call on a file of the data folder, if this line of strace's begins one: its name.
fn change(line: &str) -> Option<&str> {
    let (before, arguments) = line.split_once('(')?;
    let name = before.rsplit(' ').next()?;
    let counts = CHANGES.split(',').any(|known| known.trim() == name)
        && arguments.contains("/data/")
        && (name != "openat" || arguments.contains("O_CREAT"));
    counts.then_some(name)
}

/// Holds back each call of a process that changes a file, in all its threads, in the order in which they come, and kills it
/// before the n-th.
///
/// `strace` can kill at the n-th call by itself, but counts for each thread, and which thread does what isn't fixed.
pub(crate) struct Killer {
    process: Child,
    seen: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<String>,
}

impl Killer {
    /// Attaches to a process, of which `pid` is the id.
    pub(crate) fn attach(pid: u32, n: usize) -> Self {
        let mut process = Command::new("strace")
            .args(["-f", "-y", "-s", "0", "-e", "signal=none"])
            .args(["-e", &format!("trace={CHANGES}"), "-e", &format!("inject={CHANGES}:{HOLD}")])
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        let mut output = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains("attached"), "{line}");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (found, victim) =
            (Arc::clone(&seen), Pid::from_raw(i32::try_from(pid).unwrap()).unwrap());
        let reader = std::thread::spawn(move || {
            let (mut text, mut from) = (String::new(), 0);
            let mut buffer = [0; 16 << 10];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                // A line that isn't over says already what is about to be called.
                while let Some(rest) = text.get(from..) {
                    let line = rest.lines().next().unwrap_or_default();
                    let is_over = rest.len() > line.len();
                    let name = change(line);
                    if !is_over && name.is_none() {
                        break;
                    }
                    if let Some(name) = name {
                        let mut seen = found.lock().unwrap();
                        seen.push(name.to_owned());
                        if seen.len() == n {
                            // It may be gone already, by its own.
                            let _gone = kill_process(victim, Signal::KILL);
                        }
                    }
                    from += line.len();
                    // The rest of a line that was counted is no other call.
                    while let Some(next) = text.as_bytes().get(from) {
                        from += 1;
                        if *next == b'\n' {
                            break;
                        }
                    }
                    if !is_over {
                        break;
                    }
                }
            }
            text
        });
        Self { process, seen, reader }
    }

    /// The calls so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Ends it and says all that it saw.
    pub(crate) fn finish(mut self) -> String {
        interrupt(&mut self.process);
        self.reader.join().unwrap()
    }
}

/// Which threads of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The one that writes the index.
    Commit,
    /// Those that write and remove blobs.
    Files,
}

/// Lets calls of a process fail.
pub(crate) struct Spoiler {
    process: Child,
    reader: JoinHandle<String>,
}

impl Spoiler {
    /// `calls` of these threads fail as `what` says, for instance `error=EIO:when=2+`.
    pub(crate) fn attach(pid: u32, data: &Path, threads: Threads, calls: &str, what: &str) -> Self {
        let mut command = Command::new("strace");
        command.args(["-y", "-s", "0", "-e", "signal=none"]);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:{what}")]);
        let mut tasks: Vec<(u32, String)> = std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.unwrap();
                let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
                Some((entry.file_name().to_str()?.parse().ok()?, name.trim().to_owned()))
            })
            .collect();
        tasks.sort_unstable();
        if threads == Threads::Commit {
            // That thread also wakes others and logs by `write`: only the index's files fail.
            for entry in std::fs::read_dir(data.join("index")).unwrap() {
                command.arg("-P").arg(entry.unwrap().path());
            }
        }
        // Workers write to sockets, by `writev` too. The runtime starts them first, one for each processor.
        let workers = if threads == Threads::Files && calls == "writev" {
            std::thread::available_parallelism().unwrap().get()
        } else {
            0
        };
        let wanted = match threads {
            Threads::Commit => "coffer-commit",
            Threads::Files => "tokio-rt-worker",
        };
        let mut count = 0;
        for (task, _) in tasks.iter().filter(|(_, name)| name == wanted).skip(workers) {
            command.args(["-p", &task.to_string()]);
            count += 1;
        }
        assert!(count > 0, "there is no such thread");
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        let mut output = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        for _ in 0..count {
            output.read_line(&mut line).unwrap();
        }
        assert_eq!(line.matches("attached").count(), count, "{line}");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            // Bytes that aren't UTF-8 can't come: strings are left out.
            drop(output.read_to_string(&mut text));
            text
        });
        Self { process, reader }
    }

    /// Ends it; says what failed.
    pub(crate) fn finish(mut self) -> Vec<String> {
        interrupt(&mut self.process);
        let text = self.reader.join().unwrap();
        text.lines().filter(|line| line.contains("INJECTED")).map(str::to_owned).collect()
    }
}

/// SIGINT lets it detach before it ends.
fn interrupt(strace: &mut Child) {
    if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(pid, Signal::INT);
    }
    strace.wait().unwrap();
}
