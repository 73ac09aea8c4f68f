//! The policy evaluator against a second one, written apart from it, and against foreign ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test's helpers fail the test"
)]

mod foreign;
mod generate;
mod naive;

use coffer_policy::{
    Action, Context, ContextKey, Kind, Named, Parent, Policies, Policy, Principal, PrincipalKind,
    Request, Resource, decide,
};
use generate::Generator;
use naive::{Documents, Question};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

/// Documents and questions that are compared. More are asked with `COFFER_TEST_POLICY_PAIRS`.
const PAIRS: u64 = 200_000;

#[test]
fn both_evaluators_decide_the_same() {
    let pairs =
        std::env::var("COFFER_TEST_POLICY_PAIRS").map_or(PAIRS, |pairs| pairs.parse().unwrap());
    let threads: u64 = 2;
    let counts: Vec<[u64; 3]> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || compare((thread..pairs).step_by(2))))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let [allow, deny, default] =
        counts.iter().fold([0; 3], |sum, counts| std::array::from_fn(|i| sum[i] + counts[i]));
    println!("{pairs} pairs: {allow} allowed, {deny} denied, {default} denied by default");
    // A generator that hits nothing shows nothing.
    assert!([allow, deny, default].iter().all(|count| count * 20 > pairs));
}

/// One pair for each seed; several questions would only repeat a document's mistakes.
fn compare(seeds: impl Iterator<Item = u64>) -> [u64; 3] {
    let mut counts = [0; 3];
    for seed in seeds {
        let mut generator = Generator(StdRng::seed_from_u64(seed));
        let documents = generator.documents();
        let question = generator.question();
        let expected = naive::decide(&documents, &question);
        let found = ours(&documents, &question);
        assert_eq!(found, expected, "seed {seed}\n{documents:#?}\n{question:#?}");
        counts[["Allow", "Deny", "DefaultDeny"].iter().position(|name| *name == found).unwrap()] +=
            1;
    }
    counts
}

fn ours(documents: &Documents, question: &Question) -> &'static str {
    let parse = |kind, document: &Value| {
        let text = document.to_string();
        Policy::parse(kind, text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    };
    let all = |documents: &[Value]| {
        documents.iter().map(|document| parse(Kind::Identity, document)).collect::<Vec<_>>()
    };
    let (identity, groups, limits) =
        (all(&documents.identity), all(&documents.groups), all(&documents.limits));
    let session = documents.session.as_deref().map(all);
    let boundary = documents.boundary.as_ref().map(|document| parse(Kind::Identity, document));
    let bucket = documents.bucket.as_ref().map(|document| parse(Kind::Resource, document));
    let mut context = Context::new();
    for (key, values) in &question.context {
        context.set_all(ContextKey::parse(key).unwrap(), values.iter().map(String::as_str));
    }
    let principal = Principal {
        kind: match question.kind {
            "User" => PrincipalKind::User,
            "AssumedRole" => PrincipalKind::AssumedRole,
            "Account" => PrincipalKind::Account,
            _ => PrincipalKind::Anonymous,
        },
        name: &question.name,
        arn: &question.arn,
        parent: question.parent.as_ref().map(|(name, arn)| Parent { name, arn }),
    };
    let request = Request {
        principal: &principal,
        action: Action::parse(&question.action).unwrap(),
        resource: Resource::parse(&question.resource).unwrap(),
        context: &context,
    };
    let session = session.as_deref().map(named);
    let policies = Policies {
        identity: &named(&identity),
        groups: &named(&groups),
        session: session.as_deref(),
        boundary: boundary.as_ref().map(|policy| Named { name: "boundary", policy }),
        limits: &named(&limits),
        bucket: bucket.as_ref().map(|policy| Named { name: "bucket", policy }),
    };
    decide(&policies, &request).outcome.name()
}

fn named(policies: &[Policy]) -> Vec<Named<'_>> {
    policies.iter().map(|policy| Named { name: "policy", policy }).collect()
}
