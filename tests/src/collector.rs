//! The real OpenTelemetry Collector: built once from its Go modules, run on loopback, what it received read back.
//!
//! Shape: [`Binary::build`] into a cache folder (minutes when cold, nothing when warm) → [`Collector::start`] → OTLP on two ports,
//! a file of OTLP/JSON lines. [`compare`] holds two such files against each other, field by field.
//! Source: opentelemetry-collector v0.155.0, file exporter of contrib v0.155.0. Not here: Jaeger, Zipkin.
use crate::{
    process::{Process, command},
    runner::Skip,
    span::{Span, parse_line},
    wait::{PATIENCE, eventually},
    world::free_port,
};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A program's name and sources: what is built when they change is built again.
struct Program {
    name: &'static str,
    sources: &'static [(&'static str, &'static str)],
}

/// The few components that most worlds need.
const SMALL: Program = Program {
    name: "otelcol",
    sources: &[
        ("main.go", include_str!("../apps/otelcol/main.go")),
        ("go.mod", include_str!("../apps/otelcol/go.mod")),
    ],
};

/// The components that the examples of deploy/backends name: five minutes when cold.
const OF_EXAMPLES: Program = Program {
    name: "otelcol-backends",
    sources: &[
        ("main.go", include_str!("../apps/otelcol-backends/main.go")),
        ("balance.go", include_str!("../apps/otelcol-backends/balance.go")),
        ("zipkin.go", include_str!("../apps/otelcol-backends/zipkin.go")),
        ("go.mod", include_str!("../apps/otelcol-backends/go.mod")),
    ],
};

/// A collector that can be started.
#[derive(Clone, Debug)]
pub struct Binary(PathBuf);

impl Binary {
    /// Builds it in `cache`, or finds it there. Several callers at once build it once.
    pub fn build(cache: &Path) -> Result<Binary> {
        SMALL.build(cache)
    }

    /// The same with all components that the examples of deploy/backends name.
    pub fn of_examples(cache: &Path) -> Result<Binary> {
        OF_EXAMPLES.build(cache)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts it with a configuration, and what that takes from the environment, as the last program of another command.
    pub fn run(&self, wrapper: &[&str], config: &Path, environment: &[(&str, String)]) -> Result<Process> {
        let (first, rest) = wrapper.split_first().unwrap_or((&"env", &[]));
        let mut collector = command(first);
        collector.args(rest).arg(&self.0).arg("--config").arg(config);
        collector.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start("otelcol", &mut collector)?;
        process.wait_for_line("`Everything is ready`", |line| line.contains("Everything is ready"))?;
        Ok(process)
    }
}

impl Program {
    fn build(&self, cache: &Path) -> Result<Binary> {
        let folder = cache.join(self.name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("wait for another build")?;
        let binary = folder.join("otelcol");
        if binary.is_file() && self.is_built(&folder) {
            return Ok(Binary(binary));
        }
        let go = Command::new("go").arg("version").stdout(Stdio::null()).status();
        if !go.is_ok_and(|status| status.success()) {
            bail!(Skip("the Collector needs Go".into()));
        }
        eprintln!("building the OpenTelemetry Collector in {}: minutes, once", folder.display());
        for (name, text) in self.sources {
            fs::write(folder.join(name), text)?;
        }
        compile(&folder, &binary)?;
        for (name, text) in self.sources {
            fs::write(folder.join(format!("{name}.built")), text)?;
        }
        Ok(Binary(binary))
    }

    fn is_built(&self, folder: &Path) -> bool {
        self.sources.iter().all(|(name, text)| {
            fs::read_to_string(folder.join(format!("{name}.built"))).is_ok_and(|built| built == *text)
        })
    }
}

/// `-mod=mod` completes go.mod and go.sum in the cache folder; the builder's `go mod tidy` would fail on modules that only tests need.
fn compile(folder: &Path, binary: &Path) -> Result<()> {
    fs::remove_file(folder.join("go.sum")).ok();
    let fresh = folder.join("otelcol.fresh");
    let mut go = command("nice");
    go.args(["-n", "10", "go", "build", "-mod=mod", "-p=1", "-trimpath", "-ldflags=-s -w", "-o"]);
    go.arg(&fresh).arg(".").current_dir(folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    let output = go.output().context("start go")?;
    ensure!(
        output.status.success(),
        "go build of the Collector: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(fresh, binary).context("keep the Collector")
}

/// Certificates of a receiver (PEM).
#[derive(Clone, Debug)]
pub struct Tls {
    /// The receiver's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who must have signed a client's certificate, if clients need one.
    pub client_ca: Option<PathBuf>,
}

/// A running collector; gone when dropped.
#[derive(Debug)]
pub struct Collector {
    binary: Binary,
    config: PathBuf,
    received: PathBuf,
    process: Process,
    /// Port of OTLP/gRPC.
    pub grpc_port: u16,
    /// Port of OTLP/HTTP.
    pub http_port: u16,
}

impl Collector {
    /// Starts it with its files in `folder`, and waits until it takes spans.
    pub fn start(binary: &Binary, folder: &Path, tls: Option<&Tls>) -> Result<Collector> {
        let (grpc_port, http_port) = (free_port()?, free_port()?);
        let received = folder.join("received.jsonl");
        let config = folder.join("otelcol.yaml");
        let text = configuration(grpc_port, http_port, &received, tls);
        fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
        let process = binary.run(&[], &config, &[])?;
        Ok(Collector { binary: binary.clone(), config, received, process, grpc_port, http_port })
    }

    /// Kills it: no goodbye to those who are connected. What it has written stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        Ok(())
    }

    /// Starts it again on the same ports; it goes on writing the same file.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.is_running()? {
            self.kill()?;
        }
        self.process = self.binary.run(&[], &self.config, &[])?;
        Ok(())
    }

