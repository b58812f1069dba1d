//! Requests, errors and durations by service and route, from the agent's spans alone.
//!
//! Shape: server spans in, a text table out. Units: nanoseconds in, milliseconds shown.
//! Bounded: durations per row are a window of the latest; rows past the limit are counted together.
use super::otlp::{Kind, Span};
use std::{collections::BTreeMap, fmt};

/// Rows; the shop has 20.
const ROWS: usize = 64;
/// Durations that the percentiles are taken from.
const WINDOW: usize = 2_048;

/// The table, growing.
#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<(String, String), Row>,
    other: u64,
}

#[derive(Default)]
struct Row {
    requests: u64,
    refused: u64,
    failed: u64,
    durations: Vec<u64>,
}

impl Table {
    /// Counts a server span; what is no incoming request is not counted.
    pub(super) fn add(&mut self, span: &Span) {
        if span.kind != Kind::Server {
            return;
        }
        let key = (span.service.clone(), format!("{} {}", span.method, route(span)));
        if self.rows.len() >= ROWS && !self.rows.contains_key(&key) {
            self.other += 1;
            return;
        }
        let row = self.rows.entry(key).or_default();
        let at = usize::try_from(row.requests).unwrap_or_default() % WINDOW;
        let duration = span.end.saturating_sub(span.start);
        match row.durations.get_mut(at) {
            Some(oldest) => *oldest = duration,
            None => row.durations.push(duration),
        }
        row.requests += 1;
        match span.status {
            Some(400..500) => row.refused += 1,
            Some(200..400) => {}
            _ => row.failed += 1,
        }
    }
}

/// As the agent says, else the path with its numbers replaced.
pub(super) fn route(span: &Span) -> String {
    let of_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let template = || span.path.split('/').map(|part| if of_number(part) { "{id}" } else { part });
    span.route.clone().unwrap_or_else(|| template().collect::<Vec<_>>().join("/"))
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let widest = |least: usize, lengths: &mut dyn Iterator<Item = usize>| lengths.fold(least, usize::max);
        let service = widest(7, &mut self.rows.keys().map(|(service, _)| service.chars().count()));
        let route = widest(5, &mut self.rows.keys().map(|(_, route)| route.chars().count()));
        writeln!(
            out,
            "{:service$}  {:route$} {:>9} {:>6} {:>6} {:>10} {:>10}",
            "service", "route", "requests", "4xx", "errors", "p50 ms", "p99 ms"
        )?;
        for ((name, what), row) in &self.rows {
            let mut sorted = row.durations.clone();
            sorted.sort_unstable();
            writeln!(
                out,
                "{name:service$}  {what:route$} {:>9} {:>6} {:>6} {:>10.2} {:>10.2}",
                row.requests,
                row.refused,
                row.failed,
                percentile(&sorted, 50),
                percentile(&sorted, 99)
            )?;
        }
        if self.other > 0 {
            writeln!(out, "{} requests of further routes", self.other)?;
        }
        Ok(())
    }
}

/// Nearest rank, in milliseconds.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, status: Option<u16>, milliseconds: u64) -> Span {
        Span {
            trace: "aa".into(),
            id: "01".into(),
            parent: None,
            kind: Kind::Server,
            service: "order".into(),
            pid: None,
            method: "GET".into(),
            path: path.into(),
            route: None,
            evidence: None,
            unparented: None,
            status,
            start: 0,
            end: milliseconds * 1_000_000,
        }
    }

    #[test]
    fn requests_are_counted_by_route_with_nearest_rank_percentiles() {
        let mut table = Table::default();
        for milliseconds in 1..=100 {
            table.add(&request(&format!("/orders/{milliseconds}"), Some(200), milliseconds));
        }
        table.add(&request("/x", Some(404), 1));
        table.add(&request("/x", Some(500), 1));
        table.add(&request("/x", None, 1));
        assert_eq!(
            table.to_string(),
            "service  route             requests    4xx errors     p50 ms     p99 ms\n\
             order    GET /orders/{id}       100      0      0      50.00      99.00\n\
             order    GET /x                   3      1      2       1.00       1.00\n"
        );
    }
}
