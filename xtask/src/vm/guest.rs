//! One boot: a kernel in QEMU with the host's root, read-only, under an overlay in memory.
//!
//! Shape: an image and a job (a shell script on the host's disk) → the lines that the job prints, until the guest switches itself off.
//! The kernel's own messages go to a file. Whatever happens, both processes end with the value that holds them.
use crate::{
    command::{self, root},
    setup::kernels::Image,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// Shares files with guests; a part of Debian's package of QEMU that is in no search path.
const SHARER: &str = "/usr/lib/qemu/virtiofsd";
/// Memory of the guest: the overlay and its programs.
const MEMORY: &str = "2g";

/// Lines of a guest that may wait to be read.
const LINES: usize = 64;

/// A boot that is to come.
pub(super) struct Boot<'a> {
    /// What boots.
    pub(super) image: &'a Image,
    /// Folder for the console's text and the like.
    pub(super) folder: &'a Path,
    /// More words for the kernel's command line.
    pub(super) cmdline: &'a str,
    /// Processors.
    pub(super) cpus: u8,
    /// Emulate, though this machine could do without: where costs are counted.
    pub(super) counted: bool,
    /// The guest is ended after that.
    pub(super) within: Duration,
}

impl Boot<'_> {
    /// Runs the script in the guest; `look` sees each line it prints.
    pub(super) fn run(&self, script: &str, look: impl FnMut(&str)) -> Result<()> {
        ensure_one_file_system()?;
        fs::create_dir_all(self.folder)?;
        let job = self.folder.join("job.sh");
        fs::write(&job, script)?;
        let share = Share::start(self.folder)?;
        listen(&mut self.qemu(&share.socket, &job), self.folder, self.within, look)
    }

    /// Where the kernel's messages are.
    pub(super) fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    fn qemu(&self, socket: &Path, job: &Path) -> Command {
        let mut qemu = guarded("nice");
        qemu.args(["-n", "10", "qemu-system-x86_64", "-display", "none", "-monitor", "none", "-no-reboot"]);
        qemu.args(["-nic", "none", "-m", MEMORY, "-smp"]).arg(self.cpus.to_string());
        if has_virtualisation() && !self.counted {
            qemu.args(["-accel", "kvm", "-cpu", "host"]);
        } else if self.cpus > 1 {
            // Races are the point: each processor is a thread of the host, and the clock is the host's.
            qemu.args(["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,-erms,-fsrm"]);
        } else {
            // The guest's clock counts its instructions, one per nanosecond. So it is no slow machine to itself, however slow the host
            // is: timers and time slices are in proportion. Where costs are counted, idle time passes at once; where worlds are played
            // it passes as it does here, or what waits for a file of the host would be out of patience. Without fast string instructions
            // memory is copied by the word: emulated, each repetition is an instruction.
            let (cpu, clock) = if self.counted {
                ("max", "shift=0,sleep=off")
            } else {
                ("max,-erms,-fsrm", "shift=0,sleep=on")
            };
            qemu.args(["-accel", "tcg,thread=single,tb-size=1024", "-cpu", cpu, "-icount", clock]);
        }
        // Files are shared through memory that both processes map.
        qemu.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={MEMORY},share=on"));
        qemu.args(["-numa", "node,memdev=memory"]);
        qemu.arg("-chardev").arg(format!("socket,id=files,path={}", socket.display()));
        qemu.args(["-device", "vhost-user-fs-pci,chardev=files,tag=root"]);
        qemu.arg("-serial").arg(format!("file:{}", self.console().display()));
        qemu.args(["-serial", "stdio"]);
        qemu.arg("-kernel").arg(&self.image.kernel).arg("-initrd").arg(&self.image.initrd);
        let words = self.cmdline;
        qemu.arg("-append").arg(format!("console=ttyS0 panic=-1 loglevel=5 {words} job={}", job.display()));
        qemu
    }
}

