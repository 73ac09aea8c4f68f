use std::path::Path;

use coffer_policy::Kind;
use coffer_policy::Policy;
use coffer_signature::SecretKey;
use coffer_store::Settings;
use jiff::Timestamp;
use tempfile::TempDir;

use super::draft::{AccessKeyChange, Holder, NewAccessKey};
use super::entity::{Parent, Status};
use super::name::Name;
use super::seal::tests::keys;
use super::*;

const CANARY: &str = "canary-secret-71c4";

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::user(text).unwrap()
}

fn secret() -> SecretKey {
    SecretKey::new(CANARY.to_owned())
}

fn document() -> Policy {
    let text = br#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::canary-bucket/*"}]}"#;
    Policy::parse(Kind::Identity, text).unwrap()
}

fn access_key(name: &str, parent: Parent) -> NewAccessKey {
    NewAccessKey {
        name: Name::access_key(name).unwrap(),
        secret_key: secret(),
        parent,
        policy: None,
        label: String::new(),
        description: String::new(),
        expires: None,
    }
}

async fn store(folder: &Path) -> Store {
    Store::open(Settings { reserve: 1 << 20, ..Settings::new(folder.join("data")) }).await.unwrap()
}

async fn open(store: &Store, current: u8, previous: Option<u8>) -> Result<Iam, IamError> {
    let keys = Arc::new(ArcSwap::from_pointee(keys(current, previous)));
    Iam::open(store.clone(), keys).await
}

