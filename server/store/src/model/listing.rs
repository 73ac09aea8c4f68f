//! Listings against their definition.

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;

use super::{any_key, attributes, block_on, bucket, content, in_memory, key, object_key};
use crate::{
    Entry, ListQuery, Precondition, Start, Store, UploadAttributes, UploadEntry, UploadQuery,
};

const DELIMITERS: [&str; 8] = ["", "/", "//", "b", "\0", "ü", "a", "\u{1}"];

async fn filled(keys: &[String]) -> Store {
    let store = in_memory();
    store.create_bucket(&bucket(), "r", Timestamp::UNIX_EPOCH).await.unwrap();
    for key in keys {
        let content = content(&store, &Bytes::from_static(b"x")).await;
        let (key, now) = (object_key(key), Timestamp::UNIX_EPOCH);
        store
            .put_object(&bucket(), &key, content, attributes(b"x"), &Precondition::NONE, now)
            .await
            .unwrap();
        store.create_upload(&bucket(), &key, UploadAttributes::default(), now).await.unwrap();
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_listing_is_what_its_definition_says(
        keys in prop::collection::btree_set(any_key(), 0..24),
        prefix in prop_oneof![Just(String::new()), key(), any_key()],
        delimiter in prop::sample::select(DELIMITERS.as_slice()),
        limit in 1_usize..5,
        start in any_key(),
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let expected = folded(keys.iter(), &prefix, delimiter);
        block_on(async {
            let store = filled(&keys).await;
            let mut query = ListQuery {
                prefix: prefix.clone(),
                delimiter: Some(delimiter.to_owned()),
                start: Start::Beginning,
                limit,
            };
            let mut listed = Vec::new();
            loop {
                let page = store.list_objects(&bucket(), &query).await.unwrap();
                assert!(page.entries.len() <= limit);
                listed.extend(texts(&page.entries));
                match page.next {
                    Some(next) => query.start = next,
                    None => break,
                }
            }
            assert_eq!(listed, expected);

            query.limit = 1000;
            for (start, keeps) in [
                (Start::After(start.clone()), Box::new(|key: &&String| **key > start) as Box<dyn Fn(&&String) -> bool>),
                (Start::At(start.clone()), Box::new(|key| **key >= start)),
                (Start::AfterPrefix(start.clone()), Box::new(|key| **key > start && !key.starts_with(&start))),
            ] {
                query.start = start;
                let page = store.list_objects(&bucket(), &query).await.unwrap();
                let expected = folded(keys.iter().filter(keeps), &prefix, delimiter);
                assert_eq!(texts(&page.entries), expected, "{:?}", query.start);
            }
        });
    }

    #[test]
    fn any_listing_of_uploads_is_what_its_definition_says(
        keys in prop::collection::btree_set(any_key(), 0..12),
        prefix in prop_oneof![Just(String::new()), key(), any_key()],
        delimiter in prop::sample::select(DELIMITERS.as_slice()),
        limit in 1_usize..5,
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let expected = folded(keys.iter(), &prefix, delimiter);
        block_on(async {
            let store = filled(&keys).await;
            let mut query = UploadQuery {
                prefix: prefix.clone(),
                delimiter: Some(delimiter.to_owned()),
                limit,
                ..UploadQuery::default()
            };
            let mut listed = Vec::new();
            loop {
                let page = store.list_uploads(&bucket(), &query).await.unwrap();
                listed.extend(page.entries.iter().map(|entry| match entry {
                    UploadEntry::Upload(upload) => (upload.key.as_str().to_owned(), false),
                    UploadEntry::Prefix(prefix) => (prefix.clone(), true),
                }));
                match page.next {
                    Some(next) => query.start = next,
                    None => break,
                }
            }
            assert_eq!(listed, expected);
        });
    }
}

/// The entries that a listing must have, by the definition of prefix and delimiter.
fn folded<'a>(
    keys: impl Iterator<Item = &'a String>,
    prefix: &str,
    delimiter: &str,
) -> Vec<(String, bool)> {
    let mut entries: Vec<(String, bool)> = Vec::new();
    for key in keys.filter(|key| key.starts_with(prefix)) {
        let at = (!delimiter.is_empty())
            .then(|| key.strip_prefix(prefix).unwrap().find(delimiter))
            .flatten();
        let entry = match at {
            Some(at) => (key.split_at(prefix.len() + at + delimiter.len()).0.to_owned(), true),
            None => (key.clone(), false),
        };
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

fn texts(entries: &[Entry]) -> Vec<(String, bool)> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Object(object) => (object.key.as_str().to_owned(), false),
            Entry::Prefix(prefix) => (prefix.clone(), true),
        })
        .collect()
}
