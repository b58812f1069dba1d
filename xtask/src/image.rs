//! `cargo xtask image`: the agent as a container image, without Docker.
//!
//! Shape: the agent, static, for each architecture → `target/image/wirespan.tar`, which `docker load`, `podman load`, `skopeo` and `ctr`
//! read; beside it what `docker build -f deploy/image/Dockerfile target/image` wants. From scratch: the agent and the roots of
//! certificates are all that is inside. The same sources give the same bytes.
//! Why the GNU C library: the agent's memory was measured with its allocator.
mod archive;

use crate::{
    command::{self, cargo, root},
    setup::{self, Need},
};
use anyhow::{Context, Result, ensure};
use archive::{Archive, Image, Layer};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How large the image may be.
const LIMIT_BYTES: u64 = 25 << 20;
/// What the image trusts by default.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Which architectures.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `amd64`, `arm64`; none means this machine's
    arch: Vec<String>,
}

/// An architecture, as images and as compilers call it.
struct Target {
    arch: &'static str,
    triple: &'static str,
    /// The prefix of GNU programs, and the packages that bring them.
    prefix: &'static str,
    needs: &'static [Need],
}

const TARGETS: [Target; 2] = [
    Target {
        arch: "amd64",
        triple: "x86_64-unknown-linux-gnu",
        prefix: "x86_64-linux-gnu",
        needs: &[Need::Program { program: "x86_64-linux-gnu-gcc", package: "gcc-x86-64-linux-gnu" }],
    },
    Target {
        arch: "arm64",
        triple: "aarch64-unknown-linux-gnu",
        prefix: "aarch64-linux-gnu",
        needs: &[
            Need::Program { program: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" },
            Need::File { file: "/usr/aarch64-linux-gnu/lib/libc.a", package: "libc6-dev-arm64-cross" },
        ],
    },
];

/// Makes it and says how large it is.
pub(crate) fn run(args: &Args) -> Result<()> {
    let native = native()?;
    let names: Vec<&str> =
        if args.arch.is_empty() { vec![native.arch] } else { args.arch.iter().map(String::as_str).collect() };
    let mut images = Vec::new();
    for name in names {
        let target = TARGETS.iter().find(|target| target.arch == name);
        let target = target.with_context(|| format!("{name} is neither amd64 nor arm64"))?;
        images.push(agent(target)?);
    }
    let file = folder()?.join("wirespan.tar");
    Archive { name: "wirespan.io/wirespan", tag: env!("CARGO_PKG_VERSION"), images }.write(&file)?;
    println!("image: {}", file.display());
    Ok(())
}

/// What worlds put onto a node: the agent's image, and one of almost nothing.
pub(crate) fn worlds() -> Result<()> {
    run(&Args { arch: Vec::new() })?;
    let folder = folder()?;
    let pause = folder.join("pause");
    let mut compile = command::new("cc")?;
    compile.args(["-Os", "-static", "-o"]).arg(&pause).arg("tests/apps/pause.c");
    command::run(&mut compile)?;
    let mut layer = Layer::default();
    layer.file("pause", &pause, 0o755)?;
    for name in ["bin", "cache", "etc", "lib", "lib64", "proc", "sys", "tmp", "usr"] {
        layer.folder(name)?;
    }
    let image = Image { arch: native()?.arch, layer: layer.finish()?, entrypoint: "/pause", command: &[] };
    Archive { name: "wirespan.io/world", tag: "1", images: vec![image] }.write(&folder.join("world.tar"))
}

fn folder() -> Result<PathBuf> {
    let folder = root()?.join("target/image");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn native() -> Result<&'static Target> {
    let arch = std::env::consts::ARCH;
    TARGETS
        .iter()
        .find(|target| target.triple.starts_with(arch))
        .with_context(|| format!("no image for {arch}"))
}

/// The agent's image for one architecture.
fn agent(target: &Target) -> Result<Image> {
    let binary = compile(target)?;
    let bytes = binary.metadata()?.len();
    ensure!(bytes < LIMIT_BYTES, "{} has {bytes} bytes, and {LIMIT_BYTES} are allowed", binary.display());
    println!("image: {} has {:.1} MB", target.arch, bytes as f64 / 1e6);
    let mut layer = Layer::default();
    for name in ["etc", "etc/ssl", "etc/ssl/certs", "etc/wirespan", "run", "run/wirespan", "usr", "usr/bin"] {
        layer.folder(name)?;
    }
    let roots = binary.with_file_name("ca-certificates.crt");
    layer.file("etc/ssl/certs/ca-certificates.crt", &roots, 0o644)?;
    layer.file("usr/bin/wirespan", &binary, 0o755)?;
    let command = &["run", "--exporter", "otlp"];
    Ok(Image { arch: target.arch, layer: layer.finish()?, entrypoint: "/usr/bin/wirespan", command })
}

/// The static program without its symbols, beside what else the Dockerfile copies: `target/image/ARCH`.
fn compile(target: &Target) -> Result<PathBuf> {
    setup::ensure(&[Need::Kernel, Need::File { file: ROOTS, package: "ca-certificates" }])?;
    setup::ensure(target.needs)?;
    command::run(
        Command::new("rustup").args(["target", "add", target.triple]).env("RUSTUP_AUTO_INSTALL", "0"),
    )?;
    let (upper, lower) = (target.triple.to_uppercase().replace('-', "_"), target.triple.replace('-', "_"));
    let mut build = cargo(&["build", "--release", "--package=wirespan", "--target", target.triple])?;
    build.env(format!("CARGO_TARGET_{upper}_RUSTFLAGS"), "-Ctarget-feature=+crt-static");
    if target.arch != native()?.arch {
        let compiler = format!("{}-gcc", target.prefix);
        build.env(format!("CARGO_TARGET_{upper}_LINKER"), &compiler).env(format!("CC_{lower}"), &compiler);
    }
    command::run(&mut build)?;
    let beside = folder()?.join(target.arch);
    fs::create_dir_all(&beside)?;
    let binary = beside.join("wirespan");
    let built = root()?.join("target").join(target.triple).join("release/wirespan");
    let mut strip = Command::new(format!("{}-strip", target.prefix));
    command::run(strip.arg("--strip-all").arg("-o").arg(&binary).arg(&built))?;
    copy(Path::new(ROOTS), &beside.join("ca-certificates.crt"))?;
    Ok(binary)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {}", from.display())).map(drop)
}
