use coffer_policy::Kind;

use super::super::Snapshot;
use super::*;

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::album/*"}]}"#;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn owner(resource: &str) -> Owner {
    Owner { resource: resource.to_owned(), uid: "1".to_owned() }
}

fn whose(resource: &str, adopt: Adopt) -> For {
    For { owner: owner(resource), adopt, ceiling: None }
}

fn name(text: &str) -> Name {
    Name::user(text).unwrap()
}

fn empty() -> Draft {
    Draft::of(&Snapshot::default())
}

/// What is made under one name, as a user, a policy and a bucket.
fn put(draft: &mut Draft, whose: &For) -> [Result<(), Refused>; 3] {
    let album = name("album");
    let user = OwnedUser {
        name: album.clone(),
        secret_key: SecretKey::new("secret-of-album".to_owned()),
        status: Status::Enabled,
        policies: BTreeSet::new(),
        groups: BTreeSet::new(),
    };
    let policy = Policy::parse(Kind::Identity, DOCUMENT.as_bytes()).unwrap();
    [
        draft.put_owned_user(&user, whose, now()),
        draft.put_owned_policy(&album, &policy, whose, now()),
        draft.put_owned_bucket(&bucket(None), whose, now()),
    ]
}

fn bucket(policy: Option<&str>) -> OwnedBucket {
    let policy = policy.map(|text| Policy::parse(Kind::Bucket("album"), text.as_bytes()).unwrap());
    OwnedBucket { name: name("album"), number: 7, created: now(), is_new: false, policy, quota: 0 }
}

/// All three of another hand.
fn of_another_hand() -> Draft {
    let mut draft = empty();
    let secret_key = SecretKey::new("secret-of-album".to_owned());
    draft.put_user(&name("album"), secret_key, Status::Enabled, now()).unwrap();
    let policy = Policy::parse(Kind::Identity, DOCUMENT.as_bytes()).unwrap();
    draft.put_policy(&name("album"), policy, now()).unwrap();
    draft
}

fn marks() -> [Marked; 3] {
    let album = name("album");
    [Marked::User(album.clone()), Marked::Policy(album.clone()), Marked::Bucket(album)]
}

#[test]
fn what_another_resource_holds_nobody_takes() {
    for adopt in [Adopt::Nothing, Adopt::LetGo, Adopt::Anything] {
        for (claim, thief, by) in [
            ("beside it", "User/team/b", MadeBy::Resource("User/team/a".to_owned())),
            ("another kind", "Bucket/team/a", MadeBy::Resource("User/team/a".to_owned())),
            ("of another namespace", "User/guest/a", MadeBy::Elsewhere),
        ] {
            let mut draft = of_another_hand();
            for made in put(&mut draft, &whose("User/team/a", Adopt::Anything)) {
                made.unwrap();
            }
            let before = marks().map(|of| draft.snapshot().mark(&of).cloned());
            for refused in put(&mut draft, &whose(thief, adopt)) {
                let Err(Refused::NotOwned { what: _, by: told }) = refused else {
                    panic!("{claim}, {adopt:?}: {refused:?}")
                };
                assert_eq!(told, by, "{claim}, {adopt:?}");
            }
            assert_eq!(marks().map(|of| draft.snapshot().mark(&of).cloned()), before, "{claim}");
            // The one that has it goes on, also one that was made anew under its name.
            let again = For {
                owner: Owner { uid: "2".to_owned(), ..owner("User/team/a") },
                ..whose("User/team/a", Adopt::Nothing)
            };
            for made in put(&mut draft, &again) {
                made.unwrap();
            }
        }
    }
}

#[test]
fn only_the_tenants_own_namespace_takes_what_another_hand_made() {
    for (adopt, expected) in [
        (Adopt::Nothing, Some(MadeBy::Hand)),
        (Adopt::LetGo, Some(MadeBy::ForeignHand)),
        (Adopt::Anything, None),
    ] {
        let mut draft = of_another_hand();
        for made in put(&mut draft, &whose("User/team/a", adopt)) {
            let by = made.err().map(|refused| match refused {
                Refused::NotOwned { what: _, by } => by,
                other => panic!("{adopt:?}: {other}"),
            });
            assert_eq!(by, expected, "{adopt:?}");
        }
    }
}

/// A bucket that stays when its resource is deleted: renamed in Git, its resource finds it again.
#[test]
fn what_was_let_go_of_is_taken_up_in_its_namespace_or_by_the_tenants_own() {
    for (claim, resource, adopt, expected) in [
        ("renamed", "Bucket/guest/b", Adopt::LetGo, None),
        ("made anew", "Bucket/guest/a", Adopt::LetGo, None),
        ("without a word", "Bucket/guest/a", Adopt::Nothing, Some(MadeBy::Hand)),
        ("of a third namespace", "Bucket/other/a", Adopt::LetGo, Some(MadeBy::Elsewhere)),
        ("of a third, unasked", "Bucket/other/a", Adopt::Nothing, Some(MadeBy::Elsewhere)),
        ("of the Tenant's namespace", "Bucket/team/a", Adopt::Anything, None),
    ] {
        let mut draft = empty();
        let first = OwnedBucket { is_new: true, ..bucket(None) };
        draft.put_owned_bucket(&first, &whose("Bucket/guest/a", Adopt::Nothing), now()).unwrap();
        draft.release(&owner("Bucket/guest/a"), None, now()).unwrap();
        let by = match draft.put_owned_bucket(&bucket(None), &whose(resource, adopt), now()) {
            Ok(()) => None,
            Err(Refused::NotOwned { what: _, by }) => Some(by),
            Err(other) => panic!("{claim}: {other}"),
        };
        assert_eq!(by, expected, "{claim}");
        let mark = draft.snapshot().mark(&Marked::Bucket(name("album"))).cloned().unwrap();
        assert_eq!(mark.owner.resource == resource, expected.is_none(), "{claim}");
    }
}

#[test]
fn what_a_bucket_gives_is_held_to_the_boundary_after_its_resource_too() {
    let ceiling = Some(name("ceiling"));
    let guest = For { ceiling: ceiling.clone(), ..whose("Bucket/guest/a", Adopt::Nothing) };
    let released = || {
        let mut draft = empty();
        let first = OwnedBucket { is_new: true, ..bucket(Some(OPEN)) };
        draft.put_owned_bucket(&first, &guest, now()).unwrap();
        draft.release(&guest.owner, None, now()).unwrap();
        draft
    };
    let mut draft = released();
    assert_eq!(draft.snapshot().ceiling_of_bucket(&name("album")), ceiling.as_ref());
    // Another hand's policy isn't the resource's any more.
    let policy = bucket(Some(OPEN)).policy.unwrap();
    let album = name("album");
    draft
        .put_bucket_policy(BucketPolicy { bucket: album, number: 7, policy, updated: now() })
        .unwrap();
    assert_eq!(draft.snapshot().ceiling_of_bucket(&name("album")), None);
    // It doesn't hold up the boundary's own end.
    let mut draft = released();
    let policy = Policy::parse(Kind::Identity, DOCUMENT.as_bytes()).unwrap();
    let own = whose("Policy/team/ceiling", Adopt::Nothing);
    draft.put_owned_policy(&name("ceiling"), &policy, &own, now()).unwrap();
    draft.release(&own.owner, None, now()).unwrap();
    // One that is deleted with its resource leaves nothing.
    let mut draft = empty();
    let first = OwnedBucket { is_new: true, ..bucket(None) };
    draft.put_owned_bucket(&first, &guest, now()).unwrap();
    draft.release(&guest.owner, Some(&name("album")), now()).unwrap();
    assert!(draft.snapshot().mark(&Marked::Bucket(name("album"))).is_none());
}

#[test]
fn the_description_of_an_access_key_follows_its_resource() {
    let mut draft = empty();
    let secret_key = SecretKey::new("secret-of-album".to_owned());
    draft.put_user(&name("alice"), secret_key.clone(), Status::Enabled, now()).unwrap();
    let keys = |description: &str| OwnedKeys {
        parent: name("alice"),
        keys: vec![(name("uploads"), Some(secret_key.clone()))],
        policy: None,
        expires: None,
        description: description.to_owned(),
    };
    let whose = whose("AccessKey/team/uploads", Adopt::Nothing);
    for description in ["first", "second", ""] {
        draft.put_owned_keys(&keys(description), &whose, now()).unwrap();
        let key = draft.snapshot().access_key("uploads").unwrap();
        assert_eq!(key.description, description);
    }
    let settled = draft.snapshot().access_key("uploads").cloned().unwrap();
    draft.put_owned_keys(&keys(""), &whose, now()).unwrap();
    let again = draft.snapshot().access_key("uploads").unwrap();
    assert!(Arc::ptr_eq(&settled, again), "nothing is written where it is so");
}
