//! Where a node lives: mount and network namespaces and cgroups of its own, so that it changes nothing of this machine.
//!
//! Shape: [`Room::open`] → commands that run inside → dropped: every process inside is killed and the cgroups are removed; mounts, links,
//! routes and firewall rules go with the namespaces. `/var` is an overlay and `/run` is empty there; sysctls that a kubelet sets are
//! files there. The process ids are this machine's: an agent on a node sees them so.
use super::{HOST_ADDRESS, NODE, NODE_ADDRESS, POD_RANGE, SERVICE_ADDRESS};
use crate::{
    process::{self, Process, command},
    runner::Skip,
    wait::eventually,
};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// This machine's end of the veth.
const LINK: &str = "wirespan-host";
/// Sysctls that belong to the whole machine and that a kubelet sets.
const SYSCTLS: [&str; 6] = [
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];
/// How long the kernel may take to end what was killed.
const ENDING: Duration = Duration::from_secs(30);

/// See the file's doc.
#[derive(Debug)]
pub struct Room {
    folder: PathBuf,
    holder: Option<Process>,
    cgroups: Cgroups,
}

impl Room {
    /// Makes one with its files in `folder`. What an interrupted run has left is ended first.
    pub fn open(folder: &Path) -> Result<Room> {
        let cgroups = Cgroups::find()?;
        cgroups.remove()?;
        cgroups.make()?;
        let mut room = Room { folder: folder.to_path_buf(), holder: None, cgroups };
        room.hold()?;
        Ok(room)
    }

    /// Where its files are, inside and outside.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs inside, and dies with us.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let pid = self.holder.as_ref().context("the room is closed")?.pid();
        let mut inside = command("sh");
        let enter = format!(
            "echo $$ >\"$0\" && exec nsenter --mount=/proc/{pid}/ns/mnt --net=/proc/{pid}/ns/net -- \"$@\""
        );
        inside.args(["-c", &enter]).arg(self.cgroups.runtime().join("cgroup.procs")).arg(program);
        Ok(inside)
    }

    /// Kills every process inside but those that are held by handles outside.
    pub fn empty(&mut self) {
        if let Err(error) = self.cgroups.kill() {
            eprintln!("the node's processes: {error:#}");
        }
    }

    /// A process that keeps the namespaces, and what they need.
    fn hold(&mut self) -> Result<()> {
        for name in ["var", "var-work", "sysctl"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        let script = script(&self.folder);
        let mut unshare = command("unshare");
        unshare.args(["--mount", "--net", "--propagation", "private", "sh", "-ec", &script]);
        let mut holder = Process::start("the node's room", &mut unshare)?;
        holder.wait_for_line("`open`", |line| line == "open")?;
        let pid = holder.pid().to_string();
        self.holder = Some(holder);
        run(&["ip", "link", "add", LINK, "type", "veth", "peer", "name", "node0", "netns", &pid])?;
        run(&["ip", "address", "add", &format!("{HOST_ADDRESS}/30"), "dev", LINK])?;
        run(&["ip", "link", "set", LINK, "up"])?;
        let net = format!("--net=/proc/{pid}/ns/net");
        run(&["nsenter", &net, "ip", "address", "add", &format!("{NODE_ADDRESS}/30"), "dev", "node0"])?;
        run(&["nsenter", &net, "ip", "link", "set", "node0", "up"])?;
        run(&["nsenter", &net, "ip", "route", "add", "default", "via", HOST_ADDRESS])?;
        run(&["ip", "route", "add", POD_RANGE, "via", NODE_ADDRESS])
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.empty();
        self.holder = None;
        // Namespaces end a little later than their last process.
        let gone = || Ok((!Path::new("/sys/class/net").join(LINK).exists()).then_some(()));
        for done in [eventually("the end of the node's network", ENDING, gone), self.cgroups.remove()] {
            if let Err(error) = done {
                eprintln!("the node's room: {error:#}");
            }
        }
    }
}

fn script(folder: &Path) -> String {
    let folder = folder.display();
    let sysctls = SYSCTLS.join(" ");
    format!(
        "ip link set lo up
         ip address add {SERVICE_ADDRESS}/32 dev lo
         mount --make-rshared /
         mount -t overlay overlay -o lowerdir=/var,upperdir={folder}/var,workdir={folder}/var-work /var
         mount -t tmpfs tmpfs /run
         for key in {sysctls}; do
           copy={folder}/sysctl/$(basename $key); cat /proc/sys/$key >$copy; mount --bind $copy /proc/sys/$key
         done
         echo open >&2
         exec sleep infinity"
    )
}

fn run(words: &[&str]) -> Result<()> {
    let (program, arguments) = words.split_first().context("a command")?;
    process::output(Command::new(program).args(arguments), 0).map(drop)
}

/// Folders of our own in every hierarchy that is mounted.
#[derive(Debug)]
struct Cgroups {
    /// Of version 2, alone or beside version 1: it can kill.
    unified: PathBuf,
    all: Vec<PathBuf>,
}

impl Cgroups {
    fn find() -> Result<Cgroups> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
        let (mut unified, mut all) = (None, Vec::new());
        for line in mounts.lines() {
            let mut words = line.split(' ');
            let (Some(_), Some(place), Some(kind)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let folder = Path::new(place).join(NODE);
            match kind {
                "cgroup2" => unified = Some(folder.clone()),
                "cgroup" => {}
                _ => continue,
            }
            all.push(folder);
        }
        let Some(unified) = unified else { bail!(Skip("no hierarchy of cgroup v2 is mounted".to_owned())) };
        Ok(Cgroups { unified, all })
    }

    /// For the runtime and everything that is no container.
    fn runtime(&self) -> PathBuf {
        self.unified.join("runtime")
    }

    fn make(&self) -> Result<()> {
        for folder in self.all.iter().chain([&self.runtime()]) {
            fs::create_dir(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(())
    }

    /// Containers too: in version 2 they are beside the runtime, in version 1 its children.
    fn kill(&self) -> Result<()> {
        if !self.unified.is_dir() {
            return Ok(());
        }
        let file = self.unified.join("cgroup.kill");
        fs::write(&file, "1").with_context(|| format!("write {}", file.display()))?;
        eventually("the end of the node's processes", ENDING, || {
            let events = fs::read_to_string(self.unified.join("cgroup.events"))?;
            Ok(events.lines().any(|line| line == "populated 0").then_some(()))
        })
    }

    fn remove(&self) -> Result<()> {
        self.kill()?;
        for folder in &self.all {
            // The kernel says that a folder is busy until it has buried the last process.
            let what = format!("{} to be empty", folder.display());
            eventually(&what, ENDING, || Ok(remove(folder).ok()))?;
        }
        Ok(())
    }
}

/// Folders from the bottom up; their files go with them.
fn remove(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    Ok(fs::remove_dir(folder)?)
}
