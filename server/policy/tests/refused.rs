//! Documents that are refused, each with the messages that its author reads: `refused/<kind>-<what>.json` and `.txt`.
//! With `UPDATE_REFUSED=1` the messages are written anew.

use std::path::PathBuf;

use coffer_policy::{Kind, Policy};

#[test]
fn each_bad_document_is_refused_with_its_messages() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut seen = 0;
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap();
        let kind = match name.split_once('-').unwrap().0 {
            "identity" => Kind::Identity,
            "bucket" => Kind::Bucket("photos"),
            other => panic!("{other}"),
        };
        let errors = Policy::parse(kind, &std::fs::read(&file).unwrap()).expect_err(name);
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let found = found.join("\n") + "\n";
        let expected = file.with_extension("txt");
        if std::env::var_os("UPDATE_REFUSED").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&expected).unwrap_or_default(), "{name}");
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let found = Policy::parse(Kind::Identity, b"{\"Id\": \"\xff\"}").unwrap_err();
    assert!(found.to_string().contains("UTF-8"), "{found}");
    let found = Policy::parse(Kind::Identity, "\u{feff}{}".as_bytes()).unwrap_err();
    assert!(found.to_string().contains("line 1, column 1"), "{found}");
}
