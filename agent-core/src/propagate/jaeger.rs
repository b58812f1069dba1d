//! `uber-trace-id: <trace>:<span>:<grandparent>:<flags>`.
//!
//! Trace ids have up to 32 digits, span ids up to 16, of any case, shorter ones padded on the left. The grandparent is deprecated
//! and may be 0 or empty. Flags are one byte: 1 sampled, 2 debug. Some HTTP libraries percent-encode the colons.
//! Source: <https://www.jaegertracing.io/docs/1.76/architecture/sdk/#propagation-format>. Not here: `uberctx-*` (see `baggage`).
use super::{Context, Format, Found, Reject, flags, hex, only, span_id, trace_id};
use crate::{exchange::Field, percent};

const SAMPLED: u8 = 1;
const DEBUG: u8 = 2;

pub(super) fn read(fields: &[Field]) -> Result<Option<Found>, Reject> {
    let Some(value) = only(fields, "uber-trace-id")? else { return Ok(None) };
    parse(&percent::decode(value)).map(|context| Some(Found::Context(context)))
}

fn parse(value: &[u8]) -> Result<Context, Reject> {
    let mut parts = value.split(|&byte| byte == b':');
    let (Some(trace), Some(span), Some(grandparent), Some(bits), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reject::Malformed);
    };
    if !grandparent.is_empty() {
        hex::padded::<8>(grandparent).ok_or(Reject::Malformed)?;
    }
    let [bits] = hex::padded::<1>(bits).ok_or(Reject::Malformed)?;
    let debug = bits & DEBUG != 0;
    let sampled = Some(debug || bits & SAMPLED != 0);
    Ok(Context {
        format: Format::Jaeger,
        trace_id: trace_id(hex::padded(trace).ok_or(Reject::Malformed)?)?,
        parent: Some(span_id(hex::padded(span).ok_or(Reject::Malformed)?)?),
        flags: flags(sampled),
        sampled,
        debug,
        trace_state: String::new(),
    })
}
