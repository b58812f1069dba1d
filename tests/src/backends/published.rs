//! Checks the examples whose programs cannot be had here against what their makers publish: every key that a file has is a published
//! one, and its value has the published type.
//!
//! Shape: a file of deploy/backends and a table of keys → what is wrong. Sources: Tempo 2.8, docs/sources/tempo/configuration/manifest.md;
//! opentelemetry-collector-contrib v0.155.0, exporter/loadbalancingexporter/config.schema.yaml and exporter/zipkinexporter/config.schema.yaml;
//! opentelemetry-collector v0.155.0, receiver/otlpreceiver/config.schema.yaml.
use super::example;
use serde_json::{Map, Value};

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
    Duration,
    /// `host:port`.
    Address,
    Texts,
    OneOf(&'static [&'static str]),
}
use Kind::{Address, Duration, Number, OneOf, Text, Texts, Truth};

/// Published keys: path and type.
type Table = &'static [(&'static str, Kind)];

const TEMPO: Table = &[
    ("target", Text),
    ("http_api_prefix", Text),
    ("server.http_listen_address", Text),
    ("server.http_listen_port", Number),
    ("server.grpc_listen_port", Number),
    ("server.log_level", OneOf(&["debug", "info", "warn", "error"])),
    ("distributor.receivers.otlp.protocols.grpc.endpoint", Address),
    ("distributor.receivers.otlp.protocols.http.endpoint", Address),
    ("distributor.max_attribute_bytes", Number),
    ("compactor.compaction.block_retention", Duration),
    ("compactor.compaction.compaction_window", Duration),
    ("storage.trace.backend", OneOf(&["local", "s3", "gcs", "azure"])),
    ("storage.trace.wal.path", Text),
    ("storage.trace.local.path", Text),
    ("ingester.max_block_duration", Duration),
];

const LOAD_BALANCING: Table = &[
    ("routing_key", OneOf(&["traceID", "service", "metric", "resource", "streamID", "attributes"])),
    ("routing_attributes", Texts),
    ("resolver.static.hostnames", Texts),
    ("resolver.dns.hostname", Text),
    ("resolver.dns.port", Text),
    ("resolver.dns.interval", Duration),
    ("resolver.dns.timeout", Duration),
    ("resolver.k8s.service", Text),
    ("resolver.k8s.timeout", Duration),
    ("resolver.k8s.return_hostnames", Truth),
    ("protocol.otlp.timeout", Duration),
    ("protocol.otlp.compression", Text),
    ("protocol.otlp.tls.insecure", Truth),
    ("protocol.otlp.tls.ca_file", Text),
    ("timeout", Duration),
];

const ZIPKIN: Table = &[
    ("endpoint", Text),
    ("format", OneOf(&["json", "proto"])),
    ("default_service_name", Text),
    ("timeout", Duration),
];

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(example(file).unwrap()).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Every leaf with its path.
fn leaves(path: &str, value: &Value, all: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&path, field, all);
            }
        }
        leaf => all.push((path.to_owned(), leaf.clone())),
    }
}

impl Kind {
    fn accepts(self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Text => text.is_some(),
            Number => value.is_u64(),
            Truth => value.is_boolean(),
            Duration => text.is_some_and(is_duration),
            Address => text
                .and_then(|text| text.rsplit_once(':'))
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
            Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            OneOf(names) => text.is_some_and(|text| names.contains(&text)),
        }
    }
}

/// `1h30m`, as Go writes durations.
fn is_duration(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let unit = digits.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    text.len() > digits.len() && ["ns", "us", "ms", "s", "m", "h"].iter().any(|known| unit.starts_with(known))
}

/// What no published key explains.
fn unpublished(value: &Value, table: Table) -> Vec<String> {
    let mut all = Vec::new();
    leaves("", value, &mut all);
    assert!(!all.is_empty());
    all.into_iter()
        .filter(|(path, value)| {
            let published = table.iter().find(|(known, _)| known == path);
            !published.is_some_and(|(_, kind)| kind.accepts(value))
        })
        .map(|(path, value)| format!("{path}: {value}"))
        .collect()
}

fn exporter(file: &str, name: &str) -> Value {
    read(file).pointer(&format!("/exporters/{name}")).cloned().unwrap_or(Value::Object(Map::new()))
}

#[test]
fn tempos_file_has_only_keys_that_tempo_publishes() {
    assert_eq!(unpublished(&read("tempo/tempo.yaml"), TEMPO), Vec::<String>::new());
}

#[test]
fn the_exporters_that_are_stood_in_for_are_configured_as_published() {
    let balance = exporter("collector/agent.yaml", "loadbalancing");
    assert_eq!(unpublished(&balance, LOAD_BALANCING), Vec::<String>::new());
    assert_eq!(unpublished(&exporter("zipkin/collector.yaml", "zipkin"), ZIPKIN), Vec::<String>::new());
}

#[test]
fn a_key_that_is_misspelt_and_a_value_of_another_type_are_found() {
    let wrong: Value = serde_saphyr::from_str(
        "server: {http_listen_prot: 3200, http_listen_port: high}\nstorage: {trace: {backend: disk}}",
    )
    .unwrap();
    assert_eq!(unpublished(&wrong, TEMPO).len(), 3);
}

#[test]
fn every_example_tells_the_agent_where_to_send() {
    for folder in ["collector", "jaeger", "tempo", "zipkin", "sidecar"] {
        let file = read(&format!("{folder}/wirespan.yaml"));
        let endpoint = file.pointer("/export/otlp/endpoint").and_then(Value::as_str).unwrap_or_default();
        assert!(endpoint.starts_with("http://") && endpoint.ends_with(":4317"), "{folder}: {endpoint}");
    }
}
