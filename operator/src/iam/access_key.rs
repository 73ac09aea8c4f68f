//! An AccessKey: a key that acts for a user, replaced on a schedule without a gap.
//!
//! ```text
//! new key put beside the old -> tried -> written to the Secret -> overlap -> the old one removed
//! ```
//! The Secret is what is remembered. A key that was put but isn't in it is removed by the next call, which names all that there
//! shall be.

use std::time::Duration;

use coffer_crds::AccessKey;
use coffer_crds::access_key::AccessKeySpec;
use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::key_secret::{self, find, keep, prove, text};
use super::managed::{Fresh, Managed, stalled};
use super::{Done, Job};
use crate::root_credentials::RootCredentials;
use crate::tenant::found::SecretData;
use crate::tenant::status::Outcome;
use crate::tenant::validate::parse_duration;

/// In the Secret: since when its key is there.
const ROTATED: &str = "rotated";
/// The key before it, while that still works, and until when it does.
const PREVIOUS: [&str; 2] = ["previous", "previousUntil"];

/// What a Secret remembers.
#[derive(Clone, Debug)]
struct State {
    credentials: RootCredentials,
    rotated: Timestamp,
    previous: Option<Previous>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Previous {
    access_key: String,
    until: Timestamp,
}

impl State {
    fn read(data: &SecretData) -> Option<Self> {
        let time = |name| text(data, name)?.parse::<Timestamp>().ok();
        let [key, until] = PREVIOUS;
        let previous = text(data, key)
            .and_then(|access_key| Some(Previous { access_key, until: time(until)? }));
        let credentials = RootCredentials::parse(data).ok()?;
        Some(Self { credentials, rotated: time(ROTATED)?, previous })
    }

    fn write(&self, data: &mut SecretData) {
        let mut put = |name: &str, text: String| {
            data.insert(name.to_owned(), ByteString(text.into_bytes()));
        };
        put(ROTATED, self.rotated.to_string());
        if let Some(Previous { access_key, until }) = &self.previous {
            let [key, time] = PREVIOUS;
            put(key, access_key.clone());
            put(time, until.to_string());
        }
    }
}

/// When a key is replaced, and how long it works beside its successor.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    interval: Duration,
    overlap: Duration,
}

/// What is to be done now.
#[derive(Clone, Debug)]
struct Plan {
    state: State,
    is_new: bool,
}

/// Keeps the key that there is, or makes the next one. Pure but for what `make` does.
fn plan(
    kept: Option<State>,
    schedule: Option<Schedule>,
    now: Timestamp,
    make: impl FnOnce() -> Option<RootCredentials>,
) -> Option<Plan> {
    let due = |state: &State| {
        schedule.is_some_and(|schedule| after(state.rotated, schedule.interval) <= now)
    };
    match kept {
        Some(mut state) if !due(&state) => {
            state.previous = state.previous.filter(|previous| now < previous.until);
            Some(Plan { state, is_new: false })
        }
        old => {
            let overlap = schedule.map_or(Duration::ZERO, |schedule| schedule.overlap);
            let previous = old.map(|old| Previous {
                access_key: old.credentials.access_key().to_owned(),
                until: after(now, overlap),
            });
            let state = State { credentials: make()?, rotated: now, previous };
            Some(Plan { state, is_new: true })
        }
    }
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default() + Duration::from_millis(50)
}

/// What a spec says of its keys.
#[derive(Clone, Debug)]
pub struct Terms {
    policy: Option<String>,
    schedule: Option<Schedule>,
    expires: Option<Timestamp>,
}

impl Terms {
    /// Reads them.
    ///
    /// # Errors
    /// The first field that can't be used, and what to do.
    pub fn of(spec: &AccessKeySpec, now: Timestamp) -> Result<Self, Outcome> {
        let invalid = |why: String| stalled(Reason::InvalidSpec, why);
        let policy = match &spec.policy {
            None => None,
            Some(document) => Some(
                super::policy::parse(document)
                    .map_err(|why| invalid(format!("spec.policy: {why}")))?,
            ),
        };
        let schedule = match &spec.rotation {
            None => None,
            Some(rotation) => {
                let parsed = |text: &str, field: &str| {
                    let duration = parse_duration(text).filter(|duration| !duration.is_zero());
                    duration.ok_or_else(|| invalid(format!("{field}: `{text}` isn't a duration; write hours, minutes and seconds, such as `24h`")))
                };
                let interval = parsed(&rotation.interval, "spec.rotation.interval")?;
                let overlap = parsed(&rotation.overlap, "spec.rotation.overlap")?;
                Some(Schedule { interval, overlap })
            }
        };
        let expires = match &spec.expires {
            None => None,
            Some(text) => Some(text.parse::<Timestamp>().map_err(|_no_time| {
                invalid(format!(
                    "spec.expires: `{text}` isn't a time; write it as in `2027-01-31T00:00:00Z`"
                ))
            })?),
        };
        if expires.is_some_and(|expires| expires <= now) {
            return Err(stalled(
                Reason::Expired,
                "spec.expires is past: the key signs nothing any more; set a later time, or delete this resource",
            ));
        }
        Ok(Self { policy, schedule, expires })
    }

    /// Whether no key that was made at `rotated` lives longer than the Tenant allows.
    ///
    /// # Errors
    /// What to do.
    pub fn within(&self, most: Option<Duration>, rotated: Timestamp) -> Result<(), Outcome> {
        let Some(most) = most else { return Ok(()) };
        let by_rotation = self
            .schedule
            .is_some_and(|Schedule { interval, overlap }| interval.saturating_add(overlap) <= most);
        let by_end = self.expires.is_some_and(|expires| expires <= after(rotated, most));
        if by_rotation || by_end {
            return Ok(());
        }
        Err(stalled(
            Reason::BeyondBoundary,
            format!(
                "the Tenant's spec.iam.maxKeyLifetime is {} s: set spec.rotation so that interval and overlap are within it, or an earlier spec.expires",
                most.as_secs()
            ),
        ))
    }
}

