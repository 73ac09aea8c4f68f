//! What `play` tells the person in front of it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Lines on standard output, problems on standard error.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    begin: Arc<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { begin: Arc::new(Instant::now()) }
    }
}

impl Progress {
    /// One step, with the seconds since the start.
    pub(super) fn say(&self, who: &str, what: &str) {
        Self::print(&format!("[{:6.1} s] {who}: {what}\n", self.begin.elapsed().as_secs_f64()));
    }

    /// Text as it is. A closed output is no reason to stop serving.
    #[expect(clippy::let_underscore_must_use, reason = "nobody reads any more")]
    pub(super) fn print(text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }

    /// Something that a person must act on.
    #[expect(clippy::let_underscore_must_use, reason = "nobody reads any more")]
    pub(super) fn problem(&self, what: &str) {
        let _ = writeln!(
            std::io::stderr().lock(),
            "[{:6.1} s] problem: {what}",
            self.begin.elapsed().as_secs_f64()
        );
    }
}
