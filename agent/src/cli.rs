//! The command line: a contract, kept in one place.
//!
//! Shape: arguments in → [`Command`] out, or [`Usage`]: help and version (exit 0), or a mistake (exit 64). Values of flags are read
//! by `config` with those of file and environment, so that all mistakes are told together; here are only the grammar and help.
//! Not here: what the commands do (see `main`).
mod args;
#[cfg(test)]
mod tests;

pub use args::RunArgs;

use args::{Cli, Verb};
use clap::{CommandFactory, FromArgMatches};
use std::{ffi::OsString, path::PathBuf};

/// Exit code of bad usage and bad configuration: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Trace.
    Run(RunArgs),
    /// What this machine supports.
    Doctor {
        /// For a program.
        json: bool,
        /// Only its configuration file counts.
        run: RunArgs,
    },
    /// Is a process observed, and why not.
    Explain {
        /// Whom.
        pid: u32,
        /// For a program.
        json: bool,
        /// Only its configuration file counts.
        run: RunArgs,
    },
    /// Trace nothing; write the ring's records to a file.
    Record {
        /// To write.
        file: PathBuf,
        /// Whom, and how long.
        run: RunArgs,
    },
    /// Trace from a recording.
    Replay {
        /// To read.
        file: PathBuf,
        /// Where spans go.
        run: RunArgs,
    },
    /// Show the effective configuration.
    Config {
        /// For a program.
        json: bool,
        /// Print an example file instead.
        example: bool,
        /// The flags count too.
        run: RunArgs,
    },
}

/// The arguments are no command: help was asked for, or there is a mistake.
#[derive(Debug)]
pub struct Usage(clap::Error);

impl Usage {
    /// 0 for help and version, else [`EXIT_USAGE`].
    pub fn exit_code(&self) -> u8 {
        if self.0.use_stderr() { EXIT_USAGE } else { 0 }
    }

    /// The text, without colours.
    pub fn text(&self) -> String {
        self.0.render().to_string()
    }

    /// Prints help to stdout, a mistake to stderr, with colours on a terminal.
    pub fn print(&self) -> std::io::Result<()> {
        self.0.print()
    }
}

/// Reads the arguments, the program's name first. `keys` is what the long help of `run` says of configuration.
pub fn parse(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    keys: &str,
) -> Result<Command, Usage> {
    let with_keys = |run: clap::Command| {
        run.after_long_help(format!(
            "{}
{keys}",
            args::RUN_EXAMPLES
        ))
    };
    let command = Cli::command().mut_subcommand("run", with_keys);
    let matches = command.try_get_matches_from(args).map_err(Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Usage)?;
    Ok(match cli.verb {
        Verb::Run(run) => Command::Run(run),
        Verb::Doctor(args) => Command::Doctor { json: args.json, run: RunArgs::with_config(args.config) },
        Verb::Explain(args) => {
            Command::Explain { pid: args.pid, json: args.json, run: RunArgs::with_config(args.config) }
        }
        Verb::Record(args) => Command::Record { file: args.file, run: args.run },
        Verb::Replay(args) => {
            let run = RunArgs {
                exporter: args.exporter,
                verbose: args.verbose,
                ..RunArgs::with_config(args.config)
            };
            Command::Replay { file: args.file, run }
        }
        Verb::Config(args) => Command::Config { json: args.json, example: args.example, run: args.run },
    })
}
