//! `traceparent`: `00-<32 hex trace id>-<16 hex parent id>-<2 hex flags>`.
//!
//! Version `00` is exactly that; `ff` is forbidden; of a higher version the first four fields are read, if a `-` or the end
//! follows, and of its flags only `sampled` is known. Digits are lower case. A second `traceparent` makes both worthless.
//! Source: W3C Trace Context level 1 §3.2 and level 2 §2.2 (<https://www.w3.org/TR/trace-context-2/>). Not here: `tracestate`.
use super::{Context, FLAG_SAMPLED, Format, Found, Reject, hex, only, span_id, trace_id};
use crate::exchange::Field;

pub(super) fn read(fields: &[Field]) -> Result<Option<Found>, Reject> {
    let Some(value) = only(fields, "traceparent")? else { return Ok(None) };
    parse(value).map(|context| Some(Found::Context(context)))
}

fn parse(value: &[u8]) -> Result<Context, Reject> {
    let (version, rest) = field::<1>(value)?;
    let [version] = version;
    if version == 0xff {
        return Err(Reject::Version);
    }
    let (trace, rest) = field::<16>(after_dash(rest)?)?;
    let (parent, rest) = field::<8>(after_dash(rest)?)?;
    let (flags, rest) = field::<1>(after_dash(rest)?)?;
    let [mut flags] = flags;
    match (version, rest.first()) {
        (_, None) => {}
        (1.., Some(b'-')) => {}
        _ => return Err(Reject::Malformed),
    }
    if version > 0 {
        flags &= FLAG_SAMPLED;
    }
    Ok(Context {
        format: Format::W3c,
        trace_id: trace_id(trace)?,
        parent: Some(span_id(parent)?),
        flags,
        sampled: Some(flags & FLAG_SAMPLED != 0),
        debug: false,
        trace_state: String::new(),
    })
}

/// The next `2 N` digits, and what follows.
fn field<const N: usize>(text: &[u8]) -> Result<([u8; N], &[u8]), Reject> {
    let (digits, rest) = text.split_at_checked(2 * N).ok_or(Reject::Malformed)?;
    let bytes = hex::lower(digits).ok_or(Reject::Malformed)?;
    Ok((bytes, rest))
}

fn after_dash(text: &[u8]) -> Result<&[u8], Reject> {
    text.strip_prefix(b"-").ok_or(Reject::Malformed)
}
