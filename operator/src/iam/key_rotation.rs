//! A KeyRotation: what a Tenant's key protects is put under another one, once.
//!
//! The server works it off and keeps where it stands; this asks for it, again and again while it runs. The server knows a rotation by the
//! resource's uid, so a restart of either goes on with it, and one that is over isn't begun a second time.

use std::time::Duration;

use coffer_crds::KeyRotation;
use coffer_crds::condition::Reason;
use coffer_crds::key_rotation::{KeyRotationStatus, RotationPhase};
use coffer_crds::reference::TenantRef;
use serde::Deserialize;
use serde_json::{Value, json};

use super::managed::{Managed, SOON, stalled, waiting};
use super::{Done, Job};
use crate::tenant::status::{Outcome, State};

/// How often it is asked whether the old key is unused, until the server has looked.
const LOOK: Duration = Duration::from_secs(5);
/// The most that is told of who names the old key.
const MOST_NAMES: usize = 32;
/// The longest error that is told, in characters.
const LONGEST_ERROR: usize = 900;

/// Where a rotation stands, as the server says it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    from: Option<String>,
    to: String,
    started: String,
    finished: Option<String>,
    stopped: Option<String>,
    pass: u32,
    #[serde(default)]
    total: u64,
    seen: u64,
    resealed: u64,
    customers: u64,
    remaining: u64,
    error: Option<String>,
    #[serde(default)]
    default_of: Vec<String>,
    old_key_unused: Option<bool>,
}

impl Managed for KeyRotation {
    const KIND: &'static str = "KeyRotation";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let before = self.status.clone().unwrap_or_default();
        let body = json!({
            "from": self.spec.from,
            "to": self.spec.to,
            // One that is over isn't begun again where the server's data are older than its end.
            "begin": before.finished.is_none(),
        });
        let answer = match job.ask("key-rotation", body).await {
            Ok(answer) => answer,
            Err(outcome) if outcome.reason == Reason::Queued => {
                return Ok(Done::told(outcome, json!({"phase": RotationPhase::Waiting}), SOON));
            }
            Err(outcome) => return Err(outcome),
        };
        if answer.is_null() {
            return Ok(forgotten(before, job.tenant.resync));
        }
        let told: Told = serde_json::from_value(answer).map_err(|_unreadable| {
            waiting(Reason::TenantNotReady, "the server's answer can't be read")
        })?;
        Ok(done(&told, before.old_key_unused, job.tenant.resync))
    }
}

/// One that is over, and the server has no memory of: its data are another's, or older.
fn forgotten(before: KeyRotationStatus, resync: Duration) -> Done {
    let outcome = if before.phase == Some(RotationPhase::Incomplete) {
        stalled(
            Reason::RotationIncomplete,
            "it is over and left something under the old key; make a new resource to go on",
        )
    } else {
        let message =
            "it is done, and the server's data don't know of it; make a new resource to be sure";
        Outcome::new(State::Ready, Reason::Rotated, message)
    };
    // What was true of other data isn't told of these.
    let before = KeyRotationStatus {
        old_key_unused: None,
        conditions: None,
        observed_generation: None,
        ..before
    };
    Done::told(outcome, json!(before), resync)
}