/// Runs QEMU to its end; `look` sees each line of its stdout.
pub(super) fn listen(
    machine: &mut Command,
    folder: &Path,
    within: Duration,
    mut look: impl FnMut(&str),
) -> Result<()> {
    let log = File::create(folder.join("qemu.log"))?;
    let mut qemu = Ended(machine.stdout(Stdio::piped()).stderr(log).spawn().context("start QEMU")?);
    let stdout = qemu.0.stdout.take().context("a pipe of a child")?;
    let (sender, lines) = sync_channel(LINES);
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + within;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => look(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!("the guest was ended after {within:?}"),
        }
    }
    let status = qemu.0.wait()?;
    ensure!(status.success(), "QEMU: {status}: {}", crate::setup::log::tail(&folder.join("qemu.log")));
    Ok(())
}

/// The host's root, read-only, offered on a socket.
struct Share {
    socket: PathBuf,
    folder: PathBuf,
    /// Ends with the value.
    _server: Ended,
}

impl Share {
    fn start(folder: &Path) -> Result<Self> {
        ensure!(Path::new(SHARER).is_file(), "{SHARER} is missing: it comes with Debian 12's QEMU");
        let mount = folder.join("root");
        fs::create_dir_all(&mount)?;
        // A path to a socket must be short.
        let of = folder.file_name().unwrap_or_default().display();
        let socket = PathBuf::from(format!("/run/wirespan-vm-{}-{of}.sock", std::process::id()));
        let _ = fs::remove_file(&socket);
        let serve = format!(
            "mount --bind / {mount} && mount -o remount,ro,bind {mount} && exec {SHARER} --socket-path={socket} \
             -o source={mount} -o cache=always -o sandbox=chroot --rlimit-nofile=1000000",
            mount = mount.display(),
            socket = socket.display()
        );
        let log = File::create(folder.join("share.log"))?;
        let mut unshare = guarded("unshare");
        unshare.args(["--mount", "sh", "-c", &serve]).stdout(log.try_clone()?).stderr(log);
        let mut server = Ended(unshare.spawn().context("start unshare")?);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            let is_over = server.0.try_wait()?.is_some() || Instant::now() > deadline;
            ensure!(!is_over, "{SHARER}: {}", crate::setup::log::tail(&folder.join("share.log")));
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(Self { socket, folder: mount, _server: server })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A child that does not outlive the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A command that ends with this process.
pub(super) fn guarded(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]).stdin(Stdio::null());
    command
}

/// Can this machine run a guest's instructions as they are? A device alone does not tell: some hypervisors offer one that boots
/// their own kernels only.
fn has_virtualisation() -> bool {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpus.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| matches!(flag, "vmx" | "svm")) && File::open("/dev/kvm").is_ok()
}

/// The guest sees one file system of the host: that of `/`.
fn ensure_one_file_system() -> Result<()> {
    let device = |path: &Path| -> Result<u64> { Ok(fs::metadata(path)?.dev()) };
    let host = device(Path::new("/"))?;
    for folder in [root()?, root()?.join("target"), root()?.join(".cache")] {
        ensure!(
            device(&folder)? == host,
            "{} is on another file system than /, which is all that guests see",
            folder.display()
        );
    }
    Ok(())
}

/// Lines of the kernel that no healthy run has.
pub(super) fn complaints(console: &Path) -> Vec<String> {
    const SIGNS: [&str; 12] = [
        "WARNING:",
        "BUG:",
        "Oops",
        "general protection",
        "rcu: INFO",
        "rcu_preempt detected",
        "Kernel panic",
        "blocked for more than",
        "soft lockup",
        "lock state",
        "locking dependency",
        "suspicious RCU",
    ];
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().filter(|line| SIGNS.iter().any(|sign| line.contains(sign))).map(str::to_owned).collect()
}

/// The command that programs in the guest are searched by.
pub(super) fn search_path() -> String {
    std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned()
}

/// Compiles what worlds would compile in the guest.
pub(super) fn prepare() -> Result<()> {
    command::run(command::new("target/worlds/worlds")?.arg("--compile"))
}
