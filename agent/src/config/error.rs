//! What can be wrong with a configuration: all of it is found at once, each with its place and key.
//!
//! Shape: shown one per line; any [`ConfigError`] ends `wirespan` with 64, a [`Warning`] is logged.
use super::key::Origin;
use std::{fmt, io, path::PathBuf, sync::Arc};

/// Where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// File and line; line 0 is the whole file.
    File(Arc<PathBuf>, u64),
    /// An environment variable.
    Env(&'static str),
    /// A flag.
    Flag(&'static str),
    /// The table of keys itself.
    Table,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path, 0) => write!(f, "{}", path.display()),
            Place::File(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Env(name) | Place::Flag(name) => f.write_str(name),
            Place::Table => f.write_str("default"),
        }
    }
}

impl From<&Origin> for Place {
    fn from(origin: &Origin) -> Place {
        match origin {
            Origin::File(path, line) => Place::File(path.clone(), *line),
            Origin::Env(name) => Place::Env(name),
            Origin::Flag(name) => Place::Flag(name),
            Origin::Default | Origin::Rule(_) => Place::Table,
        }
    }
}

/// One mistake.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML.
    #[error("{place}: not YAML: {message}")]
    Yaml {
        /// Where.
        place: Place,
        /// The parser's words.
        message: String,
    },
    /// No such key.
    #[error("{place}: {key}: unknown key{}", nearest.map(|key| format!(", did you mean `{key}`?")).unwrap_or_default())]
    Unknown {
        /// Where.
        place: Place,
        /// As written.
        key: String,
        /// The key that is most like it.
        nearest: Option<&'static str>,
    },
    /// A value that its key does not take.
    #[error("{place}: {key}: {reason}")]
    Invalid {
        /// Where.
        place: Place,
        /// Which key.
        key: String,
        /// What was expected.
        reason: String,
    },
}

/// Something ignored, as the OpenTelemetry specification wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// Which key.
    pub key: &'static str,
    /// What was expected.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; ignored", self.place, self.key, self.reason)
    }
}
