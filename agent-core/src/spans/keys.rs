//! Attributes that no convention names: the whole list of wirespan's own.
//!
//! | key | on | values |
//! |---|---|---|
//! | [`EVIDENCE`] | spans with a parent | `wire`, `peer`, `task`, `thread`, `only` (design §5.1), `part` (a time in which its parent was open) |
//! | [`UNPARENTED`] | spans without one, unless they are how a request entered the node | a reason, as in the counters of `correlate` |
//! | [`INCOMPLETE`] | spans of which a part was not seen | list of `request_head`, `response_head`, `request_end`, `response_end`, `evicted`, `unfinished` |
//!
//! And the values of `error.type` that are not a status: see [`error`].

/// Why the span has its parent.
pub const EVIDENCE: &str = "wirespan.evidence";
/// Why the span has none.
pub const UNPARENTED: &str = "wirespan.unparented.reason";
/// What was not seen of it, so that an attribute may be missing or a time inferred.
pub const INCOMPLETE: &str = "wirespan.incomplete";

/// Values of `error.type` for exchanges that did not end as HTTP says.
pub mod error {
    /// The client closed or reset before the response was whole.
    pub const CLIENT_DISCONNECTED: &str = "client_disconnected";
    /// The server closed or reset before the response was whole.
    pub const SERVER_DISCONNECTED: &str = "server_disconnected";
    /// Nothing happened for longer than the configured time.
    pub const TIMEOUT: &str = "timeout";
    /// The observed process ended first.
    pub const PROCESS_EXITED: &str = "process_exited";
}
