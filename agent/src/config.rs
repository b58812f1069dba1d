//! Configuration from one table of keys.
//!
//! Shape: flags, environment and file in → [`Config`] out, a struct per room, or every mistake at once, each with its place and
//! key. Precedence: default < file < environment < flag. Every value remembers where it came from.
//! The standard `OTEL_*` variables have their standard meaning and manners: empty is unset, unreadable is a warning and unset. The
//! file, the flags and `WIRESPAN_*` are strict. Invariant: only `config/source.rs` reads the environment.
mod build;
mod choice;
mod endpoint;
mod error;
mod file;
mod key;
mod keys;
mod otel;
mod resolve;
mod rooms;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

pub use choice::{Compression, Exporter, Hook, InKubernetes, Propagator, Protocol, Query, Sampler};
pub use error::{ConfigError, Place, Warning};
pub use key::{Key, Origin, Row};
pub use keys::KEYS;
pub use rooms::{
    Agent, Assemble, Batch, Capture, Correlate, Export, Kubernetes, Otlp, Resource, Sample, Select,
};
pub use show::{example, help};
pub use source::{Source, System};

use crate::cli::RunArgs;
use file::File;
use keys::Settings;
use resolve::Resolver;
use std::{path::PathBuf, time::Duration};
use wirespan_core::redact;

/// Names the file when `--config` does not.
pub const CONFIG_ENV: &str = "WIRESPAN_CONFIG";

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// For `discover`.
    pub select: Select,
    /// For `kubernetes`; `None` outside it.
    pub kubernetes: Option<Kubernetes>,
    /// For `attach`.
    pub capture: Capture,
    /// For `assemble`.
    pub assemble: Assemble,
    /// For `correlate`.
    pub correlate: Correlate,
    /// For `spans`.
    pub redact: redact::Rules,
    /// For `sample`.
    pub sample: Sample,
    /// For `enrich`.
    pub resource: Resource,
    /// For `export`.
    pub export: Export,
    /// For the agent as a process.
    pub agent: Agent,
    /// Stop by itself after this time.
    pub run_for: Option<Duration>,
    /// Print every counter at exit.
    pub verbose: bool,
    /// What was ignored; to be logged once logging works.
    pub warnings: Vec<Warning>,
    /// What `wirespan config` shows.
    pub rows: Vec<Row>,
}

impl Config {
    /// Reads every layer. On a mistake anywhere, all mistakes.
    pub fn load(args: &RunArgs, source: &dyn Source) -> Result<Config, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let file = read_file(args, source, &mut errors);
        let flags = vec![
            ("--pid", &*args.pid),
            ("--exe", &*args.exe),
            ("--port", &*args.port),
            ("--kubernetes", args.kubernetes.as_slice()),
            ("--kubeconfig", args.kubeconfig.as_slice()),
            ("--exporter", &*args.exporter),
        ];
        let mut resolver = Resolver { flags, source, file, errors, warnings: Vec::new() };
        let run_for = build::run_for(args, &mut resolver.errors);
        let settings = Settings::resolve(&mut resolver);
        let Resolver { mut errors, warnings, .. } = resolver;
        let config = settings.and_then(|settings| build::config(settings, warnings, source, &mut errors));
        match config {
            Some(config) if errors.is_empty() => Ok(Config { run_for, verbose: args.verbose, ..config }),
            _ => Err(errors),
        }
    }

    /// The effective values for a person, each with its origin.
    pub fn text(&self) -> String {
        show::text(&self.rows)
    }

    /// The same for a program: one JSON array.
    pub fn json(&self) -> serde_json::Value {
        show::json(&self.rows)
    }
}

fn read_file(args: &RunArgs, source: &dyn Source, errors: &mut Vec<ConfigError>) -> Option<File> {
    let from_env = || source.get(CONFIG_ENV).filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = args.config.clone().or_else(from_env)?;
    match source.read(&path) {
        Ok(text) => Some(File::parse(path, &text, KEYS, errors)),
        Err(source) => {
            errors.push(ConfigError::Unreadable { path, source });
            None
        }
    }
}
