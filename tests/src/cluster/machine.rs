//! What a node could leave behind: the machine before, and what differs after.
//!
//! Shape: [`Machine::look`] twice → lines that only one of them has.
use crate::wait::eventually;
use anyhow::{Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Folders into which container runtimes and kubelets write, and where links and cgroups appear.
const FOLDERS: [&str; 8] =
    ["/etc", "/opt", "/run", "/sys/class/net", "/usr/libexec", "/var/lib", "/var/log", "/var/run"];
/// Sysctls that a kubelet or a network plugin changes.
const SYSCTLS: [&str; 6] = [
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "vm/overcommit_memory",
    "net/ipv4/ip_forward",
];

/// One look at it.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine(BTreeSet<String>);

impl Machine {
    /// Looks.
    pub fn look() -> Result<Machine> {
        let mut facts = BTreeSet::new();
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        facts.extend(mounts.lines().map(|line| format!("mount {line}")));
        for key in SYSCTLS {
            let value = fs::read_to_string(Path::new("/proc/sys").join(key)).unwrap_or_default();
            facts.insert(format!("sysctl {key} {}", value.trim()));
        }
        let cgroups = mounts.lines().filter(|line| line.contains(" cgroup"));
        let cgroups = cgroups.filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
        for folder in FOLDERS.map(PathBuf::from).into_iter().chain(cgroups) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            facts.extend(entries.map(|entry| format!("file {}", entry.path().display())));
        }
        for (program, words) in
            [("nft", "--stateless list ruleset"), ("ip", "route show"), ("ip", "-o address show")]
        {
            let text = Command::new(program).args(words.split(' ')).output()?.stdout;
            facts.extend(String::from_utf8_lossy(&text).lines().map(|line| format!("{program} {line}")));
        }
        Ok(Machine(facts))
    }

    /// An error that names what is not as it was; what the kernel ends by and by may take a moment.
    pub fn expect_unchanged(&self) -> Result<()> {
        let mut now = Machine::look()?;
        let same = eventually("the machine as it was", Duration::from_secs(10), || {
            now = Machine::look()?;
            Ok((now == *self).then_some(()))
        });
        if let Err(error) = same {
            let more: Vec<_> = now.0.difference(&self.0).collect();
            let less: Vec<_> = self.0.difference(&now.0).collect();
            bail!("{error}: there is now {more:#?}, and no longer {less:#?}");
        }
        Ok(())
    }
}
