//! `load ADDRESS CONNECTIONS RATE SECONDS`: the open-loop load as a program, for measurements from outside.
//!
//! Shape: RATE 0 means saturation; prints one JSON line with answers, failures and latency quantiles in nanoseconds.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use std::time::Duration;
use wirespan_tests::load::{self, Plan};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, rate, seconds] = arguments.as_slice() else {
        anyhow::bail!("usage: load ADDRESS CONNECTIONS RATE SECONDS")
    };
    let rate: f64 = rate.parse().context("RATE is a number")?;
    let report = load::run(Plan {
        address: address.parse().context("ADDRESS is IP:PORT")?,
        connections: connections.parse().context("CONNECTIONS is a number")?,
        rate: (rate > 0.0).then_some(rate),
        time: Duration::from_secs_f64(seconds.parse().context("SECONDS is a number")?),
    })?;
    println!(
        "{}",
        serde_json::json!({
            "good": report.good, "bad": report.bad, "per_second": report.per_second(),
            "p50_ns": report.quantile(0.5), "p99_ns": report.quantile(0.99), "max_ns": report.quantile(1.0),
        })
    );
    Ok(())
}
