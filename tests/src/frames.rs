//! Frames of HTTP/2 as no library sends them. Source: RFC 9113, RFC 7541.

use http::HeaderMap;

/// A kind of frame.
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// A flag: the stream ends here.
pub const END_STREAM: u8 = 1;
/// A flag: the head ends here.
pub const END_HEADERS: u8 = 4;

/// What every connection begins with; `window` is what each answer may send before it is asked for more.
pub fn preface(window: u32) -> Vec<u8> {
    let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload of less than 16 MiB").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A block of headers, each spelled out.
pub fn block(method: &str, path: &str, authority: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut block = Vec::new();
    let pseudo =
        [(":method", method), (":scheme", "https"), (":path", path), (":authority", authority)];
    for (name, value) in pseudo {
        field(&mut block, name, value.as_bytes());
    }
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
        field(&mut block, name.as_str(), value.as_bytes());
    }
    block
}

/// A field without indexing.
pub fn field(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        let mut length = text.len();
        if length < 127 {
            block.push(length.to_le_bytes()[0]);
        } else {
            block.push(127);
            length -= 127;
            while length >= 128 {
                block.push(length.to_le_bytes()[0] | 128);
                length /= 128;
            }
            block.push(length.to_le_bytes()[0]);
        }
        block.extend_from_slice(text);
    }
}
