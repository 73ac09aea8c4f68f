//! Servers with users: written to the data folder before the start, with the key that the server is then given.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use coffer_policy::{Kind, Policy};
use coffer_server::iam::draft::{Holder, NewAccessKey};
use coffer_server::iam::entity::{Parent, Status};
use coffer_server::iam::name::Name;
use coffer_server::iam::{Draft, Iam, Refused, SealingKeys};
use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_store::{Settings, Store};
use coffer_tests::client::{Client, now};
use coffer_tests::identity;
use coffer_tests::server::Server;
use tempfile::TempDir;

/// A server with what `edit` makes.
pub(crate) async fn server_of(edit: impl Fn(&mut Draft) -> Result<(), Refused>) -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    change_in(folder.path(), edit).await;
    Server::start_in(folder, &[]).await
}

/// Makes a change while the server doesn't run.
pub(crate) async fn change(server: &Server, edit: impl Fn(&mut Draft) -> Result<(), Refused>) {
    change_in(server.folder(), edit).await;
}

pub(crate) async fn change_in(folder: &Path, edit: impl Fn(&mut Draft) -> Result<(), Refused>) {
    let data = Settings { reserve: 1 << 20, ..Settings::new(folder.join("data")) };
    let store = Store::open(data).await.unwrap();
    let keys = SealingKeys::read(&folder.join("iam")).unwrap();
    let iam = Iam::open(store.clone(), Arc::new(ArcSwap::from_pointee(keys))).await.unwrap();
    iam.change(edit).await.unwrap();
    // Closing waits for whoever holds the store.
    drop(iam);
    store.close().await;
}

/// An identity policy of these statements.
pub(crate) fn policy(statements: &str) -> Policy {
    Policy::parse(Kind::Identity, document(statements).as_bytes())
        .unwrap_or_else(|errors| panic!("{statements}: {errors}"))
}

/// A document of these statements.
pub(crate) fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// An Allow of these actions on everything.
pub(crate) fn allow(actions: &[&str]) -> String {
    statement("Allow", actions)
}

/// A Deny of these actions on everything.
pub(crate) fn deny(actions: &[&str]) -> String {
    statement("Deny", actions)
}

fn statement(effect: &str, actions: &[&str]) -> String {
    let actions = actions.join("\",\"");
    format!(r#"{{"Effect":"{effect}","Action":["{actions}"],"Resource":"*"}}"#)
}

/// Makes a user whose one policy has these statements; without any it has none.
pub(crate) fn user(draft: &mut Draft, name: &str, statements: &str) -> Result<(), Refused> {
    let user = Name::user(name)?;
    draft.put_user(&user, secret(name), Status::Enabled, now())?;
    if statements.is_empty() {
        return Ok(());
    }
    let own = Name::policy(&format!("of-{name}"))?;
    draft.put_policy(&own, policy(statements), now())?;
    draft.attach(&Holder::User(user), &[own], now())?;
    Ok(())
}

/// Makes an access key of a user; with statements it has a policy of its own.
pub(crate) fn access_key(
    draft: &mut Draft,
    name: &str,
    parent: Parent,
    statements: &str,
) -> Result<(), Refused> {
    let new = NewAccessKey {
        name: Name::access_key(name)?,
        secret_key: secret(name),
        parent,
        policy: (!statements.is_empty()).then(|| policy(statements)),
        label: String::new(),
        description: String::new(),
        expires: None,
    };
    draft.put_access_key(new, now())
}

/// A client that signs as this user or access key.
pub(crate) fn client_of(server: &Server, name: &str) -> Client {
    let credentials = Credentials {
        access_key_id: name.parse::<AccessKeyId>().unwrap(),
        secret_key: secret(name),
        session_token: None,
    };
    let mut client = server.client().clone();
    client.credentials = credentials;
    client
}

/// The secret of whoever has this name.
fn secret(name: &str) -> SecretKey {
    SecretKey::new(format!("secret-of-{name}"))
}
