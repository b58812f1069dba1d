//! A real Kubernetes node on this machine: etcd, the API server, its controllers and scheduler, containerd and the kubelet.
//!
//! Shape: [`Binaries::find`] → [`Cluster::start`] → a node that is Ready, with an [`Api`] to speak to it → dropped, and the machine is as
//! it was. Everything lives in namespaces and cgroups of its own ([`Room`]), with files in the world's folder; one veth leads there.
//! Not here: DNS, kube-proxy, logs through the API server (they are read from files).
mod api;
mod certificates;
mod collector;
mod control;
mod image;
mod machine;
mod node;
mod room;

pub use api::{Api, Object};
pub use collector::NodeCollector;
pub use control::Binaries;
pub use machine::Machine;
pub use node::PodLog;
pub use room::Room;

use crate::{
    process::Process,
    wait::{PATIENCE, eventually},
};
use anyhow::{Context, Result, bail};
use certificates::Certificates;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The node's name in the cluster.
pub const NODE: &str = "wirespan-node";
/// The node's address, from this machine and from pods. All addresses are of RFC 2544's range, which no network uses.
pub const NODE_ADDRESS: &str = "198.18.0.2";
/// This machine's address, from the node and from pods.
pub const HOST_ADDRESS: &str = "198.18.0.1";
/// The address that pods know as `KUBERNETES_SERVICE_HOST`: the API server listens there, for want of kube-proxy.
const SERVICE_ADDRESS: &str = "198.18.64.1";
const SERVICE_RANGE: &str = "198.18.64.0/24";
const POD_RANGE: &str = "198.18.128.0/24";

/// A running cluster of one node.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    folder: PathBuf,
    certificates: Certificates,
    api: Api,
    /// In the order in which they are ended: who would restart others first.
    kubelet: Option<Process>,
    containerd: Option<Process>,
    scheduler: Process,
    controllers: Process,
    apiserver: Option<Process>,
    etcd: Process,
    room: Room,
}

impl Cluster {
    /// The API alone: objects are admitted, and nothing runs.
    pub fn control_plane(binaries: &Binaries, folder: &Path) -> Result<Cluster> {
        let room = Room::open(folder)?;
        let certificates = Certificates::write(folder)?;
        let etcd = control::etcd(&room)?;
        let apiserver = control::apiserver(binaries, &room, &certificates)?;
        let api = Api::new(NODE_ADDRESS, &certificates.authority, certificates::ADMIN)?;
        let mut cluster = Cluster {
            binaries: binaries.clone(),
            folder: folder.to_path_buf(),
            controllers: control::controllers(binaries, &room, &certificates)?,
            scheduler: control::scheduler(binaries, &room, &certificates)?,
            certificates,
            api,
            kubelet: None,
            containerd: None,
            apiserver: Some(apiserver),
            etcd,
            room,
        };
        cluster.wait_for_api()?;
        Ok(cluster)
    }

    /// The whole node, Ready.
    pub fn start(binaries: &Binaries, folder: &Path) -> Result<Cluster> {
        let mut cluster = Cluster::control_plane(binaries, folder)?;
        cluster.containerd = Some(node::containerd(&cluster.room)?);
        for image in node::images()? {
            cluster.import(&image)?;
        }
        cluster.kubelet = Some(node::kubelet(binaries, &cluster.room, &cluster.certificates)?);
        cluster.eventually("the node to be ready", PATIENCE, |cluster| {
            let node = cluster.api.get(&format!("/api/v1/nodes/{NODE}"))?;
            Ok(node.filter(|node| condition(node, "Ready") == Some("True")).map(drop))
        })?;
        Ok(cluster)
    }

    /// Speaks to the API server with all rights.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where the node's programs live.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// A kubeconfig for an agent outside, whose name is `agent`: it has the rights that are bound to that name.
    pub fn kubeconfig_of_agent(&self) -> Result<PathBuf> {
        self.certificates.kubeconfig("agent", NODE_ADDRESS, certificates::AGENT)
    }

    /// Everything that anybody has asked of the API server, as audit events (`audit.k8s.io/v1`).
    pub fn audit(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(control::audit_log(&self.folder)).context("read the audit log")?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Puts an image of this machine (a tar of `docker save` or OCI) onto the node.
    pub fn import(&self, archive: &Path) -> Result<()> {
        node::import(&self.room, archive)
    }

    /// Waits for a pod whose name begins so to run, and gives it.
    pub fn running_pod(&self, namespace: &str, prefix: &str) -> Result<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let what = format!("a running pod {prefix}* in {namespace}");
        let found = self.eventually(&what, PATIENCE, |cluster| {
            let pods = cluster.api.get(&path)?.unwrap_or_default();
            let mut pods = pods.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            pods.retain(|pod| api::name(pod).starts_with(prefix) && condition(pod, "Ready") == Some("True"));
            Ok(pods.pop())
        });
        found.with_context(|| self.troubles(namespace))
    }

    /// What the containers of a pod have written.
    pub fn log(&self, namespace: &str, prefix: &str) -> PodLog {
        PodLog::of(&self.folder, namespace, prefix)
    }

    /// The API server goes away: no goodbye to those who watch.
    pub fn stop_api(&mut self) {
        self.apiserver = None;
    }

    /// And comes back.
    pub fn start_api(&mut self) -> Result<()> {
        self.apiserver = Some(control::apiserver(&self.binaries, &self.room, &self.certificates)?);
        self.wait_for_api()
    }

    fn wait_for_api(&mut self) -> Result<()> {
        let api = &self.api;
        let Some(apiserver) = &mut self.apiserver else { bail!("the API server was not started") };
        eventually("the API server", PATIENCE, || {
            if !apiserver.is_running()? {
                bail!("it has ended");
            }
            Ok(api.is_ready().then_some(()))
        })
        .with_context(|| apiserver.last_words())
    }

    fn eventually<T>(
        &self,
        what: &str,
        within: Duration,
        mut ask: impl FnMut(&Cluster) -> Result<Option<T>>,
    ) -> Result<T> {
        eventually(what, within, || ask(self)).with_context(|| self.last_words())
    }

    /// What the cluster has to complain about in a namespace.
    fn troubles(&self, namespace: &str) -> String {
        let events = self.api.get(&format!("/api/v1/namespaces/{namespace}/events")).ok().flatten();
        let events = events.unwrap_or_default();
        let items = events.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let message = |event: &Value| event.get("message").and_then(Value::as_str).map(str::to_owned);
        let lines: Vec<String> = items.iter().filter_map(message).collect();
        format!("events of {namespace}:\n{}", lines.join("\n"))
    }

    fn last_words(&self) -> String {
        let node = [&self.kubelet, &self.containerd, &self.apiserver].into_iter().flatten();
        node.chain([&self.scheduler, &self.controllers, &self.etcd]).map(Process::last_words).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The kubelet first: it would start again what is ended.
        self.kubelet = None;
        self.room.empty();
        self.containerd = None;
        self.apiserver = None;
    }
}

/// The status of a condition of a node or pod.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let row = conditions.iter().find(|row| row.get("type").and_then(Value::as_str) == Some(kind))?;
    row.get("status")?.as_str()
}
