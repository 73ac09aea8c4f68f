//! One statement.

use crate::action::{Action, ActionSet, Family, On};
use crate::document::{Effect, Polarity, Written};
use crate::fault::{Faults, Problem};
use crate::json::{Member, Node, Value};
use crate::limit;
use crate::pattern::Variables;
use crate::policy::{Kind, Resources, Statement, Who};
use crate::principal::{Listed, Principals};
use crate::resource::ResourcePattern;
use crate::suggest;

use super::condition::conditions;
use super::{object, short_text, text, unknown};

const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// A text of the document and where it began.
pub(super) type Spanned = (usize, String);

/// Reads one statement: its words, and what they mean.
pub(super) fn parse(
    kind: Kind<'_>,
    node: Node,
    path: &str,
    variables: Variables,
    faults: &mut Faults<'_>,
) -> Option<(Written, Statement)> {
    let at = node.at;
    let members = object(node, path, "a statement: an object", faults)?;
    let (mut sid, mut effect, mut condition) = (None, None, None);
    let (mut principal, mut action, mut resource) = (Pair::new(), Pair::new(), Pair::new());
    for Member { at, name, value } in members {
        let path = format!("{path}.{name}");
        match name.as_str() {
            "Sid" => sid = short_text(value, &path, faults).map(|(_, sid)| sid),
            "Effect" => effect = parse_effect(value, &path, faults),
            "Principal" | "NotPrincipal" => principal.put(at, name, value),
            "Action" | "NotAction" => action.put(at, name, value),
            "Resource" | "NotResource" => resource.put(at, name, value),
            "Condition" => condition = Some(value),
            _ => unknown(at, &name, path.trim_end_matches(&format!(".{name}")), &ELEMENTS, faults),
        }
    }
    let mut compiled = Vec::new();
    let conditions = match condition {
        Some(node) => {
            conditions(node, &format!("{path}.Condition"), variables, &mut compiled, faults)
        }
        None => Some(Vec::new()),
    };
    let effect = effect.or_else(|| {
        if !faults_within(faults, path, "Effect") {
            faults.add(at, path, Problem::Missing("Effect"));
        }
        None
    });
    let principals = principals(
        kind,
        principal.one(path, "Principal", "NotPrincipal", faults),
        effect,
        at,
        path,
        faults,
    );
    let actions = if let Some((_, name, node)) = action.one(path, "Action", "NotAction", faults) {
        strings(node, &format!("{path}.{name}"), "actions", faults)
            .map(|list| (polarity(&name), list))
    } else {
        faults.add(at, path, Problem::Missing("Action"));
        None
    };
    let sets =
        actions.as_ref().and_then(|(polarity, list)| action_sets(list, *polarity, path, faults));
    let resources = match resource.one(path, "Resource", "NotResource", faults) {
        Some((_, name, node)) => {
            let path = format!("{path}.{name}");
            strings(node, &path, "resources", faults).map(|list| Some((polarity(&name), list)))
        }
        // What acts on the tenant as a whole needs no resource: `mc` writes it so.
        None if matches!(kind, Kind::Identity)
            && actions.as_ref().is_some_and(|(_, list)| only_beside_s3(list)) =>
        {
            Some(None)
        }
        None => {
            faults.add(at, path, Problem::Missing("Resource"));
            None
        }
    };
    let patterns = match &resources {
        None => None,
        Some(None) => {
            Some(Resources { polarity: Polarity::Listed, patterns: [ResourcePattern::All].into() })
        }
        Some(Some((polarity, list))) => {
            compile_resources(kind, *polarity, list, path, variables, faults)
        }
    };
    let (effect, principals, (polarity, actions)) = (effect?, principals?, actions?);
    let (sets, patterns, resources, conditions) = (sets?, patterns?, resources?, conditions?);
    if polarity == Polarity::Listed && patterns.polarity == Polarity::Listed {
        suit(kind, &actions, &sets, &patterns.patterns, path, faults);
    }
    let mut set = ActionSet::EMPTY;
    for (_, more) in &sets {
        set.add(more);
    }
    let statement = Statement {
        sid: sid.as_deref().filter(|sid| !sid.is_empty()).map(Into::into),
        effect,
        who: principals.1,
        actions: match polarity {
            Polarity::Listed => set,
            Polarity::AllBut => set.complement(),
        },
        resources: patterns,
        conditions: compiled.into(),
    };
    let texts = |list: Vec<Spanned>| list.into_iter().map(|(_, text)| text).collect();
    let written = Written {
        sid,
        effect,
        principals: principals.0,
        actions: (polarity, texts(actions)),
        resources: resources.map(|(polarity, list)| (polarity, texts(list))),
        conditions,
    };
    Some((written, statement))
}

