//! HTTP/1.0 and HTTP/1.1: message heads and how their bodies end.
//!
//! Source: RFC 9112 (message syntax), RFC 9110 (semantics). Recognised: any token as a method, every target form, field names
//! of any case, obs-fold, bare LF line ends, empty lines before a request. Not recognised: HTTP/0.9.
//! Sample: `GET /a HTTP/1.1\r\nHost: x\r\n\r\n` answered by `HTTP/1.1 204 No Content\r\n\r\n`.
use super::{Framing, Head};
use crate::exchange::{Answer, Call, Field, HttpRequest, HttpResponse};
use bytes::Bytes;
use memchr::memchr;

/// Longest method that is believed; the longest registered one has 17 bytes.
const METHOD_BYTES: usize = 32;
/// Target bytes that are kept.
const TARGET_BYTES: usize = 8 * 1024;
/// Registered methods (IANA, and RFC 4918): the only ones that are believed where it is not certain that a message begins.
const REGISTERED: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY", "PROPFIND", "PROPPATCH",
    "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
];
/// The start of every response.
const VERSION: &[u8] = b"HTTP/1.";

/// What the first bytes of a direction look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request's first line, or a beginning of one.
    Request,
    /// A response's first line, or a beginning of one.
    Response,
    /// Too short to tell.
    Short,
    /// Neither.
    Other,
}

/// Is this method registered?
pub fn is_registered(method: &str) -> bool {
    REGISTERED.contains(&method)
}

/// Could these bytes, seen alone, begin a message of a registered method, or a response?
pub fn may_begin(bytes: &[u8]) -> bool {
    let begins = |word: &str, end: &[u8]| {
        let whole = [word.as_bytes(), end].concat();
        let seen = bytes.len().min(whole.len());
        bytes.get(..seen) == whole.get(..seen)
    };
    begins("HTTP/1.", b"") || REGISTERED.iter().any(|method| begins(method, b" "))
}

/// Looks at the first bytes of a message.
pub fn start(bytes: &[u8]) -> Start {
    let bytes = skip_empty_lines(bytes);
    if bytes.is_empty() {
        return Start::Short;
    }
    let seen = bytes.len().min(VERSION.len());
    if bytes.get(..seen) == VERSION.get(..seen) {
        return if seen == VERSION.len() { Start::Response } else { Start::Short };
    }
    let line = bytes.get(..memchr(b'\n', bytes).unwrap_or(bytes.len())).unwrap_or(bytes);
    let Some(space) = memchr(b' ', line) else {
        let is_part = line.len() == bytes.len() && line.len() <= METHOD_BYTES;
        let may = is_part && line.iter().all(|byte| is_token(*byte));
        return if may { Start::Short } else { Start::Other };
    };
    let method = line.get(..space).unwrap_or_default();
    // Until the line is whole only a method as all registered ones are written is believed: words begin other protocols too.
    let is_usual = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let is_request = if line.len() < bytes.len() {
        request_line(trim_cr(line)).is_some()
    } else {
        !method.is_empty() && method.len() <= METHOD_BYTES && method.iter().all(is_usual)
    };
    if is_request { Start::Request } else { Start::Other }
}

