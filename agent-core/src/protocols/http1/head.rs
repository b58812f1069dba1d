//! Heads: a start line, header fields, an empty line. RFC 9112 §2 to §5.
//!
//! One pass over the lines; only the fields that are kept, or that frame the body, are looked at twice.
use super::{
    asked,
    fields::Framing,
    start::{self, RequestLine},
};
use crate::{
    exchange::{Answer, Call, Field, HttpRequest, HttpResponse},
    protocols::{Asked, Body, Head, KeepList, Message, Part, Reading, grpc},
};
use bytes::Bytes;
use memchr::{memchr, memchr_iter};

/// Longest target that is retained; the contract of [`HttpRequest::target`].
const TARGET_BYTES: usize = 8 * 1024;

/// How much of a head must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// All of it.
    End,
    /// The start line: the rest is lost.
    LastLine,
}

/// What became of a head.
pub(super) enum Outcome {
    /// Its end is not there.
    Short,
    /// It is none.
    Bad,
    /// The head, and its length in bytes.
    Whole(Head, usize),
}

/// Does a head end in `bytes`, of which the first `scanned` do not contain its end?
pub(super) fn ends_after(bytes: &[u8], scanned: usize) -> bool {
    let mut rest = bytes.get(scanned.saturating_sub(3)..).unwrap_or_default();
    while let Some(end) = memchr(b'\n', rest) {
        rest = rest.get(end + 1..).unwrap_or_default();
        if matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
            return true;
        }
    }
    false
}

/// Reads the head at the start of `bytes`.
pub(super) fn read(part: Part, bytes: &[u8], reading: &Reading<'_>, until: Until) -> Outcome {
    let text = match part {
        Part::Request => start::skip_empty_lines(bytes),
        Part::Response => bytes,
    };
    // One scan for all line ends: a search per line costs more in set-up than in searching.
    let mut ends = memchr_iter(b'\n', text);
    let Some(end) = ends.next() else {
        return if start::is_begun(text) { Outcome::Short } else { Outcome::Bad };
    };
    let line = line(text, 0, end);
    let start = match part {
        Part::Request => start::request(line).map(Start::Request),
        Part::Response => start::status(line).map(Start::Response),
    };
    let Some(start) = start else { return Outcome::Bad };
    let mut lines = Lines::new(reading.keep);
    let mut from = end + 1;
    for end in ends {
        let line = self::line(text, from, end);
        from = end + 1;
        if line.is_empty() {
            let used = bytes.len() - text.len() + from;
            return Outcome::Whole(lines.head(start, reading.asked), used);
        }
        lines.add(line);
    }
    if until == Until::End {
        return Outcome::Short;
    }
    let mut head = lines.head(start, reading.asked);
    head.body = Body::Unknown;
    Outcome::Whole(head, bytes.len())
}

/// A line without its end.
fn line(text: &[u8], from: usize, end: usize) -> &[u8] {
    let line = text.get(from..end).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

enum Start<'a> {
    Request(RequestLine<'a>),
    Response(u16),
}

/// What the last header field was, for a line that continues it.
enum Last {
    Passed,
    Framing,
    Host,
    Kept,
}

/// The header fields so far.
struct Lines<'a> {
    keep: &'a KeepList,
    framing: Framing,
    host: Option<String>,
    /// What it offers or agrees to become is HTTP/2 without TLS.
    is_h2c: bool,
    fields: Vec<Field>,
    last: Last,
}