/// The two spellings of one element, of which at most one may stand.
struct Pair(Vec<(usize, String, Node)>);

impl Pair {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn put(&mut self, at: usize, name: String, node: Node) {
        self.0.push((at, name, node));
    }

    fn one(
        mut self,
        path: &str,
        listed: &'static str,
        all_but: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<(usize, String, Node)> {
        if self.0.len() > 1
            && let Some((at, ..)) = self.0.last()
        {
            faults.add(*at, path, Problem::Both(listed, all_but));
        }
        self.0.pop()
    }
}

fn polarity(name: &str) -> Polarity {
    if name.starts_with("Not") { Polarity::AllBut } else { Polarity::Listed }
}

/// Whether a fault of this element was already told.
fn faults_within(faults: &Faults<'_>, path: &str, element: &str) -> bool {
    faults.has(&format!("{path}.{element}"))
}

fn parse_effect(node: Node, path: &str, faults: &mut Faults<'_>) -> Option<Effect> {
    let (at, text) = text(node, path, faults)?;
    match text.as_str() {
        "Allow" => Some(Effect::Allow),
        "Deny" => Some(Effect::Deny),
        _ => {
            faults.add(at, path, Problem::Effect(text));
            None
        }
    }
}

/// One string, or a list of them that isn't empty.
fn strings(
    node: Node,
    path: &str,
    what: &'static str,
    faults: &mut Faults<'_>,
) -> Option<Vec<Spanned>> {
    let at = node.at;
    let nodes = match node.value {
        Value::List(nodes) => nodes,
        Value::Text(text) => return Some(vec![(at, text)]),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            let expected = "a string or an array of strings";
            faults.add(at, path, Problem::Type { expected, found: other.kind() });
            return None;
        }
    };
    counted(nodes.len(), at, path, what, faults)?;
    let mut texts = Vec::with_capacity(nodes.len());
    let mut good = true;
    for (i, node) in nodes.into_iter().enumerate() {
        match text(node, &format!("{path}[{i}]"), faults) {
            Some(text) => texts.push(text),
            None => good = false,
        }
    }
    good.then_some(texts)
}

pub(super) fn counted(
    found: usize,
    at: usize,
    path: &str,
    what: &'static str,
    faults: &mut Faults<'_>,
) -> Option<()> {
    let problem = match found {
        0 => Problem::Empty,
        1..=limit::VALUES => return Some(()),
        _ => Problem::TooMany { what, found, max: limit::VALUES },
    };
    faults.add(at, path, problem);
    None
}

/// The path of one value: with its place only where several could stand.
fn place(path: &str, element: &str, i: usize, of: usize) -> String {
    if of == 1 { format!("{path}.{element}") } else { format!("{path}.{element}[{i}]") }
}

type ParsedPrincipals = (Option<(Polarity, Vec<String>)>, Who);

