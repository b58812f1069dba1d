//! The control plane: etcd, the API server with its audit log, the controllers, the scheduler.
//!
//! Shape: a room → a process each, with default ports, because the network is theirs alone.
//! Source: kubernetes.io/docs/reference/command-line-tools-reference, v1.36.
use super::{
    NODE_ADDRESS, Room, SERVICE_RANGE,
    certificates::{CONTROL, Certificates},
};
use crate::{process::Process, runner::Skip};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Everything that anybody asks.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

/// Programs that `cargo xtask e2e kubernetes` has built.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Finds them in the cache folder, or says that this machine has none.
    pub fn find(cache: &Path) -> Result<Binaries> {
        let folder = cache.join("kubernetes/bin");
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "helm"] {
            if !folder.join(name).is_file() {
                bail!(Skip(format!("{name} was not built: `cargo xtask e2e kubernetes` does it")));
            }
        }
        Ok(Binaries(folder))
    }

    /// One of them, by its name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Where the API server writes down who asked what.
pub(super) fn audit_log(folder: &Path) -> PathBuf {
    folder.join("audit.jsonl")
}

pub(super) fn etcd(room: &Room) -> Result<Process> {
    let mut etcd = room.command("etcd")?;
    etcd.arg("--data-dir").arg(room.folder().join("etcd")).args(["--log-level", "warn"]);
    Process::start("etcd", &mut etcd)
}

pub(super) fn apiserver(binaries: &Binaries, room: &Room, files: &Certificates) -> Result<Process> {
    let policy = room.folder().join("audit-policy.yaml");
    fs::write(&policy, AUDIT_POLICY)?;
    let mut server = room.command(binaries.path("kube-apiserver"))?;
    server.args(["--etcd-servers=http://127.0.0.1:2379", "--secure-port=443", "--bind-address=0.0.0.0"]);
    server.arg(format!("--advertise-address={NODE_ADDRESS}"));
    server.arg(format!("--service-cluster-ip-range={SERVICE_RANGE}"));
    server.args(["--authorization-mode=Node,RBAC", "--allow-privileged=true"]);
    server.arg("--service-account-issuer=https://kubernetes.default.svc");
    for (flag, file) in [
        ("--tls-cert-file", &files.server),
        ("--tls-private-key-file", &files.server_key),
        ("--token-auth-file", &files.tokens),
        ("--service-account-key-file", &files.accounts_public),
        ("--service-account-signing-key-file", &files.accounts_key),
        ("--audit-policy-file", &policy),
        ("--audit-log-path", &audit_log(room.folder())),
    ] {
        server.arg(flag).arg(file);
    }
    Process::start("kube-apiserver", &mut server)
}

pub(super) fn controllers(binaries: &Binaries, room: &Room, files: &Certificates) -> Result<Process> {
    let mut controllers = room.command(binaries.path("kube-controller-manager"))?;
    controllers.arg("--kubeconfig").arg(files.kubeconfig("control", "127.0.0.1", CONTROL)?);
    controllers.arg("--service-account-private-key-file").arg(&files.accounts_key);
    controllers.arg("--root-ca-file").arg(&files.authority);
    controllers.arg("--cert-dir").arg(room.folder().join("controllers"));
    controllers.args(["--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400"]);
    Process::start("kube-controller-manager", &mut controllers)
}

pub(super) fn scheduler(binaries: &Binaries, room: &Room, files: &Certificates) -> Result<Process> {
    let mut scheduler = room.command(binaries.path("kube-scheduler"))?;
    scheduler.arg("--kubeconfig").arg(files.kubeconfig("control", "127.0.0.1", CONTROL)?);
    scheduler.arg("--cert-dir").arg(room.folder().join("scheduler"));
    scheduler.args(["--leader-elect=false"]);
    Process::start("kube-scheduler", &mut scheduler)
}
