//! How often, and how long, a call to a KMS is tried.

use std::time::Duration;

use coffer_sse::kms::KmsError;
use tokio::time::Instant;

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To connect, TLS included only in [`Self::attempt`].
    pub connect: Duration,
    /// One attempt.
    pub attempt: Duration,
    /// All attempts and the pauses between them.
    pub total: Duration,
    /// How many attempts.
    pub attempts: u32,
    /// The longest first pause; each further one may be twice as long. How long it is, chance decides.
    pub pause: Duration,
}

impl Default for Limits {
    /// 2 s to connect, 5 s an attempt, 10 s in all, 4 attempts, pauses from 100 ms.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            attempt: Duration::from_secs(5),
            total: Duration::from_secs(10),
            attempts: 4,
            pause: Duration::from_millis(100),
        }
    }
}

/// Whether a call may be sent again when nobody knows whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Always,
    IfNeverSent,
}

/// Why an attempt has no result.
pub(super) enum Failure {
    /// No further attempt changes it.
    Final(KmsError),
    /// It may pass; nothing was done.
    Unsent(String),
    /// It may pass; nobody knows whether anything was done.
    Broken(String),
}

/// What a service said, as a person may read it: without control characters, and not for ever.
pub(super) fn for_a_person(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

impl From<KmsError> for Failure {
    fn from(error: KmsError) -> Self {
        Self::Final(error)
    }
}

/// Attempts it, until there is a result that more attempts won't change.
///
/// # Errors
/// [`KmsError::Unreachable`] after the last attempt, and what is [`Failure::Final`].
pub(super) async fn attempts<T, A>(
    limits: Limits,
    repeat: Repeat,
    attempt: impl Fn() -> A + Send + Sync,
) -> Result<T, KmsError>
where
    A: Future<Output = Result<T, Failure>> + Send,
{
    let end = Instant::now() + limits.total;
    let mut pause = limits.pause;
    let mut count = 1;
    loop {
        let deadline = end.min(Instant::now() + limits.attempt);
        let (why, harmless) = match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(Failure::Final(error))) => return Err(error),
            Ok(Err(Failure::Unsent(why))) => (why, true),
            Ok(Err(Failure::Broken(why))) => (why, false),
            Err(_elapsed) => ("no answer in time".to_owned(), false),
        };
        let wait = pause.mul_f64(rand::random());
        let goes_on = count < limits.attempts
            && (harmless || repeat == Repeat::Always)
            && Instant::now() + wait < end;
        if !goes_on {
            return Err(KmsError::Unreachable(why));
        }
        tokio::time::sleep(wait).await;
        pause = pause.saturating_mul(2);
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_where_that_does_no_harm() {
        let broken = || Failure::Broken("broken".to_owned());
        let unsent = || Failure::Unsent("unsent".to_owned());
        let denied = || Failure::Final(KmsError::Denied("no".to_owned()));
        let cases: [(&str, &(dyn Fn() -> Failure + Sync), Repeat, u32); 6] = [
            ("broken", &broken, Repeat::Always, 4),
            ("broken, and not to be repeated", &broken, Repeat::IfNeverSent, 1),
            ("unsent", &unsent, Repeat::Always, 4),
            ("unsent, and not to be repeated", &unsent, Repeat::IfNeverSent, 4),
            ("denied", &denied, Repeat::Always, 1),
            ("denied, and not to be repeated", &denied, Repeat::IfNeverSent, 1),
        ];
        for (name, fail, repeat, expected) in cases {
            let count = AtomicU32::new(0);
            let told = attempts(Limits::default(), repeat, || async {
                count.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(fail())
            });
            assert!(told.await.is_err(), "{name}");
            assert_eq!(count.into_inner(), expected, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_in_time_whatever_happens() {
        for repeat in [Repeat::Always, Repeat::IfNeverSent] {
            let begin = Instant::now();
            let told = attempts(Limits::default(), repeat, || async {
                std::future::pending::<Result<(), Failure>>().await
            });
            assert!(matches!(told.await, Err(KmsError::Unreachable(_))));
            assert!(begin.elapsed() <= Limits::default().total, "{:?}", begin.elapsed());
        }
    }
}
