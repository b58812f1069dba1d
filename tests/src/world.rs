//! One world: real programs on loopback, a folder of their own, and the agent beside them.
//!
//! Shape: `world.nginx(…)`, `world.python_http_server()`, `world.hyper()`, `world.calls(…)` → [`App`]; `world.agent()` →
//! flags → a running agent. Everything ends with the world. Ports are free ones, chosen by the kernel.
use crate::{
    agent::Start,
    process::{Process, command, output},
    runner::Skip,
    wait::{PATIENCE, eventually},
};
use anyhow::{Context, Result, bail};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// See the file's doc.
pub struct World {
    scratch: TempDir,
    apps: Vec<Process>,
    hook: Option<&'static str>,
}

/// A program of the world that listens.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Where, on every address of this machine.
    pub port: u16,
    /// The process that was started; servers with workers have more.
    pub pid: u32,
}

impl App {
    /// Its address on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl World {
    /// An empty one.
    pub fn new() -> Result<World> {
        Ok(World { scratch: TempDir::with_prefix("wirespan-world-")?, apps: Vec::new(), hook: None })
    }

    /// A folder for files of this world.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The agent's binary: the one beside the runner (`target/debug`), else what `cargo xtask build` made.
    pub fn wirespan(&self) -> Result<PathBuf> {
        let beside = own_binary("wirespan")?;
        let path = if beside.is_file() { beside } else { repository()?.join("target/release/wirespan") };
        if !path.is_file() {
            bail!("{} is missing: run `cargo xtask build`", path.display());
        }
        Ok(path)
    }

    /// What the agent of this world explains of a process.
    pub fn explained(&self, pid: u32, arguments: &[&str]) -> Result<String> {
        let mut explain = Command::new(self.wirespan()?);
        explain.arg("explain").arg(pid.to_string()).args(arguments);
        explain.env("WIRESPAN_SOCKET", self.scratch().join("agent.sock"));
        Ok(output(&mut explain, 0)?.0)
    }

    /// The agent, still to be given flags.
    pub fn agent(&self) -> Result<Start> {
        self.agent_within(&[])
    }

    /// The agent as the last program of another command.
    pub fn agent_within(&self, wrapper: &[&str]) -> Result<Start> {
        Ok(self.settle(Start::within(wrapper, &self.wirespan()?)))
    }

    /// The agent, writing what it sees into a file of that name too.
    pub fn recorder(&self, file: &str) -> Result<Start> {
        Ok(self.settle(Start::recording(&self.wirespan()?, &self.scratch().join(file))))
    }

    fn settle(&self, start: Start) -> Start {
        let socket = self.scratch().join("agent.sock").display().to_string();
        let start = start.env("WIRESPAN_SOCKET", &socket);
        match self.hook {
            Some(hook) => start.env("WIRESPAN_HOOK", hook),
            None => start,
        }
    }

    /// Agents of this world see socket calls in this way, not in the best one.
    pub fn hook(&mut self, hook: &'static str) {
        self.hook = Some(hook);
    }

    /// The agent with one observed port, ready.
    pub fn observe(&self, app: App) -> Result<crate::agent::Agent> {
        self.agent()?.port(app.port).start()
    }

    /// Starts a program of this world.
    pub fn start(&mut self, name: &str, command: &mut Command) -> Result<&mut Process> {
        let process = Process::start(name, command)?;
        self.apps.push(process);
        self.apps.last_mut().context("just pushed")
    }