fn principals(
    kind: Kind<'_>,
    found: Option<(usize, String, Node)>,
    effect: Option<Effect>,
    at: usize,
    path: &str,
    faults: &mut Faults<'_>,
) -> Option<ParsedPrincipals> {
    let Some((name_at, name, node)) = found else {
        if matches!(kind, Kind::Identity) {
            return Some((None, Who::Holder));
        }
        faults.add(at, path, Problem::Missing("Principal"));
        return None;
    };
    let polarity = polarity(&name);
    let element = match polarity {
        Polarity::Listed => "Principal",
        Polarity::AllBut => "NotPrincipal",
    };
    let path = format!("{path}.{element}");
    if matches!(kind, Kind::Identity) {
        faults.add(name_at, path, Problem::PrincipalHere(element));
        return None;
    }
    if polarity == Polarity::AllBut && effect == Some(Effect::Allow) {
        faults.add(name_at, &path, Problem::NotPrincipalAllow);
        return None;
    }
    let texts = match node.value {
        Value::Text(text) if text == "*" => vec![(node.at, text)],
        Value::Text(text) => {
            faults.add(
                node.at,
                path,
                Problem::PrincipalKind { name: text, reason: "the name of its kind is missing" },
            );
            return None;
        }
        Value::Object(members) => principal_map(members, node.at, &path, faults)?,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_)) => {
            let expected = "\"*\" or {\"AWS\": …}";
            faults.add(node.at, path, Problem::Type { expected, found: other.kind() });
            return None;
        }
    };
    let mut listed = Vec::new();
    let (mut everyone, mut good) = (false, true);
    let count = texts.len();
    for (i, (at, text)) in texts.iter().enumerate() {
        if text == "*" {
            everyone = true;
            continue;
        }
        match Listed::parse(text) {
            Ok(one) => listed.push(one),
            Err(problem) => {
                good = false;
                faults.add(*at, place(&path, "AWS", i, count), problem);
            }
        }
    }
    let principals = Principals { everyone, listed: listed.into() };
    let who = match polarity {
        Polarity::Listed => Who::Only(principals),
        Polarity::AllBut => Who::AllBut(principals),
    };
    let texts = texts.into_iter().map(|(_, text)| text).collect();
    good.then_some((Some((polarity, texts)), who))
}

fn principal_map(
    members: Vec<Member>,
    at: usize,
    path: &str,
    faults: &mut Faults<'_>,
) -> Option<Vec<Spanned>> {
    if members.is_empty() {
        faults.add(at, path, Problem::Empty);
        return None;
    }
    let mut found = None;
    for Member { at, name, value } in members {
        let reason = match name.as_str() {
            "AWS" => {
                found = strings(value, &format!("{path}.AWS"), "principals", faults);
                continue;
            }
            "CanonicalUser" => "there are no canonical user ids",
            "Service" => "no AWS service calls",
            "Federated" => "an identity provider is no caller, its users are",
            _ => "only AWS is known",
        };
        let path = format!("{path}.{name}");
        faults.add(at, path, Problem::PrincipalKind { name, reason });
    }
    found
}

type Sets = Vec<(String, ActionSet)>;

/// What each pattern of actions matches.
fn action_sets(
    list: &[Spanned],
    polarity: Polarity,
    path: &str,
    faults: &mut Faults<'_>,
) -> Option<Sets> {
    let element = match polarity {
        Polarity::Listed => "Action",
        Polarity::AllBut => "NotAction",
    };
    let mut sets = Vec::with_capacity(list.len());
    for (i, (at, text)) in list.iter().enumerate() {
        match action_set(text) {
            Ok(set) => sets.push((text.clone(), set)),
            Err(problem) => faults.add(*at, place(path, element, i, list.len()), problem),
        }
    }
    (sets.len() == list.len()).then_some(sets)
}

