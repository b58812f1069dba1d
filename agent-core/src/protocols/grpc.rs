//! gRPC and its relatives, gRPC-Web and Connect: what an HTTP exchange says of the call that it carries.
//!
//! Shape: the heads of an exchange in, service, method and status out. Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md), gRPC-Web
//! (PROTOCOL-WEB.md), statuses.md, <https://connectrpc.com/docs/protocol>. A call is recognised by its content type, or, where that was
//! not seen, by its response's; a unary call of Connect by the field or the query that says its version.
//! gRPC's status is the one in the trailers (or in the only block of a response), else what the RST_STREAM code or the HTTP status
//! means. The others write theirs into the body, which is not read: it is known only where a response is nothing but a head.
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

/// How a call is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// gRPC: its status is in fields.
    Grpc,
    /// gRPC-Web: its status is in the body, mostly.
    Web,
    /// Connect: its status is the HTTP status, or in the body.
    Connect,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rpc<'a> {
    /// How it is carried.
    pub(crate) form: Form,
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
    let form = form(&request.fields).or_else(|| form(answered)).or_else(|| form_of_query(&request.target))?;
    let (service, method) = split(&request.target).unzip();
    let told = last(answered, "grpc-status").and_then(|text| text.parse().ok());
    let status = match (form, ended.end) {
        (Form::Connect, _) => None,
        (Form::Grpc, End::Reset(code)) => told.or_else(|| of_reset(code, opened, request, ended)),
        // Its trailers may have told it in words that were not seen.
        (Form::Grpc, End::Complete) if !ended.incomplete.response_head => {
            told.or_else(|| response.and_then(|response| of_http(response.status)))
        }
        _ => told,
    };
    Some(Rpc { form, service, method, status })
}

/// The name under which a field is retained that tells a call, or something of one; names in any case.
pub(crate) fn kept(name: &[u8], value: &[u8]) -> Option<&'static str> {
    const NAMES: [&str; 4] = ["content-type", "grpc-status", "grpc-timeout", "connect-protocol-version"];
    let of_its_own = NAMES.into_iter().find(|kept| kept.as_bytes().eq_ignore_ascii_case(name))?;
    (of_its_own != "content-type" || form_of_type(value).is_some()).then_some(of_its_own)
}

/// Service and method of a path. Connect and gRPC-Web may have others before them.
fn split(target: &str) -> Option<(&str, &str)> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let (before, method) = path.rsplit_once('/')?;
    let (_, service) = before.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

/// A code's name.
pub(crate) fn name(status: u16) -> Option<&'static str> {
    NAMES.get(usize::from(status)).copied()
}

/// Is this a failure of the server, and not one of the call's? Semantic conventions for gRPC.
pub(crate) fn is_server_error(status: u16) -> bool {
    matches!(status, 2 | 4 | 12 | 13 | 14 | 15)
}

fn form(fields: &[Field]) -> Option<Form> {
    let typed = fields.iter().filter(|(name, _)| name == "content-type");
    typed.map(|(_, value)| value).find_map(|value| form_of_type(value)).or_else(|| {
        fields.iter().find_map(|(name, value)| match name.as_str() {
            "grpc-status" => Some(Form::Grpc),
            "connect-protocol-version" if value.as_ref() == b"1" => Some(Form::Connect),
            _ => None,
        })
    })
}

/// By a content type: a call's alone, with or without its codec.
fn form_of_type(value: &[u8]) -> Option<Form> {
    let rest = value.strip_prefix(b"application/")?;
    let is_end = |rest: &[u8]| matches!(rest, [] | [b'+' | b';' | b' ', ..]);
    if rest.strip_prefix(b"grpc").is_some_and(is_end) {
        return Some(Form::Grpc);
    }
    let web = rest.strip_prefix(b"grpc-web").map(|rest| rest.strip_prefix(b"-text").unwrap_or(rest));
    if web.is_some_and(is_end) {
        return Some(Form::Web);
    }
    rest.starts_with(b"connect+").then_some(Form::Connect)
}

/// A unary call of Connect that is a GET has everything in its query.
fn form_of_query(target: &str) -> Option<Form> {
    let (_, query) = target.split_once('?')?;
    query.split('&').any(|pair| pair == "connect=v1").then_some(Form::Connect)
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
