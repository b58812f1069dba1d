//! Builds Kubernetes from its Go modules into `.cache/kubernetes/bin`: API server, controllers, scheduler, kubelet; and Helm.
//!
//! Shape: pinned versions → programs; some ten minutes when cold, nothing when warm. What Debian has comes from there. Its go.mod is
//! made from the released one, because Kubernetes names its own parts by folders of its repository.
//! Source: k8s.io/kubernetes v1.36.3, go.mod; helm.sh/helm/v3.
use super::{Need, cache, debian, ensure, lock, log, stamp::Stamp};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = "v1.36.3";
/// The version of its parts: the same release.
const PARTS: &str = "v0.36.3";
const PROGRAMS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"];
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.18.6";
/// Programs of a node, and the Debian packages that bring them.
const NEEDS: [Need; 5] = [
    Need::Program { program: "etcd", package: "etcd-server" },
    Need::Program { program: "containerd", package: "containerd" },
    Need::Program { program: "runc", package: "runc" },
    Need::File { file: "/usr/lib/cni/ptp", package: "containernetworking-plugins" },
    Need::Program { program: "nft", package: "nftables" },
];

/// Everything that a node on this machine needs.
pub(crate) fn node() -> Result<()> {
    ensure(&NEEDS)?;
    debian::ensure(&[("go", "golang-go")])?;
    let _lock = lock()?;
    let folder = cache()?.join("kubernetes");
    let (build, programs) = (folder.join("build"), folder.join("bin"));
    fs::create_dir_all(&build)?;
    fs::create_dir_all(&programs)?;
    // The build's inputs are two numbers: a file holds them.
    let wanted = build.join("versions");
    fs::write(&wanted, format!("{VERSION} {PARTS} {PROGRAMS:?} {HELM}\n"))?;
    let stamp = Stamp::new(&programs, &[wanted], "go")?;
    if !stamp.is_stale()? {
        return Ok(());
    }
    println!("setup: building Kubernetes {VERSION} (go): ten minutes, once");
    module(&build)?;
    for name in PROGRAMS {
        compile(&build, &programs, name)?;
    }
    let mut helm = go(&build);
    helm.env("GOBIN", &programs).args(["install", "-trimpath", "-ldflags=-s -w", HELM]);
    log::run(&mut helm, &build.join("helm.log"))?;
    // Gigabytes that only another build of the same programs would want.
    fs::remove_dir_all(objects(&build))?;
    stamp.write()
}

fn objects(build: &Path) -> PathBuf {
    build.join("objects")
}

/// Go, out of the way of everything else.
fn go(build: &Path) -> Command {
    let mut go = Command::new("nice");
    go.args(["-n", "10", "go"]).current_dir(build);
    go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOCACHE", objects(build));
    go
}

/// A module that requires this Kubernetes, with its parts of the same release.
fn module(build: &Path) -> Result<()> {
    let head = format!(
        "module wirespan.io/kubernetes\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire k8s.io/kubernetes {VERSION}\n"
    );
    fs::write(build.join("go.mod"), &head)?;
    let output =
        go(build).args(["mod", "download", "-json", &format!("k8s.io/kubernetes@{VERSION}")]).output()?;
    ensure!(output.status.success(), "go mod download: {}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).context("read what go downloaded")?;
    let sources = told.get("Dir").and_then(Value::as_str).map(Path::new).context("where go put it")?;
    let released = fs::read_to_string(sources.join("go.mod")).context("read the released go.mod")?;
    let parts =
        released.lines().filter_map(|line| line.split_once(" => ./staging/").map(|(part, _)| part.trim()));
    let parts: String = parts.map(|part| format!("replace {part} => {part} {PARTS}\n")).collect();
    fs::write(build.join("go.mod"), head + &parts)?;
    fs::write(build.join("go.sum"), fs::read(sources.join("go.sum")).context("read the released go.sum")?)?;
    Ok(())
}

fn compile(build: &Path, programs: &Path, name: &str) -> Result<()> {
    let of = "k8s.io/component-base/version";
    let (major, minor) = VERSION.trim_start_matches('v').split_once('.').context("a version has dots")?;
    let minor = minor.split('.').next().unwrap_or_default();
    let version =
        format!("-s -w -X {of}.gitVersion={VERSION} -X {of}.gitMajor={major} -X {of}.gitMinor={minor}");
    let mut go = go(build);
    go.args(["build", "-mod=mod", "-trimpath", "-p=2", "-ldflags", &version, "-o"]).arg(programs);
    let program = format!("k8s.io/kubernetes/cmd/{name}");
    log::run(go.arg(program), &build.join(format!("{name}.log")))
}
