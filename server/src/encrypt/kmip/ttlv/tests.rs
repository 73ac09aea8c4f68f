use proptest::prelude::*;

use super::*;

/// The examples of the specification, section 9.1.2.
#[test]
fn the_specifications_examples_are_read_and_written() {
    let tag = Tag::of(0x0020);
    let item = |value| Item { tag, value };
    let inner = vec![Item::enumeration(Tag::of(0x0004), 254), Item::integer(Tag::of(0x0005), 255)];
    for (name, item, expected) in [
        ("an integer", item(Value::Integer(8)), "42002002000000040000000800000000"),
        (
            "a long integer",
            item(Value::LongInteger(123_456_789_000_000_000)),
            "420020030000000801b69b4ba5749200",
        ),
        (
            "a big integer",
            item(Value::BigInteger(hex::decode("0000000003fd35eb6bc2df4618080000").unwrap())),
            "42002004000000100000000003fd35eb6bc2df4618080000",
        ),
        ("an enumeration", item(Value::Enumeration(255)), "4200200500000004000000ff00000000"),
        ("a boolean", item(Value::Boolean(true)), "42002006000000080000000000000001"),
        (
            "a text",
            item(Value::Text("Hello World".to_owned())),
            "420020070000000b48656c6c6f20576f726c640000000000",
        ),
        ("bytes", Item::bytes(tag, &[1, 2, 3]), "42002008000000030102030000000000"),
        ("a time", item(Value::DateTime(0x47DA_67F8)), "42002009000000080000000047da67f8"),
        ("an interval", item(Value::Interval(864_000)), "4200200a00000004000d2f0000000000"),
        (
            "a structure",
            item(Value::Structure(inner)),
            "42002001000000204200040500000004000000fe000000004200050200000004000000ff00000000",
        ),
    ] {
        let bytes = item.encode().unwrap();
        assert_eq!(hex::encode(&*bytes), expected, "{name}");
        let again = Item::decode(&bytes).unwrap();
        assert_eq!(format!("{again:?}"), format!("{item:?}"), "{name}");
    }
}

#[test]
fn what_is_no_ttlv_is_refused_by_its_fault() {
    let tag = Tag::of(0x0020);
    for (name, bytes, error) in [
        ("nothing", "", TtlvError::Ends),
        ("half a head", "42002002", TtlvError::Ends),
        ("no value", "4200200200000004", TtlvError::Ends),
        ("no filling", "42002002000000040000000800", TtlvError::Ends),
        ("a filling of its own", "42002002000000040000000800000001", TtlvError::Filling(tag)),
        ("a short integer", "42002002000000020008000000000000", TtlvError::Length(tag)),
        ("a long integer of four", "42002003000000040000000800000000", TtlvError::Length(tag)),
        ("an empty number", "4200200400000000", TtlvError::Length(tag)),
        ("a boolean of two", "42002006000000080000000000000002", TtlvError::Boolean(tag)),
        ("no text", "4200200700000001ff00000000000000", TtlvError::Text(tag)),
        ("no type", "4200200b000000040000000800000000", TtlvError::Type(tag, 11)),
        ("no tag", "41002002000000040000000800000000", TtlvError::Tag(Tag(0x41_0020))),
        ("two", "4200200700000000420020070000000000", TtlvError::Trailing),
        ("a piece of an item", "42002001000000044200200700000000", TtlvError::Ends),
        ("the longest length", "42002008ffffffff0000000000000000", TtlvError::Ends),
    ] {
        let told = Item::decode(&hex::decode(bytes).unwrap()).unwrap_err();
        assert_eq!(told, error, "{name}");
    }
    assert_eq!(Item::decode(&vec![0; LONGEST + 1]).unwrap_err(), TtlvError::Long);
    let nested = |depth: usize| {
        (1..depth)
            .fold(Item::structure(tag, Vec::new()), |item, _| Item::structure(tag, vec![item]))
    };
    assert!(Item::decode(&nested(DEEPEST).encode().unwrap()).is_ok());
    let deep = nested(DEEPEST + 1).encode().unwrap();
    assert_eq!(Item::decode(&deep).unwrap_err(), TtlvError::Deep);
    assert_eq!(Item::bytes(tag, &vec![0; LONGEST]).encode().unwrap_err(), TtlvError::Long);
}

