//! The node: containerd and the kubelet, images, and what containers have written.
//!
//! Shape: a room → two processes; an archive → an image; a pod → its lines. Source: containerd 1.6 CRI configuration,
//! kubelet.config.k8s.io/v1beta1 of v1.36.
use super::{
    Binaries, NODE, NODE_ADDRESS, POD_RANGE, Room,
    certificates::{Certificates, KUBELET},
    image,
};
use crate::{
    process::{Process, output},
    wait::{PATIENCE, eventually},
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

const SOCKET: &str = "/run/containerd/containerd.sock";

pub(super) fn containerd(room: &Room) -> Result<Process> {
    let folder = room.folder();
    let network = folder.join("cni");
    fs::create_dir_all(&network)?;
    fs::write(network.join("10-ptp.conflist"), pod_network(folder))?;
    let config = folder.join("containerd.toml");
    fs::write(&config, runtime(folder, &network))?;
    let mut containerd = room.command("containerd")?;
    let mut containerd = Process::start("containerd", containerd.arg("--config").arg(&config))?;
    containerd.wait_for_line("that it serves", |line| line.contains("containerd successfully booted"))?;
    Ok(containerd)
}

/// `restrict_oom_score_adj`: not every root may lower the score.
fn runtime(folder: &Path, network: &Path) -> String {
    format!(
        "version = 2
root = '{}'
state = '/run/containerd'
[grpc]
address = '{SOCKET}'
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = '{}'
restrict_oom_score_adj = true
[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '/usr/lib/cni'
conf_dir = '{}'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]
SystemdCgroup = false
",
        folder.join("containerd").display(),
        image::PAUSE,
        network.display()
    )
}

fn pod_network(folder: &Path) -> String {
    let addresses = folder.join("addresses").display().to_string();
    format!(
        r#"{{"cniVersion": "0.4.0", "name": "pods", "plugins": [{{"type": "ptp", "ipMasq": false, "ipam":
           {{"type": "host-local", "dataDir": "{addresses}", "ranges": [[{{"subnet": "{POD_RANGE}"}}]],
             "routes": [{{"dst": "0.0.0.0/0"}}]}}}}]}}"#
    )
}

pub(super) fn kubelet(binaries: &Binaries, room: &Room, files: &Certificates) -> Result<Process> {
    let folder = room.folder();
    let config = folder.join("kubelet.yaml");
    fs::write(&config, kubelet_configuration(folder))?;
    let mut kubelet = room.command(binaries.path("kubelet"))?;
    kubelet.arg("--config").arg(&config);
    kubelet.arg("--kubeconfig").arg(files.kubeconfig("kubelet", NODE_ADDRESS, KUBELET)?);
    kubelet.arg("--root-dir").arg(folder.join("kubelet"));
    kubelet.arg("--cert-dir").arg(folder.join("kubelet-pki"));
    kubelet.args(["--hostname-override", NODE, "--node-ip", NODE_ADDRESS]);
    Process::start("kubelet", &mut kubelet)
}

/// Disks of test machines are small and full: nothing is evicted for that.
fn kubelet_configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
cgroupRoot: /{NODE}
containerRuntimeEndpoint: unix://{SOCKET}
evictionHard: {{memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}}
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
oomScoreAdj: 0
podLogsDir: {folder}/pods
resolvConf: ''
volumePluginDir: {folder}/plugins
"
    )
}

/// Images that every node needs.
pub(super) fn images() -> Result<Vec<PathBuf>> {
    ["world", "wirespan"].map(image::archive).into_iter().collect()
}

pub(super) fn import(room: &Room, archive: &Path) -> Result<()> {
    let mut ctr = room.command("ctr")?;
    ctr.args(["--address", SOCKET, "--namespace", "k8s.io", "images", "import"]).arg(archive);
    output(&mut ctr, 0).map(drop).with_context(|| format!("import {}", archive.display()))
}

/// Lines of a pod's containers, of all their lives.
#[derive(Clone, Debug)]
pub struct PodLog {
    folder: PathBuf,
    prefix: String,
}

impl PodLog {
    pub(super) fn of(folder: &Path, namespace: &str, prefix: &str) -> PodLog {
        PodLog { folder: folder.join("pods"), prefix: format!("{namespace}_{prefix}") }
    }

    /// So far, without the runtime's time and stream.
    pub fn lines(&self) -> Vec<String> {
        let mut files = Vec::new();
        for pod in entries(&self.folder) {
            let name = pod.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(&self.prefix) {
                files.extend(entries(&pod).iter().flat_map(|container| entries(container)));
            }
        }
        files.sort();
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        texts.flat_map(|text| messages(&text)).collect()
    }

    /// Waits for a line.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        eventually(&format!("{what} in the log of {}", self.prefix), PATIENCE, || {
            Ok(self.lines().into_iter().find(|line| wanted(line)))
        })
        .with_context(|| format!("its log:\n{}", self.lines().join("\n")))
    }
}

/// `2026-01-01T00:00:00Z stderr F the message`; `P` instead of `F`: the next line goes on with it.
fn messages(text: &str) -> Vec<String> {
    let (mut messages, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (tag, part) = (words.nth(2), words.next().unwrap_or_default());
        begun += part;
        if tag != Some("P") {
            messages.push(std::mem::take(&mut begun));
        }
    }
    messages
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_put_together_again() {
        let text = "t stdout P one, \nt stdout F two\nt stderr F three words here\nt stdout F \n";
        assert_eq!(messages(text), ["one, two", "three words here", ""]);
    }
}
