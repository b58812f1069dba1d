//! Kernels to boot, from Debian's packages, each with a small image that mounts the host's root and starts a job in it.
//!
//! Shape: a series and where it is → `.cache/vm/SERIES` with the kernel, its modules and the image. apt fetches into lists of its own
//! and checks signatures and hashes; what was made is checked by hash each time. The host's packages stay as they are.
//! Not here: booting (see `vm/guest.rs`).
use super::{cache, debian, lock, log};
use crate::command::{capture, run};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What boots a guest, and the Debian packages that bring it.
const PROGRAMS: [(&str, &str); 8] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("zstd", "zstd"),
    ("xz", "xz-utils"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
];
/// Modules without which the guest cannot reach the host's files; what they depend on comes with them.
const MODULES: [&str; 3] = ["virtio_pci", "virtiofs", "overlay"];
/// The processor whose guests share this machine's files.
const OWN: &str = "amd64";
/// Where the user land of other guests is from.
const USER_LAND: (&str, &str, &str) = ("debian", "bookworm", "busybox-static");
/// Runs in the image, before the host's root is there: `job` comes from the kernel's command line.
const INIT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
exec >/dev/ttyS1 2>&1
for module in $($b cat /modules/order); do $b insmod /modules/$module || echo "no module $module"; done
$b mount -t virtiofs root /lower -o ro || echo "cannot mount the host's root"
$b mount -t tmpfs upper /upper; $b mkdir /upper/files /upper/work
$b mount -t overlay root /new -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work || echo "cannot mount an overlay"
for folder in proc sys dev; do $b mkdir -p /new/$folder; $b mount --move /$folder /new/$folder; done
for folder in tmp run dev/shm; do $b mkdir -p /new/$folder; $b mount -t tmpfs tmpfs /new/$folder; done
$b mkdir -p /new/dev/pts; $b mount -t devpts devpts /new/dev/pts
exec $b switch_root /new /bin/sh "$job"
"#;

/// Where a series of kernels is found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// `5.10`; `7` for the newest 7.x.
    pub(crate) series: &'a str,
    /// Last part of the mirror's address: `debian` or `debian-security`.
    pub(crate) archive: &'a str,
    /// Debian's suite.
    pub(crate) suite: &'a str,
    /// Debian's name of the processor: `amd64` or `arm64`.
    pub(crate) arch: &'a str,
    /// What the packages' names begin with, before the series.
    pub(crate) packages: &'a [String],
}

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The kernel.
    pub(crate) kernel: PathBuf,
    /// What runs first.
    pub(crate) initrd: PathBuf,
    /// Its modules, as a folder for `/lib/modules`.
    pub(crate) modules: PathBuf,
    /// Name of the first package, with the full version.
    pub(crate) package: String,
    folder: PathBuf,
}

impl Image {
    /// busybox for the image's processor, where that is not this machine's.
    pub(crate) fn busybox(&self) -> Result<PathBuf> {
        let path = self.folder.join("root/bin/busybox");
        ensure!(path.is_file(), "{} is missing", path.display());
        Ok(path)
    }
}

/// The image of a series: what is there, or the newest that the mirror has.
pub(crate) fn image(source: &Source<'_>, renew: bool) -> Result<Image> {
    debian::ensure(&PROGRAMS)?;
    let _lock = lock()?;
    let cache = cache()?.canonicalize()?.join("vm");
    let folder = match source.arch {
        OWN => cache.join(source.series),
        other => cache.join(format!("{}-{other}", source.series)),
    };
    if !renew && let Some(image) = made(&folder)? {
        return Ok(image);
    }
    make(source, &cache, &folder).with_context(|| format!("kernel {}", source.series))?;
    made(&folder)?.with_context(|| format!("kernel {} is not what was just made", source.series))
}