    /// The requests so far, as OTLP/JSON lines. A line that is being written is left out.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(&self.received).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.lines().map(str::to_owned).collect())
    }

    /// The spans so far.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let lines = self.lines()?;
        let spans: Result<Vec<Vec<Span>>> = lines.iter().map(|line| parse_line(line)).collect();
        Ok(spans?.into_iter().flatten().collect())
    }

    /// Waits until it has so many spans.
    pub fn expect_count(&self, count: usize) -> Result<Vec<Span>> {
        let what = format!("{count} spans in the Collector");
        eventually(&what, PATIENCE, || Ok(Some(self.spans()?).filter(|spans| spans.len() >= count)))
            .with_context(|| format!("it has {}", self.spans().map_or(0, |spans| spans.len())))
    }
}

/// Its own metrics would need a third port.
fn configuration(grpc_port: u16, http_port: u16, received: &Path, tls: Option<&Tls>) -> String {
    let tls = tls.map_or_else(String::new, |tls| {
        let client_ca = tls.client_ca.as_ref().map(|path| format!(", client_ca_file: {}", path.display()));
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        format!(", tls: {{ cert_file: {certificate}, key_file: {key}{} }}", client_ca.unwrap_or_default())
    });
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: 127.0.0.1:{grpc_port}{tls} }}
      http: {{ endpoint: 127.0.0.1:{http_port}{tls} }}
exporters:
  file: {{ path: {}, append: true, flush_interval: 50ms }}
service:
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: info }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [file] }}
",
        received.display()
    )
}

/// Holds what one side says against what the other received, span by span and field by field: ids, times, flags, names,
/// attributes with their types and order, status, resource, scope, schema. Returns how many spans are the same on both sides.
///
/// A field that is absent and one with its default value are the same in protobuf.
pub fn compare(said: &[String], received: &[String]) -> Result<usize> {
    let (said, mut received) = (by_id(said)?, by_id(received)?);
    for (id, said) in &said {
        let Some(other) = received.remove(id) else { bail!("span {id} was not received: {said}") };
        let mut differences = Vec::new();
        differ("", said, &other, &mut differences);
        ensure!(differences.is_empty(), "span {id} differs:\n  {}", differences.join("\n  "));
    }
    if let Some((id, extra)) = received.pop_first() {
        bail!("span {id} was received and never said: {extra}");
    }
    Ok(said.len())
}

