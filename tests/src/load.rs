//! An open-loop load: requests leave when they are due, not when the last one came back.
//!
//! Shape: [`Plan`] → [`Report`]. Clock: monotonic; a latency counts from the moment the request was *due*, so a server that
//! stalls cannot hide it (coordinated omission). Each path is unique: `/CONNECTION-NUMBER`. Without a rate every
//! connection asks as fast as it is answered (saturation).
use crate::{http::Connection, wait};
use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What to send.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// To whom.
    pub address: SocketAddr,
    /// Over how many keep-alive connections.
    pub connections: u32,
    /// Requests per second over all of them; none: as fast as they are answered.
    pub rate: Option<f64>,
    /// For how long.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers with status 200.
    pub good: u64,
    /// Other answers, and requests without one.
    pub bad: u64,
    /// Nanoseconds from due to answered, sorted.
    pub latencies: Vec<u64>,
    /// How long it took.
    pub time: Duration,
}

impl Report {
    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        self.good as f64 / self.time.as_secs_f64()
    }

    /// A quantile of the latency in nanoseconds.
    pub fn quantile(&self, q: f64) -> u64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (q * last as f64).round() as usize;
        self.latencies.get(at.min(last)).copied().unwrap_or(0)
    }
}

/// Sends, from one thread per connection.
pub fn run(plan: Plan) -> Result<Report> {
    let begun = Instant::now();
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..plan.connections).map(|n| scope.spawn(move || connection(plan, n, begun))).collect();
        let parts = threads.into_iter().map(|thread| thread.join().ok().context("a client panicked")?);
        parts.collect::<Result<Vec<Report>>>()
    })?;
    let mut all = Report { time: begun.elapsed(), ..Report::default() };
    for part in parts {
        all.good += part.good;
        all.bad += part.bad;
        all.latencies.extend(part.latencies);
    }
    all.latencies.sort_unstable();
    Ok(all)
}

fn connection(plan: Plan, number: u32, begun: Instant) -> Result<Report> {
    let mut connection = Connection::open(plan.address)?;
    let mut report = Report::default();
    let gap = plan.rate.map(|rate| Duration::from_secs_f64(f64::from(plan.connections) / rate));
    // Connections take turns, so that the whole load is even.
    let mut due = begun
        + gap.map_or(Duration::ZERO, |gap| gap.mul_f64(f64::from(number) / f64::from(plan.connections)));
    for request in 0_u64.. {
        if gap.is_none() {
            due = Instant::now();
        } else {
            wait::pass(due.saturating_duration_since(Instant::now()));
        }
        if due.duration_since(begun) >= plan.time {
            break;
        }
        match connection.get(&format!("/{number}-{request}"), &[]) {
            Ok(response) if response.status == 200 => report.good += 1,
            Ok(_) => report.bad += 1,
            Err(_) => {
                report.bad += 1;
                connection = Connection::open(plan.address)?;
            }
        }
        report.latencies.push(u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX));
        due += gap.unwrap_or_default();
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_latencies() {
        let report = Report { latencies: (1..=101).collect(), ..Report::default() };
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| report.quantile(q)), [1, 51, 100, 101]);
        assert_eq!(Report::default().quantile(0.5), 0);
    }
}