impl<'a> Lines<'a> {
    fn new(keep: &'a KeepList) -> Lines<'a> {
        Lines {
            keep,
            framing: Framing::default(),
            host: None,
            is_h2c: false,
            fields: Vec::new(),
            last: Last::Passed,
        }
    }

    fn add(&mut self, line: &[u8]) {
        if matches!(line, [b' ' | b'\t', ..]) {
            return self.fold(line.trim_ascii());
        }
        self.last = Last::Passed;
        // Most fields are told apart by their first letter.
        if !line.first().is_some_and(|&first| {
            matches!(first | 0x20, b'c' | b'g' | b'h' | b't' | b'u') || self.keep.begins(first)
        }) {
            return;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let Some((name, value)) = line.split_at_checked(colon) else { return };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // White space before the colon: some read the field, some refuse the message (RFC 9112 §5.1).
        let is_exact = !matches!(name, [.., b' ' | b'\t']);
        let name = name.trim_ascii_end();
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.is_h2c = value.eq_ignore_ascii_case(b"h2c");
            }
            4 if self.host.is_none() && name.eq_ignore_ascii_case(b"host") => {
                self.host = Some(text(value));
                self.last = Last::Host;
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.framing.content_length(value);
                self.last = Last::Framing;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.framing.transfer_encoding(value);
                self.last = Last::Framing;
            }
            _ => {}
        }
        if !is_exact && matches!(self.last, Last::Framing) {
            self.framing.spoil();
        }
        let Some(name) = self.keep.find(name).or_else(|| grpc::kept(name, value)) else { return };
        self.fields.push((name.to_owned(), Bytes::copy_from_slice(value)));
        if matches!(self.last, Last::Passed) {
            self.last = Last::Kept;
        }
    }

    /// A line that continues the field before it: white space and line end are one space (RFC 9112 §5.2).
    fn fold(&mut self, more: &[u8]) {
        match self.last {
            Last::Passed => {}
            Last::Framing => self.framing.spoil(),
            Last::Host => {
                if let Some(host) = &mut self.host {
                    host.push(' ');
                    host.push_str(&text(more));
                }
            }
            Last::Kept => {
                if let Some((_, value)) = self.fields.last_mut() {
                    let joined = [value.as_ref(), more].join(b" ".as_slice());
                    *value = Bytes::from(joined.trim_ascii().to_vec());
                }
            }
        }
    }

    fn head(self, start: Start<'_>, asked: Asked) -> Head {
        match start {
            Start::Request(line) => self.request(line),
            Start::Response(status) => self.response(status, asked),
        }
    }

    fn request(self, line: RequestLine<'_>) -> Head {
        let target = line.target.get(..TARGET_BYTES).unwrap_or(line.target);
        // The authority of an absolute target overrides `Host` (RFC 9112 §3.2.2).
        let host = authority(line).map(text).or(self.host);
        let asked = match line.method {
            b"HEAD" => Asked(asked::HEAD),
            b"CONNECT" => Asked(asked::CONNECT),
            _ => Asked::default(),
        };
        let request = HttpRequest {
            method: text(line.method),
            target: text(target),
            version: line.version,
            scheme: None,
            host,
            fields: self.fields,
            content_length: self.framing.length(),
        };
        Head { message: Message::Request(Call::Http(request), asked), body: self.framing.of_request() }
    }

    fn response(self, status: u16, asked: Asked) -> Head {
        if (100..200).contains(&status) && status != 101 {
            return Head { message: Message::Interim, body: Body::Empty };
        }
        let body = match self.framing.of_response(status, asked) {
            Body::Switch if status == 101 && self.is_h2c => Body::SwitchToHttp2,
            body => body,
        };
        let response = HttpResponse { status, fields: self.fields, content_length: self.framing.length() };
        Head { message: Message::Response(Answer::Http(response)), body }
    }
}

/// The authority that a request line names, without user information.
fn authority(line: RequestLine<'_>) -> Option<&[u8]> {
    if line.method == b"CONNECT" {
        return Some(line.target);
    }
    if matches!(line.target, [b'/' | b'*', ..]) {
        return None;
    }
    let scheme = line.target.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let rest = line.target.get(scheme..)?.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    match memchr::memrchr(b'@', authority) {
        Some(at) => authority.get(at + 1..),
        None => Some(authority),
    }
}

fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
