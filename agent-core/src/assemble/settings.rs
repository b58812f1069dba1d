//! What assembly is allowed to use, and what it is asked to retain. Defaults are those of the design, §8.
use crate::protocols::KeepList;

/// Caps and choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Names of header fields to retain in requests and responses, in any case.
    pub keep_fields: Vec<String>,
    /// Connections remembered; the one that was silent for longest is forgotten first.
    pub max_connections: usize,
    /// Requests without an answer on one connection.
    pub max_open: usize,
    /// Bytes of a head that spans records.
    pub max_head_bytes: usize,
    /// Bytes held of all connections together: parts of heads, what they refer to, and records out of order.
    pub max_buffered_bytes: usize,
    /// Nanoseconds without a byte after which an exchange is given up.
    pub idle_timeout_ns: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep_fields: Vec::new(),
            max_connections: 65_536,
            max_open: 1024,
            max_head_bytes: 64 * 1024,
            max_buffered_bytes: 16 * 1024 * 1024,
            idle_timeout_ns: 300_000_000_000,
        }
    }
}

/// [`Settings`] as they are used.
pub(super) struct Rules {
    pub(super) settings: Settings,
    pub(super) keep: KeepList,
}

impl Rules {
    pub(super) fn new(settings: Settings) -> Rules {
        let keep = KeepList::new(&settings.keep_fields);
        Rules { settings, keep }
    }
}
