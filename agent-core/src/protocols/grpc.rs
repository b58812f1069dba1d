//! gRPC: what an HTTP exchange says of the call that it carries.
//!
//! Shape: the heads of an exchange in, service, method and status out. Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md), gRPC-Web,
//! statuses.md. A call is recognised by its content type, or, where that was not seen, by its response's; its status is the one in the
//! trailers (or in the only block of a response), else what the RST_STREAM code or the HTTP status means.
//! Sample: `POST /shop.Cart/Add`, `content-type: application/grpc+proto` → `:status 200` … `grpc-status: 0`.
use crate::exchange::{End, Ended, Field, HttpRequest, HttpResponse, Opened};

/// Names of the codes, 0 first.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const CANCELLED: u16 = 1;
const DEADLINE_EXCEEDED: u16 = 4;
/// A client gives up at its deadline; it had read its clock before it sent the request.
const DEADLINE_SLACK_NS: u64 = 5_000_000;
/// A busy client sends a request later than it read its clock, and a busy server reads it later than it came: so long before the
/// deadline it cannot be told from a cancellation.
const BUSY_NS: u64 = 50_000_000;

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rpc<'a> {
    /// With its package. `None`: not seen.
    pub(crate) service: Option<&'a str>,
    /// Without its service. `None`: not seen.
    pub(crate) method: Option<&'a str>,
    /// `None`: the call did not come to one, or it was not seen.
    pub(crate) status: Option<u16>,
}

/// The call that an exchange carries, if it carries one.
pub(crate) fn read<'a>(
    opened: &Opened,
    request: &'a HttpRequest,
    response: Option<&HttpResponse>,
    ended: &Ended,
) -> Option<Rpc<'a>> {
    let answered = response.map(|response| response.fields.as_slice()).unwrap_or_default();
    if !is_grpc(&request.fields) && !is_grpc(answered) {
        return None;
    }
    let (service, method) = request.target.strip_prefix('/').and_then(|path| path.rsplit_once('/')).unzip();
    let status = last(answered, "grpc-status").and_then(|text| text.parse().ok());
    let status = status.or_else(|| match ended.end {
        End::Reset(code) => of_reset(code, opened, request, ended),
        // Its trailers may have told it in words that were not seen.
        End::Complete if !ended.incomplete.response_head => {
            response.and_then(|response| of_http(response.status))
        }
        _ => None,
    });
    Some(Rpc { service, method, status })
}

/// A code's name.
pub(crate) fn name(status: u16) -> Option<&'static str> {
    NAMES.get(usize::from(status)).copied()
}

/// Is this a failure of the server, and not one of the call's? Semantic conventions for gRPC.
pub(crate) fn is_server_error(status: u16) -> bool {
    matches!(status, 2 | 4 | 12 | 13 | 14 | 15)
}

fn is_grpc(fields: &[Field]) -> bool {
    fields.iter().any(|(name, value)| match name.as_str() {
        "content-type" => value.starts_with(b"application/grpc"),
        "grpc-status" => true,
        _ => false,
    })
}

fn last<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let (_, value) = fields.iter().rev().find(|(field, _)| field == name)?;
    str::from_utf8(value).ok()
}

/// What a client makes of RST_STREAM. A deadline that has passed is told in no other way.
fn of_reset(code: u32, opened: &Opened, request: &HttpRequest, ended: &Ended) -> Option<u16> {
    match code {
        7 => Some(14),
        8 => of_cancel(opened, request, ended),
        11 => Some(8),
        12 => Some(7),
        _ => Some(13),
    }
}

/// Did somebody cancel, or did the deadline pass?
fn of_cancel(opened: &Opened, request: &HttpRequest, ended: &Ended) -> Option<u16> {
    let Some(timeout) = last(&request.fields, "grpc-timeout").and_then(timeout_ns) else {
        // There may have been one.
        return (!ended.incomplete.request_head).then_some(CANCELLED);
    };
    let left = timeout.saturating_sub(ended.at.since(opened.at));
    if left <= DEADLINE_SLACK_NS {
        return Some(DEADLINE_EXCEEDED);
    }
    (left > BUSY_NS).then_some(CANCELLED)
}

/// What an HTTP status means where no other was told.
fn of_http(status: u16) -> Option<u16> {
    match status {
        // Not seen.
        0 => None,
        400 => Some(13),
        401 => Some(16),
        403 => Some(7),
        404 => Some(12),
        429 | 502 | 503 | 504 => Some(14),
        _ => Some(2),
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout_ns(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ns = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit_ns)
}