/// What was made before, if nothing of it has changed since.
fn made(folder: &Path) -> Result<Option<Image>> {
    let sums = folder.join("SHA256SUMS");
    let Ok(package) = fs::read_to_string(folder.join("package")) else { return Ok(None) };
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--quiet", "--strict"]).arg(&sums).current_dir(folder);
    let same_recipe = fs::read_to_string(folder.join("recipe")).is_ok_and(|recipe| recipe == INIT);
    if !same_recipe || !sums.is_file() || !capture(&mut check)?.status.success() {
        return Ok(None);
    }
    Ok(Some(Image {
        kernel: folder.join("vmlinuz"),
        initrd: folder.join("initrd"),
        modules: folder.join("root/lib/modules"),
        package,
        folder: folder.to_path_buf(),
    }))
}

fn make(source: &Source<'_>, cache: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let packages = fetch(source, cache, folder)?;
    let root = folder.join("root");
    for package in packages_in(folder)? {
        run(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
    }
    // Since merged /usr became mandatory, packages keep their modules there.
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    }
    let release = only_entry(&root.join("lib/modules"))?;
    run(Command::new("depmod").arg("--basedir").arg(&root).arg(&release))?;
    // Since 7.x it stands beside its modules.
    let places = [
        root.join("boot").join(format!("vmlinuz-{release}")),
        root.join("lib/modules").join(&release).join("vmlinuz"),
    ];
    let kernel = places.iter().find(|path| path.is_file()).context("the package has no vmlinuz")?;
    fs::copy(kernel, folder.join("vmlinuz"))?;
    if source.arch == OWN {
        initrd(&root, &release, folder)?;
    } else {
        // Its image is made of what is to run in it (see `vm/arm64.rs`).
        fs::copy(root.join("bin/busybox"), folder.join("initrd")).context("the package has no busybox")?;
    }
    let mut sums = Command::new("sha256sum");
    let sums = capture(sums.args(["vmlinuz", "initrd"]).current_dir(folder))?;
    ensure!(sums.status.success(), "sha256sum failed");
    fs::write(folder.join("SHA256SUMS"), sums.stdout)?;
    fs::write(folder.join("recipe"), INIT)?;
    let first = packages.first().context("a kernel has a package")?;
    Ok(fs::write(folder.join("package"), first)?)
}

/// Downloads the newest packages of the series. Their names.
fn fetch(source: &Source<'_>, cache: &Path, folder: &Path) -> Result<Vec<String>> {
    let apt = Apt::new(source, cache)?;
    log::run(apt.command("apt-get").args(["-q", "update"]), &cache.join("apt.log"))?;
    let mut names = Vec::new();
    for package in source.packages {
        let known = capture(apt.command("apt-cache").args(["pkgnames", package]))?;
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        let prefix = format!("{package}-{}.", source.series);
        let newest = newest(known.lines().filter(|name| name.starts_with(&prefix)), source.arch);
        let cloud = format!("{prefix}*-cloud-{}", source.arch);
        names.push(newest.with_context(|| format!("{} has no {cloud}", source.suite))?);
    }
    let log = cache.join("apt.log");
    log::run(apt.command("apt-get").args(["-q", "download"]).args(&names).current_dir(folder), &log)?;
    if source.arch != OWN {
        let (archive, suite, package) = USER_LAND;
        let apt = Apt::new(&Source { archive, suite, ..*source }, cache)?;
        log::run(apt.command("apt-get").args(["-q", "update"]), &log)?;
        log::run(apt.command("apt-get").args(["-q", "download", package]).current_dir(folder), &log)?;
    }
    Ok(names)
}

