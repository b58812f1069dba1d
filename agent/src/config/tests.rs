//! Layers in, effective values or every mistake out; and the promises that the table makes for every row.
use super::{Config, ConfigError, Exporter, KEYS, Protocol, Sampler, Source, example, help};
use crate::cli::{Command, RunArgs, parse};
use expect_test::{Expect, expect, expect_file};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    time::Duration,
};
use wirespan_core::propagate::Format;

/// A world of text.
#[derive(Default)]
struct World {
    env: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
    terminal: bool,
}

impl World {
    fn env(mut self, name: &str, value: &str) -> World {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, text: &str) -> World {
        self.files.insert("w.yaml".to_owned(), text.to_owned());
        self
    }

    fn terminal(mut self) -> World {
        self.terminal = true;
        self
    }

    fn load(&self, line: &str) -> Result<Config, Vec<ConfigError>> {
        Config::load(&run_args(line, self.files.contains_key("w.yaml")), self)
    }

    fn config(&self, line: &str) -> Config {
        self.load(line).unwrap_or_else(|errors| panic!("{}", lines(&errors)))
    }

    /// Every mistake, one per line.
    fn mistakes(&self, line: &str) -> String {
        lines(&self.load(line).err().unwrap_or_default())
    }

    /// One key as `wirespan config` shows it.
    fn row(&self, line: &str, key: &str) -> String {
        let config = self.config(line);
        let row = config.rows.iter().find(|row| row.key.path == key).expect("the key exists");
        format!("{} ({})", super::show::plain(&row.value), row.origin)
    }

    fn warnings(&self, line: &str) -> Vec<String> {
        self.config(line).warnings.iter().map(ToString::to_string).collect()
    }
}

