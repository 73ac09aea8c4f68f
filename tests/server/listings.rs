//! Listings: each name comes back exactly, whatever is in it.

use std::io::Write;
use std::process::{Command, Stdio};

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::claim::{send, server};
use crate::keys::encoded;

/// The texts of `Key` elements, read by a parser that isn't the server's.
pub(crate) fn keys_of(document: &str) -> Vec<String> {
    texts_of(document, "Key")
}

fn texts_of(document: &str, element: &str) -> Vec<String> {
    let mut reader = Reader::from_str(document);
    let (mut found, mut inside, mut text) = (Vec::new(), false, String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) if start.local_name().as_ref() == element.as_bytes() => {
                (inside, text) = (true, String::new());
            }
            Event::End(end) if end.local_name().as_ref() == element.as_bytes() => {
                inside = false;
                found.push(std::mem::take(&mut text));
            }
            Event::Text(part) if inside => text.push_str(&part.decode().unwrap()),
            Event::GeneralRef(reference) if inside => {
                let name = reference.decode().unwrap();
                match name.strip_prefix("#x") {
                    // Leniently: XML forbids references to most controls, but there is no other form for them.
                    Some(digits) => {
                        text.push(
                            char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap(),
                        );
                    }
                    None => {
                        text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap());
                    }
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

/// Undoes `encoding-type=url`.
pub(crate) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The keys of a document as Python's parser reads them, if there is a Python.
fn keys_by_python(document: &str) -> Option<Vec<String>> {
    let python = std::path::PathBuf::from(std::env::var_os("COFFER_TEST_PYTHON")?).join("python");
    let program = "import sys, json, xml.etree.ElementTree as e\n\
        root = e.fromstring(sys.stdin.buffer.read())\n\
        print(json.dumps([k.text or '' for k in root.iter() if k.tag.split('}')[-1] == 'Key']))";
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Python can't read {document}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// CVE-2013-2161.
#[tokio::test]
async fn section_6_names_come_back_exactly_from_every_listing() {
    let server = server().await;
    let client = server.client();
    let legal = [
        "<&\"'>",
        "]]>",
        "<!--",
        "a b+c%20",
        "é\u{301}🦀",
        "&lt;",
        "\t\n",
        "line\rend",
        "<Key>x</Key>",
    ];
    // XML has no form for these, not even as a reference; they come back through `encoding-type=url` from all parsers, and as
    // references to whoever reads leniently.
    let beyond = ["\u{1}\u{1f}", "nul\0", "\u{fffe}\u{ffff}"];
    let mut expected: Vec<String> =
        legal.iter().chain(&beyond).map(|key| format!("x/{key}")).collect();
    expected.sort();
    for key in &expected {
        assert_eq!(
            send(client, &format!("PUT /photos/{}", encoded(key)), &[], "x").await.status,
            200,
            "{key:?}"
        );
        assert_eq!(
            send(client, &format!("POST /photos/{}?uploads", encoded(key)), &[], "").await.status,
            200,
            "{key:?}"
        );
    }
    for query in ["prefix=x", "list-type=2&prefix=x", "versions&prefix=x", "uploads&prefix=x"] {
        let plain = send(client, &format!("GET /photos?{query}"), &[], "").await.text();
        assert_eq!(keys_of(&plain), expected, "{query}: {plain}");
        let url =
            send(client, &format!("GET /photos?{query}&encoding-type=url"), &[], "").await.text();
        let keys: Vec<String> = keys_of(&url).iter().map(|key| unescaped(key)).collect();
        assert_eq!(keys, expected, "{query}: {url}");
        if let Some(read) = keys_by_python(&url) {
            assert_eq!(
                read.iter().map(|key| unescaped(key)).collect::<Vec<_>>(),
                expected,
                "{query}: Python, {url}"
            );
        }
    }
    for key in &beyond {
        assert_eq!(
            send(client, &format!("DELETE /photos/{}", encoded(&format!("x/{key}"))), &[], "")
                .await
                .status,
            204
        );
    }
    let mut expected: Vec<String> = legal.iter().map(|key| format!("x/{key}")).collect();
    expected.sort();
    let plain = send(client, "GET /photos?prefix=x", &[], "").await.text();
    if let Some(read) = keys_by_python(&plain) {
        assert_eq!(read, expected, "Python: {plain}");
    }
    // Names that are folded, and those that the client gave, come back by the same rules.
    let folded = send(client, "GET /photos?prefix=x%2F%3C&delimiter=%26", &[], "").await.text();
    assert_eq!(texts_of(&folded, "Prefix"), ["x/<", "x/<&"], "{folded}");
    assert_eq!(texts_of(&folded, "Delimiter"), ["&"], "{folded}");
    let error = send(client, "GET /photos/%3Cscript%3E%0D%26", &[], "").await.text();
    assert!(!error.contains("<script>"), "{error}");
    server.assert_discreet();
}

#[tokio::test]
async fn pages_show_each_name_once_in_order() {
    let server = server().await;
    let client = server.client();
    assert_eq!(send(client, "PUT /pages", &[], "").await.status, 200);
    let mut expected: Vec<String> = (0..25)
        .map(|n| format!("d{}/{n:02}", n % 3))
        .chain((0..5).map(|n| format!("e{n}")))
        .collect();
    expected.sort();
    for key in &expected {
        assert_eq!(send(client, &format!("PUT /pages/{key}"), &[], "x").await.status, 200);
    }
    for size in [1, 4, 7, 30, 1000] {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page =
                send(client, &format!("GET /pages?list-type=2&max-keys={size}{token}"), &[], "")
                    .await;
            seen.extend(keys_of(&page.text()));
            match page.element("NextContinuationToken") {
                Some(next) => token = format!("&continuation-token={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{size}");
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let page =
                send(client, &format!("GET /pages?max-keys={size}&delimiter=%2F{marker}"), &[], "")
                    .await;
            let mut names = keys_of(&page.text());
            names.extend(
                coffer_tests::stored::texts(&page.text(), "CommonPrefixes")
                    .iter()
                    .map(|text| texts_of(text, "Prefix")[0].clone()),
            );
            names.sort();
            seen.extend(names);
            match page.element("NextMarker") {
                Some(next) => marker = format!("&marker={}", encoded(&next).replace('/', "%2F")),
                None => break,
            }
        }
        assert_eq!(seen, ["d0/", "d1/", "d2/", "e0", "e1", "e2", "e3", "e4"], "{size}");
    }
    // Section 10: a token of another bucket's listing only says where to begin; it opens nothing.
    let token = send(client, "GET /pages?list-type=2&max-keys=1", &[], "")
        .await
        .element("NextContinuationToken")
        .unwrap();
    let other =
        send(client, &format!("GET /other?list-type=2&continuation-token={token}"), &[], "").await;
    assert!(keys_of(&other.text()).iter().all(|key| key == "k"), "{}", other.text());
    let none = send(client, "GET /pages?max-keys=0", &[], "").await.text();
    assert!(keys_of(&none).is_empty() && none.contains("<IsTruncated>false<"), "{none}");
}
