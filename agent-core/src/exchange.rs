//! A request and its response, whatever the protocol: what `assemble` hands to `correlate`.
//!
//! Shape: for each exchange [`Fact::Opened`], then [`Fact::Answering`], then [`Fact::Ended`], in causal order per
//! connection. Clock: event time. Not here: identity and parents (see `correlate`), attribute names (see `spans`).
use crate::event::{Actor, ConnId, Endpoints, Nanos};
use bytes::Bytes;

/// One request on one connection; unique in the life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Which side of the exchange the observed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sent the request.
    Client,
    /// It received the request.
    Server,
}

/// A header field: lower-case name, value as on the wire without surrounding white space.
pub type Field = (String, Bytes);

/// What was asked, by family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// HTTP of any version.
    Http(HttpRequest),
}

/// What was answered, by family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// HTTP of any version.
    Http(HttpResponse),
}

/// An HTTP request's head. RFC 9110, RFC 9112.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// As on the wire: case-sensitive, unknown methods included. Empty if it was not seen.
    pub method: String,
    /// Request target as on the wire (origin, absolute, authority or asterisk form), cut at 8 KiB. Empty if it was not seen.
    pub target: String,
    /// `1.0`, `1.1`, `2`.
    pub version: &'static str,
    /// `http` or `https`, where the request says so by a field of its own.
    pub scheme: Option<&'static str>,
    /// `Host`, or the authority.
    pub host: Option<String>,
    /// Fields on the keep-list, in wire order, duplicates kept.
    pub fields: Vec<Field>,
    /// `Content-Length`, if one valid.
    pub content_length: Option<u64>,
}

/// An HTTP response's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// Final status: 1xx other than 101 are passed over. 0 if it was not seen.
    pub status: u16,
    /// Fields on the keep-list, in wire order, duplicates kept.
    pub fields: Vec<Field>,
    /// `Content-Length`, if one valid.
    pub content_length: Option<u64>,
}

/// How an exchange ended. Every ending but `Complete` and `Upgraded` carries its reason into the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Request and response in full.
    Complete,
    /// 101 or CONNECT 2xx: the connection is something else now. The exchange ends at the response head.
    Upgraded,
    /// The client closed or reset before the response was whole.
    ClientGone,
    /// The server closed or reset before the response was whole.
    ServerGone,
    /// One side gave up this exchange and not the connection; the protocol's code for why.
    Reset(u32),
    /// The observed process ended.
    ProcessExited,
    /// Nothing for longer than the configured time.
    TimedOut,
    /// Dropped by a cap (open requests per connection, connections).
    Evicted,
    /// Bytes were lost, and which response answers it can no longer be told: nothing is claimed of the answer.
    Lost,
}

/// What part of an exchange was not seen, so that a figure may be missing or late. Bits are a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Incomplete {
    /// Bytes of the request head were lost: fields may be missing.
    pub request_head: bool,
    /// Bytes of the response head were lost after the status line: fields may be missing.
    pub response_head: bool,
    /// The end of the request body was not seen.
    pub request_end: bool,
    /// The end of the response was inferred from the next turn or the close.
    pub response_end: bool,
}

/// A request has been understood: its head is whole (or all that will come of it is there).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub id: ExchangeId,
    /// Client or server.
    pub role: Role,
    /// `http`; the semantic conventions' `network.protocol.name`.
    pub protocol: &'static str,
    /// Connection.
    pub conn: ConnId,
    /// Its number there, if exchanges share the connection at the same time: then their order says nothing of who answers whom, and
    /// who moves their bytes may do it for others.
    pub stream: Option<u32>,
    /// Both ends.
    pub endpoints: Endpoints,
    /// Sequence number of the request's first byte: the same at both ends of the connection.
    pub seq: u32,
    /// A hash of the request head's first 32 bytes: tells flows apart that share a number.
    pub fingerprint: u64,
    /// When its first byte moved.
    pub at: Nanos,
    /// When the call that completed the head returned.
    pub head_at: Nanos,
    /// Who made the call that completed the head.
    pub actor: Actor,
    /// The request.
    pub call: Call,
}

/// The first byte of the (final) response moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answering {
    /// Which.
    pub id: ExchangeId,
    /// When.
    pub at: Nanos,
    /// Who wrote or read it.
    pub actor: Actor,
}

/// An exchange is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub id: ExchangeId,
    /// When its last byte moved, or the time of the event that ended it.
    pub at: Nanos,
    /// When the last byte of the request moved, if known.
    pub request_end: Option<Nanos>,
    /// The response's head, if there was one.
    pub answer: Option<Answer>,
    /// Bytes of request body on the wire, framing excluded, if known.
    pub request_body_bytes: Option<u64>,
    /// Bytes of response body on the wire, framing excluded, if known.
    pub response_body_bytes: Option<u64>,
    /// How.
    pub end: End,
    /// What was not seen.
    pub incomplete: Incomplete,
}

/// What `assemble` tells `correlate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// See [`Opened`].
    Opened(Box<Opened>),
    /// See [`Answering`].
    Answering(Answering),
    /// See [`Ended`].
    Ended(Box<Ended>),
}