impl Source for World {
    fn get(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let text = self.files.get(path.to_str().expect("UTF-8"));
        text.cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn stdout_is_terminal(&self) -> bool {
        self.terminal
    }
}

fn run_args(line: &str, has_file: bool) -> RunArgs {
    let file = if has_file { "--config w.yaml " } else { "" };
    let line = format!("wirespan run {file}{line}");
    match parse(line.split_whitespace(), "") {
        Ok(Command::Run(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn check_mistakes(world: World, line: &str, expected: Expect) {
    expected.assert_eq(&world.mistakes(line));
}

#[test]
fn a_value_of_a_stronger_layer_wins_and_remembers_where_it_came_from() {
    let key = "select.ports";
    let file = "select:\n  ports: [1, 2]\n";
    let world = World::default;
    assert_eq!(world().row("", key), " (default)");
    assert_eq!(world().file(file).row("", key), "1,2 (w.yaml:2)");
    assert_eq!(world().file(file).env("WIRESPAN_PORTS", "3, 4").row("", key), "3,4 (WIRESPAN_PORTS)");
    assert_eq!(
        world().file(file).env("WIRESPAN_PORTS", "3").row("--port 5 --port 6,7", key),
        "5,6,7 (--port)"
    );
    assert_eq!(world().env("WIRESPAN_PORTS", "").file(file).row("", key), "1,2 (w.yaml:2)");
}

#[test]
fn the_variable_for_traces_beats_the_one_for_all_signals() {
    let key = "export.otlp.timeout";
    let world = World::default().env("OTEL_EXPORTER_OTLP_TIMEOUT", "1500");
    assert_eq!(world.row("", key), "1500ms (OTEL_EXPORTER_OTLP_TIMEOUT)");
    let world = world.env("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000");
    assert_eq!(world.row("", key), "2s (OTEL_EXPORTER_OTLP_TRACES_TIMEOUT)");
}

#[test]
fn all_mistakes_of_all_layers_are_told_at_once() {
    check_mistakes(
        World::default()
            .env("WIRESPAN_RING_BYTES", "3MiB")
            .env("WIRESPAN_HOOK", "kprobes")
            .file(
                "selct:\n  ports: [80]\nselect:\n  portz: [80]\n  pids: [one, 2]\n  exes: '{a'\ncapture: on\n\
                 correlate:\n  hold: 2\n  hold: 3s\nexport:\n  otlp:\n    endpoint: ftp://x\n    headers: [a]\n    timeout: 2h\n\
                 \x20 batch:\n    max_spans: 0\nsample.ratio: 1.5\nwhatever: 1\n",
            ),
        "--port 80,http --exporter jsn --for 30",
        expect![[r#"
            w.yaml:1: selct: unknown key, did you mean `select`?
            w.yaml:4: select.portz: unknown key, did you mean `select.ports`?
            w.yaml:7: capture: expected a mapping of keys, found one value
            w.yaml:10: correlate.hold: is given twice, first in line 9
            w.yaml:19: whatever: unknown key
            --for: duration: expected a duration such as 500ms, 30s, 5m or 1h, found `30`
            w.yaml:5: select.pids: expected a whole number up to 4294967295, found `one`
            w.yaml:6: select.exes: expected a glob: error parsing glob '{a': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
            --port: select.ports: expected a whole number up to 65535, found `http`
            WIRESPAN_HOOK: capture.hook: expected one of auto, tracepoints, fentry, kprobe, syscalls, found `kprobes`, did you mean `kprobe`?
            WIRESPAN_RING_BYTES: capture.ring_bytes: expected a power of two, found 3MiB
            w.yaml:18: sample.ratio: expected a number from 0 to 1, found `1.5`
            --exporter: export.exporters: expected one of otlp, console, json, none, found `jsn`, did you mean `json`?
            w.yaml:13: export.otlp.endpoint: expected a URL such as http://collector:4317, found `ftp://x`
            w.yaml:14: export.otlp.headers: expected a mapping of names to values, found a list
            w.yaml:15: export.otlp.timeout: expected 1ms to 1h, found 2h
            w.yaml:17: export.batch.max_spans: expected 1 to 65536, found 0
        "#]],
    );
}

#[test]
fn a_file_that_is_missing_or_no_yaml_is_told_with_the_other_mistakes() {
    let world = World::default().env("WIRESPAN_CONFIG", "gone.yaml");
    assert_eq!(
        world.mistakes("--pid x"),
        "gone.yaml: cannot be read: no such file\n\
         --pid: select.pids: expected a whole number up to 4294967295, found `x`\n"
    );
    let mistakes = World::default().file("select:\n  ports: [80\nexport: {\n").mistakes("");
    assert!(mistakes.starts_with("w.yaml:") && mistakes.contains("not YAML"), "{mistakes}");
}

#[test]
fn what_looks_like_a_number_in_the_file_keeps_its_text() {
    let file =
        "resource:\n  attributes:\n    version: 1.10\n    id: 007\n    on: yes\n    quoted: \"a: b\"\n";
    let config = World::default().file(file).config("");
    let pairs: Vec<String> =
        config.resource.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["version=1.10", "id=007", "on=yes", "quoted=a: b"]);
}

#[test]
fn keys_without_values_and_dotted_keys_are_fine() {
    let file = "select:\nexport.batch:\n  queue: 100\nexport.otlp.timeout: 1s\ncapture:\n  hook:\n";
    let config = World::default().file(file).config("");
    assert_eq!((config.export.batch.queue, config.export.otlp.timeout), (100, Duration::from_secs(1)));
    assert_eq!(World::default().file("").mistakes(""), "");
    assert_eq!(World::default().file("# nothing\n").mistakes(""), "");
}

#[test]
fn a_mistake_in_a_standard_variable_is_a_warning_and_unset() {
    let world = World::default()
        .env("OTEL_BSP_SCHEDULE_DELAY", "1s")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "0")
        .env("OTEL_TRACES_SAMPLER", "jaeger_remote")
        .env("OTEL_TRACES_SAMPLER_ARG", "")
        .env("OTEL_PROPAGATORS", "jaeger,ottrace,tracecontext")
        .env("OTEL_SDK_DISABLED", "1")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b");
    assert_eq!(
        world.warnings("").join("\n"),
        "OTEL_PROPAGATORS: correlate.propagators: expected one of tracecontext, baggage, b3, b3multi, jaeger, xray, none, \
         found `ottrace`; ignored\n\
         OTEL_TRACES_SAMPLER: sample.sampler: expected one of always_on, always_off, traceidratio, probability, \
         parentbased_always_on, parentbased_always_off, parentbased_traceidratio, parentbased_probability, found `jaeger_remote`; ignored\n\
         OTEL_SDK_DISABLED: export.disabled: expected true or false, found `1`; ignored\n\
         OTEL_EXPORTER_OTLP_HEADERS: export.otlp.headers: expected pairs such as name=value,other=value; ignored\n\
         OTEL_BSP_SCHEDULE_DELAY: export.batch.delay: expected a whole number of milliseconds, found `1s`; ignored\n\
         OTEL_BSP_MAX_QUEUE_SIZE: export.batch.queue: expected 1 to 1048576, found 0; ignored"
    );
    let config = world.config("");
    assert_eq!(config.correlate.propagators, [Format::Jaeger, Format::W3c]);
    assert_eq!(config.sample.sampler, Sampler::ParentBasedAlwaysOn);
    assert_eq!((config.export.batch.queue, config.export.batch.delay), (8192, Duration::from_millis(500)));
}

#[test]
fn standard_variables_mean_what_they_mean_everywhere() {
    let config = World::default()
        .env("OTEL_TRACES_SAMPLER", "traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0.25")
        .env("OTEL_PROPAGATORS", "b3multi,b3,baggage")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%2Cb, x = y")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_BSP_SCHEDULE_DELAY", "250")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%20b,team=x")
        .config("");
    assert_eq!((config.sample.sampler, config.sample.ratio), (Sampler::TraceIdRatio, 0.25));
    assert_eq!(config.correlate.propagators, [Format::B3Single, Format::B3Multi]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(config.export.otlp.headers, [pair("api-key", "a,b"), pair("x", "y")]);
    assert!(config.export.otlp.gzip);
    assert_eq!(config.export.batch.delay, Duration::from_millis(250));
    assert_eq!(config.resource.attributes, [pair("deployment.environment.name", "a b"), pair("team", "x")]);
    let none = World::default().env("OTEL_PROPAGATORS", "none").config("");
    assert_eq!(none.correlate.propagators, []);
}

#[test]
fn the_endpoint_follows_the_rules_of_the_specification() {
    let url = |variables: &[(&str, &str)]| {
        let world = variables.iter().fold(World::default(), |world, (name, value)| world.env(name, value));
        let otlp = world.config("").export.otlp;
        format!("{} {}", otlp.protocol.name(), otlp.endpoint)
    };
    let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    assert_eq!(url(&[]), "grpc http://localhost:4317/");
    assert_eq!(url(&[(all, "http://c:4317")]), "grpc http://c:4317/");
    assert_eq!(url(&[(all, "http://c:4318")]), "http/protobuf http://c:4318/v1/traces");
    assert_eq!(url(&[(all, "http://c/base/"), http]), "http/protobuf http://c/base/v1/traces");
    assert_eq!(url(&[(all, "http://c:1"), (traces, "http://d:2/x"), http]), "http/protobuf http://d:2/x");
    assert_eq!(url(&[(traces, "http://d:2"), http]), "http/protobuf http://d:2/");
    assert_eq!(url(&[(all, "c:4317")]), "grpc https://c:4317/");
    assert_eq!(url(&[(all, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")]), "grpc http://c:4317/");
    assert_eq!(
        url(&[(all, "http://c:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
        "grpc http://c:4318/"
    );
    assert_eq!(url(&[(all, "nonsense://"), http]), "http/protobuf http://localhost:4317/v1/traces");
}

#[test]
fn without_an_exporter_the_place_decides() {
    let chosen = |world: World, line: &str| world.row(line, "export.exporters");
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    assert_eq!(chosen(World::default(), ""), "otlp (default: stdout is no terminal)");
    assert_eq!(chosen(World::default().terminal(), ""), "console (default: stdout is a terminal)");
    assert_eq!(
        chosen(World::default().terminal().env(endpoint.0, endpoint.1), ""),
        "otlp (default: an endpoint is configured)"
    );
    assert_eq!(chosen(World::default().env("OTEL_TRACES_EXPORTER", "none"), ""), " (OTEL_TRACES_EXPORTER)");
    assert_eq!(
        chosen(World::default().env("OTEL_TRACES_EXPORTER", "zipkin").terminal(), ""),
        "console (default: stdout is a terminal)"
    );
    assert_eq!(
        chosen(World::default(), "--exporter json --exporter otlp --exporter json"),
        "json,otlp (--exporter)"
    );
    assert_eq!(
        chosen(World::default().env("OTEL_SDK_DISABLED", "TRUE"), "--exporter json"),
        " (OTEL_SDK_DISABLED)"
    );
    let both = World::default().mistakes("--exporter json --exporter console");
    assert_eq!(both, "--exporter: export.exporters: `json` and `console` both write to stdout\n");
    assert_eq!(World::default().config("--exporter none").export.exporters, []);
    assert_eq!(
        World::default().file("export:\n  exporters: [console]\n").config("").export.exporters,
        [Exporter::Console]
    );
}

#[test]
fn a_service_name_applies_only_where_one_selector_says_whose_it_is() {
    let world = || {
        World::default()
            .env("OTEL_SERVICE_NAME", "shop")
            .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,a=b")
    };
    let name = |line: &str| world().config(line).resource.service_name;
    assert_eq!(name("--port 80").as_deref(), Some("shop"));
    assert_eq!(name("--exe nginx").as_deref(), Some("shop"));
    assert_eq!(name(""), None);
    assert_eq!(name("--port 80 --port 81"), None);
    assert_eq!(
        world().warnings("--pid 1 --port 2"),
        [
            "OTEL_SERVICE_NAME: resource.service_name: names one service, but there is not exactly one --pid, --exe or --port to \
          say which; ignored"
        ]
    );
    let config = World::default().env("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,a=b").config("--port 80");
    assert_eq!(config.resource.service_name.as_deref(), Some("x"));
    assert_eq!(config.resource.attributes, [("a".to_owned(), "b".to_owned())]);
}

#[test]
fn certificates_are_looked_at_before_anything_starts() {
    check_mistakes(
        World::default().file("export:\n  otlp:\n    client_key: k.pem\n    certificate: w.yaml\n"),
        "",
        expect![[r#"
            w.yaml:3: export.otlp.client_key: k.pem cannot be read: no such file
            w.yaml:3: export.otlp.client_key: needs client_certificate too
        "#]],
    );
}

#[test]
fn secrets_are_never_shown() {
    let world = World::default()
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@c:4317");
    let config = world.config("");
    assert!(!config.text().contains("hunter2") && !config.json().to_string().contains("hunter2"));
    assert_eq!(world.row("", "export.otlp.headers"), "REDACTED (OTEL_EXPORTER_OTLP_HEADERS)");
    assert_eq!(config.export.otlp.headers, [("authorization".to_owned(), "hunter2".to_owned())]);
}

#[test]
fn globs_may_contain_commas_and_match_paths_or_names() {
    let exes =
        World::default().env("WIRESPAN_EXES", "python{2,3}*,/opt/**").config("").select.exes.expect("globs");
    assert!(exes.is_match("python3.11") && exes.is_match("/opt/shop/bin/app") && !exes.is_match("nginx"));
}

#[test]
fn the_effective_configuration_is_one_line_per_key() {
    let config = World::default().file("select:\n  exes: [nginx]\n").config("--for 30s -v");
    assert_eq!((config.run_for, config.verbose), (Some(Duration::from_secs(30)), true));
    assert_eq!(config.text().lines().count(), KEYS.len());
    expect![[r#"
        select.pids                     -                                                 default
        select.exes                     nginx                                             w.yaml:2
        select.ports                    -                                                 default
        select.follow_exec              true                                              default
    "#]]
    .assert_eq(&config.text().lines().take(4).map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(config.json().as_array().map(Vec::len), Some(KEYS.len()));
}

#[test]
fn kubernetes_is_recognised_and_then_nothing_is_followed_before_its_pod_opts_in() {
    let world = World::default;
    assert!(world().config("").kubernetes.is_none());
    let in_pod = world().env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(in_pod.row("", "kubernetes.enabled"), "true (default: KUBERNETES_SERVICE_HOST is set)");
    assert_eq!(in_pod.row("", "select.follow_exec"), "false (default: in Kubernetes pods opt in)");
    let node = world().env("WIRESPAN_NODE_NAME", "n1").config("--kubernetes true").kubernetes;
    assert_eq!(node.and_then(|room| room.node).as_deref(), Some("n1"));
    assert!(world().config("--kubeconfig k.conf").kubernetes.is_some());
    let off = world().env("KUBERNETES_SERVICE_HOST", "10.0.0.1").env("WIRESPAN_KUBERNETES", "false");
    assert!(off.config("").kubernetes.is_none() && off.config("").select.follow_exec);
    assert!(world().mistakes("--kubernetes yes").contains("expected one of auto, true, false"));
}

#[test]
fn protocol_names_are_those_of_the_specification() {
    let config = World::default().env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf").config("");
    assert_eq!(config.export.otlp.protocol, Protocol::HttpProtobuf);
    let json = World::default().env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    assert_eq!((json.config("").export.otlp.protocol, json.warnings("").len()), (Protocol::Grpc, 1));
}

#[test]
fn every_default_is_valid_and_reads_back_the_same() {
    let config = World::default().config("");
    for row in &config.rows {
        let world = World::default().terminal();
        let shown = super::show::plain(&row.value);
        if shown.is_empty() || row.key.path == "export.exporters" {
            continue;
        }
        let value = if shown.contains(',') { format!("[{shown}]") } else { shown.clone() };
        let again = world.file(&format!("{}: {value}\n", row.key.path));
        assert_eq!(again.row("", row.key.path), format!("{shown} (w.yaml:1)"));
    }
}

#[test]
fn every_row_is_documented_and_every_name_is_unique() {
    let mut names = BTreeSet::new();
    for key in KEYS {
        assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{}", key.path);
        assert!(key.path.contains('.') && !key.env.is_empty(), "{}", key.path);
        assert!(!key.default.is_empty() || !key.example.is_empty(), "{} shows no value", key.path);
        for name in key.env.iter().chain([&key.path]).chain(key.flag.as_ref()) {
            assert!(names.insert(*name), "{name} is used twice");
        }
        for name in key.env {
            assert!(name.starts_with("OTEL_") || name.starts_with("WIRESPAN_"), "{name}");
            // Kubernetes sets these in every pod beside a Service that is called wirespan.
            let of_a_service =
                ["WIRESPAN_SERVICE_", "WIRESPAN_PORT_"].iter().any(|prefix| name.starts_with(prefix));
            assert!(!of_a_service && *name != "WIRESPAN_PORT", "{name}");
        }
    }
    let rooms: Vec<&str> = KEYS.iter().filter_map(|key| key.path.split('.').next()).collect();
    let mut grouped = rooms.clone();
    grouped.dedup();
    assert_eq!(grouped.len(), rooms.iter().collect::<BTreeSet<_>>().len(), "rows of one room stand together");
}

#[test]
fn every_key_is_in_the_help() {
    let help = help();
    for key in KEYS {
        assert!(help.contains(key.path) && key.env.iter().all(|name| help.contains(name)), "{}", key.path);
    }
}

/// Regenerate it with `UPDATE_EXPECT=1 cargo test -p wirespan config`.
#[test]
fn the_example_file_is_what_the_table_says() {
    expect_file!["../../../deploy/config.example.yaml"].assert_eq(&example());
}

#[test]
fn the_example_file_is_valid_with_every_key_taken_in() {
    assert_eq!(World::default().file(&example()).mistakes(""), "");
    let is_key = |line: &str| line.trim_start().strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
    let taken_in: String = example()
        .lines()
        .filter(|line| !line.contains("certificate:") && !line.contains("client_key:"))
        .map(|line| if is_key(line) { line.replacen('#', "", 1) + "\n" } else { line.to_owned() + "\n" })
        .collect();
    let config = World::default().file(&taken_in).config("");
    let from_file = config.rows.iter().filter(|row| row.origin.to_string().starts_with("w.yaml")).count();
    // Three certificates, the name that applies to one selector only, and what follows from a kubeconfig.
    assert_eq!(from_file, KEYS.len() - 6);
}

#[test]
fn odd_files_are_told_in_plain_words() {
    for (text, told) in [
        ("- a\n- b\n", "w.yaml:1: file: expected a mapping of keys, found a list\n"),
        ("just text", "w.yaml:1: file: expected a mapping of keys, found one value\n"),
        ("a: 1\n---\nb: 2\n", "w.yaml:3: not YAML: multiple YAML documents detected\n"),
        (
            "select:\n\tports: [80]\n",
            "w.yaml:2: not YAML: tabs disallowed within this context (block indentation)\n",
        ),
        ("8080: x\n", "w.yaml:1: 8080: unknown key\n"),
        ("select: {ports: {a: b}}\n", "w.yaml:1: select.ports: expected a list, found a mapping\n"),
        ("select: {ports: [[80]]}\n", "w.yaml:1: select.ports: expected one value, found a list\n"),
        (
            "select.ports: [80]\nselect: {ports: [81]}\n",
            "w.yaml:2: select.ports: is given twice, first in line 1\n",
        ),
        ("x: &a [*a]", "w.yaml:1: not YAML: recursive references require weak recursion types\n"),
    ] {
        assert_eq!(World::default().file(text).mistakes(""), told, "{text}");
    }
    for text in [
        "\u{feff}select: {ports: [80]}\n",
        "select:\r\n  ports: [80]\r\n",
        "select: {ports: 80}\n",
        "<<: {select: {ports: [80]}}",
        "select: {ports: [&port 80, *port]}",
        "select: {ports: ['80', !!int \"80\", !!str 80]}",
    ] {
        assert_eq!(World::default().file(text).config("").select.ports, BTreeSet::from([80]), "{text}");
    }
}

/// Pieces that files are made of, in no order.
fn piece() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = KEYS.iter().flat_map(|key| [key.path, key.default, key.example]).collect();
    prop_oneof![
        proptest::sample::select(keys).prop_map(str::to_owned),
        proptest::sample::select(vec![
            ": ", "\n", "\n  ", "- ", "[", "]", "{", "}", ", ", "\"", "&a ", "*a", "#", "|", "!!int "
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ]
}

proptest! {
    #[test]
    fn no_file_makes_it_panic_and_every_mistake_has_a_line(pieces in proptest::collection::vec(piece(), 0..24)) {
        if let Err(errors) = World::default().file(&pieces.concat()).load("") {
            prop_assert!(errors.iter().all(|error| error.to_string().starts_with("w.yaml:")), "{}", lines(&errors));
        }
    }

    #[test]
    fn no_variable_of_the_specification_stops_the_start(
        key in 0..KEYS.len(), text in prop_oneof!["\\PC{0,20}", "[a-z0-9:/%=,.-]{0,20}"],
    ) {
        let standard = KEYS[key].env.iter().filter(|name| name.starts_with("OTEL_") && !name.contains("CERTIFICATE") && !name.contains("KEY"));
        for name in standard {
            let world = World::default().env(name, &text);
            prop_assert!(world.load("").is_ok(), "{name}={text}: {}", world.mistakes(""));
        }
    }
}
