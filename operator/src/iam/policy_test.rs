//! A PolicyTest: what must be allowed and what denied, decided by the same evaluator as requests.

use coffer_crds::PolicyTest;
use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use serde_json::{Value, json};

use super::managed::{Managed, stalled};
use super::model::{Model, run};
use super::{Done, Job};
use crate::tenant::status::{Outcome, State};

impl Managed for PolicyTest {
    const KIND: &'static str = "PolicyTest";

    fn tenant_ref(&self) -> &TenantRef {
        &self.spec.tenant_ref
    }

    fn status(&self) -> Value {
        json!(self.status)
    }

    async fn apply(&self, job: &Job<'_>) -> Result<Done, Outcome> {
        let in_force = job.documents().await?;
        let inhabitants = job.world.inhabitants(&job.tenant.key);
        let mut model = Model::new(&inhabitants, &in_force, false);
        model.bound(job.tenant.boundary.as_deref());
        let failed = run(&model, self, job.now);
        let all = self.spec.cases.len();
        let passed = all.saturating_sub(failed.len());
        let outcome = match failed.first() {
            None => Outcome::new(
                State::Ready,
                Reason::Passed,
                format!("all {all} cases are decided as expected"),
            ),
            Some(first) => stalled(Reason::TestFailed, first.told(&job.of.namespace)),
        };
        // It stands until the result is another: a resource at rest is not written.
        let before = self.status.clone().unwrap_or_default();
        let same = before.passed.and_then(|n| usize::try_from(n).ok()) == Some(passed)
            && before.failed.and_then(|n| usize::try_from(n).ok()) == Some(failed.len())
            && before.observed_generation == self.metadata.generation;
        let last = before.last_run.filter(|_| same).unwrap_or_else(|| job.now.to_string());
        let status = json!({"passed": passed, "failed": failed.len(), "lastRun": last});
        let again = job.tenant.resync;
        Ok(Done { outcome, ..Done::in_force("", status, again) })
    }
}
