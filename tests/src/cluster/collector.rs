//! The real Collector on the node, where the shipped manifest sends spans: port 4317 of the node's address.
use super::{NODE_ADDRESS, Room};
use crate::{
    collector::Binary,
    process::Process,
    span::{Span, parse_line},
    wait::eventually,
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// A running collector; gone when dropped.
#[derive(Debug)]
pub struct NodeCollector {
    received: PathBuf,
    _process: Process,
}

impl NodeCollector {
    /// Starts it and waits until it takes spans.
    pub fn start(binary: &Binary, room: &Room) -> Result<NodeCollector> {
        let received = room.folder().join("received.jsonl");
        let config = room.folder().join("otelcol.yaml");
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{NODE_ADDRESS}:4317'}}}}}}}}
exporters: {{file: {{path: '{}', append: true, flush_interval: 50ms}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}
",
            received.display()
        );
        fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
        let mut command = room.command(binary.path())?;
        let mut process = Process::start("otelcol", command.arg("--config").arg(&config))?;
        process.wait_for_line("`Everything is ready`", |line| line.contains("Everything is ready"))?;
        Ok(NodeCollector { received, _process: process })
    }

    /// The spans so far.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let text = fs::read_to_string(&self.received).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let spans: Result<Vec<Vec<Span>>> = whole.lines().map(parse_line).collect();
        Ok(spans?.into_iter().flatten().collect())
    }

    /// Waits until the spans so far have an answer to `ask`, and says how long that took.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut ask: impl FnMut(&[Span]) -> Option<T>,
    ) -> Result<(T, Duration)> {
        let since = Instant::now();
        let answer = eventually(what, within, || Ok(ask(&self.spans()?))).with_context(|| {
            format!("the Collector has {} spans", self.spans().map_or(0, |spans| spans.len()))
        })?;
        Ok((answer, since.elapsed()))
    }
}