#[test]
fn a_head_says_how_long_a_message_is() {
    let tag = Tag::of(0x007b);
    for (name, head, expected) in [
        ("a message", "42007b0100000020", Some(40)),
        ("another tag", "4200780100000020", None),
        ("no structure", "42007b0800000020", None),
        ("a length that can't be", "42007b0100000021", None),
        ("the longest", "42007b01000ffff8", Some(LONGEST)),
        ("too long", "42007b0100100000", None),
        ("the longest of all", "42007b01fffffff8", None),
    ] {
        let head = hex::decode(head).unwrap().try_into().unwrap();
        assert_eq!(whole(head, tag), expected, "{name}");
    }
}

#[test]
fn an_item_is_found_once_and_by_its_type() {
    let (a, b) = (Tag::of(1), Tag::of(2));
    let items = vec![Item::text(a, "x"), Item::integer(b, 1), Item::integer(b, 2)];
    let outer = Item::structure(a, items);
    assert_eq!(outer.one(a).and_then(Item::as_text), Ok("x"));
    assert_eq!(outer.one(b).unwrap_err(), TtlvError::Missing(b), "twice");
    assert_eq!(outer.one(Tag::of(3)).unwrap_err(), TtlvError::Missing(Tag::of(3)));
    assert!(outer.perhaps(Tag::of(3)).unwrap().is_none());
    assert_eq!(outer.one(a).and_then(Item::as_integer), Err(TtlvError::Missing(a)));
    assert_eq!(outer.all(b).count(), 2);
    assert_eq!(outer.as_bytes().unwrap_err(), TtlvError::Missing(a));
}

#[test]
fn bytes_are_never_shown() {
    let item = Item::structure(Tag::of(1), vec![Item::bytes(Tag::of(2), b"secret-key")]);
    let shown = format!("{item:?}");
    assert!(shown.contains("10 bytes") && !shown.contains("secret"), "{shown}");
    assert!(!shown.contains("115"), "{shown}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::Integer),
        any::<i64>().prop_map(Value::LongInteger),
        prop::collection::vec(any::<[u8; 8]>(), 1..4)
            .prop_map(|units| Value::BigInteger(units.concat())),
        any::<u32>().prop_map(Value::Enumeration),
        any::<bool>().prop_map(Value::Boolean),
        ".{0,20}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Value::Bytes(Zeroizing::new(bytes))),
        any::<i64>().prop_map(Value::DateTime),
        any::<u32>().prop_map(Value::Interval),
    ];
    leaf.prop_recursive(6, 64, 5, |value| {
        prop::collection::vec((any::<u16>(), value), 0..5).prop_map(|items| {
            let item = |(tag, value)| Item { tag: Tag::of(tag), value };
            Value::Structure(items.into_iter().map(item).collect())
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_alike(number in any::<u16>(), value in value()) {
        let item = Item { tag: Tag::of(number), value };
        let bytes = item.encode().unwrap();
        prop_assert_eq!(bytes.capacity(), bytes.len(), "all at once");
        let again = Item::decode(&bytes).unwrap();
        prop_assert_eq!(&*again.encode().unwrap(), &*bytes);
        for length in 0..bytes.len() {
            prop_assert!(Item::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_and_written_alike_or_refused(
        bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0x42), 1..12_u8, any::<u8>()], 0..200)
    ) {
        if let Ok(item) = Item::decode(&bytes) {
            prop_assert_eq!(&*item.encode().unwrap(), &bytes);
        }
    }
}