/// Every span with all that is said about it, by trace and span id.
fn by_id(lines: &[String]) -> Result<BTreeMap<String, Value>> {
    let mut spans = BTreeMap::new();
    for line in lines {
        let request: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        for resource in list(&request, "resourceSpans") {
            for scope in list(resource, "scopeSpans") {
                for span in list(scope, "spans") {
                    let text = |key: &str| span.get(key).and_then(Value::as_str).unwrap_or("none");
                    let id = format!("{}/{}", text("traceId"), text("spanId"));
                    let whole = Map::from_iter([
                        ("resource".to_owned(), resource.get("resource").cloned().unwrap_or_default()),
                        ("resourceSchema".to_owned(), resource.get("schemaUrl").cloned().unwrap_or_default()),
                        ("scope".to_owned(), scope.get("scope").cloned().unwrap_or_default()),
                        ("scopeSchema".to_owned(), scope.get("schemaUrl").cloned().unwrap_or_default()),
                        ("span".to_owned(), span.clone()),
                    ]);
                    let twice = spans.insert(id.clone(), without_defaults(Value::Object(whole)));
                    ensure!(twice.is_none(), "span {id} twice");
                }
            }
        }
    }
    Ok(spans)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Without fields that say nothing. A value of an attribute keeps its type even if it is empty.
fn without_defaults(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().map(|(key, field)| match key.as_str() {
                "value" => (key, field),
                _ => (key, without_defaults(field)),
            });
            Value::Object(said.filter(|(_, field)| !is_default(field)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_defaults).collect()),
        other => other,
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// Where two values differ, each with its path.
fn differ(path: &str, said: &Value, received: &Value, differences: &mut Vec<String>) {
    match (said, received) {
        (Value::Object(said), Value::Object(received)) => {
            let keys: std::collections::BTreeSet<&String> = said.keys().chain(received.keys()).collect();
            for key in keys {
                let (said, received) = (said.get(key), received.get(key));
                differ(
                    &format!("{path}/{key}"),
                    said.unwrap_or(&Value::Null),
                    received.unwrap_or(&Value::Null),
                    differences,
                );
            }
        }
        (Value::Array(said), Value::Array(received)) if said.len() == received.len() => {
            for (index, (said, received)) in said.iter().zip(received).enumerate() {
                differ(&format!("{path}/{index}"), said, received, differences);
            }
        }
        // 64-bit integers are strings in this encoding: what is a number has one as a double.
        (Value::Number(said), Value::Number(received)) if said.as_f64() == received.as_f64() => {}
        (said, received) if said != received => {
            differences.push(format!("{path}: said {said}, received {received}"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::LINE;

    fn check(received: &str) -> Result<usize> {
        compare(&[LINE.to_owned()], &[received.to_owned()])
    }

    #[test]
    fn defaults_and_absent_fields_are_the_same() {
        let verbose = LINE.replace(
            "\"status\":{}",
            "\"status\":{\"code\":0,\"message\":\"\"},\"links\":[],\"droppedLinksCount\":0",
        );
        assert_eq!(check(&verbose).unwrap(), 1);
    }

    #[test]
    fn a_difference_is_shown_with_its_path_and_both_values() {
        let error =
            check(&LINE.replace("\"intValue\":\"200\"", "\"intValue\":\"201\"")).unwrap_err().to_string();
        let path = "/span/attributes/1/value/intValue: said \"200\", received \"201\"";
        assert!(error.ends_with(path), "{error}");
    }

    #[test]
    fn an_attribute_of_another_type_or_another_place_is_a_difference() {
        for (ours, theirs) in [
            ("\"intValue\":\"200\"", "\"stringValue\":\"200\""),
            (
                "{\"stringValue\":\"1\"},{\"stringValue\":\"2\"}",
                "{\"stringValue\":\"2\"},{\"stringValue\":\"1\"}",
            ),
            ("\"flags\":257,", ""),
            ("{\"stringValue\":\"shop\"}", "{\"stringValue\":\"\"}"),
        ] {
            assert!(check(&LINE.replace(ours, theirs)).is_err(), "{theirs}");
        }
    }

    #[test]
    fn a_span_that_is_missing_doubled_or_made_up_is_an_error() {
        let other = LINE.replace("b7ad6b7169203331", "b7ad6b7169203332");
        let both = [LINE.to_owned(), other.clone()];
        assert!(check(&other).unwrap_err().to_string().contains("was not received"));
        assert!(compare(&both[..1], &both).unwrap_err().to_string().contains("never said"));
        assert!(compare(&[], &[LINE.to_owned(), LINE.to_owned()]).unwrap_err().to_string().contains("twice"));
        assert_eq!(compare(&both, &both).unwrap(), 2);
    }
}
