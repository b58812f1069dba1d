//! The one table of keys: from it come the file's grammar, environment and flags, the help, the example and the tests.
//!
//! Shape: a row per key: field: type = path, [environment], flag, default, unit, example, check, secret, doc. To add a knob, add a
//! row, put its value into a room's struct in `config/rooms.rs`, and regenerate `deploy/config.example.yaml`.
use super::{
    choice::{Compression, Exporter, Hook, InKubernetes, Propagator, Protocol, Query, Sampler},
    endpoint::Endpoint,
    key::{Key, Row, Setting, keys},
    resolve::Resolver,
    value::{Bytes, Count, ExeGlob, Knob, Pairs, Ratio},
};
use std::{path::PathBuf, time::Duration};

keys! {
    select_pids: Vec<u32> = "select.pids", ["WIRESPAN_PIDS"], Some("--pid"), "", "pids", "[1234]", any, false,
        "Observe these processes, their children, and what those execute. With no selector at all every process is observed, except \
         the agent and the collector it sends to.";
    select_exes: Vec<ExeGlob> = "select.exes", ["WIRESPAN_EXES"], Some("--exe"), "", "globs", "[\"python3*\", \"/opt/shop/**\"]", any, false,
        "Observe processes whose executable matches one of these globs, by whole path or by file name.";
    select_ports: Vec<u16> = "select.ports", ["WIRESPAN_PORTS"], Some("--port"), "", "TCP ports", "[8080]", any, false,
        "Observe processes that listen on one of these ports, and their children of the same program.";
    select_follow_exec: bool = "select.follow_exec", ["WIRESPAN_FOLLOW_EXEC"], None, "true", "", "", any, false,
        "Follow every newly executed program from its first instruction until it is known whether it is wanted. Without this a process \
         that lives for a few milliseconds is missed. Never in Kubernetes: there nothing is read of a program before its pod opts in.";

    kubernetes_enabled: InKubernetes = "kubernetes.enabled", ["WIRESPAN_KUBERNETES"], Some("--kubernetes"), "auto", "auto, true or false", "", any, false,
        "Whether only pods are observed whose namespace is labelled `wirespan.io/trace: enabled`; a pod's own label of the same key, `enabled` or \
         `disabled`, counts for more. Selectors then choose among these. `auto`: if KUBERNETES_SERVICE_HOST is set, or a kubeconfig is named.";
    kubernetes_node: Option<String> = "kubernetes.node", ["WIRESPAN_NODE_NAME"], None, "", "", "node-1", any, false,
        "This node's name in Kubernetes, from the downward API's spec.nodeName. Default: the machine's own name.";
    kubernetes_kubeconfig: Option<PathBuf> = "kubernetes.kubeconfig", ["WIRESPAN_KUBECONFIG"], Some("--kubeconfig"), "", "path",
        "/etc/kubernetes/wirespan.conf", any, false,
        "How to reach the API server for an agent that runs in no pod. Default: as the pod's service account.";
    kubernetes_names_by_labels: bool = "kubernetes.names_by_labels", ["WIRESPAN_NAMES_BY_LABELS"], None, "true", "", "", any, false,
        "Whether a pod's labels app.kubernetes.io/instance, /name and /version name services and versions before the pod's workload does. \
         False where one Helm release, and so one instance, holds several services.";
    kubernetes_peers: bool = "kubernetes.peers", ["WIRESPAN_PEERS"], None, "false", "", "", any, false,
        "Whether the span of a call says who is behind the address it went to (service.peer.name), if that is a Service, \
         one of its endpoints or a pod of this node. The agent's service account then needs list and watch on services and endpointslices too.";
    kubernetes_identity_wait: Duration = "kubernetes.identity_wait", ["WIRESPAN_IDENTITY_WAIT"], None, "3s", "duration", "",
        within(Duration::ZERO, MINUTE), false,
        "How long the first spans of a container wait for its name, which the kubelet tells the API server once the container runs.";

    capture_hook: Hook = "capture.hook", ["WIRESPAN_HOOK"], None, "auto", "auto, tracepoints, fentry, kprobe or syscalls", "", any, false,
        "How socket calls are seen. `auto` takes the best that this kernel supports; `wirespan doctor` says which.";
    capture_btf: Option<PathBuf> = "capture.btf", ["WIRESPAN_BTF"], None, "", "path", "/usr/lib/debug/boot/vmlinux.btf", any, false,
        "A file with the BTF of exactly this kernel, for kernels that do not show their own at /sys/kernel/btf/vmlinux.";
    capture_ring_bytes: Bytes = "capture.ring_bytes", ["WIRESPAN_RING_BYTES"], None, "4MiB", "size, a power of two", "",
        power_of_two(65_536, 1 << 30), false,
        "Size of the ring between kernel and agent, per started group of four CPUs. A full ring loses records and counts them; it never blocks.";

    assemble_max_connections: Count = "assemble.max_connections", ["WIRESPAN_MAX_CONNECTIONS"], None, "65536", "connections", "",
        within(Count(16), Count(65_536)), false,
        "Connections followed at the same time. One more drops the oldest and counts it.";
    assemble_max_open_requests: Count = "assemble.max_open_requests", ["WIRESPAN_MAX_OPEN_REQUESTS"], None, "1024", "requests", "",
        within(Count(1), Count(65_536)), false,
        "Unanswered requests remembered on one connection (pipelining).";
    assemble_max_head_bytes: Bytes = "assemble.max_head_bytes", ["WIRESPAN_MAX_HEAD_BYTES"], None, "64KiB", "size", "",
        within(Bytes(1024), Bytes(1 << 20)), false,
        "Longest header block that is read. Of a longer one only what fits is used, and the span says so.";
    assemble_idle_timeout: Duration = "assemble.idle_timeout", ["WIRESPAN_IDLE_TIMEOUT"], None, "5m", "duration", "",
        within(SECOND, DAY), false,
        "A request with no byte in either direction for this long ends as a timeout.";
    assemble_request_headers: Vec<String> = "assemble.request_headers", ["WIRESPAN_REQUEST_HEADERS"], None, "", "header names",
        "[x-request-id]", |names: &Vec<String>| header_names(names), false,
        "Request headers that become attributes `http.request.header.<name>`. No other header leaves the node.";
    assemble_response_headers: Vec<String> = "assemble.response_headers", ["WIRESPAN_RESPONSE_HEADERS"], None, "", "header names",
        "[x-cache]", |names: &Vec<String>| header_names(names), false,
        "Response headers that become attributes `http.response.header.<name>`.";

    correlate_propagators: Vec<Propagator> = "correlate.propagators", ["OTEL_PROPAGATORS"], None, "tracecontext, b3, jaeger, xray",
        "tracecontext, b3, b3multi, jaeger, xray, baggage or none", "", any, false,
        "Formats in which requests may carry trace context, in this order; the first valid one counts.";
    correlate_peer_wait: Duration = "correlate.peer_wait", ["WIRESPAN_PEER_WAIT"], None, "100ms", "duration", "",
        within(Duration::ZERO, MINUTE), false,
        "How long a request that came from this node waits for the other end of its connection to be seen, before it begins a trace of its own.";
    correlate_hold: Duration = "correlate.hold", ["WIRESPAN_HOLD"], None, "2s", "duration", "",
        within(Duration::ZERO, MINUTE), false,
        "How long a link waits, after its request was answered, for the process to show how its threads work.";
    correlate_patience: Duration = "correlate.patience", ["WIRESPAN_PATIENCE"], None, "30s", "duration", "",
        within(Duration::ZERO, HOUR), false,
        "How long a finished client span waits for the answer of the request that seems to have caused it.";
    correlate_max_trace_spans: u32 = "correlate.max_trace_spans", ["WIRESPAN_MAX_TRACE_SPANS"], None, "10000", "spans", "",
        any, false,
        "Spans of this node in one trace, at most. What would come after begins a trace of its own, and says so.";
    correlate_max_trace_age: Duration = "correlate.max_trace_age", ["WIRESPAN_MAX_TRACE_AGE"], None, "1h", "duration", "",
        within(SECOND, DAY), false,
        "How long after the first span of a trace on this node others may join it.";
    correlate_only: bool = "correlate.only", ["WIRESPAN_ONLY"], None, "true", "", "", any, false,
        "Whether being the only open request of a process counts as evidence that it caused a call.";

    correlate_report_open: Duration = "correlate.report_open", ["WIRESPAN_REPORT_OPEN"], None, "0s", "duration", "30s",
        zero_or_within(SECOND, DAY), false,
        "How often a request that stays open, such as a stream, is told before it ends: by a span of kind internal for each such time, whose parent \
         is the span that the request becomes in the end. 0s: never.";

    redact_query: Query = "redact.query", ["WIRESPAN_QUERY"], None, "keys", "drop, keys or values", "", any, false,
        "How much of a query string leaves the node: nothing, its keys, or its values too, except those of credentials.";
    redact_query_keep: Vec<String> = "redact.query_keep", ["WIRESPAN_QUERY_KEEP"], None, "", "query keys", "[page, sort]", any, false,
        "Keys of query strings whose values always leave the node.";

    sample_sampler: Sampler = "sample.sampler", ["OTEL_TRACES_SAMPLER"], None, "parentbased_always_on",
        "always_on, always_off, traceidratio or probability, each also with parentbased_ before it", "", any, false,
        "Which traces are exported. The parentbased samplers obey the decision that came with a request; probability obeys `ot=rv` and \
         tells its threshold as `ot=th` in tracestate.";
    sample_ratio: Ratio = "sample.ratio", ["OTEL_TRACES_SAMPLER_ARG"], None, "1", "0 to 1", "", any, false,
        "The share that the traceidratio and probability samplers keep. The same trace is kept on every node.";
    sample_exclude: Vec<String> = "sample.exclude", ["WIRESPAN_EXCLUDE"], None,
        "/healthz, /livez, /readyz, /grpc.health.v1.Health/*, /grpc.reflection.*", "paths", "", |paths: &Vec<String>| excluded(paths), false,
        "Requests that become no span, with all that they cause: health checks, and questions about a service itself. A path stands for \
         itself, one that ends with `*` for all that begin so; a gRPC call's is /SERVICE/METHOD. An empty list excludes nothing.";

    containers_sockets: Vec<String> = "containers.sockets", ["WIRESPAN_CONTAINER_SOCKETS"], None,
        "/var/run/docker.sock, /run/podman/podman.sock", "paths, or none", "", |paths: &Vec<String>| sockets(paths), false,
        "Sockets of Docker's API, or Podman's, that are asked for a container's name, image and Compose service: one request for each \
         container, never a change. Who may use such a socket may do all that the engine may: `none` asks nobody, and spans have the id alone. \
         A path with `podman` in it is Podman's. What belongs to a pod is not asked about.";

    resource_service_name: Option<String> = "resource.service_name", ["OTEL_SERVICE_NAME"], None, "", "", "shop", any, false,
        "Name of the observed service. Applies only if the selectors are exactly one --pid, --exe or --port: an agent that observes many \
         services must not give all of them one name. A process's own OTEL_SERVICE_NAME comes first.";
    resource_attributes: Pairs = "resource.attributes", ["OTEL_RESOURCE_ATTRIBUTES"], None, "", "names and values",
        "{deployment.environment.name: staging}", any, false,
        "Attributes added to every resource. `service.name` among them has the rule of resource.service_name.";

    export_exporters: Vec<Exporter> = "export.exporters", ["OTEL_TRACES_EXPORTER"], Some("--exporter"), "",
        "otlp, console, json or none", "[otlp, console]", any, false,
        "Where spans go. Default: otlp if an endpoint is configured; else the console if stdout is a terminal; else otlp to localhost.";
    export_disabled: bool = "export.disabled", ["OTEL_SDK_DISABLED"], None, "false", "", "", any, false,
        "Export nothing at all, whatever the exporters are.";
    export_otlp_endpoint: Endpoint = "export.otlp.endpoint", ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"], None,
        "http://localhost:4317", "URL", "", any, false,
        "The collector. Over HTTP `/v1/traces` is added to its path, except to that of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. https means TLS.";
    export_otlp_protocol: Protocol = "export.otlp.protocol", ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"], None,
        "grpc", "grpc or http/protobuf", "", any, false,
        "How spans travel. Default: grpc, or http/protobuf if the endpoint's port is 4318.";
    export_otlp_headers: Pairs = "export.otlp.headers", ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"], None,
        "", "names and values", "{authorization: Bearer …}", any, true,
        "Headers sent with every export.";
    export_otlp_timeout: Duration = "export.otlp.timeout", ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], None,
        "10s", "duration", "", within(MILLISECOND, HOUR), false,
        "How long one export may take. Retries are further exports.";
    export_otlp_compression: Compression = "export.otlp.compression",
        ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"], None, "none", "gzip or none", "", any, false,
        "gzip trades CPU for traffic.";
    export_otlp_certificate: Option<PathBuf> = "export.otlp.certificate",
        ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"], None, "", "PEM file", "/etc/wirespan/ca.pem", any, false,
        "Authorities that may sign the collector's certificate, instead of the system's.";
    export_otlp_client_certificate: Option<PathBuf> = "export.otlp.client_certificate",
        ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"], None, "", "PEM file",
        "/etc/wirespan/client.pem", any, false,
        "The agent's own certificate, for mutual TLS.";
    export_otlp_client_key: Option<PathBuf> = "export.otlp.client_key",
        ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"], None, "", "PEM file", "/etc/wirespan/client.key", any, false,
        "The key of the agent's own certificate.";
    export_otlp_insecure: bool = "export.otlp.insecure", ["OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"], None,
        "false", "", "", any, false,
        "Whether an endpoint without http:// or https:// is plaintext. A scheme always decides for itself.";
    export_batch_delay: Duration = "export.batch.delay", ["OTEL_BSP_SCHEDULE_DELAY"], None, "500ms", "duration", "",
        within(Duration::ZERO, HOUR), false,
        "How long a span waits for others. The specification's 5 s is too long for a person who watches.";
    export_batch_max_spans: Count = "export.batch.max_spans", ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], None, "512", "spans", "",
        within(Count(1), Count(65_536)), false,
        "Most spans in one export.";
    export_batch_queue: Count = "export.batch.queue", ["OTEL_BSP_MAX_QUEUE_SIZE"], None, "8192", "spans", "",
        within(Count(1), Count(1 << 20)), false,
        "Spans that wait for each exporter. A full queue drops the oldest and counts it.";
    export_batch_timeout: Duration = "export.batch.timeout", ["OTEL_BSP_EXPORT_TIMEOUT"], None, "5s", "duration", "",
        within(Duration::ZERO, HOUR), false,
        "How long the last flush may take when the agent stops, 10 s at most.";

    agent_socket: PathBuf = "agent.socket", ["WIRESPAN_SOCKET"], None, "/run/wirespan/agent.sock", "path", "", any, false,
        "Where a running agent answers `wirespan explain`.";
    agent_log: String = "agent.log", ["WIRESPAN_LOG", "OTEL_LOG_LEVEL"], None, "info", "error, warn, info, debug, trace, or filters by module",
        "", log_filter, false,
        "What the agent logs to stderr.";
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn any<T>(_: &T) -> Result<(), String> {
    Ok(())
}

