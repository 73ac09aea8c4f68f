//! Keys in a folder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_server::encrypt::static_key::StaticKeys;
use coffer_sse::kms::{Kms, KmsError};
use tempfile::TempDir;

use crate::suite::{self, Creation, context, name};

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (key, byte) in [("photos", 1), ("archive", 2)] {
        write(&folder, key, &format!("{}\n", STANDARD.encode([byte; 32])));
    }
    // As a kubelet mounts them.
    std::fs::create_dir(folder.path().join("..data")).unwrap();
    folder
}

fn write(folder: &TempDir, key: &str, text: &str) {
    std::fs::write(folder.path().join(key), text).unwrap();
}

#[tokio::test]
async fn passes_the_suite() {
    let folder = folder();
    let open = || StaticKeys::new(folder.path().to_owned()).unwrap();
    suite::run(&open(), &open(), Creation::Elsewhere).await;
    assert_eq!(open().list_keys().await.unwrap(), [name("archive"), name("photos")]);
}

#[tokio::test]
async fn follows_its_files() {
    let folder = folder();
    let kms = StaticKeys::new(folder.path().to_owned()).unwrap();
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    write(&folder, "photos", &STANDARD.encode([3; 32]));
    let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::Invalid(_))), "another key now: {opened:?}");
    for text in ["", "no base64", &STANDARD.encode([1; 31])] {
        write(&folder, "photos", text);
        let made = kms.generate_data_key(&name("photos"), &context("b")).await;
        assert!(matches!(made, Err(KmsError::Settings(_))), "{text:?}: {made:?}");
    }
    write(&folder, "photos", &STANDARD.encode([1; 32]));
    assert!(kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await.is_ok());
    write(&folder, "new", &STANDARD.encode([4; 32]));
    assert!(kms.generate_data_key(&name("new"), &context("b")).await.is_ok());
    std::fs::remove_file(folder.path().join("photos")).unwrap();
    let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::NoSuchKey(_))), "{opened:?}");
}
