//! Start lines: `GET /path HTTP/1.1` and `HTTP/1.1 200 OK`. RFC 9112 §3 and §4.
use super::START_LINE_BYTES;
use crate::protocols::{Part, Sniff};
use memchr::{memchr, memrchr};

/// Longest method that is believed: the longest registered one has 17 characters.
const METHOD_BYTES: usize = 32;

/// A request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: &'static str,
}

/// Looks at what may be the start of a message.
pub(super) fn sniff(bytes: &[u8]) -> Sniff {
    let bytes = skip_empty_lines(bytes);
    let (line, is_whole) = match memchr(b'\n', bytes) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), true),
        None => (bytes, false),
    };
    if is_whole {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if status(line).is_some() {
            return Sniff::Yes(Part::Response);
        }
        return if request(line).is_some() { Sniff::Yes(Part::Request) } else { Sniff::No };
    }
    if is_begun(line) { Sniff::Short } else { Sniff::No }
}

/// Could these bytes, without a line end, begin a start line?
pub(super) fn is_begun(line: &[u8]) -> bool {
    if line.len() > START_LINE_BYTES {
        return false;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // `HTTP/` is no method: `/` is not a token character.
    const VERSION: &[u8] = b"HTTP/1.";
    if line.starts_with(VERSION) || VERSION.starts_with(line) {
        return line.iter().all(|&byte| is_text(byte));
    }
    let (method, rest) = match memchr(b' ', line) {
        Some(space) => line.split_at_checked(space).unwrap_or((line, &[])),
        None => (line, [].as_slice()),
    };
    is_method(method) && rest.iter().all(|&byte| is_text(byte))
}

/// Empty lines before a request line are passed over (RFC 9112 §2.2).
pub(super) fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let text = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes.get(text..).unwrap_or_default()
}

/// A request line without its end.
pub(super) fn request(line: &[u8]) -> Option<RequestLine<'_>> {
    let (method, rest) = line.split_at_checked(memchr(b' ', line)?)?;
    let rest = rest.get(1..)?;
    let (target, version) = rest.split_at_checked(memrchr(b' ', rest)?)?;
    let version = version_of(version.get(1..)?)?;
    let is_valid = is_method(method) && !target.is_empty() && target.iter().all(|&byte| is_text(byte));
    is_valid.then_some(RequestLine { method, target, version })
}

/// The status of a status line without its end. The reason phrase, and the space before it, may be missing.
pub(super) fn status(line: &[u8]) -> Option<u16> {
    let (version, rest) = line.split_at_checked(8)?;
    version_of(version)?;
    let [b' ', hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest else {
        return None;
    };
    if !matches!(rest, [] | [b' ', ..]) {
        return None;
    }
    let digit = |byte: u8| u16::from(byte - b'0');
    Some(digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*ones))
}

fn version_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        b"HTTP/1.1" => Some("1.1"),
        b"HTTP/1.0" => Some("1.0"),
        _ => None,
    }
}

fn is_method(bytes: &[u8]) -> bool {
    (1..=METHOD_BYTES).contains(&bytes.len()) && bytes.iter().all(|&byte| is_token(byte))
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Anything but controls: what servers accept in a target, spaces and bytes above ASCII included.
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}
