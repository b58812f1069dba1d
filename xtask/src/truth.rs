//! `cargo xtask truth [NAME…]`: how often the agent is right about who caused whom, per runtime and concurrency.
//!
//! Shape: names → one table, and `target/truth` with a file per cell and `summary.json`. Not here: the ledger, the worlds and
//! the comparison (see `tests/src/ledger.rs` and `tests/src/truth.rs`); a short part of them runs in `cargo xtask test`.
use crate::{
    command::{self, require_root},
    e2e,
    setup::{self, Need},
};
use anyhow::{Result, ensure};

/// Which cells.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runtimes by name (`flask`, `go`, …) or by its beginning (`gunicorn`, `node-`); none means all
    names: Vec<String>,
    /// Requests of the load per cell, at most; each makes up to a dozen others
    #[arg(long, default_value_t = 2_000)]
    requests: u64,
    /// Requests at once; may be given more than once [default: 1, 8, 64 and 512]
    #[arg(long)]
    concurrency: Vec<u64>,
}

/// Builds the agent, the programs and the worlds, and plays the table.
pub(crate) fn run(args: &Args) -> Result<()> {
    require_root("truth")?;
    setup::ensure(&[Need::Kernel])?;
    setup::truth::programs()?;
    e2e::build()?;
    let mut truth = command::new("target/worlds/truth")?;
    truth.args(&args.names).args(["--requests", &args.requests.to_string()]);
    for concurrency in &args.concurrency {
        truth.args(["--concurrency", &concurrency.to_string()]);
    }
    ensure!(command::watch(&mut truth, |_| {})?, "something is false, or could not be shown");
    Ok(())
}