impl Managed for AccessKey {
    const KIND: &'static str = "AccessKey";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let spec = &self.spec;
        let terms = Terms::of(spec, job.now)?;
        let secret_name = key_secret::name(spec.secret.as_ref(), &job.of.name);
        let kept = find(job, &secret_name).await?;
        let state = kept.as_ref().and_then(|kept| State::read(&kept.data));
        let make = || RootCredentials::generate(&mut rand::rng()).ok();
        let Some(Plan { state, is_new }) = plan(state, terms.schedule, job.now, make) else {
            return Err(stalled(Reason::Internal, "no key can be made"));
        };
        terms.within(job.tenant.max_key_lifetime, state.rotated)?;
        let Terms { policy, schedule, expires } = terms;
        let mut keys = vec![json!({
            "accessKey": state.credentials.access_key(),
            "secretKey": state.credentials.secret_key(),
        })];
        keys.extend(state.previous.iter().map(|old| json!({"accessKey": old.access_key})));
        let body = json!({
            "parent": spec.user, "keys": keys, "expires": expires, "policy": policy,
            "description": spec.description.clone().unwrap_or_default(),
        });
        let (_, fresh) = job.put("access-keys", body).await?;
        if fresh == Fresh::Yes {
            prove(job, &state.credentials).await?;
        }
        let shape = spec.secret.as_ref().and_then(|secret| secret.shape);
        let mut data = key_secret::data(&state.credentials, &job.tenant, shape);
        state.write(&mut data);
        keep(job, &secret_name, data, kept.as_ref()).await?;
        if is_new {
            tracing::info!(
                access_key = state.credentials.access_key(),
                "a new key is in the Secret"
            );
        }
        let next = schedule.map(|schedule| after(state.rotated, schedule.interval));
        let status = json!({
            "accessKey": state.credentials.access_key(),
            "secretName": secret_name,
            "nextRotation": next.map(|next| next.to_string()),
            "previous": state.previous.as_ref().map(|previous| previous.access_key.as_str()),
        });
        let times = [next, state.previous.map(|previous| previous.until), expires];
        let soonest = times.into_iter().flatten().map(|time| until(time, job.now)).min();
        let again = soonest.unwrap_or(job.tenant.resync).min(job.tenant.resync);
        Ok(Done::in_force("a request signed by it was answered", status, again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn a_key_is_replaced_when_it_is_due_and_the_old_one_works_on_for_the_overlap() {
        let schedule =
            Schedule { interval: Duration::from_mins(1), overlap: Duration::from_secs(20) };
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let at = |seconds: u64| after(start, Duration::from_secs(seconds));
        let mut rng = StdRng::seed_from_u64(1);
        let mut kept: Option<State> = None;
        let mut first = String::new();
        for (seconds, is_new, has_previous) in [
            (0, true, false),
            (59, false, false),
            (60, true, true),
            (79, false, true),
            (80, false, false),
            (300, true, true),
        ] {
            let next = || RootCredentials::generate(&mut rng).ok();
            let Plan { state, is_new: new } =
                plan(kept, Some(schedule), at(seconds), next).unwrap();
            assert_eq!((new, state.previous.is_some()), (is_new, has_previous), "at {seconds} s");
            if seconds == 0 {
                state.credentials.access_key().clone_into(&mut first);
            }
            if seconds == 60 {
                assert_eq!(state.previous.as_ref().unwrap().access_key, first);
            }
            // As the Secret remembers it.
            let mut data = state.credentials.to_data();
            state.write(&mut data);
            kept = State::read(&data);
            assert_eq!(kept.as_ref().unwrap().previous, state.previous);
        }
        let Plan { is_new, .. } = plan(kept, None, at(100_000), || None).unwrap();
        assert!(!is_new, "without a schedule it stays");
    }
    #[test]
    fn no_key_lives_longer_than_the_tenant_allows() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let hour = Some(Duration::from_hours(1));
        let rotation =
            |interval: &str, overlap: &str| json!({"interval": interval, "overlap": overlap});
        for (claim, spec, most, expected) in [
            ("for ever, and may", json!({}), None, None),
            ("for ever", json!({}), hour, Some(Reason::BeyondBoundary)),
            ("replaced in time", json!({"rotation": rotation("50m", "10m")}), hour, None),
            (
                "replaced too late",
                json!({"rotation": rotation("50m", "11m")}),
                hour,
                Some(Reason::BeyondBoundary),
            ),
            ("it ends", json!({"expires": "2026-11-24T13:00:00Z"}), hour, None),
            (
                "it ends too late",
                json!({"expires": "2026-11-24T13:00:01Z"}),
                hour,
                Some(Reason::BeyondBoundary),
            ),
            (
                "it has ended",
                json!({"expires": "2026-11-24T12:00:00Z"}),
                None,
                Some(Reason::Expired),
            ),
            ("no time", json!({"expires": "soon"}), None, Some(Reason::InvalidSpec)),
            ("no policy", json!({"policy": "{"}), None, Some(Reason::InvalidSpec)),
        ] {
            let mut spec = spec;
            spec["tenantRef"] = json!({"name": "photos"});
            spec["user"] = json!("anna");
            let spec: AccessKeySpec = serde_json::from_value(spec).unwrap();
            let told = Terms::of(&spec, now).and_then(|terms| terms.within(most, now));
            assert_eq!(told.err().map(|outcome| outcome.reason), expected, "{claim}");
        }
    }
}
