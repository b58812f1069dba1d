//! From the configuration to each room's own settings: rooms never see all of it.
//!
//! Shape: [`Config`] → one struct per room. Not here: defaults and checks (see `config`).
use crate::{
    attach,
    config::{Config, Exporter, Hook, Protocol, Sampler, Source, System},
    discover, enrich, export, kubernetes,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, ToSocketAddrs},
    time::Duration,
};
use url::Host;
use wirespan_core::{
    assemble, correlate, propagate,
    sample::{self, Exclude, Rule, Threshold},
    spans,
};

/// The last flush when none is configured to be longer.
pub(super) const FLUSH_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn assemble(config: &Config) -> assemble::Settings {
    let room = &config.assemble;
    let context = propagate::header_names().iter().map(|name| (*name).to_owned());
    let keep_fields: BTreeSet<String> = context.chain(span_rules(config).kept_fields()).collect();
    assemble::Settings {
        keep_fields: keep_fields.into_iter().collect(),
        max_connections: room.max_connections,
        max_open: room.max_open_requests,
        max_head_bytes: room.max_head_bytes,
        idle_timeout_ns: nanos(room.idle_timeout),
        ..assemble::Settings::default()
    }
}

pub(super) fn correlate(config: &Config, local_addresses: Vec<IpAddr>) -> correlate::Settings {
    correlate::Settings {
        formats: config.correlate.propagators.clone(),
        sampler: sampler(config.sample.sampler, config.sample.ratio),
        exclude: Exclude::new(&config.sample.exclude),
        spans: span_rules(config),
        local_addresses,
        peer_wait_ns: nanos(config.correlate.peer_wait),
        hold_ns: nanos(config.correlate.hold),
        patience_ns: nanos(config.correlate.patience),
        max_trace_spans: config.correlate.max_trace_spans,
        max_trace_age_ns: nanos(config.correlate.max_trace_age),
        only: config.correlate.only,
        report_open_ns: nanos(config.correlate.report_open),
        ..correlate::Settings::default()
    }
}

fn span_rules(config: &Config) -> spans::Rules {
    spans::Rules {
        redact: config.redact.clone(),
        request_fields: config.assemble.request_headers.clone(),
        response_fields: config.assemble.response_headers.clone(),
    }
}

fn sampler(sampler: Sampler, ratio: f64) -> sample::Sampler {
    let threshold = Threshold::from_probability(ratio).unwrap_or(Threshold::ALL);
    let (rule, parent_based) = match sampler {
        Sampler::AlwaysOn => (Rule::AlwaysOn, false),
        Sampler::AlwaysOff => (Rule::AlwaysOff, false),
        Sampler::TraceIdRatio => (Rule::Ratio(threshold), false),
        Sampler::Probability => (Rule::Probability(threshold), false),
        Sampler::ParentBasedAlwaysOn => (Rule::AlwaysOn, true),
        Sampler::ParentBasedAlwaysOff => (Rule::AlwaysOff, true),
        Sampler::ParentBasedTraceIdRatio => (Rule::Ratio(threshold), true),
        Sampler::ParentBasedProbability => (Rule::Probability(threshold), true),
    };
    sample::Sampler { rule, parent_based }
}

/// How to load the kernel side.
pub fn attach(config: &Config) -> attach::Settings {
    let groups = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().div_ceil(4)) as u32;
    attach::Settings {
        kind: kind(config.capture.hook),
        btf: config.capture.btf.clone(),
        ring_bytes: Some(config.capture.ring_bytes.saturating_mul(groups)),
        follow_exec: match (config.kubernetes.is_some(), config.select.follow_exec) {
            (true, _) => attach::FollowExec::Announce,
            (false, true) => attach::FollowExec::Follow,
            (false, false) => attach::FollowExec::Off,
        },
    }
}

/// How Kubernetes is asked, if it is.
pub fn kubernetes(config: &Config) -> Option<kubernetes::Settings> {
    let room = config.kubernetes.as_ref()?;
    let own_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(kubernetes::Settings {
        node: room.node.clone().unwrap_or_else(own_name),
        kubeconfig: room.kubeconfig.clone(),
        names_by_labels: room.names_by_labels,
        peers: room.peers,
    })
}

fn kind(hook: Hook) -> Option<attach::Kind> {
    match hook {
        Hook::Auto => None,
        Hook::Tracepoints => Some(attach::Kind::Tracepoints),
        Hook::Fentry => Some(attach::Kind::Fentry),
        Hook::Kprobe => Some(attach::Kind::Kprobe),
        Hook::Syscalls => Some(attach::Kind::Syscalls),
    }
}

/// Whom to observe; whoever listens where spans are sent on this node is the collector.
pub fn select(config: &Config, local_addresses: &[IpAddr]) -> discover::Select {
    let sends = config.export.exporters.contains(&Exporter::Otlp);
    discover::Select {
        pids: config.select.pids.clone(),
        exes: config.select.exes.clone(),
        ports: config.select.ports.clone(),
        own_pid: std::process::id(),
        collector_ports: if sends { collector_ports(config, local_addresses) } else { BTreeSet::new() },
    }
}

fn collector_ports(config: &Config, local_addresses: &[IpAddr]) -> BTreeSet<u16> {
    let endpoint = &config.export.otlp.endpoint;
    let Some(port) = endpoint.port_or_known_default() else { return BTreeSet::new() };
    let is_here = |address: IpAddr| address.is_loopback() || local_addresses.contains(&address);
    let here = match endpoint.host() {
        Some(Host::Ipv4(address)) => is_here(address.into()),
        Some(Host::Ipv6(address)) => is_here(address.into()),
        // A name is looked up once: a collector on this node rarely moves to another while the agent runs.
        Some(Host::Domain(name)) => {
            name == "localhost"
                || (name, port).to_socket_addrs().is_ok_and(|mut found| found.any(|at| is_here(at.ip())))
        }
        None => false,
    };
    if here { BTreeSet::from([port]) } else { BTreeSet::new() }
}

pub(super) fn enrich(config: &Config) -> enrich::Settings {
    enrich::Settings {
        service_name: config.resource.service_name.clone(),
        resource_attributes: config.resource.attributes.clone(),
    }
}

pub(super) fn export(config: &Config) -> export::Settings {
    let room = &config.export;
    let otlp = &room.otlp;
    let protocol = match otlp.protocol {
        Protocol::Grpc => export::Protocol::Grpc,
        Protocol::HttpProtobuf => export::Protocol::HttpProtobuf,
    };
    let kinds = room.exporters.iter().filter_map(|exporter| match exporter {
        Exporter::Otlp => Some(export::Kind::Otlp),
        Exporter::Console => Some(export::Kind::Console),
        Exporter::Json => Some(export::Kind::Json),
        Exporter::None => None,
    });
    export::Settings {
        exporters: kinds.collect(),
        otlp: export::Otlp {
            headers: otlp.headers.clone(),
            timeout: otlp.timeout,
            compression: if otlp.gzip { export::Compression::Gzip } else { export::Compression::None },
            certificate: otlp.certificate.clone(),
            client: otlp.client.clone(),
            ..export::Otlp::new(protocol, otlp.endpoint.clone())
        },
        batch: export::Batch {
            max_queue_size: room.batch.queue,
            max_export_batch_size: room.batch.max_spans,
            schedule_delay: room.batch.delay,
        },
        console: export::Console::detect(|key| System.get(key)),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