/// A user `alice` in the group `staff`, who has the policy `read`, and an access key of her.
async fn populate(iam: &Iam) {
    iam.change(|draft| {
        draft.put_policy(&name("read"), document(), now())?;
        draft.put_user(&name("alice"), secret(), Status::Enabled, now())?;
        draft.add_members(&name("staff"), &[name("alice")], now())?;
        draft.attach(&Holder::Group(name("staff")), &[name("read")], now())?;
        draft.attach(&Holder::User(name("alice")), &[name("readwrite")], now())?;
        draft.put_access_key(access_key("alicekey", Parent::User(name("alice"))), now())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_there_after_a_start() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    populate(&iam).await;
    for iam in [iam, open(&store, 1, None).await.unwrap()] {
        let snapshot = iam.snapshot();
        assert_eq!(snapshot.revision(), 1);
        let alice = snapshot.user("alice").unwrap();
        let policies = |named: Vec<coffer_policy::Named<'_>>| {
            named.iter().map(|named| named.name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(policies(snapshot.policies_of(alice)), ["readwrite"]);
        assert_eq!(policies(snapshot.group_policies_of(alice)), ["read"]);
        assert_eq!(snapshot.members(&name("staff")).collect::<Vec<_>>(), [&name("alice")]);
        assert!(snapshot.signer("alice", now()).is_some());
        let Some(snapshot::Signer::AccessKey(key, Some(parent))) =
            snapshot.signer("alicekey", now())
        else {
            panic!("the access key signs nothing")
        };
        assert_eq!((key.name.as_str(), parent.name.as_str()), ("alicekey", "alice"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_can_be_read_in_the_store() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    populate(&open(&store, 1, None).await.unwrap()).await;
    store.close().await;
    let (mut files, mut folders) = (0, vec![folder.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for canary in [CANARY, "canary-bucket"] {
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{canary} in {}", path.display());
            }
        }
    }
    assert!(files > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_opens_nothing_and_the_previous_one_is_replaced() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    populate(&open(&store, 1, None).await.unwrap()).await;
    let error = open(&store, 2, None).await.unwrap_err();
    assert!(matches!(error, IamError::Unreadable { .. }), "{error}");
    open(&store, 2, Some(1)).await.unwrap();
    assert!(open(&store, 2, None).await.unwrap().snapshot().user("alice").is_some());
    assert!(open(&store, 1, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    populate(&iam).await;
    let result = iam
        .change(|draft| {
            draft.put_user(&name("bob"), secret(), Status::Enabled, now())?;
            draft.delete_policy(&name("read"))
        })
        .await;
    let Err(IamError::Refused(refused)) = result else { panic!("not refused") };
    assert_eq!(
        refused.to_string(),
        "the policy `read` is attached to group `staff`; detach it first"
    );
    assert!(iam.snapshot().user("bob").is_none());
    assert_eq!(store.iam_revision().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_made_again_inherits_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    populate(&iam).await;
    iam.change(|draft| draft.delete_user(&name("alice"))).await.unwrap();
    assert!(iam.snapshot().signer("alicekey", now()).is_none());
    iam.change(|draft| draft.put_user(&name("alice"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    for iam in [iam, open(&store, 1, None).await.unwrap()] {
        let snapshot = iam.snapshot();
        let alice = snapshot.user("alice").unwrap();
        assert!(alice.policies.is_empty() && alice.groups.is_empty());
        assert_eq!(snapshot.members(&name("staff")).count(), 0);
        assert!(snapshot.access_key("alicekey").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_or_expired_signs_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    populate(&iam).await;
    let signs = |key: &str, now| iam.snapshot().signer(key, now).is_some();
    iam.change(|draft| draft.set_user_status(&name("alice"), Status::Disabled, now()))
        .await
        .unwrap();
    assert!(!signs("alice", now()) && !signs("alicekey", now()));
    iam.change(|draft| draft.set_user_status(&name("alice"), Status::Enabled, now()))
        .await
        .unwrap();
    let end = now() + jiff::SignedDuration::from_hours(1);
    let key = name("alicekey");
    let change = AccessKeyChange { expires: Some(Some(end)), ..AccessKeyChange::default() };
    iam.change(|draft| draft.change_access_key(&key, change.clone(), now())).await.unwrap();
    assert!(signs("alicekey", now()) && !signs("alicekey", end));
    let change = AccessKeyChange { status: Some(Status::Disabled), ..AccessKeyChange::default() };
    iam.change(|draft| draft.change_access_key(&key, change.clone(), now())).await.unwrap();
    assert!(!signs("alicekey", now()) && signs("alice", now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_store_never_overwrite_each_other() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let (one, two) = (open(&store, 1, None).await.unwrap(), open(&store, 1, None).await.unwrap());
    one.change(|draft| draft.put_user(&name("alice"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    two.change(|draft| draft.put_user(&name("bob"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    // It knows nothing of bob yet; its next change does.
    one.change(|draft| draft.put_user(&name("carol"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    for iam in [one, open(&store, 1, None).await.unwrap()] {
        let names: Vec<String> =
            iam.snapshot().users().iter().map(|user| user.name.to_string()).collect();
        assert_eq!(names, ["alice", "bob", "carol"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_while_the_server_runs_and_never_by_one_that_opens_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    populate(&iam).await;
    let error = iam.rotate(Arc::new(keys(2, None))).await.unwrap_err();
    assert!(error.to_string().contains("as `previous`"), "{error}");
    // The old one goes on to be used, so that there is one key for all.
    iam.change(|draft| draft.put_user(&name("bob"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    assert!(open(&store, 1, None).await.unwrap().snapshot().user("bob").is_some());

    iam.rotate(Arc::new(keys(2, Some(1)))).await.unwrap();
    iam.rotate(Arc::new(keys(2, None))).await.unwrap();
    iam.change(|draft| draft.put_user(&name("carol"), secret(), Status::Enabled, now()))
        .await
        .unwrap();
    let users = |iam: &Iam| iam.snapshot().users().len();
    assert_eq!((users(&iam), users(&open(&store, 2, None).await.unwrap())), (3, 3));
    assert!(open(&store, 1, None).await.is_err());
}

#[tokio::test]
async fn a_bucket_of_a_resource_is_there_with_its_mark_or_not_at_all() {
    use coffer_store::{BucketName, BucketSettings, StoreError};

    use super::mark::{Marked, Owner};
    use super::owned::{Adopt, For, OwnedBucket};

    let folder = TempDir::new().unwrap();
    let store = store(folder.path()).await;
    let iam = open(&store, 1, None).await.unwrap();
    let photos: BucketName = "photos".parse().unwrap();
    let whose = For {
        owner: Owner { resource: "Bucket/team/photos".to_owned(), uid: "1".to_owned() },
        adopt: Adopt::Nothing,
        ceiling: None,
    };
    let put = |draft: &mut Draft, made: &Bucket| {
        let wanted = OwnedBucket {
            name: Name::bucket(&photos),
            number: made.number,
            created: made.created,
            is_new: true,
            policy: None,
            quota: 7,
        };
        draft.put_owned_bucket(&wanted, &whose, now())
    };
    let settings = BucketSettings::default();
    let create = async |edit: &dyn Fn(&mut Draft, &Bucket) -> Result<(), Refused>| {
        iam.create_bucket(&photos, "us-east-1", &settings, now(), edit).await
    };
    // What is refused leaves neither.
    let refusing = |draft: &mut Draft, made: &Bucket| {
        put(draft, made)?;
        Err(Refused::Unsealable)
    };
    let refused = create(&refusing).await;
    assert!(matches!(refused, Err(IamError::Refused(Refused::Unsealable))));
    assert!(matches!(store.bucket(&photos).await, Err(StoreError::NoSuchBucket)));
    let of = Marked::Bucket(Name::bucket(&photos));
    assert!(iam.snapshot().mark(&of).is_none());
    // Another server changes identities meanwhile: it is tried again, on what is there now.
    let other = open(&store, 1, None).await.unwrap();
    other.change(|draft| draft.put_policy(&name("read"), document(), now())).await.unwrap();
    let made = create(&put).await.unwrap();
    assert!(iam.snapshot().stored_policy("read").is_some());
    let again = create(&put).await;
    assert!(matches!(again, Err(IamError::Store(StoreError::BucketExists))));
    // Both outlive the process.
    drop((iam, other));
    let iam = open(&store, 1, None).await.unwrap();
    assert_eq!(store.bucket(&photos).await.unwrap(), made);
    let mark = iam.snapshot().mark(&of).map(|mark| (mark.number, mark.owner.clone()));
    assert_eq!(mark, Some((made.number, whose.owner.clone())));
    assert_eq!(iam.snapshot().quota("photos", made.created), Some(7));
}
