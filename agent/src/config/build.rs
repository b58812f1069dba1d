//! Settings to [`Config`]: the rules that look at more than one key.
//!
//! Shape: typed settings in, room structs out; a setting that a rule changes gets that rule as its origin, so `wirespan config`
//! shows what holds and why.
use super::{
    Config, ConfigError, Place, Source, Warning,
    choice::{Compression, Exporter, InKubernetes, Propagator, Protocol, Query},
    key::{Origin, Setting},
    keys::Settings,
    rooms::{
        Agent, Assemble, Batch, Capture, Containers, Correlate, Export, Kubernetes, Otlp, Resource, Sample,
        Select,
    },
    value::{Dialect, ExeGlob, Knob},
};
use crate::cli::RunArgs;
use globset::{GlobSet, GlobSetBuilder};
use std::{path::PathBuf, time::Duration};
use wirespan_core::{
    propagate::Format,
    redact::{QueryPolicy, Rules},
};

const SERVICE_NAME: &str = "service.name";
/// Kubernetes sets it in every container.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

pub(super) fn run_for(args: &RunArgs, errors: &mut Vec<ConfigError>) -> Option<Duration> {
    let text = args.run_for.as_deref()?;
    let invalid =
        |reason| ConfigError::Invalid { place: Place::Flag("--for"), key: "duration".to_owned(), reason };
    Duration::from_text(text, Dialect::Own).map_err(|reason| errors.push(invalid(reason))).ok()
}

pub(super) fn config(
    mut settings: Settings,
    mut warnings: Vec<Warning>,
    source: &dyn Source,
    errors: &mut Vec<ConfigError>,
) -> Option<Config> {
    choose_protocol(&mut settings);
    choose_exporters(&mut settings, source, errors);
    let resource = resource(&mut settings, &mut warnings);
    let propagators = propagators(&mut settings, errors);
    let otlp = otlp(&settings, source, errors);
    let kubernetes = kubernetes(&mut settings, source);
    let select = select(&settings, errors);
    Some(Config {
        select,
        kubernetes,
        capture: capture(&settings),
        assemble: assemble(&settings),
        correlate: Correlate {
            propagators,
            peer_wait: settings.correlate_peer_wait.value,
            hold: settings.correlate_hold.value,
            patience: settings.correlate_patience.value,
            max_trace_spans: settings.correlate_max_trace_spans.value,
            max_trace_age: settings.correlate_max_trace_age.value,
            only: settings.correlate_only.value,
            report_open: settings.correlate_report_open.value,
        },
        redact: redact(&settings),
        sample: Sample {
            sampler: settings.sample_sampler.value,
            ratio: settings.sample_ratio.value.0,
            exclude: settings.sample_exclude.value.clone(),
        },
        containers: containers(&settings),
        resource,
        export: Export {
            exporters: settings.export_exporters.value.clone(),
            otlp: otlp?,
            batch: batch(&settings),
        },
        agent: Agent { socket: settings.agent_socket.value.clone(), log: settings.agent_log.value.clone() },
        run_for: None,
        verbose: false,
        warnings,
        rows: settings.rows(),
    })
}

/// Who writes only the port of OTLP/HTTP means OTLP/HTTP.
fn choose_protocol(settings: &mut Settings) {
    let protocol = &mut settings.export_otlp_protocol;
    if protocol.origin == Origin::Default && settings.export_otlp_endpoint.value.port() == Some(4318) {
        *protocol =
            Setting { value: Protocol::HttpProtobuf, origin: Origin::Rule("the endpoint's port is 4318") };
    }
}

fn choose_exporters(settings: &mut Settings, source: &dyn Source, errors: &mut Vec<ConfigError>) {
    let has_endpoint = settings.export_otlp_endpoint.origin != Origin::Default;
    let exporters = &mut settings.export_exporters;
    if settings.export_disabled.value {
        *exporters = Setting { value: Vec::new(), origin: settings.export_disabled.origin.clone() };
        return;
    }
    if exporters.value.is_empty() && exporters.origin == Origin::Default {
        let (value, why) = match (has_endpoint, source.stdout_is_terminal()) {
            (true, _) => (Exporter::Otlp, "an endpoint is configured"),
            (false, true) => (Exporter::Console, "stdout is a terminal"),
            (false, false) => (Exporter::Otlp, "stdout is no terminal"),
        };
        *exporters = Setting { value: vec![value], origin: Origin::Rule(why) };
    }
    let mut once: Vec<Exporter> = Vec::new();
    for exporter in exporters.value.drain(..) {
        if !once.contains(&exporter) {
            once.push(exporter);
        }
    }
    let alone = |reason: &str| ConfigError::Invalid {
        place: Place::from(&exporters.origin),
        key: "export.exporters".to_owned(),
        reason: reason.to_owned(),
    };
    if once.len() > 1 && once.contains(&Exporter::None) {
        errors.push(alone("`none` excludes other exporters"));
    }
    if once.contains(&Exporter::Json) && once.contains(&Exporter::Console) {
        errors.push(alone("`json` and `console` both write to stdout"));
    }
    exporters.value = once.into_iter().filter(|exporter| *exporter != Exporter::None).collect();
}

