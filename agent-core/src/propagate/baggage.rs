//! `baggage: key=value;property,key2=value2`, and Jaeger's `uberctx-<key>: value`: the application's own pairs.
//!
//! Read on its own, and only by who wants it: baggage is independent of trace context. Values are percent-decoded; properties are
//! opaque and kept as they came. A member that breaks the rules, or comes after a limit, is dropped and counted; the others stay.
//! Source: W3C Baggage (<https://www.w3.org/TR/baggage/>) §3; its limits are the least that must pass, here they are the most.
use super::{JAEGER_BAGGAGE_PREFIX, trim, values};
use crate::{exchange::Field, percent};

/// Members kept.
pub const BAGGAGE_MAX_MEMBERS: usize = 64;
/// Bytes of all members as they came.
pub const BAGGAGE_MAX_BYTES: usize = 8192;

/// What the application sent along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    /// In wire order; keys may repeat.
    pub members: Vec<Member>,
    /// Members dropped because they were malformed.
    pub malformed: usize,
    /// Members dropped by [`BAGGAGE_MAX_MEMBERS`] or [`BAGGAGE_MAX_BYTES`].
    pub oversized: usize,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// A token, its case kept.
    pub key: String,
    /// Decoded; what is not UTF-8 is U+FFFD.
    pub value: String,
    /// Properties as they came, without the first `;`; or empty.
    pub properties: String,
}

/// Reads the baggage of a request.
pub fn baggage(fields: &[Field]) -> Baggage {
    let mut baggage = Baggage::default();
    let mut bytes = 0;
    for member in values(fields, "baggage").flat_map(|value| value.split(|&byte| byte == b',')) {
        let member = trim(member);
        if !member.is_empty() {
            baggage.add(&mut bytes, member.len(), || parse(member));
        }
    }
    for (name, value) in fields {
        let Some(key) = name.strip_prefix(JAEGER_BAGGAGE_PREFIX) else { continue };
        baggage.add(&mut bytes, key.len() + value.len(), || {
            let value = percent::decode_text(trim(value));
            is_token(key.as_bytes()).then(|| Member { key: key.to_owned(), value, properties: String::new() })
        });
    }
    baggage
}

impl Baggage {
    fn add(&mut self, bytes: &mut usize, len: usize, parse: impl FnOnce() -> Option<Member>) {
        // One byte more for the comma, except before the first.
        let total = *bytes + len + usize::from(*bytes > 0);
        if total > BAGGAGE_MAX_BYTES || self.members.len() >= BAGGAGE_MAX_MEMBERS {
            self.oversized += 1;
            return;
        }
        match parse() {
            Some(member) => {
                *bytes = total;
                self.members.push(member);
            }
            None => self.malformed += 1,
        }
    }
}

fn parse(member: &[u8]) -> Option<Member> {
    let mut halves = member.splitn(2, |&byte| byte == b';');
    let pair = halves.next()?;
    let properties = trim(halves.next().unwrap_or_default());
    let mut halves = pair.splitn(2, |&byte| byte == b'=');
    let (key, value) = (trim(halves.next()?), trim(halves.next()?));
    if !is_token(key) || !value.iter().all(|&byte| is_baggage_octet(byte)) {
        return None;
    }
    Some(Member {
        key: str::from_utf8(key).ok()?.to_owned(),
        value: percent::decode_text(value),
        properties: str::from_utf8(properties).ok()?.to_owned(),
    })
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

fn is_baggage_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
