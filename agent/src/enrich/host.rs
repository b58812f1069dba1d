//! The machine: the part of a resource that all its processes share. Read once.
//!
//! Shape: a root folder → [`Host`]. Source: machine-id(5), os-release(5), passwd(5); the semantic conventions' `host` and `os`.
use std::{collections::HashMap, fs, path::Path};

/// Rows of `/etc/passwd` that are kept.
const USERS: usize = 10_000;

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// What `uname -n` says.
    pub name: String,
    /// `/etc/machine-id`.
    pub id: Option<String>,
    /// `amd64`, `arm64`, …: the conventions' names, not the kernel's.
    pub arch: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub os_description: Option<String>,
    /// Kernel release.
    pub os_version: String,
    /// This boot: with pid and start time it makes a process unique.
    pub boot_id: Option<String>,
    /// User id → name.
    users: HashMap<u32, String>,
}

impl Host {
    /// Reads the machine whose files are under `root`.
    pub fn read(root: &Path) -> Host {
        let uname = rustix::system::uname();
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let line = |path: &str| text(path).map(|text| text.trim().to_owned()).filter(|line| !line.is_empty());
        Host {
            name: uname.nodename().to_string_lossy().into_owned(),
            id: line("etc/machine-id"),
            arch: arch(&uname.machine().to_string_lossy()).to_owned(),
            os_description: text("etc/os-release")
                .or_else(|| text("usr/lib/os-release"))
                .and_then(|text| pretty_name(&text)),
            os_version: uname.release().to_string_lossy().into_owned(),
            boot_id: line("proc/sys/kernel/random/boot_id"),
            users: text("etc/passwd").map(|text| users(&text)).unwrap_or_default(),
        }
    }

    /// The name of a user.
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(String::as_str)
    }
}

/// The kernel's machine name in the conventions' words.
fn arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "armv6l" | "armv7l" | "armv8l" => "arm32",
        "ppc64le" => "ppc64",
        other => other,
    }
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

fn users(passwd: &str) -> HashMap<u32, String> {
    passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, name.to_owned()))
        })
        .take(USERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_in_the_words_of_the_conventions() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
        fs::write(root.path().join("etc/os-release"), "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n")
            .unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:33::/:/bin/sh\n",
        )
        .unwrap();

        let host = Host::read(root.path());

        assert_eq!(host.id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(host.os_description.as_deref(), Some("Debian GNU/Linux 12"));
        assert_eq!((host.user(33), host.user(34)), (Some("web"), None));
    }

    #[test]
    fn a_machine_without_files_has_a_name_and_nothing_false() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::read(root.path());
        assert!(!host.name.is_empty());
        assert_eq!((host.id, host.os_description), (None, None));
    }

    #[test]
    fn architectures_have_the_conventions_names() {
        assert_eq!([arch("x86_64"), arch("aarch64"), arch("s390x")], ["amd64", "arm64", "s390x"]);
    }
}
