//! Frames of HTTP/2 as no library sends them. Source: RFC 9113, RFC 7541.

use http::HeaderMap;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What every connection begins with; `window` is what each answer may send before it is asked for more.
pub(crate) fn preface(window: u32) -> Vec<u8> {
    let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A block of headers, each spelled out.
pub(crate) fn block(method: &str, path: &str, authority: &str, headers: &HeaderMap) -> Vec<u8> {
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
pub(crate) fn field(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        let mut length = text.len();
        if length < 127 {
            block.push(u8::try_from(length).unwrap());
        } else {
            block.push(127);
            length -= 127;
            while length >= 128 {
                block.push(u8::try_from(length % 128).unwrap() | 128);
                length /= 128;
            }
            block.push(u8::try_from(length).unwrap());
        }
        block.extend_from_slice(text);
    }
}
