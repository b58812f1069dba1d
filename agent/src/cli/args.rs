//! The grammar, as clap reads it, and the help that goes with it.
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Distributed traces for programs that nobody changed.
///
/// wirespan watches the TCP sockets of this machine's processes with eBPF, rebuilds requests and responses, works out which
/// request caused which, and sends OpenTelemetry spans. It changes no byte and needs no restart of anything.
#[derive(Debug, Parser)]
#[command(name = "wirespan", bin_name = "wirespan", version, arg_required_else_help = true, max_term_width = 110, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  sudo wirespan run --port 8080         what listens on 8080, on the terminal
  sudo wirespan run --exporter otlp     everything, to a local collector
  wirespan doctor                       what this machine supports
  sudo wirespan explain 1234            is process 1234 observed, and why not

Exit codes: 0 asked to stop, 1 cannot start, 64 bad usage or configuration.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  sudo wirespan run
  sudo wirespan run --exe 'python3*' --exe /usr/sbin/nginx
  sudo wirespan run --port 8080 --exporter json --for 30s > spans.jsonl
  sudo OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 wirespan run
  sudo wirespan run --config /etc/wirespan/config.yaml

Without --pid, --exe and --port every process is observed, except the agent
and its collector. Without --exporter, spans go to the collector if an
endpoint is configured, else to the terminal if stdout is one, else to a
collector on localhost:4317.

In Kubernetes only pods are observed whose namespace is labelled
wirespan.io/trace=enabled; the same label on a pod, enabled or disabled,
counts for more. --pid, --exe and --port choose among these.

Precedence: default, file, environment, flag. `wirespan config` shows what
holds, `wirespan config --example` prints a file to begin with.
";

const RECORD_EXAMPLES: &str = "\
Examples:
  sudo wirespan record shop.wirespan --port 8080 --for 10s
  wirespan replay shop.wirespan --exporter console

A recording holds captured bytes of requests and responses as they were:
treat it as you treat their contents.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Trace: observe processes and export their spans until stopped
    Run(RunArgs),
    /// Show what this machine supports: kernel features, chosen hooks, privileges, what each missing one costs
    Doctor(DoctorArgs),
    /// Say whether a process is observed, and why not: protocols, links found, losses
    Explain(ExplainArgs),
    /// Write the kernel's records to a file, so that a report becomes a test
    #[command(after_help = RECORD_EXAMPLES)]
    Record(RecordArgs),
    /// Trace from a recording, without root
    Replay(ReplayArgs),
    /// Show the effective configuration, each value with where it came from
    Config(ConfigArgs),
}

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
    /// Observe only pods that opt in by label: auto, true or false; other selectors choose among these
    #[arg(long, value_name = "AUTO|TRUE|FALSE")]
    pub kubernetes: Option<String>,
    /// Reach the Kubernetes API server by this file, for an agent in no pod
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,
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
    pub(super) fn with_config(config: Option<PathBuf>) -> RunArgs {
        RunArgs { config, ..RunArgs::default() }
    }
}

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Configuration file (YAML) [env: WIRESPAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The process
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pid: u32,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Configuration file of the running agent [env: WIRESPAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    /// File to write
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// Recording to read
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Where spans go: otlp, console, json or none; may be repeated
    #[arg(long, value_name = "EXPORTER")]
    pub(super) exporter: Vec<String>,
    /// Configuration file (YAML) [env: WIRESPAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print every counter of work and loss at the end
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// One JSON array instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Print an example file with every key instead
    #[arg(long, conflicts_with = "json")]
    pub(super) example: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
}
