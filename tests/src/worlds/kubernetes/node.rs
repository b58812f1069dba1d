//! The shipped DaemonSet, from our own image.
use super::binaries;
use crate::{
    cluster::{Cluster, Object},
    deploy::{NAMESPACE, manifest},
    world::World,
    worlds::privileges::set,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};
use wirespan::doctor::{CAPABILITIES, Later};

/// A Deployment of one pod that does nothing.
pub(super) fn pause(namespace: &str, name: &str) -> String {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": "wirespan.io/world:1", "imagePullPolicy": "Never"}]},
            },
        },
    })
    .to_string()
}

/// The manifest with another command for the agent.
fn doctor() -> Result<String> {
    let mut objects = Object::all(&manifest()?)?;
    for object in &mut objects {
        if let Some(args) = object.0.pointer_mut("/spec/template/spec/containers/0/args") {
            *args = json!(["doctor", "--json", "--config", "/etc/wirespan/config.yaml"]);
        }
    }
    Ok(objects.iter().map(|object| format!("---\n{}\n", object.0)).collect())
}

pub(super) fn the_shipped_daemon_set_runs_with_exactly_the_shipped_capabilities(
    world: &mut World,
) -> Result<()> {
    let cluster = Cluster::start(&binaries()?, world.scratch())?;
    cluster.api().apply(&manifest()?)?;
    agent_is_ready(&cluster)?;
    let pid = agent(&pod_of(&cluster)?)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let wanted: BTreeSet<u32> = CAPABILITIES.iter().map(|row| row.number).collect();
    let held = set(&status, "CapBnd")?;
    ensure!(held == wanted, "it was started with {held:?}, not {wanted:?}");
    let held = set(&status, "CapPrm")?;
    let least: BTreeSet<u32> =
        CAPABILITIES.iter().filter(|row| row.later == Later::Kept).map(|row| row.number).collect();
    ensure!(held.is_superset(&least) && held.is_subset(&wanted), "it keeps {held:?} of {wanted:?}");
    // The same container again, with a command that judges what it has.
    cluster.api().apply(&doctor()?)?;
    let log = cluster.log(NAMESPACE, "wirespan");
    let line = log.wait_for("what doctor says", |line| line.trim_start().starts_with('{'))?;
    let said: Value = serde_json::from_str(&line).with_context(|| log.lines().join("\n"))?;
    let checks = said.get("checks").and_then(Value::as_array).context("checks")?;
    let is_missed = |check: &&Value| check.get("ok") == Some(&Value::Bool(false));
    let missed: Vec<_> =
        checks.iter().filter(is_missed).filter_map(|check| check.get("name")?.as_str()).collect();
    ensure!(missed.is_empty(), "doctor misses {missed:?}: {line}");
    ensure!(said.get("error") == Some(&Value::Null), "doctor's error: {:?}", said.get("error"));
    let hooks = said.get("hooks").and_then(Value::as_array).context("hooks")?;
    let socket = hooks.first().and_then(|hook| hook.get("id")?.as_str());
    println!("  {} checks, all well; {} hooks, the first is {socket:?}", checks.len(), hooks.len());
    for name in ["list pods", "watch pods", "list namespaces", "watch namespaces"] {
        let is_asked = checks.iter().any(|check| check.get("name").and_then(Value::as_str) == Some(name));
        ensure!(is_asked, "doctor has not asked whether it may {name}");
    }
    Ok(())
}

/// Waits until the shipped agent says that it is.
pub(super) fn agent_is_ready(cluster: &Cluster) -> Result<()> {
    let pod = pod_of(cluster)?;
    let name = pod.pointer("/metadata/name").and_then(Value::as_str).context("a pod has a name")?;
    cluster.log(NAMESPACE, name).wait_for("`ready`", |line| line.contains("ready")).map(drop)
}

/// The agent's pod.
pub(super) fn pod_of(cluster: &Cluster) -> Result<Value> {
    cluster.running_pod(NAMESPACE, "wirespan")
}

/// The agent's process.
fn agent(pod: &Value) -> Result<u32> {
    let uid = pod.pointer("/metadata/uid").and_then(Value::as_str).context("uid")?;
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if cgroup.contains(uid) && name.trim() == "wirespan" {
            return Ok(pid);
        }
    }
    anyhow::bail!("no process of pod {uid} is the agent")
}
