//! Documents that are refused, each with the messages that its author reads: `refused/<kind>-<what>.json` and `.txt`.
//! With `UPDATE_REFUSED=1` the messages are written anew.

use std::path::PathBuf;

use coffer_policy::{Kind, Policy, limit};

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

/// Makes a document of so much.
type Make<'a> = &'a dyn Fn(usize) -> String;

/// Each limit, by its name in the message: as much as it allows, and one more.
#[test]
fn a_document_may_be_as_large_as_its_limits_and_no_larger() {
    let one = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#;
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let document = |statements: &str| format!(r#"{{"Statement":[{statements}]}}"#);
    let with = |members: &str| {
        document(&format!(r#"{{"Effect":"Allow","Action":"s3:GetObject",{members}}}"#))
    };
    let of_length = |length: usize| {
        let text = document(one);
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    // Of an ARN, what is matched: bucket and key.
    let arn = |length: usize| {
        let bucket = "photos/";
        let key = "k".repeat(length - bucket.len());
        with(&format!(r#""Resource":"arn:aws:s3:::{bucket}{key}""#))
    };
    let cases: [(&str, usize, Make<'_>); 8] = [
        ("bytes", limit::DOCUMENT, &of_length),
        ("statements", limit::STATEMENTS, &|count| document(&list(count, &|_| one.to_owned()))),
        ("an Id", limit::SID, &|length| {
            format!(r#"{{"Id":"{}","Statement":{one}}}"#, "i".repeat(length))
        }),
        ("a Sid", limit::SID, &|length| {
            with(&format!(r#""Sid":"{}","Resource":"*""#, "s".repeat(length)))
        }),
        ("a pattern", limit::PATTERN, &arn),
        ("an action", limit::PATTERN, &|length| {
            let stars = "*".repeat(length - 3);
            document(&format!(r#"{{"Effect":"Allow","Action":"s3:{stars}","Resource":"*"}}"#))
        }),
        ("resources", limit::VALUES, &|count| {
            let resources = list(count, &|n| format!(r#""arn:aws:s3:::b{n:03}""#));
            with(&format!(r#""Resource":[{resources}]"#))
        }),
        ("conditions", limit::CONDITIONS, &|count| {
            let keys = list(count, &|n| format!(r#""s3:ExistingObjectTag/k{n}":"v""#));
            with(&format!(r#""Resource":"*","Condition":{{"StringEquals":{{{keys}}}}}"#))
        }),
    ];
    for (name, most, make) in cases {
        let taken = Policy::parse(Kind::Identity, make(most).as_bytes());
        assert!(taken.is_ok(), "{name}: {}", taken.unwrap_err());
        let refused = Policy::parse(Kind::Identity, make(most + 1).as_bytes()).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(&most.to_string()), "{name}: {said}");
    }
}

#[test]
fn all_faults_are_told_in_one_line_each_with_its_place() {
    let bad = br#"{"Statement":[{"Effect":"allow","Action":"s3:Nothing","Resource":"*"}]}"#;
    let errors = Policy::parse(Kind::Identity, bad).unwrap_err();
    let each: Vec<String> = (&errors).into_iter().map(ToString::to_string).collect();
    assert_eq!(each.len(), 2, "{each:?}");
    assert_eq!(errors.to_string(), each.join("; "));
}

/// Whether actions and resources go together is asked only where both are listed.
#[test]
fn what_is_left_out_goes_with_everything() {
    for (statement, taken) in [
        (r#""Action":"s3:ListBucket","Resource":"arn:aws:s3:::b/*""#, false),
        (r#""NotAction":"s3:ListBucket","Resource":"arn:aws:s3:::b/*""#, true),
        (r#""Action":"s3:ListBucket","NotResource":"arn:aws:s3:::b/*""#, true),
    ] {
        let document =
            format!(r#"{{"Statement":[{{"Effect":"Deny","Principal":"*",{statement}}}]}}"#);
        let parsed = Policy::parse(Kind::Bucket("b"), document.as_bytes());
        assert_eq!(parsed.is_ok(), taken, "{statement}: {parsed:?}");
    }
}

#[test]
fn only_what_is_about_the_tenant_as_a_whole_needs_no_resource() {
    for (actions, taken) in [
        (r#""admin:ListUsers""#, true),
        (r#"["admin:*","kms:ListKeys","sts:*"]"#, true),
        (r#""s3:GetObject""#, false),
        (r#"["admin:ListUsers","s3:ListAllMyBuckets"]"#, false),
        (r#""*""#, false),
    ] {
        let document = format!(r#"{{"Statement":[{{"Effect":"Allow","Action":{actions}}}]}}"#);
        let parsed = Policy::parse(Kind::Identity, document.as_bytes());
        assert_eq!(parsed.is_ok(), taken, "{actions}: {parsed:?}");
    }
}
