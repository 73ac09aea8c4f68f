//! `strace`, which kills a process at its n-th call or lets that call fail.
//!
//! It counts for each thread on its own, so the threads that work one after the other are counted apart: the one that commits,
//! and all others.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// All calls that change a file or a folder.
pub(crate) const CHANGES: &str = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,\
                                  unlink,unlinkat,link,linkat,ftruncate,fallocate,mkdir,mkdirat,copy_file_range";
/// Of these, what the threads do that don't commit. They also write to sockets, by `write` and `sendto`.
pub(crate) const BLOB_CHANGES: &str =
    "writev,pwrite64,fsync,fdatasync,rename,unlink,unlinkat,link,ftruncate,fallocate,mkdir,openat";

/// Which threads of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The one that writes the index.
    Commit,
    /// All others: blobs are written and removed there.
    Others,
}

impl Threads {
    /// The calls that matter there.
    pub(crate) fn changes(self) -> &'static str {
        match self {
            Self::Commit => CHANGES,
            Self::Others => BLOB_CHANGES,
        }
    }
}

/// A running `strace`. Ends with the value or with the process that it watches.
pub(crate) struct Strace {
    process: Child,
    log: PathBuf,
}

impl Strace {
    /// Attaches to threads of a process; `what` is said to `-e inject=<calls>:`.
    pub(crate) fn attach(pid: u32, threads: Threads, calls: &str, what: &str, log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.arg("-o").arg(log).args(["-e", &format!("trace={calls}"), "-e", "signal=none"]);
        command.args(["-e", &format!("inject={calls}:{what}")]);
        let mut count = 0;
        for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let entry = entry.unwrap();
            let Ok(name) = std::fs::read_to_string(entry.path().join("comm")) else { continue };
            let commits = name.trim() == "coffer-commit";
            if commits == (threads == Threads::Commit) {
                command.args(["-p", &entry.file_name().to_string_lossy()]);
                count += 1;
            }
        }
        assert!(count > 0, "there is no such thread");
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed");
        // It says of each thread when it is attached. Its standard error stays open, or its next word would end it.
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        for _ in 0..count {
            let line = lines.next().expect("strace runs").unwrap();
            assert!(line.contains("attached"), "{line}");
        }
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, log: log.to_owned() }
    }

    /// Ends it and says what it saw.
    pub(crate) fn finish(mut self) -> String {
        let pid = self.process.id().to_string();
        // SIGINT lets it detach first.
        drop(Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status());
        self.process.wait().unwrap();
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
