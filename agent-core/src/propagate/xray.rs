//! `X-Amzn-Trace-Id: Root=1-<8 hex time>-<24 hex id>;Parent=<16 hex>;Sampled=<0|1|?>`.
//!
//! Pairs come in any order, with any case of key, white space around them, and others between them (`Self`, `Lineage`, an
//! application's own), which are passed over. Time and id together are the trace id. Load balancers write `Root` alone: a trace
//! without a parent. `?` and no `Sampled` leave the decision to the receiver.
//! Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>, and request
//! tracing of the Application Load Balancer.
use super::{Context, Format, Found, Reject, flags, hex, only, span_id, trace_id, trim};
use crate::{
    exchange::Field,
    spans::{SpanId, TraceId},
};

pub(super) fn read(fields: &[Field]) -> Result<Option<Found>, Reject> {
    let Some(value) = only(fields, "x-amzn-trace-id")? else { return Ok(None) };
    let (mut root, mut parent, mut sampled) = (None, None, None);
    for pair in value.split(|&byte| byte == b';') {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let (Some(key), Some(text)) = (halves.next(), halves.next()) else { continue };
        let slot = match trim(key) {
            key if key.eq_ignore_ascii_case(b"root") => &mut root,
            key if key.eq_ignore_ascii_case(b"parent") => &mut parent,
            key if key.eq_ignore_ascii_case(b"sampled") => &mut sampled,
            _ => continue,
        };
        if slot.replace(trim(text)).is_some() {
            return Err(Reject::Duplicate);
        }
    }
    let sampled = match sampled {
        None | Some(b"?" | b"") => None,
        Some(b"1") => Some(true),
        Some(b"0") => Some(false),
        Some(_) => return Err(Reject::Malformed),
    };
    let Some(root) = root else {
        return if parent.is_some() { Err(Reject::Incomplete) } else { Ok(sampled.map(Found::Decision)) };
    };
    let trace_id = parse_root(root)?;
    let parent = parent.map(parse_parent).transpose()?;
    Ok(Some(Found::Context(Context {
        format: Format::XRay,
        trace_id,
        parent,
        flags: flags(sampled),
        sampled,
        debug: false,
        trace_state: String::new(),
    })))
}

fn parse_root(root: &[u8]) -> Result<TraceId, Reject> {
    let mut parts = root.split(|&byte| byte == b'-');
    let (Some(version), Some(time), Some(id), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reject::Malformed);
    };
    if version != b"1" {
        return Err(Reject::Version);
    }
    let time: [u8; 4] = hex::exact(time).ok_or(Reject::Malformed)?;
    let id: [u8; 12] = hex::exact(id).ok_or(Reject::Malformed)?;
    let mut bytes = [0; 16];
    let (head, tail) = bytes.split_at_mut(time.len());
    head.copy_from_slice(&time);
    tail.copy_from_slice(&id);
    trace_id(bytes)
}

fn parse_parent(parent: &[u8]) -> Result<SpanId, Reject> {
    span_id(hex::exact(parent).ok_or(Reject::Malformed)?)
}
