//! `tracestate`: `vendor=opaque,tenant@system=opaque`, over as many headers as the sender liked.
//!
//! Read only when `traceparent` was sound. Headers are combined in wire order, empty members allowed and dropped. More than
//! 32 members or one invalid member drops the whole list, never the parent. Of a key that comes twice the first is kept: it is
//! the later position. Beyond [`TRACESTATE_MAX_BYTES`] whole members go, those over 128 characters first, then the last.
//! Source: W3C Trace Context level 2 §2.3 (keys of level 1 are a subset of these).
use super::{Reject, trim, values};
use crate::exchange::Field;
use smallvec::SmallVec;

/// Members of a list.
pub const TRACESTATE_MAX_MEMBERS: usize = 32;
/// Bytes kept. The specification wants at least 512; legal lists reach 16 KiB, and each waiting span holds one.
pub const TRACESTATE_MAX_BYTES: usize = 2048;
/// Members above this length are the first to go.
const LONG_MEMBER_BYTES: usize = 128;
const KEY_MAX_BYTES: usize = 256;
const VALUE_MAX_BYTES: usize = 256;

/// The combined list, and what was wrong with it.
pub(super) fn read(fields: &[Field]) -> (String, Option<Reject>) {
    let mut members: SmallVec<[(&str, &str); 4]> = SmallVec::new();
    let mut count = 0;
    for member in values(fields, "tracestate").flat_map(|value| value.split(|&byte| byte == b',')) {
        if trim(member).is_empty() {
            continue;
        }
        count += 1;
        let Some((key, value)) = split(member).filter(|_| count <= TRACESTATE_MAX_MEMBERS) else {
            return (String::new(), Some(Reject::TraceState));
        };
        if members.iter().all(|(known, _)| *known != key) {
            members.push((key, value));
        }
    }
    let cut = shorten(&mut members);
    (join(&members), cut.then_some(Reject::TraceStateCut))
}

/// A member's key and value, if both are valid.
fn split(member: &[u8]) -> Option<(&str, &str)> {
    // Spaces after `=` belong to the value, so only the outside is trimmed; `foo =1` has an invalid key.
    let member = str::from_utf8(trim(member)).ok()?;
    member.split_once('=').filter(|(key, value)| is_key(key.as_bytes()) && is_value(value.as_bytes()))
}

fn is_key(key: &[u8]) -> bool {
    key.len() <= KEY_MAX_BYTES
        && key.first().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'))
}

fn is_value(value: &[u8]) -> bool {
    !value.is_empty()
        && value.len() <= VALUE_MAX_BYTES
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='))
}

/// Drops whole members until the list fits; says whether it had to.
fn shorten(members: &mut SmallVec<[(&str, &str); 4]>) -> bool {
    if joined_len(members) <= TRACESTATE_MAX_BYTES {
        return false;
    }
    while joined_len(members) > TRACESTATE_MAX_BYTES {
        let long = members.iter().rposition(|(key, value)| key.len() + 1 + value.len() > LONG_MEMBER_BYTES);
        members.remove(long.unwrap_or(members.len().saturating_sub(1)));
    }
    true
}

fn joined_len(members: &[(&str, &str)]) -> usize {
    members.iter().map(|(key, value)| key.len() + value.len() + 2).sum::<usize>().saturating_sub(1)
}

fn join(members: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(joined_len(members));
    for (key, value) in members {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}
