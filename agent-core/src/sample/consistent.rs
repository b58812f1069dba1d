//! The `ot` member of `tracestate`: the threshold and the randomness that consistent samplers share.
//!
//! Shape: `tracestate` text in, its `ot` sub-keys out, and back. Values: 56 bits, hexadecimal, `th` without trailing zeros.
//! Source: OpenTelemetry specification, "TraceState handling" and "TraceState: probability sampling".
//! Not here: validity of `tracestate` as a whole (see `propagate`).
use crate::spans::TraceId;
use std::fmt::Write;

/// Randomness and thresholds count in 2⁻⁵⁶.
pub(super) const SPACE: u64 = 1 << 56;
/// Hexadecimal digits of 56 bits.
const DIGITS: usize = 14;
/// Members of a `tracestate`, W3C Trace Context §3.3.1.
const MEMBERS: usize = 32;

/// Randomness of a trace: the last 56 bits of its id.
pub(super) fn randomness(trace_id: TraceId) -> u64 {
    (u128::from_be_bytes(trace_id.0) as u64) & (SPACE - 1)
}

/// The sub-keys of the `ot` member, unknown ones kept as they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OtMember<'a> {
    threshold: Option<u64>,
    random: Option<&'a str>,
    others: Vec<&'a str>,
}

impl<'a> OtMember<'a> {
    /// Reads the first `ot` member; what is malformed in it counts as absent.
    pub(super) fn read(trace_state: &'a str) -> OtMember<'a> {
        let mut member = OtMember::default();
        let Some(value) = members(trace_state).find_map(|text| text.strip_prefix("ot=")) else {
            return member;
        };
        for part in value.split(';').filter(|part| !part.is_empty()) {
            match part.split_once(':') {
                Some(("th", digits)) => member.threshold = parse_threshold(digits),
                Some(("rv", digits)) if digits.len() == DIGITS && is_hex(digits) => {
                    member.random = Some(digits)
                }
                Some(("rv", _)) => {}
                _ => member.others.push(part),
            }
        }
        member
    }

    /// Explicit randomness, if there is any.
    pub(super) fn randomness(&self) -> Option<u64> {
        u64::from_str_radix(self.random?, 16).ok()
    }

    /// Sets or removes the threshold.
    pub(super) fn set_threshold(&mut self, threshold: Option<u64>) {
        self.threshold = threshold;
    }

    /// `trace_state` with this member, which goes first because it was changed.
    pub(super) fn write_into(&self, trace_state: &str) -> String {
        let mut parts: Vec<String> = self.threshold.map(format_threshold).into_iter().collect();
        parts.extend(self.random.map(|digits| format!("rv:{digits}")));
        parts.extend(self.others.iter().map(|&part| part.to_owned()));
        let own = (!parts.is_empty()).then(|| format!("ot={}", parts.join(";")));
        let others = members(trace_state).filter(|text| !text.starts_with("ot="));
        let mut written = String::with_capacity(trace_state.len() + 24);
        for text in own.iter().map(String::as_str).chain(others).take(MEMBERS) {
            if !written.is_empty() {
                written.push(',');
            }
            written.push_str(text);
        }
        written
    }
}

fn members(trace_state: &str) -> impl Iterator<Item = &str> {
    trace_state.split(',').map(str::trim).filter(|text| !text.is_empty())
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// `8` means 0x80000000000000: trailing zeros are left out.
fn parse_threshold(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > DIGITS || !is_hex(digits) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some(value << (4 * (DIGITS - digits.len())))
}

fn format_threshold(threshold: u64) -> String {
    let mut text = String::with_capacity(3 + DIGITS);
    // Writing into a String cannot fail.
    let _ = write!(text, "{threshold:014x}");
    let kept = text.trim_end_matches('0').len().max(1);
    text.truncate(kept);
    format!("th:{text}")
}
