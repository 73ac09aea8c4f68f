//! Has Tenants' servers try their KMS now and then, beside everything else: a KMS that is slow holds up nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_crds::condition::Reason;
use jiff::Timestamp;

use crate::causes::with_causes;
use crate::control::{self, KmsProblem, KmsQuestion, Target};
use crate::root_credentials::RootCredentials;
use crate::tenant::kms::ValidKms;

/// How often a KMS is tried that works.
const GOOD: Duration = Duration::from_secs(15);
/// How often one is tried that doesn't.
const BAD: Duration = Duration::from_secs(2);
/// How long to wait for an answer that is on its way.
const SHORTLY: Duration = Duration::from_secs(1);
/// When to look again for an answer that wasn't there by then.
const SOON: Duration = Duration::from_millis(500);

/// What a try has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Why the KMS counts as it does; [`Reason::KmsAnswering`] alone is good.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
}

impl Seen {
    /// Whether the KMS works.
    pub fn is_good(&self) -> bool {
        self.reason == Reason::KmsAnswering
    }
}

/// What to try, and by which server.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What the answer is about: another server, other credentials or another key make the one before worthless.
    pub about: String,
    /// The server.
    pub target: Target,
    /// Who asks.
    pub root: RootCredentials,
}

/// The tries of all Tenants, by uid.
#[derive(Clone, Debug, Default)]
pub struct Prober(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug)]
struct Entry {
    about: String,
    begun: Instant,
    running: bool,
    seen: Option<Seen>,
}

impl Prober {
    /// What the last try has shown, and when to look again. Begins another try when it is time.
    pub async fn look(
        &self,
        uid: &str,
        kms: &ValidKms,
        subject: Subject,
        now: Timestamp,
    ) -> (Option<Seen>, Duration) {
        if self.is_due(uid, &subject.about) {
            let (prober, uid, kms) = (self.clone(), uid.to_owned(), kms.clone());
            let task = tokio::spawn(async move {
                let seen = try_once(&kms, &subject, now).await;
                if let Some(entry) = prober.lock().get_mut(&uid)
                    && entry.about == subject.about
                {
                    entry.running = false;
                    entry.seen = Some(seen);
                }
            });
            // Whatever comes of it is in the entry.
            drop(tokio::time::timeout(SHORTLY, task).await);
        }
        let entries = self.lock();
        let entry = entries.get(uid);
        let seen = entry.and_then(|entry| entry.seen.clone());
        let pause = match entry {
            Some(entry) if !entry.running => period(entry.seen.as_ref()),
            Some(_) | None => SOON,
        };
        (seen, pause)
    }

    /// A Tenant is gone, or has no KMS any more.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn is_due(&self, uid: &str, about: &str) -> bool {
        let mut entries = self.lock();
        let (begun, running) = (Instant::now(), true);
        match entries.get_mut(uid) {
            Some(entry) if entry.about == about => {
                let due = !entry.running && entry.begun.elapsed() >= period(entry.seen.as_ref());
                if due {
                    entry.begun = begun;
                    entry.running = running;
                }
                due
            }
            Some(_) | None => {
                let about = about.to_owned();
                entries.insert(uid.to_owned(), Entry { about, begun, running, seen: None });
                true
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn period(seen: Option<&Seen>) -> Duration {
    if seen.is_some_and(Seen::is_good) { GOOD } else { BAD }
}

async fn try_once(kms: &ValidKms, subject: &Subject, now: Timestamp) -> Seen {
    let question = match &kms.default_key {
        Some(_) => KmsQuestion::DefaultKey,
        None => KmsQuestion::Service,
    };
    match control::ask_kms(&subject.target, &subject.root, question, now).await {
        Ok(None) => answering(kms),
        Ok(Some(problem)) => failing(&problem),
        Err(cause) => Seen {
            reason: Reason::KmsUntried,
            message: format!("the server can't be asked about its KMS: {}", with_causes(&cause)),
        },
    }
}

fn answering(kms: &ValidKms) -> Seen {
    let mut message = match &kms.default_key {
        Some(key) => format!("a data key was made and opened under `{key}`"),
        None => {
            "the KMS answers; no key is proven, because spec.kms.defaultKey isn't set".to_owned()
        }
    };
    if let Some(note) = kms.provider.note() {
        message = format!("{message}; {note}");
    }
    Seen { reason: Reason::KmsAnswering, message }
}

fn failing(problem: &KmsProblem) -> Seen {
    let KmsProblem { kind, text } = problem;
    let reason = match kind.as_str() {
        "Unreachable" => Reason::KmsUnreachable,
        "Denied" => Reason::KmsDenied,
        "KeyUnusable" => Reason::KmsKeyUnusable,
        _ => Reason::KmsFailing,
    };
    Seen { reason, message: text.clone() }
}