/// The name with the highest version, of those for virtual machines.
fn newest<'a>(names: impl Iterator<Item = &'a str>, arch: &str) -> Option<String> {
    let cloud = format!("-cloud-{arch}");
    let version = |name: &str| -> Vec<u32> {
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    names.filter(|name| name.ends_with(&cloud)).max_by_key(|name| version(name)).map(str::to_owned)
}

/// apt with sources, lists and downloads of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(source: &Source<'_>, cache: &Path) -> Result<Self> {
        let folder = cache.join("apt").join(format!("{}-{}", source.suite, source.arch));
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let list = folder.join("sources.list");
        let line = format!(
            "deb [arch={} signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {} {} main\n",
            source.arch,
            mirror(source.archive)?,
            source.suite
        );
        fs::write(&list, line)?;
        let folder = folder.display();
        let options = [
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}"),
            format!("APT::Architecture={}", source.arch),
            format!("APT::Architectures={}", source.arch),
            // Downloads go to a folder of root's.
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { options: options.to_vec() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// The address of Debian's archive that this machine itself uses.
fn mirror(archive: &str) -> Result<String> {
    let targets = capture(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let targets = String::from_utf8_lossy(&targets.stdout).into_owned();
    let found = targets.lines().find(|uri| uri.trim_end_matches('/').ends_with(&format!("/{archive}")));
    found.map(str::to_owned).with_context(|| format!("this machine's apt has no source of {archive}"))
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "deb")).collect())
}

fn only_entry(folder: &Path) -> Result<String> {
    let entry = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?.next();
    Ok(entry.context("the package has no modules")??.file_name().to_string_lossy().into_owned())
}

/// busybox, the modules in the order of their dependencies, and [`INIT`].
fn initrd(root: &Path, release: &str, folder: &Path) -> Result<()> {
    let image = folder.join("image");
    for part in ["bin", "proc", "sys", "dev", "lower", "upper", "new", "modules"] {
        fs::create_dir_all(image.join(part))?;
    }
    let busybox = debian::find("busybox").context("busybox is not in the search path")?;
    fs::copy(busybox, image.join("bin/busybox"))?;
    let mut order: Vec<String> = Vec::new();
    for module in MODULES {
        for file in needed(root, release, module)? {
            let name = plain_module(&file, &image.join("modules"))?;
            if !order.contains(&name) {
                order.push(name);
            }
        }
    }
    fs::write(image.join("modules/order"), order.join("\n"))?;
    let init = image.join("init");
    fs::write(&init, INIT)?;
    run(Command::new("chmod").arg("755").arg(&init))?;
    let pack = "find . | cpio --quiet -o -H newc | gzip -1 > ../initrd";
    run(Command::new("sh").args(["-c", pack]).current_dir(&image))
}

/// Files of a module and of what it depends on, the last one itself; none if it is part of the kernel.
fn needed(root: &Path, release: &str, module: &str) -> Result<Vec<PathBuf>> {
    let mut modprobe = Command::new("modprobe");
    let shown = capture(modprobe.arg("-d").arg(root).args(["-S", release, "--show-depends", module]))?;
    ensure!(shown.status.success(), "modprobe: {}", String::from_utf8_lossy(&shown.stderr));
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.strip_prefix("insmod ")).map(|path| path.trim().into()).collect())
}

/// Copies a module, uncompressed, and gives its name.
fn plain_module(file: &Path, to: &Path) -> Result<String> {
    let name = file.file_name().context("a module is a file")?.to_string_lossy().into_owned();
    let unpack = match file.extension().and_then(|kind| kind.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => "cat",
    };
    let plain = name.trim_end_matches(".xz").trim_end_matches(".zst").to_owned();
    let arguments: &[&str] = if unpack == "cat" { &[] } else { &["-dc"] };
    let unpacked = capture(Command::new(unpack).args(arguments).arg(file))?;
    ensure!(unpacked.status.success(), "{unpack} {}", file.display());
    fs::write(to.join(&plain), unpacked.stdout)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_the_one_with_the_highest_numbers() {
        let names = [
            "linux-image-6.12.9-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64-dbg",
            "linux-image-6.12.200+deb12-amd64",
        ];
        assert_eq!(newest(names.into_iter(), "amd64").unwrap(), "linux-image-6.12.117+deb12-cloud-amd64");
        assert_eq!(newest(std::iter::empty(), "amd64"), None);
    }
}
