//! The strongest layer: flags, as they were typed.
//!
//! Shape: clap fills [`RunArgs`] for `cli`; values stay text, so that their mistakes are told with those of file and environment.
//! Not here: the other arguments of the command line (see `cli`).
use clap::Args;
use std::path::PathBuf;

/// What to trace and where to send it. Values are as typed: `config` reads them.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RunArgs {
    /// Configuration file (YAML) [env: WIRESPAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Observe this process and its children; may be repeated
    #[arg(long, value_name = "PID")]
    pub pid: Vec<String>,
    /// Observe processes whose executable matches, by path or file name; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exe: Vec<String>,
    /// Observe processes that listen on this TCP port; may be repeated
    #[arg(long, value_name = "PORT")]
    pub port: Vec<String>,
    /// Where spans go: otlp, console, json or none; may be repeated
    #[arg(long, value_name = "EXPORTER")]
    pub exporter: Vec<String>,
    /// Stop after this time, for example 30s or 5m
    #[arg(long = "for", value_name = "DURATION")]
    pub run_for: Option<String>,
    /// Print every counter of work and loss at exit
    #[arg(short, long)]
    pub verbose: bool,
}

impl RunArgs {
    /// No flag but the file.
    pub(crate) fn with_config(config: Option<PathBuf>) -> RunArgs {
        RunArgs { config, ..RunArgs::default() }
    }
}
