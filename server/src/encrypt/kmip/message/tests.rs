use super::*;

fn key() -> KeyName {
    "photos".parse().unwrap()
}

/// An answer with these batch items.
fn answer(major: i32, batch: Vec<Vec<Item>>) -> Vec<u8> {
    let count = i32::try_from(batch.len()).unwrap();
    let version = vec![
        Item::integer(PROTOCOL_VERSION_MAJOR, major),
        Item::integer(PROTOCOL_VERSION_MINOR, 4),
    ];
    let header = Item::structure(
        RESPONSE_HEADER,
        vec![Item::structure(PROTOCOL_VERSION, version), Item::integer(BATCH_COUNT, count)],
    );
    let batch = batch.into_iter().map(|items| Item::structure(BATCH_ITEM, items));
    let items = std::iter::once(header).chain(batch).collect();
    Item::structure(RESPONSE_MESSAGE, items).encode().unwrap().to_vec()
}

fn done(operation: u32, id: Option<u32>, payload: Vec<Item>) -> Vec<Item> {
    let mut items = vec![Item::enumeration(OPERATION, operation)];
    items.extend(id.map(|id| Item::bytes(UNIQUE_BATCH_ITEM_ID, &id.to_be_bytes())));
    items.push(Item::enumeration(RESULT_STATUS, 0));
    items.push(Item::structure(RESPONSE_PAYLOAD, payload));
    items
}

fn failed(reason: u32, text: &str) -> Vec<Item> {
    vec![
        Item::enumeration(RESULT_STATUS, 1),
        Item::enumeration(RESULT_REASON, reason),
        Item::text(RESULT_MESSAGE, text),
    ]
}

#[test]
fn a_request_is_what_the_specification_says() {
    let bytes = request(&[Operation::LocateName(&key())]).unwrap();
    let message = Item::decode(&bytes).unwrap();
    let header = message.one(REQUEST_HEADER).unwrap();
    assert_eq!(header.one(BATCH_COUNT).unwrap().as_integer(), Ok(1));
    let item = message.one(BATCH_ITEM).unwrap();
    assert_eq!(item.one(OPERATION).unwrap().as_enumeration(), Ok(8));
    assert!(item.perhaps(UNIQUE_BATCH_ITEM_ID).unwrap().is_none(), "of one needs none");
    assert_eq!(names(item.one(REQUEST_PAYLOAD).unwrap()), Ok(vec!["photos"]));
    let two = request(&[Operation::Names("a"), Operation::State("b")]).unwrap();
    let two = Item::decode(&two).unwrap();
    let ids: Vec<_> = two
        .all(BATCH_ITEM)
        .map(|item| item.one(UNIQUE_BATCH_ITEM_ID).unwrap().as_bytes().unwrap().to_vec())
        .collect();
    assert_eq!(ids, [[0, 0, 0, 0], [0, 0, 0, 1]]);
}

#[test]
fn an_answer_belongs_to_its_operations() {
    let one = [Operation::Names("a")];
    let two = [Operation::Names("a"), Operation::State("b")];
    let text = |text| vec![Item::text(UNIQUE_IDENTIFIER, text)];
    let told = |bytes: &[u8], operations: &[Operation<'_>]| {
        outcomes(bytes, operations).map(|outcomes| {
            let id = |payload: Item| id(&payload).map(str::to_owned).unwrap_or_default();
            outcomes.into_iter().map(|outcome| outcome.map(id)).collect::<Vec<_>>()
        })
    };
    let ok = |text: &str| Ok::<_, Failed>(text.to_owned());
    assert_eq!(told(&answer(1, vec![done(11, None, text("a"))]), &one), Ok(vec![ok("a")]));
    let swapped = vec![done(11, Some(1), text("b")), done(11, Some(0), text("a"))];
    assert_eq!(told(&answer(1, swapped), &two), Ok(vec![ok("a"), ok("b")]));
    let refused = Failed { reason: Reason::Unknown, said: "result 1, reason 0x3 who".to_owned() };
    let unknown = answer(1, vec![failed(3, "who\n")]);
    assert_eq!(told(&unknown, &two), Ok(vec![Err(refused.clone()), Err(refused)]));
    for (name, bytes, operations) in [
        ("another operation", answer(1, vec![done(31, None, text("a"))]), &one[..]),
        ("another version", answer(2, vec![done(11, None, text("a"))]), &one),
        ("nothing", answer(1, Vec::new()), &one),
        ("one for two", answer(1, vec![done(11, Some(0), text("a"))]), &two),
        (
            "the same twice",
            answer(1, vec![done(11, Some(0), text("a")), done(11, Some(0), text("a"))]),
            &two,
        ),
        (
            "without ids",
            answer(1, vec![done(11, None, text("a")), done(11, None, text("b"))]),
            &two,
        ),
        ("a request", request(&one).unwrap().to_vec(), &one),
    ] {
        assert!(told(&bytes, operations).is_err(), "{name}");
    }
}

#[test]
fn a_failure_has_a_meaning_and_a_text_for_a_person() {
    for (number, reason) in [
        (0x01, Reason::NotFound),
        (0x03, Reason::Unknown),
        (0x05, Reason::Unsupported),
        (0x0a, Reason::Crypto),
        (0x0c, Reason::Refused),
        (0x35, Reason::Exists),
        (0x100, Reason::Passing),
        (0x04, Reason::Other),
        (0x7777, Reason::Other),
    ] {
        let bytes = answer(1, vec![failed(number, "no\u{1b}[2J")]);
        let told = outcomes(&bytes, &[Operation::Destroy("a")]).unwrap().remove(0).unwrap_err();
        assert_eq!(told.reason, reason, "{number:#x}");
        assert!(told.said.contains("no") && !told.said.contains('\u{1b}'), "{}", told.said);
    }
    let pending = vec![
        Item::enumeration(OPERATION, 20),
        Item::enumeration(RESULT_STATUS, 2),
        Item::enumeration(RESULT_REASON, 1),
    ];
    let told = outcomes(&answer(1, vec![pending]), &[Operation::Destroy("a")]).unwrap();
    assert_eq!(told[0].as_ref().unwrap_err().reason, Reason::Other, "later is no answer");
}

#[test]
fn a_key_is_usable_when_it_is_active_and_may() {
    let state = |number| attribute("State", Item::enumeration(ATTRIBUTE_VALUE, number));
    let mask = |bits| attribute("Cryptographic Usage Mask", Item::integer(ATTRIBUTE_VALUE, bits));
    for (name, attributes, expected) in [
        ("active", vec![state(2)], Some(true)),
        ("and may", vec![state(2), mask(0xff)], Some(true)),
        ("only encrypts", vec![state(2), mask(4)], Some(false)),
        ("not yet active", vec![state(1), mask(12)], Some(false)),
        ("no more active", vec![state(3), mask(12)], Some(false)),
        ("no state", vec![mask(12)], None),
        ("two states", vec![state(2), state(3)], None),
    ] {
        let payload = Item::structure(RESPONSE_PAYLOAD, attributes);
        assert_eq!(is_usable(&payload).ok(), expected, "{name}");
    }
}