    /// Starts a program that will listen on the port, and waits until it does.
    pub fn serve(&mut self, name: &str, port: u16, command: &mut Command) -> Result<App> {
        let process = self.start(name, command)?;
        let pid = process.pid();
        eventually(&format!("{name} on port {port}"), PATIENCE, || {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(()));
            }
            if !process.is_running()? {
                bail!("{name} has ended{}", process.last_words());
            }
            Ok(None)
        })?;
        Ok(App { port, pid })
    }

    /// `python -m http.server` over this folder, HTTP/1.1, on every address of both families.
    pub fn python_http_server(&mut self, folder: &Path) -> Result<App> {
        let port = free_port()?;
        let mut python = command("python3");
        python.args(["-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "::", "--directory"]);
        self.serve("python http.server", port, python.arg(folder).arg(port.to_string()))
    }

    /// A Python program of `tests/apps` that takes a port and more arguments.
    pub fn python(&mut self, script: &str, arguments: &[&str]) -> Result<App> {
        let port = free_port()?;
        let mut python = command("python3");
        python.arg(repository()?.join("tests/apps").join(script)).arg(port.to_string()).args(arguments);
        self.serve(script, port, &mut python)
    }

    /// nginx with this text inside its `server` block; `$root` stands for the world's folder.
    pub fn nginx(&mut self, server: &str) -> Result<App> {
        let port = free_port()?;
        let root = self.scratch().display().to_string();
        let server = server.replace("$root", &root);
        let text = format!(
            "daemon off; worker_processes 2; error_log stderr warn; pid {root}/nginx.pid; user root;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; sendfile on; client_max_body_size 0; keepalive_requests 1000000000; large_client_header_buffers 8 128k;
               client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
               uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
               server {{ listen {port} reuseport; listen [::]:{port} reuseport; {server} }}
             }}"
        );
        let config = self.scratch().join("nginx.conf");
        std::fs::write(&config, text)?;
        self.serve("nginx", port, command("nginx").arg("-e").arg("stderr").arg("-c").arg(&config))
    }

    /// The hyper server of this crate: echo, chunks, any status, early answers, upgrades.
    pub fn hyper(&mut self) -> Result<App> {
        let port = free_port()?;
        self.serve("hyper-server", port, command(own_binary("hyper-server")?).arg(port.to_string()))
    }

    /// The same over HTTP/2, to clients that know it.
    pub fn hyper_h2(&mut self) -> Result<App> {
        let port = free_port()?;
        let mut server = command(own_binary("hyper-server")?);
        self.serve("hyper-server h2", port, server.arg(port.to_string()).arg("h2"))
    }

    /// The C server that answers with one kind of socket call.
    pub fn calls(&mut self, way: &str) -> Result<App> {
        self.calls_within(&["env"], way)
    }

    /// The same, as the last program of another command.
    pub fn calls_within(&mut self, wrapper: &[&str], way: &str) -> Result<App> {
        let binary = self.compile("calls.c")?;
        let port = free_port()?;
        let (first, rest) = wrapper.split_first().context("a wrapper is a command")?;
        let mut program = command(first);
        program.args(rest).arg(binary).arg(way).arg(port.to_string());
        self.serve(&format!("calls {way}"), port, &mut program)
    }

    /// A C program of `tests/apps`, compiled.
    pub fn compile(&self, source: &str) -> Result<PathBuf> {
        compile(source)
    }

    /// Ends a program of this world before the world ends; its pid is free then.
    pub fn end(&mut self, app: App) -> Result<()> {
        let at = self.apps.iter().position(|process| process.pid() == app.pid);
        drop(self.apps.remove(at.context("a program of this world")?));
        Ok(())
    }

    /// What the programs said last, for a failure's text.
    pub fn last_words(&self) -> String {
        self.apps.iter().map(Process::last_words).collect()
    }
}

/// A program of this crate, built beside the runner.
pub fn own_binary(name: &str) -> Result<PathBuf> {
    let runner = std::env::current_exe()?;
    Ok(runner.parent().context("a binary is in a folder")?.join(name))
}

/// C programs of `tests/apps`.
const C_PROGRAMS: [&str; 5] = ["calls.c", "clone-at.c", "deep.c", "embed.c", "sealed.c"];

/// Compiles all C programs, so that where this is slow it need not be done.
pub fn compile_all() -> Result<()> {
    C_PROGRAMS.iter().try_for_each(|source| compile(source).map(drop))?;
    goroutines().map(drop)
}

/// The Go service of `tests/apps/goroutines`, built beside the runner unless that was done since its last change.
pub fn goroutines() -> Result<PathBuf> {
    let folder = repository()?.join("tests/apps/goroutines");
    let binary = own_binary("apps/goroutines")?;
    if !is_newer(&binary, &folder.join("main.go"))? {
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(&binary).arg(".");
        go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
        output(go.current_dir(folder), 0)?;
    }
    Ok(binary)
}

/// Was the result made after the last change of its source?
fn is_newer(result: &Path, source: &Path) -> Result<bool> {
    let changed = source.metadata().and_then(|source| source.modified())?;
    Ok(result.metadata().and_then(|result| result.modified()).is_ok_and(|made| made > changed))
}

/// Compiles a C program of `tests/apps` beside the runner, unless that was done since its last change.
fn compile(source: &str) -> Result<PathBuf> {
    let path = repository()?.join("tests/apps").join(source);
    let folder = own_binary("apps")?;
    let binary = folder.join(source.trim_end_matches(".c"));
    if is_newer(&binary, &path)? {
        return Ok(binary);
    }
    std::fs::create_dir_all(&folder)?;
    let mut cc = Command::new("cc");
    output(cc.args(["-O2", "-Wall", "-pthread", "-o"]).arg(&binary).arg(path), 0)?;
    Ok(binary)
}

/// The repository: the runner is started there, and its own path is inside.
pub fn repository() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|folder| folder.join("tests/apps").is_dir());
    root.map(Path::to_path_buf).context("run the worlds inside the repository")
}

/// The program, or a skip: for what a machine may do without.
pub fn need(program: &str) -> Result<()> {
    let found = Command::new("which").arg(program).output()?.status.success();
    if found { Ok(()) } else { Err(Skip(format!("{program} is not installed")).into()) }
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("[::]:0")?.local_addr()?.port())
}