/// Where a head ends: the length with its empty line. `from` is how far an earlier search came.
pub fn head_len(bytes: &[u8], from: usize) -> Option<usize> {
    let skipped = bytes.len() - skip_empty_lines(bytes).len();
    let mut at = from.saturating_sub(3).max(skipped);
    while let Some(found) = memchr(b'\n', bytes.get(at..)?) {
        at += found + 1;
        match bytes.get(at..) {
            Some([b'\n', ..]) => return Some(at + 1),
            Some([b'\r', b'\n', ..]) => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Reads a request's head, or as much as there is of it. `None`: not a request.
pub fn request(head: &[u8], keep: &[String]) -> Option<(Head, Framing)> {
    let head = skip_empty_lines(head);
    let mut lines = Lines { rest: head };
    let (method, target, version) = request_line(lines.next()?)?;
    let fields = Fields::read(lines, keep);
    let framing = match (fields.coding, fields.length) {
        (Coding::Chunked, _) => Framing::Chunked,
        (Coding::Other, _) | (_, Length::Contradiction) => Framing::Unknown,
        (Coding::Identity, Length::Of(length)) => Framing::Length(length),
        (Coding::Identity, Length::None) => Framing::Length(0),
    };
    let request = HttpRequest {
        method: text(method),
        target: text(target.get(..TARGET_BYTES).unwrap_or(target)),
        version,
        host: fields.host,
        content_length: fields.length.known(),
        fields: fields.kept,
    };
    Some((Head::Request(Box::new(Call::Http(request))), framing))
}

/// Reads a response's head to a request with `method`. `None`: not a response.
pub fn response(head: &[u8], keep: &[String], method: Option<&str>) -> Option<(Head, Framing)> {
    let mut lines = Lines { rest: skip_empty_lines(head) };
    let status = status_line(lines.next()?)?;
    let fields = Fields::read(lines, keep);
    let framing = match (status, method) {
        (101, _) => Framing::Upgraded,
        (200..=299, Some("CONNECT")) => Framing::Upgraded,
        (100..=199 | 204 | 304, _) | (_, Some("HEAD")) => Framing::Length(0),
        _ => match (fields.coding, fields.length) {
            (Coding::Chunked, _) => Framing::Chunked,
            (Coding::Other, _) | (_, Length::None) => Framing::UntilEnd,
            (_, Length::Of(length)) => Framing::Length(length),
            (_, Length::Contradiction) => Framing::Unknown,
        },
    };
    if (100..=199).contains(&status) && status != 101 {
        return Some((Head::Interim, framing));
    }
    let response = HttpResponse { status, content_length: fields.length.known(), fields: fields.kept };
    Some((Head::Response(Box::new(Answer::Http(response))), framing))
}

/// `method SP target SP HTTP/1.x`.
fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &'static str)> {
    let space = memchr(b' ', line)?;
    let (method, rest) = (line.get(..space)?, line.get(space + 1..)?);
    let last = memchr::memrchr(b' ', rest)?;
    let (target, version) = (rest.get(..last)?, rest.get(last + 1..)?);
    let sound = !method.is_empty() && method.len() <= METHOD_BYTES && method.iter().all(|byte| is_token(*byte));
    let version = match version {
        b"HTTP/1.0" => "1.0",
        [rest @ .., minor] if rest == VERSION && minor.is_ascii_digit() => "1.1",
        _ => return None,
    };
    (sound && !target.is_empty()).then_some((method, target, version))
}

/// `HTTP/1.x SP status [SP reason]`.
fn status_line(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(VERSION)?;
    let [minor, b' ', hundreds @ b'1'..=b'9', tens, ones, rest @ ..] = rest else { return None };
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    let digits = [minor, tens, ones].iter().all(|byte| byte.is_ascii_digit());
    let digit = |byte: &u8| u16::from(byte.wrapping_sub(b'0'));
    (ends && digits).then(|| digit(hundreds) * 100 + digit(tens) * 10 + digit(ones))
}

/// Lines without their ends, up to the empty one.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.rest)?;
        let line = trim_cr(self.rest.get(..end)?);
        self.rest = self.rest.get(end + 1..)?;
        (!line.is_empty()).then_some(line)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    None,
    Of(u64),
    Contradiction,
}

impl Length {
    fn known(self) -> Option<u64> {
        if let Length::Of(length) = self { Some(length) } else { None }
    }

    /// RFC 9112 §6.3: equal values are one value, others are an error.
    fn and(self, value: &[u8]) -> Length {
        value.split(|byte| *byte == b',').fold(self, |so_far, part| {
            let part = part.trim_ascii();
            let number = (!part.is_empty() && part.iter().all(u8::is_ascii_digit))
                .then(|| std::str::from_utf8(part).ok()?.parse().ok())
                .flatten();
            match (so_far, number) {
                (Length::None, Some(number)) => Length::Of(number),
                (Length::Of(before), Some(number)) if before == number => so_far,
                _ => Length::Contradiction,
            }
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Chunked,
    Other,
}

/// What the header fields say.
struct Fields {
    kept: Vec<Field>,
    host: Option<String>,
    length: Length,
    coding: Coding,
}

impl Fields {
    fn read(lines: Lines<'_>, keep: &[String]) -> Fields {
        let mut fields = Fields { kept: Vec::new(), host: None, length: Length::None, coding: Coding::Identity };
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            let Some(colon) = memchr(b':', line) else { continue };
            let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
            if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
                continue;
            }
            let folds = |next: &&[u8]| matches!(next.first(), Some(b' ' | b'\t'));
            if lines.peek().is_none_or(|next| !folds(next)) {
                fields.take(name, value.trim_ascii(), keep);
                continue;
            }
            let mut folded = value.trim_ascii().to_vec();
            while let Some(next) = lines.next_if(folds) {
                folded.push(b' ');
                folded.extend_from_slice(next.trim_ascii());
            }
            fields.take(name, &folded, keep);
        }
        fields
    }

    fn take(&mut self, name: &[u8], value: &[u8], keep: &[String]) {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length = self.length.and(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            self.coding = if last.eq_ignore_ascii_case(b"chunked") { Coding::Chunked } else { Coding::Other };
        } else if name.eq_ignore_ascii_case(b"host") && self.host.is_none() {
            self.host = Some(text(value));
        }
        if let Some(kept) = keep.iter().find(|kept| name.eq_ignore_ascii_case(kept.as_bytes())) {
            self.kept.push((kept.clone(), Bytes::copy_from_slice(value)));
        }
    }
}

/// Where a walk through a chunked body is. RFC 9112 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// In a size line; `u64` so far, and whether the digits are over.
    Size {
        /// Value of the digits.
        size: u64,
        /// Digits seen, 16 at most.
        digits: u8,
        /// An extension follows the digits.
        extension: bool,
    },
    /// In a chunk's data, with the line end after it.
    Data(u64),
    /// In the trailer section; true at the start of a line.
    Trailer(bool),
    /// Over.
    Done,
}

impl Chunks {
    /// Before the first chunk.
    pub const START: Chunks = Chunks::Size { size: 0, digits: 0, extension: false };

    /// Walks through `bytes`: how many belong to the body, its framing included. `None`: not chunks.
    pub fn walk(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while *self != Chunks::Done {
            if let Chunks::Data(left) = *self {
                let step = (bytes.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                at += step;
                *self = if step as u64 == left { Chunks::START } else { Chunks::Data(left - step as u64) };
                if at == bytes.len() {
                    return Some(at);
                }
                continue;
            }
            let Some(byte) = bytes.get(at) else { return Some(at) };
            at += 1;
            *self = self.step(*byte)?;
        }
        Some(at)
    }

    fn step(self, byte: u8) -> Option<Chunks> {
        match (self, byte) {
            (Chunks::Size { size: 0, digits: 1.., .. }, b'\n') => Some(Chunks::Trailer(true)),
            (Chunks::Size { size, digits: 1.., .. }, b'\n') => Some(Chunks::Data(size.checked_add(2)?)),
            (Chunks::Size { size, digits, extension: false }, digit) if digit.is_ascii_hexdigit() && digits < 15 => {
                let value = u64::from(char::from(digit).to_digit(16)?);
                Some(Chunks::Size { size: size * 16 + value, digits: digits + 1, extension: false })
            }
            (Chunks::Size { size, digits: digits @ 1.., extension }, other) => {
                let begins = matches!(other, b';' | b' ' | b'\t' | b'\r');
                (extension || begins).then_some(Chunks::Size { size, digits, extension: true })
            }
            (Chunks::Trailer(true), b'\n') => Some(Chunks::Done),
            (Chunks::Trailer(true), b'\r') => Some(Chunks::Trailer(true)),
            (Chunks::Trailer(_), other) => Some(Chunks::Trailer(other == b'\n')),
            _ => None,
        }
    }
}

/// RFC 9110 §5.6.2 `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes.get(blank..).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