/// What the server says, as status and conditions.
fn done(told: &Told, known: Option<bool>, resync: Duration) -> Done {
    let Told {
        from,
        to,
        started,
        finished,
        stopped,
        pass,
        total,
        seen,
        resealed,
        customers,
        remaining,
        error,
        default_of,
        old_key_unused,
    } = told;
    // A look that the server's restart has forgotten stays told until the next one.
    let unused = old_key_unused.or(known.filter(|_| finished.is_some()));
    let (phase, outcome) = match (finished, stopped) {
        (Some(_), _) if *remaining > 0 => {
            let why = error.as_deref().unwrap_or("the server's log says why");
            let message = format!(
                "it is over and left {remaining} objects and uploads under the old key: {why}; then make a new resource"
            );
            (RotationPhase::Incomplete, stalled(Reason::RotationIncomplete, message))
        }
        (Some(_), _) => {
            let message = match (default_of.as_slice(), unused) {
                _ if from.as_ref() == Some(to) => format!(
                    "it is done: what earlier versions of `{to}` protected is under its newest one"
                ),
                ([], Some(true)) => {
                    "it is done, and the old key protects nothing any more".to_owned()
                }
                ([], Some(false)) => {
                    "it is done, but something is under the old key again: a client names it"
                        .to_owned()
                }
                ([], None) => "it is done".to_owned(),
                (defaults, _) => format!(
                    "it is done, but the old key is still the default of {}; change that, and rotate again",
                    listed(defaults)
                ),
            };
            (RotationPhase::Finished, Outcome::new(State::Ready, Reason::Rotated, message))
        }
        (None, Some(_)) => {
            let message = "it was stopped before its end; make a new resource to go on";
            (RotationPhase::Incomplete, stalled(Reason::RotationIncomplete, message))
        }
        (None, None) => {
            let waits = error.as_ref().map(|error| format!("; it waits: {error}"));
            let message = format!(
                "pass {pass}: {seen} of {total} objects looked at, {resealed} put under `{to}` so far{}",
                waits.unwrap_or_default()
            );
            (RotationPhase::Running, waiting(Reason::Rotating, message))
        }
    };
    let status = json!({
        "phase": phase,
        "to": to,
        "started": started,
        "finished": finished,
        "progress": percent(told),
        "pass": pass,
        "total": total,
        "seen": seen,
        "resealed": resealed,
        "customers": customers,
        "remaining": remaining,
        "lastError": error.as_ref().map(|error| error.chars().take(LONGEST_ERROR).collect::<String>()),
        "defaultOf": names(default_of),
        "oldKeyUnused": unused,
    });
    let again = match (phase, old_key_unused) {
        (RotationPhase::Running, _) => SOON,
        (RotationPhase::Finished, None) => LOOK.min(resync),
        (_, _) => resync,
    };
    Done::told(outcome, status, again)
}

/// How much of this pass is done; all of it only once it is.
fn percent(told: &Told) -> String {
    if told.finished.is_some() {
        return "100%".to_owned();
    }
    let seen = u128::from(told.seen).saturating_mul(100);
    let percent = seen.checked_div(u128::from(told.total)).unwrap_or(0);
    format!("{}%", percent.min(99))
}

/// Who names the old key, within what the schema takes.
fn names(default_of: &[String]) -> Option<Vec<String>> {
    let mut names: Vec<String> = default_of.iter().take(MOST_NAMES).cloned().collect();
    if default_of.len() > MOST_NAMES
        && let Some(last) = names.last_mut()
    {
        let more = default_of.len().saturating_sub(MOST_NAMES).saturating_add(1);
        *last = format!("and {more} more");
    }
    (!names.is_empty()).then_some(names)
}

