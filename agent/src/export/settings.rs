//! What the user may choose about export. Fields are named after the `OTEL_*` variables that mean the same.
//!
//! Shape: made by `config`, read once by [`super::start`]. Not here: parsing and precedence.
use std::{path::PathBuf, time::Duration};
use url::Url;

/// Everything about export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `OTEL_TRACES_EXPORTER`, `--exporter`: all of these run at once, each with a queue of its own. Empty is `none`.
    pub exporters: Vec<Kind>,
    /// Of [`Kind::Otlp`], which needs it.
    pub otlp: Otlp,
    /// Of every exporter.
    pub batch: Batch,
    /// Of [`Kind::Console`].
    pub console: Console,
}

/// Where spans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To a collector.
    Otlp,
    /// To a person: a waterfall on stdout.
    Console,
    /// To a program: OTLP/JSON lines on stdout.
    Json,
}

/// `OTEL_EXPORTER_OTLP_*`; `OTEL_EXPORTER_OTLP_TRACES_*` has been preferred already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// `…_PROTOCOL`.
    pub protocol: Protocol,
    /// `…_ENDPOINT`, resolved: over HTTP with its path, over gRPC the authority counts; `https` means TLS.
    pub endpoint: Url,
    /// `…_HEADERS`, decoded; sent with every request. May hold credentials: never logged.
    pub headers: Vec<(String, String)>,
    /// `…_TIMEOUT`: for one request with its connection.
    pub timeout: Duration,
    /// `…_COMPRESSION`.
    pub compression: Compression,
    /// `…_CERTIFICATE`: the only roots that are trusted (PEM); absent: the system's.
    pub certificate: Option<PathBuf>,
    /// `…_CLIENT_CERTIFICATE` and `…_CLIENT_KEY` (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// First pause after a failure; it grows by half each time, with jitter.
    pub initial_backoff: Duration,
    /// The longest pause that the agent chooses by itself: how late it may notice that a collector is back.
    pub max_backoff: Duration,
}

impl Otlp {
    /// An endpoint with the specification's defaults for everything else.
    pub fn new(protocol: Protocol, endpoint: Url) -> Otlp {
        Otlp {
            protocol,
            endpoint,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            compression: Compression::None,
            certificate: None,
            client: None,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(5),
        }
    }
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
}

/// What is done to a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `none`.
    None,
    /// `gzip`.
    Gzip,
}

/// `OTEL_BSP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// `OTEL_BSP_MAX_QUEUE_SIZE`: spans that wait or are being sent. At the cap the oldest is dropped and counted.
    pub max_queue_size: usize,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`: spans in one request.
    pub max_export_batch_size: usize,
    /// `OTEL_BSP_SCHEDULE_DELAY`: how long a span waits for others. The specification's 5 s would make a person wait; half a second
    /// keeps end of request to export below one, and still sends at most two small requests a second.
    pub schedule_delay: Duration,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            max_queue_size: 8_192,
            max_export_batch_size: 512,
            schedule_delay: Duration::from_millis(500),
        }
    }
}

/// How the waterfall looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Colours and bold.
    pub is_coloured: bool,
    /// Box drawing and block characters, or ASCII only.
    pub is_unicode: bool,
    /// Columns.
    pub width: usize,
}

impl Default for Console {
    fn default() -> Console {
        Console { is_coloured: false, is_unicode: true, width: 100 }
    }
}

impl Console {
    /// What stdout can show: colours only on a terminal that wants them (<https://no-color.org>), the terminal's width, and
    /// block characters if the locale is UTF-8 (setlocale(3): the first of the three variables that is set and not empty).
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Console {
        let stdout = std::io::stdout();
        let set = |key: &str| env(key).filter(|value| !value.is_empty());
        let is_terminal = rustix::termios::isatty(&stdout);
        let is_dumb = set("TERM").is_none_or(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let size = rustix::termios::tcgetwinsize(&stdout).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| is_terminal && *width > 0);
        Console {
            is_coloured: is_terminal && !is_dumb && set("NO_COLOR").is_none(),
            is_unicode: locale.contains("utf-8") || locale.contains("utf8"),
            width: width.unwrap_or(100),
        }
    }
}
