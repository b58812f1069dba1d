//! What header fields say about the body that follows. RFC 9112 §6.
use super::asked;
use crate::protocols::{Asked, Body};

/// What the header fields said so far about framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framing {
    length: Length,
    coding: Coding,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Absent,
    Valid(u64),
    /// Malformed, or two that differ: nobody knows how the other side reads it.
    Invalid,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    /// `chunked` comes last.
    Chunked,
    /// Something else comes last.
    Other,
}

impl Framing {
    /// A `Content-Length` field. Equal duplicates and lists of equal values count as one (RFC 9112 §6.3).
    pub(super) fn content_length(&mut self, value: &[u8]) {
        for item in value.split(|&byte| byte == b',') {
            let item = digits(item.trim_ascii());
            self.length = match (self.length, item) {
                (Length::Absent, Some(value)) => Length::Valid(value),
                (Length::Valid(known), Some(value)) if known == value => self.length,
                _ => Length::Invalid,
            };
        }
    }

    /// A `Transfer-Encoding` field; several are one list.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
        self.coding = match last {
            [] => self.coding,
            _ if last.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            _ => Coding::Other,
        };
    }

    /// A framing field that no two readers understand alike.
    pub(super) fn spoil(&mut self) {
        self.length = Length::Invalid;
        self.coding = Coding::Absent;
    }

    /// The valid length, where it counts: `Transfer-Encoding` overrides it.
    pub(super) fn length(&self) -> Option<u64> {
        match (self.length, self.coding) {
            (Length::Valid(length), Coding::Absent) => Some(length),
            _ => None,
        }
    }

    /// The body of a request.
    pub(super) fn of_request(&self) -> Body {
        match (self.coding, self.length) {
            (Coding::Chunked, _) => Body::Framed,
            // A server must refuse it, so what follows is not a body that anyone reads.
            (Coding::Other, _) | (Coding::Absent, Length::Invalid) => Body::Unknown,
            (Coding::Absent, Length::Absent | Length::Valid(0)) => Body::Empty,
            (Coding::Absent, Length::Valid(length)) => Body::Length(length),
        }
    }

    /// The body of a final response with `status` to a request that `asked`.
    pub(super) fn of_response(&self, status: u16, asked: Asked) -> Body {
        let Asked(asked) = asked;
        if status == 101 || (asked == asked::CONNECT && (200..300).contains(&status)) {
            return Body::Switch;
        }
        if asked == asked::HEAD || matches!(status, 204 | 304) {
            return Body::Empty;
        }
        match (self.coding, self.length) {
            (Coding::Chunked, _) => Body::Framed,
            (Coding::Other, _) | (Coding::Absent, Length::Absent) => Body::UntilClose,
            (Coding::Absent, Length::Invalid) => Body::Unknown,
            (Coding::Absent, Length::Valid(0)) => Body::Empty,
            (Coding::Absent, Length::Valid(length)) => Body::Length(length),
        }
    }
}

fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(bytes).ok()?.parse().ok()
}