/// The first of them, for a message.
fn listed(default_of: &[String]) -> String {
    let first: Vec<String> = default_of.iter().take(3).map(|name| format!("`{name}`")).collect();
    let more = default_of.len().saturating_sub(first.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn told(change: &Value) -> Told {
        let mut told = json!({
            "from": "old", "to": "new", "owner": {"resource": "KeyRotation/a/b", "uid": "1"},
            "started": "2026-03-01T12:00:00Z", "finished": null, "pass": 1, "total": 200, "seen": 50,
            "resealed": 40, "customers": 1, "remaining": 0, "error": null, "defaultOf": [], "oldKeyUnused": null,
        });
        for (name, value) in change.as_object().unwrap() {
            told[name] = value.clone();
        }
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn what_the_server_says_becomes_phase_reason_and_message() {
        let at = "2026-03-01T12:05:00Z";
        let ready = (State::Ready, Reason::Rotated, "Finished");
        for (claim, change, (state, reason, phase), says) in [
            (
                "under way",
                json!({}),
                (State::Reconciling, Reason::Rotating, "Running"),
                "pass 1: 50 of 200 objects looked at, 40 put under `new` so far",
            ),
            (
                "waiting for the KMS",
                json!({"error": "the KMS can't be reached"}),
                (State::Reconciling, Reason::Rotating, "Running"),
                "it waits: the KMS can't be reached",
            ),
            ("done", json!({"finished": at}), ready, "it is done"),
            (
                "done, and looked over",
                json!({"finished": at, "oldKeyUnused": true}),
                ready,
                "the old key protects nothing any more",
            ),
            (
                "done, and written under again",
                json!({"finished": at, "oldKeyUnused": false}),
                ready,
                "a client names it",
            ),
            (
                "done, and still a default",
                json!({"finished": at, "oldKeyUnused": false, "defaultOf": ["tenant", "bucket/a"]}),
                ready,
                "still the default of `tenant`, `bucket/a`;",
            ),
            (
                "versions of one key",
                json!({"finished": at, "from": "new"}),
                ready,
                "earlier versions of `new`",
            ),
            (
                "over, and not all of it",
                json!({"finished": at, "remaining": 3, "error": "the KMS has no key `old`"}),
                (State::Stalled, Reason::RotationIncomplete, "Incomplete"),
                "left 3 objects and uploads under the old key: the KMS has no key `old`",
            ),
            (
                "stopped",
                json!({"stopped": at}),
                (State::Stalled, Reason::RotationIncomplete, "Incomplete"),
                "stopped before its end",
            ),
        ] {
            let done = done(&told(&change), None, Duration::from_mins(5));
            assert_eq!((done.outcome.state, done.outcome.reason), (state, reason), "{claim}");
            assert!(done.outcome.message.contains(says), "{claim}: {}", done.outcome.message);
            assert_eq!(done.status["phase"], phase, "{claim}");
            // What is told is what the schema takes.
            let status = done.status.into_iter().filter(|(_, value)| !value.is_null()).collect();
            let status: KeyRotationStatus = serde_json::from_value(Value::Object(status)).unwrap();
            assert_eq!(status.to.as_deref(), Some("new"), "{claim}");
        }
    }

    #[test]
    fn a_look_that_was_forgotten_stays_told_until_the_next() {
        let finished = json!({"finished": "2026-03-01T12:05:00Z"});
        let unused = |change: &Value, known| {
            done(&told(change), known, Duration::from_mins(5)).status["oldKeyUnused"].clone()
        };
        assert_eq!(unused(&finished, Some(true)), json!(true));
        assert_eq!(unused(&finished, None), Value::Null);
        assert_eq!(unused(&json!({}), Some(true)), Value::Null);
        let again = json!({"finished": "2026-03-01T12:05:00Z", "oldKeyUnused": false});
        assert_eq!(unused(&again, Some(true)), json!(false));
    }

    #[test]
    fn progress_is_whole_only_at_the_end() {
        for (claim, change, expected) in [
            ("a quarter", json!({}), "25%"),
            ("nothing is there", json!({"total": 0, "seen": 0}), "0%"),
            ("more was written meanwhile", json!({"seen": 900}), "99%"),
            ("done", json!({"finished": "2026-03-01T12:05:00Z", "total": 0, "seen": 0}), "100%"),
        ] {
            assert_eq!(percent(&told(&change)), expected, "{claim}");
        }
    }

    #[test]
    fn no_more_names_are_told_than_the_schema_takes() {
        let many: Vec<String> = (0..40).map(|n| format!("bucket/{n}")).collect();
        let told = names(&many).unwrap();
        assert_eq!(
            (told.len(), told[30].as_str(), told[31].as_str()),
            (32, "bucket/30", "and 9 more")
        );
        assert_eq!(listed(&many), "`bucket/0`, `bucket/1`, `bucket/2` and 37 more");
        assert_eq!((names(&[]), names(&many[..1]).map(|names| names.len())), (None, Some(1)));
    }

    #[test]
    fn one_that_is_over_stays_so_though_the_server_forgot_it() {
        let before = KeyRotationStatus {
            finished: Some("2026-03-01T12:05:00Z".to_owned()),
            phase: Some(RotationPhase::Finished),
            old_key_unused: Some(true),
            ..KeyRotationStatus::default()
        };
        let after = forgotten(before.clone(), Duration::from_mins(5));
        assert_eq!((after.outcome.state, after.outcome.reason), (State::Ready, Reason::Rotated));
        assert_eq!(after.status["finished"], "2026-03-01T12:05:00Z");
        assert!(after.status.get("oldKeyUnused").is_none());
        let before = KeyRotationStatus { phase: Some(RotationPhase::Incomplete), ..before };
        let after = forgotten(before, Duration::from_mins(5));
        assert_eq!(after.outcome.reason, Reason::RotationIncomplete);
    }
}