fn containers(settings: &Settings) -> Containers {
    let paths = settings.containers_sockets.value.iter().filter(|path| *path != "none");
    Containers { sockets: paths.map(PathBuf::from).collect() }
}

/// One name for everything that an agent observes would be false, so it needs exactly one selector.
fn resource(settings: &mut Settings, warnings: &mut Vec<Warning>) -> Resource {
    let selectors = settings.select_pids.value.len()
        + settings.select_exes.value.len()
        + settings.select_ports.value.len();
    let name = &mut settings.resource_service_name;
    let attributes = &mut settings.resource_attributes;
    let in_attributes = attributes.value.0.iter().position(|(key, _)| key == SERVICE_NAME);
    if let Some(position) = in_attributes {
        let (_, value) = attributes.value.0.remove(position);
        if name.value.is_none() {
            *name = Setting { value: Some(value), origin: attributes.origin.clone() };
        }
    }
    if name.value.is_some() && selectors != 1 {
        let reason =
            "names one service, but there is not exactly one --pid, --exe or --port to say which".to_owned();
        warnings.push(Warning { place: Place::from(&name.origin), key: "resource.service_name", reason });
        *name = Setting { value: None, origin: Origin::Rule("there is not exactly one selector") };
    }
    Resource { service_name: name.value.clone(), attributes: attributes.value.0.clone() }
}

fn propagators(settings: &mut Settings, errors: &mut Vec<ConfigError>) -> Vec<Format> {
    let setting = &settings.correlate_propagators;
    if setting.value.len() > 1 && setting.value.contains(&Propagator::None) {
        let reason = "`none` excludes other propagators".to_owned();
        let place = Place::from(&setting.origin);
        errors.push(ConfigError::Invalid { place, key: "correlate.propagators".to_owned(), reason });
    }
    let formats = setting.value.iter().flat_map(|propagator| -> &[Format] {
        match propagator {
            Propagator::TraceContext => &[Format::W3c],
            Propagator::B3 | Propagator::B3Multi => &[Format::B3Single, Format::B3Multi],
            Propagator::Jaeger => &[Format::Jaeger],
            Propagator::XRay => &[Format::XRay],
            Propagator::Baggage | Propagator::None => &[],
        }
    });
    let mut order = Vec::new();
    for format in formats {
        if !order.contains(format) {
            order.push(*format);
        }
    }
    order
}