fn within<T: Knob + PartialOrd>(least: T, most: T) -> impl Fn(&T) -> Result<(), String> {
    move |value| match (value < &least, value > &most) {
        (false, false) => Ok(()),
        _ => Err(format!("expected {} to {}, found {}", plain(&least), plain(&most), plain(value))),
    }
}

fn zero_or_within(least: Duration, most: Duration) -> impl Fn(&Duration) -> Result<(), String> {
    move |value| match value.is_zero() {
        true => Ok(()),
        false => within(least, most)(value).map_err(|refusal| format!("{refusal}, or 0s")),
    }
}

fn power_of_two(least: usize, most: usize) -> impl Fn(&Bytes) -> Result<(), String> {
    move |value| {
        within(Bytes(least), Bytes(most))(value)?;
        if value.0.is_power_of_two() {
            Ok(())
        } else {
            Err(format!("expected a power of two, found {}", plain(value)))
        }
    }
}

fn header_names(names: &[String]) -> Result<(), String> {
    let is_token = |name: &&String| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    match names.iter().find(|name| !is_token(name)) {
        Some(name) => Err(format!("expected header names, found `{name}`")),
        None => Ok(()),
    }
}

fn excluded(paths: &[String]) -> Result<(), String> {
    let is_path = |path: &&String| path.starts_with('/') && !path.trim_end_matches('*').contains(['*', '?']);
    match paths.iter().find(|path| !is_path(path)) {
        Some(path) => {
            Err(format!("expected paths such as /healthz or /grpc.health.v1.Health/*, found `{path}`"))
        }
        None => Ok(()),
    }
}

fn sockets(paths: &[String]) -> Result<(), String> {
    let is_good = |path: &&String| path.starts_with('/') || (*path == "none" && paths.len() == 1);
    match paths.iter().find(|path| !is_good(path)) {
        Some(path) => Err(format!("expected paths such as /var/run/docker.sock, or none, found `{path}`")),
        None => Ok(()),
    }
}

fn log_filter(text: &String) -> Result<(), String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(format!("expected a level or filters such as info,wirespan::attach=debug: {error}"))
        }
    }
}

fn plain(value: &impl Knob) -> String {
    super::show::plain(&value.json())
}
