//! The messages of KMIP 1.4 that are spoken here: requests of one or more operations, and what their answers say.
//!
//! Source: KMIP Specification 1.4, chapters 4, 6, 7 and 9.

use coffer_sse::kms::KeyName;
use zeroize::Zeroizing;

use super::ttlv::{Item, Tag, TtlvError};
use crate::encrypt::attempts::for_a_person;

/// The version that is spoken: the first with authenticated encryption.
const VERSION: (i32, i32) = (1, 4);

const ATTRIBUTE: Tag = Tag::of(0x08);
const ATTRIBUTE_NAME: Tag = Tag::of(0x0a);
const ATTRIBUTE_VALUE: Tag = Tag::of(0x0b);
const BATCH_COUNT: Tag = Tag::of(0x0d);
const BATCH_ERROR_CONTINUATION_OPTION: Tag = Tag::of(0x0e);
const BATCH_ITEM: Tag = Tag::of(0x0f);
const BLOCK_CIPHER_MODE: Tag = Tag::of(0x11);
const CRYPTOGRAPHIC_ALGORITHM: Tag = Tag::of(0x28);
const CRYPTOGRAPHIC_PARAMETERS: Tag = Tag::of(0x2b);
const IV_COUNTER_NONCE: Tag = Tag::of(0x3d);
const MAXIMUM_ITEMS: Tag = Tag::of(0x4f);
const NAME_TYPE: Tag = Tag::of(0x54);
const NAME_VALUE: Tag = Tag::of(0x55);
const OBJECT_TYPE: Tag = Tag::of(0x57);
const OPERATION: Tag = Tag::of(0x5c);
const PROTOCOL_VERSION: Tag = Tag::of(0x69);
const PROTOCOL_VERSION_MAJOR: Tag = Tag::of(0x6a);
const PROTOCOL_VERSION_MINOR: Tag = Tag::of(0x6b);
const REQUEST_HEADER: Tag = Tag::of(0x77);
const REQUEST_MESSAGE: Tag = Tag::of(0x78);
const REQUEST_PAYLOAD: Tag = Tag::of(0x79);
const RESPONSE_HEADER: Tag = Tag::of(0x7a);
/// What an answer is in.
pub(super) const RESPONSE_MESSAGE: Tag = Tag::of(0x7b);
const RESPONSE_PAYLOAD: Tag = Tag::of(0x7c);
const RESULT_MESSAGE: Tag = Tag::of(0x7d);
const RESULT_REASON: Tag = Tag::of(0x7e);
const RESULT_STATUS: Tag = Tag::of(0x7f);
const TEMPLATE_ATTRIBUTE: Tag = Tag::of(0x91);
const UNIQUE_BATCH_ITEM_ID: Tag = Tag::of(0x93);
const UNIQUE_IDENTIFIER: Tag = Tag::of(0x94);
const DATA: Tag = Tag::of(0xc2);
const TAG_LENGTH: Tag = Tag::of(0xce);
const OFFSET_ITEMS: Tag = Tag::of(0xd4);
const AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA: Tag = Tag::of(0xfe);
const AUTHENTICATED_ENCRYPTION_TAG: Tag = Tag::of(0xff);

const SYMMETRIC_KEY: u32 = 2;
const AES: u32 = 3;
const GCM: u32 = 9;
const UNINTERPRETED_TEXT: u32 = 1;
/// `Encrypt` and `Decrypt` of a Cryptographic Usage Mask.
const ENCRYPT_AND_DECRYPT: i32 = 0x4 | 0x8;
/// The other operations of a message are done although one fails.
const CONTINUE: u32 = 1;
const ACTIVE: u32 = 2;

