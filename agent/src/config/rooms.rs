//! What each room gets: its own struct, validated, with no `Option` that has no meaning.
//!
//! Shape: built by `config.rs` from settings. Units are in the types or the names. Not here: what the rooms do with it.
use super::choice::{Exporter, Hook, Protocol, Sampler};
use globset::GlobSet;
use std::{collections::BTreeSet, path::PathBuf, time::Duration};
use url::Url;
use wirespan_core::propagate::Format;

/// For `discover`: whom to observe.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// These processes and their children.
    pub pids: BTreeSet<u32>,
    /// Executables; `None` if no glob was given.
    pub exes: Option<GlobSet>,
    /// Processes that listen on these ports.
    pub ports: BTreeSet<u16>,
    /// Follow every exec until it is known whether it is wanted.
    pub follow_exec: bool,
}

/// For `attach`: how bytes are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// How socket calls are seen.
    pub hook: Hook,
    /// Bytes copied of a turn that opens a conversation.
    pub opening_bytes: u32,
    /// Bytes copied of a turn that answers.
    pub answering_bytes: u32,
    /// Ring size per started group of four CPUs.
    pub ring_bytes: u32,
    /// Connections followed.
    pub connections: u32,
}

/// For `assemble`, and for `spans` the headers to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assemble {
    /// Unanswered requests per connection.
    pub max_open_requests: usize,
    /// Longest header block.
    pub max_head_bytes: usize,
    /// Unfinished messages over all connections.
    pub max_buffered_bytes: usize,
    /// Connections followed; the same number as in [`Capture`].
    pub max_connections: usize,
    /// An exchange without a byte for this long has timed out.
    pub idle_timeout: Duration,
    /// Request headers that become attributes, lower case.
    pub request_headers: Vec<String>,
    /// Response headers that become attributes, lower case.
    pub response_headers: Vec<String>,
}

/// For `correlate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlate {
    /// Formats of trace context, the preferred first.
    pub propagators: Vec<Format>,
    /// How long a request may wait for its peer.
    pub peer_wait: Duration,
    /// How long a finished span may wait for evidence.
    pub hold: Duration,
}

/// For `sample`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Which.
    pub sampler: Sampler,
    /// 0 to 1, for the traceidratio samplers.
    pub ratio: f64,
}

/// For `enrich`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The observed service's name, if exactly one selector says whose it is.
    pub service_name: Option<String>,
    /// Attributes of every resource; `service.name` is never among them.
    pub attributes: Vec<(String, String)>,
}

/// For `export`.
#[derive(Clone, Debug)]
pub struct Export {
    /// Each once; empty for none.
    pub exporters: Vec<Exporter>,
    /// How to reach the collector.
    pub otlp: Otlp,
    /// How spans wait.
    pub batch: Batch,
}

/// How to reach the collector.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Over HTTP with its path, over gRPC the authority counts; `https` means TLS.
    pub endpoint: Url,
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// Sent with every export, in order.
    pub headers: Vec<(String, String)>,
    /// For one export.
    pub timeout: Duration,
    /// Compress.
    pub gzip: bool,
    /// PEM file of authorities, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM files of the agent's own certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How spans wait to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A span waits this long for others.
    pub delay: Duration,
    /// Spans in one export.
    pub max_spans: usize,
    /// Spans that wait, per exporter.
    pub queue: usize,
    /// For the last flush.
    pub timeout: Duration,
}

/// For the agent as a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Where it answers `explain`.
    pub socket: PathBuf,
    /// What it logs, as `tracing` filters.
    pub log: String,
}
