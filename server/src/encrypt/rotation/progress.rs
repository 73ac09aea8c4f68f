//! Where a rotation stands, and what each object adds to it.

use coffer_store::Exchange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::iam::mark::Owner;
use crate::s3::encryption::reseal::{ResealError, Wanted};

/// Passes at most: whoever goes on writing under the old key is not run after for ever.
const MOST_PASSES: u32 = 10;

/// Where a rotation stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The key that is rotated away; none: all but the new one.
    pub from: Option<String>,
    /// The new key.
    pub to: String,
    /// The resource that asked for it; none: an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// When it was asked for.
    pub started: String,
    /// When it was done.
    pub finished: Option<String>,
    /// When it was stopped before its end. What was sealed anew until then stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Which time it goes over everything, from 1.
    pub pass: u32,
    /// Objects there were when this pass began.
    #[serde(default)]
    pub total: u64,
    /// Objects and uploads looked at, in this pass.
    pub seen: u64,
    /// Keys sealed anew, in all passes; what a crash took along isn't in it.
    pub resealed: u64,
    /// In this pass: objects under keys of customers, which nobody else can seal anew.
    pub customers: u64,
    /// In this pass: what couldn't be sealed anew. Once it is done, the old key still protects so many.
    pub remaining: u64,
    /// Why, the last time.
    pub error: Option<String>,
    /// In this pass: what was under the old key, sealed anew or changed meanwhile.
    #[serde(default)]
    pub(super) found: u64,
    #[serde(default)]
    pub(super) bucket_done: bool,
    #[serde(default)]
    pub(super) bucket: String,
    #[serde(default)]
    pub(super) key: String,
}

/// What came of one object or upload.
#[derive(Debug)]
pub(super) enum Step {
    Other,
    Customer,
    Resealed,
    /// It changed meanwhile: the next pass meets what is there then.
    Changed,
    Failed(ResealError),
}

impl From<Exchange> for Step {
    fn from(exchange: Exchange) -> Self {
        match exchange {
            Exchange::Done => Self::Resealed,
            Exchange::Changed => Self::Changed,
        }
    }
}

/// What comes after a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is done.
    Done,
    /// Another pass.
    Pass,
}

impl Progress {
    /// One that begins.
    pub(super) fn begun(wanted: &Wanted, owner: Option<Owner>, total: u64, now: Timestamp) -> Self {
        let Wanted { from, to } = wanted;
        Self {
            from: from.as_ref().map(|name| name.as_str().to_owned()),
            to: to.as_str().to_owned(),
            owner,
            started: now.to_string(),
            pass: 1,
            total,
            ..Self::default()
        }
    }

    /// Whether there is something to do.
    pub fn is_running(&self) -> bool {
        self.finished.is_none() && self.stopped.is_none()
    }

    /// Whether it is between versions of one key, which only the KMS tells apart.
    pub fn is_of_versions(&self) -> bool {
        self.from.as_deref() == Some(self.to.as_str())
    }

    /// Whose it is, for a person.
    pub(super) fn whose(&self) -> String {
        match &self.owner {
            Some(owner) => format!("the resource `{}`", owner.resource),
            None => "an administrator".to_owned(),
        }
    }

    pub(super) fn count(&mut self, step: Step) {
        self.seen = self.seen.saturating_add(1);
        match step {
            Step::Other => {}
            Step::Customer => self.customers = self.customers.saturating_add(1),
            Step::Resealed => {
                self.resealed = self.resealed.saturating_add(1);
                self.found = self.found.saturating_add(1);
            }
            Step::Changed => self.found = self.found.saturating_add(1),
            Step::Failed(error) => {
                self.remaining = self.remaining.saturating_add(1);
                self.error = Some(error.to_string());
            }
        }
    }

    /// What a page had counted when it was interrupted is lost: this pass isn't the last.
    pub(super) fn interrupted(self) -> Self {
        Self { found: self.found.max(1), ..self }
    }

    /// Ends a pass over everything; another one follows if it found anything. `total` are the objects that there are by now.
    pub(super) fn end_pass(&mut self, total: u64, now: Timestamp) -> Next {
        self.bucket.clear();
        self.key.clear();
        self.bucket_done = false;
        if !self.is_of_versions() && self.found > 0 && self.pass < MOST_PASSES {
            self.pass = self.pass.saturating_add(1);
            (self.seen, self.customers, self.remaining, self.found) = (0, 0, 0, 0);
            self.total = total;
            return Next::Pass;
        }
        self.finished = Some(now.to_string());
        if !self.is_of_versions() && self.found > 0 {
            // Somebody goes on writing under the old key.
            self.remaining = self.remaining.saturating_add(self.found);
            self.error = Some(format!(
                "in {MOST_PASSES} passes something was still being written under the old key; change who names it first"
            ));
        }
        Next::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(from: Option<&str>, to: &str) -> Progress {
        let key = |name: &str| name.parse().unwrap();
        let wanted = Wanted { from: from.map(key), to: key(to) };
        Progress::begun(&wanted, None, 7, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_pass_that_found_something_isnt_the_last_within_bounds() {
        for (claim, from, pass, found, next, remaining) in [
            ("nothing found", Some("old"), 1, 0, Next::Done, 0),
            ("something found", Some("old"), 1, 3, Next::Pass, 0),
            ("any key", None, 9, 1, Next::Pass, 0),
            ("somebody goes on", Some("old"), 10, 3, Next::Done, 3),
            ("versions of one key", Some("new"), 1, 3, Next::Done, 0),
        ] {
            let mut progress = begun(from, "new");
            progress.pass = pass;
            for _ in 0..found {
                progress.count(Step::Resealed);
            }
            assert_eq!(progress.end_pass(9, Timestamp::UNIX_EPOCH), next, "{claim}");
            assert_eq!((progress.remaining, progress.resealed), (remaining, found), "{claim}");
            assert_eq!(progress.is_running(), next == Next::Pass, "{claim}");
            assert_eq!(progress.error.is_some(), remaining > 0, "{claim}");
            if next == Next::Pass {
                assert_eq!(
                    (progress.pass, progress.total, progress.seen),
                    (pass + 1, 9, 0),
                    "{claim}"
                );
            }
        }
    }

    #[test]
    fn what_a_page_had_counted_when_it_broke_off_costs_another_pass() {
        let mut progress = begun(Some("old"), "new").interrupted();
        assert_eq!(progress.end_pass(0, Timestamp::UNIX_EPOCH), Next::Pass);
        assert_eq!(progress.end_pass(0, Timestamp::UNIX_EPOCH), Next::Done);
    }

    #[test]
    fn what_an_earlier_version_has_kept_is_read() {
        let kept = r#"{"from":"photos","to":"archive","started":"2026-03-01T12:00:00Z","finished":null,"pass":2,"seen":512,
            "resealed":700,"customers":1,"remaining":0,"error":null,"found":3,"bucketDone":false,"bucket":"a","key":"k"}"#;
        let progress: Progress = serde_json::from_str(kept).unwrap();
        assert!(progress.is_running() && progress.owner.is_none());
        let again: Progress =
            serde_json::from_slice(&serde_json::to_vec(&progress).unwrap()).unwrap();
        assert_eq!(again, progress);
    }
}