/// How long GCM's tag is, in bytes.
pub(super) const GCM_TAG: usize = 16;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Operation<'a> {
    /// Whether the version is spoken.
    DiscoverVersions,
    /// A new AES key of 256 bits.
    Create(&'a KeyName),
    /// A new key becomes one that can be used.
    Activate(&'a str),
    /// A key goes away.
    Destroy(&'a str),
    /// The ids of the keys with this name.
    LocateName(&'a KeyName),
    /// The ids of all symmetric keys, from one place on.
    LocateAll { offset: i32, maximum: i32 },
    /// What a key is called.
    Names(&'a str),
    /// Whether a key can be used.
    State(&'a str),
    /// AES-GCM.
    Encrypt { id: &'a str, iv: &'a [u8], data: &'a [u8], associated: &'a [u8] },
    /// What [`Self::Encrypt`] gave.
    Decrypt { id: &'a str, sealed: Sealed<'a>, associated: &'a [u8] },
}

/// What a service has encrypted, in the pieces in which it gave it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sealed<'a> {
    pub(super) iv: &'a [u8],
    /// Empty where the service leaves it at the end of the data.
    pub(super) tag: &'a [u8],
    pub(super) data: &'a [u8],
}

/// Why an operation wasn't done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    /// The reason's number and the service's text, for a person, without control characters.
    pub(super) said: String,
}

/// What a result reason means here. Services of KMIP 1.4 give those of 2.0 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no such object, for this client.
    NotFound,
    /// The client may not, or the key is in a state in which nobody may.
    Refused,
    /// Who the client is isn't known.
    Unknown,
    /// The service can't do it, or not so.
    Unsupported,
    /// The bytes or what they were sealed by are wrong.
    Crypto,
    /// A key of this name is there.
    Exists,
    /// The service has failed, or is too busy.
    Passing,
    /// Anything else.
    Other,
}

impl Reason {
    const fn of(number: u32) -> Self {
        match number {
            0x01 | 0x36 | 0x37 => Self::NotFound,
            0x03 => Self::Unknown,
            0x05 | 0x08 | 0x24 | 0x3e | 0x3f => Self::Unsupported,
            0x0a => Self::Crypto,
            0x0b | 0x0c | 0x0d | 0x29 | 0x39 | 0x43 => Self::Refused,
            0x18 | 0x35 => Self::Exists,
            0x2a | 0x3a | 0x44 | 0x100 => Self::Passing,
            _ => Self::Other,
        }
    }
}

/// What came of each operation of a message: its payload, or why there is none.
pub(super) type Outcomes = Vec<Result<Item, Failed>>;

impl Operation<'_> {
    const fn number(&self) -> u32 {
        match self {
            Self::Create(_) => 0x01,
            Self::LocateName(_) | Self::LocateAll { .. } => 0x08,
            Self::Names(_) | Self::State(_) => 0x0b,
            Self::Activate(_) => 0x12,
            Self::Destroy(_) => 0x14,
            Self::DiscoverVersions => 0x1e,
            Self::Encrypt { .. } => 0x1f,
            Self::Decrypt { .. } => 0x20,
        }
    }

    fn payload(&self) -> Vec<Item> {
        let id = |id: &str| Item::text(UNIQUE_IDENTIFIER, id);
        let asked = |name: &str| Item::text(ATTRIBUTE_NAME, name);
        match self {
            Self::DiscoverVersions => vec![version()],
            Self::Create(name) => vec![
                Item::enumeration(OBJECT_TYPE, SYMMETRIC_KEY),
                Item::structure(
                    TEMPLATE_ATTRIBUTE,
                    vec![
                        attribute(
                            "Cryptographic Algorithm",
                            Item::enumeration(ATTRIBUTE_VALUE, AES),
                        ),
                        attribute("Cryptographic Length", Item::integer(ATTRIBUTE_VALUE, 256)),
                        attribute(
                            "Cryptographic Usage Mask",
                            Item::integer(ATTRIBUTE_VALUE, ENCRYPT_AND_DECRYPT),
                        ),
                        named(name),
                    ],
                ),
            ],
            Self::Activate(key) | Self::Destroy(key) => vec![id(key)],
            Self::LocateName(name) => vec![
                // One more than there should be.
                Item::integer(MAXIMUM_ITEMS, 2),
                attribute("Object Type", Item::enumeration(ATTRIBUTE_VALUE, SYMMETRIC_KEY)),
                named(name),
            ],
            Self::LocateAll { offset, maximum } => vec![
                Item::integer(MAXIMUM_ITEMS, *maximum),
                Item::integer(OFFSET_ITEMS, *offset),
                attribute("Object Type", Item::enumeration(ATTRIBUTE_VALUE, SYMMETRIC_KEY)),
            ],
            Self::Names(key) => vec![id(key), asked("Name")],
            Self::State(key) => {
                vec![id(key), asked("State"), asked("Cryptographic Usage Mask")]
            }
            Self::Encrypt { id: key, iv, data, associated } => vec![
                id(key),
                gcm(),
                Item::bytes(DATA, data),
                Item::bytes(IV_COUNTER_NONCE, iv),
                Item::bytes(AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA, associated),
            ],
            Self::Decrypt { id: key, sealed: Sealed { iv, tag, data }, associated } => {
                let mut items = vec![
                    id(key),
                    gcm(),
                    Item::bytes(DATA, data),
                    Item::bytes(IV_COUNTER_NONCE, iv),
                    Item::bytes(AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA, associated),
                ];
                if !tag.is_empty() {
                    items.push(Item::bytes(AUTHENTICATED_ENCRYPTION_TAG, tag));
                }
                items
            }
        }
    }
}

fn version() -> Item {
    let (major, minor) = VERSION;
    Item::structure(
        PROTOCOL_VERSION,
        vec![
            Item::integer(PROTOCOL_VERSION_MAJOR, major),
            Item::integer(PROTOCOL_VERSION_MINOR, minor),
        ],
    )
}

fn attribute(name: &str, value: Item) -> Item {
    Item::structure(ATTRIBUTE, vec![Item::text(ATTRIBUTE_NAME, name), value])
}

fn named(name: &KeyName) -> Item {
    let value = vec![
        Item::text(NAME_VALUE, name.as_str()),
        Item::enumeration(NAME_TYPE, UNINTERPRETED_TEXT),
    ];
    attribute("Name", Item::structure(ATTRIBUTE_VALUE, value))
}

fn gcm() -> Item {
    let length = i32::try_from(GCM_TAG).unwrap_or_default();
    Item::structure(
        CRYPTOGRAPHIC_PARAMETERS,
        vec![
            Item::enumeration(BLOCK_CIPHER_MODE, GCM),
            Item::enumeration(CRYPTOGRAPHIC_ALGORITHM, AES),
            Item::integer(TAG_LENGTH, length),
        ],
    )
}

/// A message that asks for these, in this order.
///
/// # Errors
/// [`TtlvError::Long`].
pub(super) fn request(operations: &[Operation<'_>]) -> Result<Zeroizing<Vec<u8>>, TtlvError> {
    let count = i32::try_from(operations.len()).map_err(|_many| TtlvError::Long)?;
    let header = Item::structure(
        REQUEST_HEADER,
        vec![
            version(),
            Item::enumeration(BATCH_ERROR_CONTINUATION_OPTION, CONTINUE),
            Item::integer(BATCH_COUNT, count),
        ],
    );
    let item = |(at, operation): (u32, &Operation<'_>)| {
        let mut items = vec![Item::enumeration(OPERATION, operation.number())];
        if count > 1 {
            items.push(Item::bytes(UNIQUE_BATCH_ITEM_ID, &at.to_be_bytes()));
        }
        items.push(Item::structure(REQUEST_PAYLOAD, operation.payload()));
        Item::structure(BATCH_ITEM, items)
    };
    let batch = (0..).zip(operations).map(item);
    let message = std::iter::once(header).chain(batch).collect();
    Item::structure(REQUEST_MESSAGE, message).encode()
}

/// What an answer to these operations says of each.
///
/// # Errors
/// [`TtlvError`] for what is no answer to them.
pub(super) fn outcomes(answer: &[u8], operations: &[Operation<'_>]) -> Result<Outcomes, TtlvError> {
    let message = Item::decode(answer)?;
    if message.tag != RESPONSE_MESSAGE {
        return Err(TtlvError::Missing(RESPONSE_MESSAGE));
    }
    let header = message.one(RESPONSE_HEADER)?;
    let major = header.one(PROTOCOL_VERSION)?.one(PROTOCOL_VERSION_MAJOR)?.as_integer()?;
    let count = header.one(BATCH_COUNT)?.as_integer()?;
    if major != VERSION.0 {
        return Err(TtlvError::Missing(PROTOCOL_VERSION));
    }
    let batch = message.into_items().into_iter().filter(|item| item.tag == BATCH_ITEM);
    let mut results = batch.map(Answered::read).collect::<Result<Vec<_>, _>>()?;
    if usize::try_from(count) != Ok(results.len()) {
        return Err(TtlvError::Missing(BATCH_COUNT));
    }
    // A message that isn't understood, or whose sender isn't known, has one answer that names no operation.
    if let [Answered { operation: None, id: _, outcome: Err(failed) }] = results.as_slice() {
        return Ok(operations.iter().map(|_| Err(failed.clone())).collect());
    }
    if results.len() != operations.len() {
        return Err(TtlvError::Missing(BATCH_ITEM));
    }
    if operations.len() > 1 {
        // They may come in another order.
        results.sort_by(|a, b| a.id.cmp(&b.id));
    }
    let mut outcomes = Vec::with_capacity(results.len());
    for ((at, operation), answered) in (0_u32..).zip(operations).zip(results) {
        let Answered { operation: answers, id, outcome } = answered;
        if answers != Some(operation.number()) {
            return Err(TtlvError::Missing(OPERATION));
        }
        if operations.len() > 1 && id.as_deref() != Some(&at.to_be_bytes()) {
            return Err(TtlvError::Missing(UNIQUE_BATCH_ITEM_ID));
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What an answer says of one operation.
struct Answered {
    operation: Option<u32>,
    id: Option<Vec<u8>>,
    outcome: Result<Item, Failed>,
}

impl Answered {
    fn read(item: Item) -> Result<Self, TtlvError> {
        let operation = item.perhaps(OPERATION)?.map(Item::as_enumeration).transpose()?;
        let id = item.perhaps(UNIQUE_BATCH_ITEM_ID)?.map(Item::as_bytes).transpose()?;
        let id = id.map(<[u8]>::to_vec);
        let status = item.one(RESULT_STATUS)?.as_enumeration()?;
        let reason = item.perhaps(RESULT_REASON)?.map(Item::as_enumeration).transpose()?;
        let text = item.perhaps(RESULT_MESSAGE)?.map(Item::as_text).transpose()?;
        if status == 0 {
            item.perhaps(RESPONSE_PAYLOAD)?;
            let payload = item.into_items().into_iter().find(|item| item.tag == RESPONSE_PAYLOAD);
            let nothing = || Item::structure(RESPONSE_PAYLOAD, Vec::new());
            return Ok(Self { operation, id, outcome: Ok(payload.unwrap_or_else(nothing)) });
        }
        // Neither success nor failure is said of what takes longer, which nobody has asked for.
        let number = reason.filter(|_| status == 1).unwrap_or_default();
        let said = for_a_person(text.unwrap_or_default());
        let said = format!("result {status}, reason {number:#x} {}", said.trim());
        let failed = Failed { reason: Reason::of(number), said: said.trim_end().to_owned() };
        Ok(Self { operation, id, outcome: Err(failed) })
    }
}

/// Whether [`Operation::DiscoverVersions`] has found the version.
pub(super) fn speaks(payload: &Item) -> Result<bool, TtlvError> {
    for version in payload.all(PROTOCOL_VERSION) {
        let major = version.one(PROTOCOL_VERSION_MAJOR)?.as_integer()?;
        if (major, version.one(PROTOCOL_VERSION_MINOR)?.as_integer()?) == VERSION {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The object that was created.
pub(super) fn id(payload: &Item) -> Result<&str, TtlvError> {
    payload.one(UNIQUE_IDENTIFIER)?.as_text()
}

/// The objects that were located.
pub(super) fn ids(payload: &Item) -> Result<Vec<&str>, TtlvError> {
    payload.all(UNIQUE_IDENTIFIER).map(Item::as_text).collect()
}

/// What an object is called; names that are no texts are left out.
pub(super) fn names(payload: &Item) -> Result<Vec<&str>, TtlvError> {
    let mut names = Vec::new();
    for value in values(payload, "Name")? {
        if value.one(NAME_TYPE)?.as_enumeration()? == UNINTERPRETED_TEXT {
            names.push(value.one(NAME_VALUE)?.as_text()?);
        }
    }
    Ok(names)
}

/// Whether a key is active, and may encrypt and decrypt as far as the service says.
pub(super) fn is_usable(payload: &Item) -> Result<bool, TtlvError> {
    let [state] = values(payload, "State")?[..] else {
        return Err(TtlvError::Missing(ATTRIBUTE));
    };
    let may = match values(payload, "Cryptographic Usage Mask")?[..] {
        [mask] => mask.as_integer()? & ENCRYPT_AND_DECRYPT == ENCRYPT_AND_DECRYPT,
        _ => true,
    };
    Ok(may && state.as_enumeration()? == ACTIVE)
}

fn values<'a>(payload: &'a Item, name: &str) -> Result<Vec<&'a Item>, TtlvError> {
    let mut values = Vec::new();
    for attribute in payload.all(ATTRIBUTE) {
        if attribute.one(ATTRIBUTE_NAME)?.as_text()? == name {
            values.push(attribute.one(ATTRIBUTE_VALUE)?);
        }
    }
    Ok(values)
}

/// What [`Operation::Encrypt`] has made of data with this nonce.
pub(super) fn sealed<'a>(payload: &'a Item, iv: &'a [u8]) -> Result<Sealed<'a>, TtlvError> {
    let own = payload.perhaps(IV_COUNTER_NONCE)?.map(Item::as_bytes).transpose()?;
    let tag = payload.perhaps(AUTHENTICATED_ENCRYPTION_TAG)?.map(Item::as_bytes).transpose()?;
    Ok(Sealed {
        iv: own.unwrap_or(iv),
        tag: tag.unwrap_or_default(),
        data: payload.one(DATA)?.as_bytes()?,
    })
}

/// What [`Operation::Decrypt`] has opened.
pub(super) fn opened(payload: &Item) -> Result<&[u8], TtlvError> {
    payload.one(DATA)?.as_bytes()
}

#[cfg(test)]
mod tests;
