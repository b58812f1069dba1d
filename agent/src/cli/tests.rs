//! The grammar as a contract: what is accepted, what ends with 64, and that help is worth reading.
use super::{Command, EXIT_USAGE, RunArgs, Usage, parse};
use crate::config::KEYS;
use std::path::PathBuf;

fn read(line: &str) -> Result<Command, Usage> {
    parse(line.split_whitespace(), &crate::config::help())
}

fn usage(line: &str) -> Usage {
    read(line).expect_err(line)
}

#[test]
fn run_takes_whom_where_and_how_long() {
    let run = RunArgs {
        config: Some(PathBuf::from("f.yaml")),
        pid: vec!["1".into(), "2".into()],
        exe: vec!["python3*".into()],
        port: vec!["80".into()],
        kubernetes: Some("true".into()),
        kubeconfig: Some("k".into()),
        exporter: vec!["json".into(), "otlp".into()],
        run_for: Some("30s".into()),
        verbose: true,
    };
    let line = "wirespan run --config f.yaml --pid 1 --pid=2 --exe python3* --port 80 --kubernetes true --kubeconfig k --exporter json --exporter otlp --for 30s -v";
    assert_eq!(read(line).ok(), Some(Command::Run(run)));
    assert_eq!(read("wirespan run").ok(), Some(Command::Run(RunArgs::default())));
}

#[test]
fn every_command_of_the_contract_is_read() {
    let run = RunArgs::default;
    let from_file = || RunArgs { config: Some(PathBuf::from("f")), ..RunArgs::default() };
    let file = || PathBuf::from("r");
    for (line, command) in [
        ("wirespan doctor", Command::Doctor { json: false, run: run() }),
        ("wirespan doctor --json", Command::Doctor { json: true, run: run() }),
        ("wirespan explain 7", Command::Explain { pid: 7, json: false, run: run() }),
        ("wirespan explain --json 7 --config f", Command::Explain { pid: 7, json: true, run: from_file() }),
        ("wirespan record r", Command::Record { file: file(), run: run() }),
        ("wirespan record r --config f", Command::Record { file: file(), run: from_file() }),
        ("wirespan replay r", Command::Replay { file: file(), run: run() }),
        (
            "wirespan replay r --exporter json -v",
            Command::Replay {
                file: file(),
                run: RunArgs { exporter: vec!["json".into()], verbose: true, ..run() },
            },
        ),
        ("wirespan config", Command::Config { json: false, example: false, run: run() }),
        (
            "wirespan config --json --config f",
            Command::Config { json: true, example: false, run: from_file() },
        ),
        ("wirespan config --example", Command::Config { json: false, example: true, run: run() }),
    ] {
        assert_eq!(read(line).ok(), Some(command), "{line}");
    }
}

#[test]
fn a_mistake_ends_with_64_and_names_what_is_wrong() {
    for (line, names) in [
        ("wirespan fly", "fly"),
        ("wirespan run --prot 80", "--port"),
        ("wirespan run extra", "extra"),
        ("wirespan run --for", "--for"),
        ("wirespan explain", "<PID>"),
        ("wirespan explain abc", "abc"),
        ("wirespan explain 0", "0"),
        ("wirespan record", "<FILE>"),
        ("wirespan config --json --example", "--example"),
        ("wirespan", "Usage"),
    ] {
        let usage = usage(line);
        assert_eq!(usage.exit_code(), EXIT_USAGE, "{line}");
        assert!(usage.text().contains(names), "{line}: {}", usage.text());
    }
}

#[test]
fn help_and_version_end_with_0() {
    for line in
        ["wirespan --help", "wirespan -h", "wirespan --version", "wirespan help run", "wirespan run --help"]
    {
        assert_eq!(usage(line).exit_code(), 0, "{line}");
    }
    assert_eq!(usage("wirespan --version").text(), format!("wirespan {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_has_examples_and_all_keys() {
    assert!(usage("wirespan --help").text().contains("sudo wirespan run --port 8080"));
    let run = usage("wirespan run --help").text();
    assert!(run.contains("Precedence") && KEYS.iter().all(|key| run.contains(key.path)));
    assert!(!usage("wirespan run -h").text().contains("OTEL_BSP_SCHEDULE_DELAY"));
}

#[test]
fn every_flag_of_the_table_is_a_flag_of_run() {
    let help = usage("wirespan run -h").text();
    for flag in KEYS.iter().filter_map(|key| key.flag) {
        assert!(help.contains(flag), "{flag}");
    }
}
