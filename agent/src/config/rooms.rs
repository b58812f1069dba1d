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

/// For `kubernetes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// This node's name, if one is given.
    pub node: Option<String>,
    /// How to reach the API server; `None`: as the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Do labels name services?
    pub names_by_labels: bool,
    /// Do calls say who is behind the address they went to?
    pub peers: bool,
    /// How long a span waits for its container's name.
    pub identity_wait: Duration,
}

/// For `attach`: how bytes are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// How socket calls are seen.
    pub hook: Hook,
    /// The kernel's BTF, if it does not show its own.
    pub btf: Option<PathBuf>,
    /// Ring size per started group of four CPUs.
    pub ring_bytes: u32,
}

/// For `assemble`, and for `spans` the headers to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assemble {
    /// Unanswered requests per connection.
    pub max_open_requests: usize,
    /// Longest header block.
    pub max_head_bytes: usize,
    /// Connections followed.
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
    /// How long a request from this node waits for its other end.
    pub peer_wait: Duration,
    /// How long a link waits for the process to show how its threads work.
    pub hold: Duration,
    /// How long a finished client span waits for the answer of its presumed cause.
    pub patience: Duration,
    /// Spans of this node in one trace, at most.
    pub max_trace_spans: u32,
    /// How long after its first span others may join a trace.
    pub max_trace_age: Duration,
    /// Whether being the only open request is evidence.
    pub only: bool,
    /// How often a request that is still open is told; zero: never.
    pub report_open: Duration,
}

/// For `sample`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which.
    pub sampler: Sampler,
    /// 0 to 1, for the traceidratio and probability samplers.
    pub ratio: f64,
    /// Paths of requests that become no span; one that ends with `*` stands for all that begin so.
    pub exclude: Vec<String>,
}

/// For `enrich`: containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// Engines' sockets that are asked for names, in this order.
    pub sockets: Vec<PathBuf>,
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

impl Export {
    /// The same, to nowhere.
    pub fn without_exporters(&self) -> Export {
        Export { exporters: Vec::new(), ..self.clone() }
    }
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