fn action_set(text: &str) -> Result<ActionSet, Problem> {
    if text.len() > limit::PATTERN {
        return Err(Problem::TooLongText { found: text.len(), max: limit::PATTERN });
    }
    if !text.contains(':') && (text.is_empty() || text.bytes().any(|byte| byte != b'*')) {
        let bare = Action::ALL.iter().filter_map(|action| action.name().split_once(':'));
        let near = bare
            .filter(|(_, bare)| bare.eq_ignore_ascii_case(text))
            .map(|(family, bare)| format!("{family}:{bare}"))
            .next();
        return Err(Problem::NoService { name: text.to_owned(), near });
    }
    let set = ActionSet::matching(text);
    if !set.is_empty() {
        return Ok(set);
    }
    let service = text.split(':').next().unwrap_or_default();
    let ours = Family::ALL.iter().any(|family| family.name().eq_ignore_ascii_case(service));
    Err(if text.contains(['*', '?']) && (ours || service.contains(['*', '?'])) {
        Problem::NoAction(text.to_owned())
    } else if ours {
        let near = suggest::near(text, Action::ALL.iter().map(|action| action.name()));
        Problem::Action { name: text.to_owned(), near }
    } else {
        Problem::Service(service.to_owned())
    })
}

/// Whether all are actions of the tenant or its keys, by their names.
fn only_beside_s3(actions: &[Spanned]) -> bool {
    actions.iter().all(|(_, text)| {
        let family = text.split_once(':').map_or("", |(family, _)| family);
        ["admin", "kms", "sts"].iter().any(|known| known.eq_ignore_ascii_case(family))
    })
}

fn compile_resources(
    kind: Kind<'_>,
    polarity: Polarity,
    list: &[Spanned],
    path: &str,
    variables: Variables,
    faults: &mut Faults<'_>,
) -> Option<Resources> {
    let element = match polarity {
        Polarity::Listed => "Resource",
        Polarity::AllBut => "NotResource",
    };
    let mut patterns = Vec::with_capacity(list.len());
    for (i, (at, text)) in list.iter().enumerate() {
        let problem = match (ResourcePattern::parse(text, variables), kind) {
            (Ok(pattern), Kind::Bucket(bucket)) if !pattern.touches(bucket) => {
                Problem::OtherBucket { resource: text.clone(), bucket: bucket.to_owned() }
            }
            (Ok(pattern), Kind::Identity | Kind::Resource | Kind::Bucket(_)) => {
                patterns.push(pattern);
                continue;
            }
            (Err(problem), _) => problem,
        };
        faults.add(*at, place(path, element, i, list.len()), problem);
    }
    (patterns.len() == list.len()).then_some(Resources { polarity, patterns: patterns.into() })
}

/// Refuses actions that can never meet the statement's resources, where that can't be meant: what acts on the tenant or a
/// key, and in the policy of a bucket everything.
fn suit(
    kind: Kind<'_>,
    actions: &[Spanned],
    sets: &[(String, ActionSet)],
    patterns: &[ResourcePattern],
    path: &str,
    faults: &mut Faults<'_>,
) {
    for (i, ((at, text), (_, set))) in actions.iter().zip(sets).enumerate() {
        if set.iter().any(|action| patterns.iter().any(|pattern| pattern.suits(action))) {
            continue;
        }
        let Some(first) = set.iter().next() else { continue };
        let remedy = |bucket: &str, key: &str| match kind {
            Kind::Bucket(name) => format!("write `arn:aws:s3:::{name}{key}`"),
            Kind::Identity | Kind::Resource => format!("write `arn:aws:s3:::{bucket}{key}`"),
        };
        let problem = match (first.family(), first.on()) {
            (Family::S3, _) if !matches!(kind, Kind::Bucket(_)) => continue,
            (_, On::Account) => Problem::NeedsAll(text.clone()),
            (_, On::Key) => Problem::NoSuchResource {
                action: text.clone(),
                on: "a key",
                remedy: "write `arn:aws:kms:::NAME` or `*`".to_owned(),
            },
            (_, On::Bucket) => Problem::NoSuchResource {
                action: text.clone(),
                on: "a bucket",
                remedy: remedy("BUCKET", ""),
            },
            (_, On::Object) => Problem::NoSuchResource {
                action: text.clone(),
                on: "objects",
                remedy: remedy("BUCKET", "/*"),
            },
        };
        faults.add(*at, place(path, "Action", i, actions.len()), problem);
    }
}