fn otlp(settings: &Settings, source: &dyn Source, errors: &mut Vec<ConfigError>) -> Option<Otlp> {
    let protocol = settings.export_otlp_protocol.value;
    let endpoint = &settings.export_otlp_endpoint;
    let url = endpoint.value.url(protocol, &endpoint.origin, settings.export_otlp_insecure.value);
    let invalid = |setting: &Origin, key: &str, reason| ConfigError::Invalid {
        place: Place::from(setting),
        key: key.to_owned(),
        reason,
    };
    let url =
        url.map_err(|reason| errors.push(invalid(&endpoint.origin, "export.otlp.endpoint", reason))).ok();
    let certificate = &settings.export_otlp_certificate;
    let (client, key) = (&settings.export_otlp_client_certificate, &settings.export_otlp_client_key);
    let files: [(&str, &Setting<Option<PathBuf>>); 3] = [
        ("export.otlp.certificate", certificate),
        ("export.otlp.client_certificate", client),
        ("export.otlp.client_key", key),
    ];
    for (name, setting) in files {
        let Some(path) = &setting.value else { continue };
        if let Err(error) = source.read(path) {
            let reason = format!("{} cannot be read: {error}", path.display());
            errors.push(invalid(&setting.origin, name, reason));
        }
    }
    let pair = match (&client.value, &key.value) {
        (Some(client), Some(key)) => Some((client.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => {
            errors.push(invalid(
                &client.origin,
                "export.otlp.client_certificate",
                "needs client_key too".to_owned(),
            ));
            None
        }
        (None, Some(_)) => {
            errors.push(invalid(
                &key.origin,
                "export.otlp.client_key",
                "needs client_certificate too".to_owned(),
            ));
            None
        }
    };
    Some(Otlp {
        endpoint: url?,
        protocol,
        headers: settings.export_otlp_headers.value.0.clone(),
        timeout: settings.export_otlp_timeout.value,
        gzip: settings.export_otlp_compression.value == Compression::Gzip,
        certificate: certificate.value.clone(),
        client: pair,
    })
}

fn select(settings: &Settings, errors: &mut Vec<ConfigError>) -> Select {
    Select {
        pids: settings.select_pids.value.iter().copied().collect(),
        exes: globs(&settings.select_exes, errors),
        ports: settings.select_ports.value.iter().copied().collect(),
        follow_exec: settings.select_follow_exec.value,
    }
}

fn globs(exes: &Setting<Vec<ExeGlob>>, errors: &mut Vec<ConfigError>) -> Option<GlobSet> {
    if exes.value.is_empty() {
        return None;
    }
    let mut builder = GlobSetBuilder::new();
    for ExeGlob(glob) in &exes.value {
        builder.add(glob.clone());
    }
    let place = Place::from(&exes.origin);
    let invalid = |error: globset::Error| ConfigError::Invalid {
        place,
        key: "select.exes".to_owned(),
        reason: error.to_string(),
    };
    builder.build().map_err(|error| errors.push(invalid(error))).ok()
}

/// In Kubernetes nothing is read from a program before it is known to be wanted, so none is followed until then.
fn kubernetes(settings: &mut Settings, source: &dyn Source) -> Option<Kubernetes> {
    let enabled = &mut settings.kubernetes_enabled;
    if enabled.value == InKubernetes::Auto {
        let (value, why) = if settings.kubernetes_kubeconfig.value.is_some() {
            (InKubernetes::True, "a kubeconfig is named")
        } else if source.get(SERVICE_HOST).is_some_and(|host| !host.is_empty()) {
            (InKubernetes::True, "KUBERNETES_SERVICE_HOST is set")
        } else {
            (InKubernetes::False, "nothing tells of an API server")
        };
        *enabled = Setting { value, origin: Origin::Rule(why) };
    }
    if enabled.value != InKubernetes::True {
        return None;
    }
    settings.select_follow_exec = Setting { value: false, origin: Origin::Rule("in Kubernetes pods opt in") };
    Some(Kubernetes {
        node: settings.kubernetes_node.value.clone(),
        kubeconfig: settings.kubernetes_kubeconfig.value.clone(),
        names_by_labels: settings.kubernetes_names_by_labels.value,
        peers: settings.kubernetes_peers.value,
        identity_wait: settings.kubernetes_identity_wait.value,
    })
}

fn capture(settings: &Settings) -> Capture {
    // The table's check keeps it below 2³².
    let ring_bytes = u32::try_from(settings.capture_ring_bytes.value.0).unwrap_or(u32::MAX);
    Capture { hook: settings.capture_hook.value, btf: settings.capture_btf.value.clone(), ring_bytes }
}

fn assemble(settings: &Settings) -> Assemble {
    let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
    Assemble {
        max_open_requests: settings.assemble_max_open_requests.value.0,
        max_head_bytes: settings.assemble_max_head_bytes.value.0,
        max_connections: settings.assemble_max_connections.value.0,
        idle_timeout: settings.assemble_idle_timeout.value,
        request_headers: lower(&settings.assemble_request_headers.value),
        response_headers: lower(&settings.assemble_response_headers.value),
    }
}

fn redact(settings: &Settings) -> Rules {
    let query = match settings.redact_query.value {
        Query::Drop => QueryPolicy::Drop,
        Query::Keys => QueryPolicy::Keys,
        Query::Values => QueryPolicy::Values,
    };
    Rules { query, keep: settings.redact_query_keep.value.clone() }
}

fn batch(settings: &Settings) -> Batch {
    Batch {
        delay: settings.export_batch_delay.value,
        max_spans: settings.export_batch_max_spans.value.0.min(settings.export_batch_queue.value.0),
        queue: settings.export_batch_queue.value.0,
        timeout: settings.export_batch_timeout.value,
    }
}
