//! A Docker engine of a world's own, and the machine as it was afterwards.
//!
//! Shape: [`Engine::start`] → images from folders, containers on the machine's network. All that the engine keeps is in the world's
//! folder; it has no bridge but those of networks that are asked for, and touches no firewall. Dropped: containers, networks, daemon, and
//! what the daemon leaves (one mount, empty groups).
use crate::{
    process::{Process, command, output},
    wait::{PATIENCE, eventually},
    world::{App, World, need},
};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// See the file's doc.
pub(super) struct Engine {
    daemon: Process,
    folder: PathBuf,
    /// Groups that were not there before.
    groups: Vec<PathBuf>,
}

/// A running container.
pub(super) struct Container {
    /// 64 hex digits.
    pub(super) id: String,
    /// Its first process, as the machine counts, and where it listens.
    pub(super) app: App,
}

impl Engine {
    /// Starts a daemon, or skips where there is none.
    pub(super) fn start(world: &World) -> Result<Engine> {
        need("dockerd")?;
        need("docker")?;
        let folder = world.scratch().join("engine");
        fs::create_dir_all(&folder)?;
        let mut dockerd = command("dockerd");
        dockerd.args(["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]);
        dockerd.args(["--containerd-namespace=wirespan-world", "--log-level=warn"]);
        for (flag, file) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            dockerd.arg(flag).arg(folder.join(file));
        }
        dockerd.arg("--host").arg(format!("unix://{}", folder.join("sock").display()));
        let groups = groups().into_iter().filter(|group| !group.exists()).collect();
        let mut engine = Engine { daemon: Process::start("dockerd", &mut dockerd)?, folder, groups };
        eventually("dockerd", PATIENCE, || {
            if !engine.daemon.is_running()? {
                bail!("dockerd has ended{}", engine.daemon.last_words());
            }
            Ok(engine.docker(&["version"]).ok())
        })?;
        Ok(engine)
    }

    /// Where its API is.
    pub(super) fn socket(&self) -> String {
        self.folder.join("sock").display().to_string()
    }

    /// What the client says, without the line's end.
    pub(super) fn docker(&self, arguments: &[&str]) -> Result<String> {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket())).args(arguments);
        // Nobody's own configuration.
        docker.env("DOCKER_CONFIG", &self.folder);
        Ok(output(&mut docker, 0)?.0.trim_end().to_owned())
    }

    /// Gives the client a plugin: `docker NAME`.
    pub(super) fn plugin(&self, name: &str, program: &Path) -> Result<()> {
        let folder = self.folder.join("cli-plugins");
        fs::create_dir_all(&folder)?;
        symlink(program, folder.join(format!("docker-{name}"))).with_context(|| format!("docker {name}"))
    }

    /// An image of what is in a folder.
    pub(super) fn import(&self, root: &Path, image: &str) -> Result<()> {
        self.import_as(root, image, &[])
    }

    /// The same with lines of a Dockerfile: `ENV …`, `USER …`, `ENTRYPOINT …`.
    pub(super) fn import_as(&self, root: &Path, image: &str, lines: &[&str]) -> Result<()> {
        let archive = self.folder.join("image.tar");
        output(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg("."), 0)?;
        let lines: Vec<&str> = lines.iter().flat_map(|line| ["--change", line]).collect();
        let archive_name = archive.display().to_string();
        self.docker(&[&["import"], &*lines, &[&archive_name, image]].concat())?;
        fs::remove_file(&archive).context("remove an image's archive")
    }

    /// Runs a server that will listen on the port, and waits until it does. `options` are those of `docker run`.
    pub(super) fn serve(
        &self,
        port: u16,
        options: &[&str],
        image: &str,
        program: &[&str],
    ) -> Result<Container> {
        let run = ["run", "--detach", "--network=host"];
        let id = self.docker(&[&run, options, &[image], program].concat())?;
        eventually(&format!("{program:?} on port {port}"), PATIENCE, || {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(()));
            }
            if self.docker(&["inspect", "--format={{.State.Running}}", &id])? != "true" {
                bail!("{program:?} has ended: {}", self.docker(&["logs", &id])?);
            }
            Ok(None)
        })?;
        let pid = self.docker(&["inspect", "--format={{.State.Pid}}", &id])?;
        Ok(Container { app: App { port, pid: pid.parse().context("a pid")? }, id })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(containers) = self.docker(&["ps", "--all", "--quiet"]) {
            let containers: Vec<&str> = containers.lines().collect();
            if !containers.is_empty() {
                drop(self.docker(&[&["rm", "--force"], &*containers].concat()));
            }
        }
        // A bridge would outlive the daemon.
        drop(self.docker(&["network", "prune", "--force"]));
        if self.daemon.signal(Signal::TERM).is_ok() {
            drop(self.daemon.wait(PATIENCE));
        }
        // The network name space of `--network=host` is kept by a mount.
        let kept = self.folder.join("exec/netns/default");
        if kept.exists() {
            drop(Command::new("umount").arg(kept).output());
        }
        for group in &self.groups {
            // Only an empty one goes.
            drop(fs::remove_dir(group));
        }
    }
}

/// Where the engine puts its containers' groups: below each hierarchy's root.
fn groups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join("docker")).collect()
}
