//! The `wirespan` command: arguments to a room, and exit codes.
use anyhow::Context;
use std::{
    io::{self, Write},
    process::ExitCode,
};
use tracing::warn;
use tracing_subscriber::EnvFilter;
use wirespan::{
    cli::{self, Command, EXIT_USAGE, RunArgs},
    config::{self, Config, System},
    doctor, explain, pipeline,
    telemetry::Snapshot,
};

fn main() -> ExitCode {
    return_freed_memory();
    let command = match cli::parse(std::env::args_os(), &config::help()) {
        Ok(command) => command,
        Err(usage) => {
            // A closed stdout or stderr cannot be told of.
            drop(usage.print());
            return ExitCode::from(usage.exit_code());
        }
    };
    let config = match Config::load(run_args(&command), &System) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                eprintln!("wirespan: {error}");
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match execute(&command, &config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("wirespan: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps the C library from holding on to what parsing the kernel's BTF takes for a moment: once a large block is freed, blocks up to
/// its size come from the heap, and twice its size stays with the process. That block has 18 MB.
fn return_freed_memory() {
    /// Bytes: spans come and go in less, BTF in more.
    const LARGE: libc::c_int = 2 << 20;
    #[cfg(target_env = "gnu")]
    for option in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it changes a number in the allocator, and no other thread runs yet.
        unsafe { libc::mallopt(option, LARGE) };
    }
}

fn run_args(command: &Command) -> &RunArgs {
    match command {
        Command::Run(run)
        | Command::Doctor { run, .. }
        | Command::Explain { run, .. }
        | Command::Record { run, .. }
        | Command::Replay { run, .. }
        | Command::Config { run, .. } => run,
    }
}

fn execute(command: &Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(_) => {
            start_logging(config);
            report(config, &pipeline::run(config, None)?)
        }
        Command::Record { file, .. } => {
            start_logging(config);
            let config = Config { export: config.export.without_exporters(), ..config.clone() };
            report(&config, &pipeline::run(&config, Some(file))?)
        }
        Command::Replay { file, .. } => {
            start_logging(config);
            report(config, &pipeline::replay(config, file)?)
        }
        Command::Doctor { json, .. } => {
            let kubernetes = pipeline::kubernetes_settings(config);
            let report = doctor::examine(&pipeline::kernel_settings(config), kubernetes.as_ref());
            print(*json, &report)?;
            Ok(if report.is_able() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Explain { pid, json, .. } => explain(config, *pid, *json),
        Command::Config { example: true, .. } => {
            out(&config::example())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config { json, .. } => {
            out(&if *json { format!("{:#}\n", config.json()) } else { config.text() })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.agent.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
    for warning in &config.warnings {
        warn!("{warning}");
    }
}

fn report(config: &Config, snapshot: &Snapshot) -> anyhow::Result<ExitCode> {
    if config.verbose {
        write!(io::stderr(), "{snapshot}").context("print counters")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(config: &Config, pid: u32, json: bool) -> anyhow::Result<ExitCode> {
    let socket = &config.agent.socket;
    let answer = match explain::ask(socket, pid) {
        Ok(answer) => answer,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            if config.kubernetes.is_some() {
                let why = "no agent answers, and in Kubernetes only a running agent knows which pods opt in";
                return Err(error).context(why);
            }
            explain::without_agent(pipeline::select(config, &[]), pid)
        }
        Err(error) => return Err(error).with_context(|| format!("ask the agent at {}", socket.display())),
    };
    let answer = answer.with_context(|| format!("no process {pid} runs, and none was seen"))?;
    print(json, &answer)?;
    Ok(ExitCode::SUCCESS)
}

fn print<T: serde::Serialize + std::fmt::Display>(json: bool, value: &T) -> anyhow::Result<()> {
    out(&if json { format!("{}\n", serde_json::to_string(value)?) } else { value.to_string() })
}

fn out(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to stdout"),
    }
}
