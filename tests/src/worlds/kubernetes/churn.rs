//! A node of 5,000 pods that change a hundred times a second: what the agent keeps and asks is bounded.
//!
//! No kubelet would hold so many: the pods are bound to the node by name and run nowhere, and the agent reads them from outside.
use super::binaries;
use crate::{
    cluster::{Api, Cluster, NODE, Object},
    deploy::manifest,
    world::World,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

const PODS: usize = 5_000;
const CHANGES_PER_SECOND: u64 = 100;
/// Who makes them: one request after the other each.
const WRITERS: usize = 8;
/// What the agent may need for all that (its limit in the manifest is twice that).
const MEMORY_BYTES: u64 = 64 << 20;
/// Requests of the agent in the whole time: a list and a watch of each resource, and watches that the server ended.
const REQUESTS: usize = 30;

pub(super) fn five_thousand_pods_that_change_cost_bounded_memory_and_requests(
    world: &mut World,
) -> Result<()> {
    let minutes =
        std::env::var_os("WIRESPAN_MINUTES").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    let time = Duration::from_secs(60 * minutes);
    let cluster = Cluster::control_plane(&binaries()?, world.scratch())?;
    let api = cluster.api();
    api.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}).to_string())?;
    super::shop::account(&cluster, "default")?;
    let begun = Instant::now();
    in_parallel(api, |api, writer| (writer..PODS).step_by(WRITERS).try_for_each(|n| create(api, n)))?;
    println!("  {PODS} pods in {:.0} s", begun.elapsed().as_secs_f64());

    rights(api)?;
    let kubeconfig = cluster.kubeconfig_of_agent()?.display().to_string();
    let start = world.agent()?.flag("--kubeconfig", &kubeconfig).env("WIRESPAN_NODE_NAME", NODE);
    let agent = start.start()?;
    let begun = Instant::now();
    let (at_start, changes) = (agent.process.resident_bytes()?, AtomicU64::new(0));
    in_parallel(api, |api, writer| {
        let mut n = writer;
        while begun.elapsed() < time {
            // As many as are due by now, whoever makes them.
            let due = begun.elapsed().as_secs_f64() * CHANGES_PER_SECOND as f64;
            if (changes.load(Ordering::Relaxed) as f64) < due {
                let count = changes.fetch_add(1, Ordering::Relaxed);
                change(api, n % PODS, count)?;
                n += WRITERS;
            } else {
                thread::park_timeout(Duration::from_millis(2));
            }
        }
        Ok(())
    })?;
    let made = changes.load(Ordering::Relaxed);
    let per_second = made as f64 / begun.elapsed().as_secs_f64();
    let at_end = agent.process.resident_bytes()?;
    let requests = cluster.audit()?.iter().filter(|event| is_agents(event)).count();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "  {made} changes, {per_second:.0} a second: {:.1} MiB at first, {:.1} MiB at last, {requests} requests",
        mib(at_start),
        mib(at_end)
    );
    agent.stop()?;
    ensure!(per_second > CHANGES_PER_SECOND as f64 * 0.9, "only {per_second:.0} changes a second");
    ensure!(at_end <= MEMORY_BYTES, "{:.1} MiB", mib(at_end));
    ensure!(requests <= REQUESTS, "{requests} requests");
    Ok(())
}

/// Those of the shipped role, for the agent outside.
fn rights(api: &Api) -> Result<()> {
    let objects = Object::all(&manifest()?)?;
    let role = objects.iter().find(|object| object.kind() == "ClusterRole").context("a ClusterRole")?;
    api.apply(&role.0.to_string())?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.name()},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "agent"}],
    });
    api.apply(&binding.to_string()).map(drop)
}

fn in_parallel(api: &Api, work: impl Fn(&Api, usize) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || work(api, n)
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().ok().context("a writer panicked")?)
    })
}

fn create(api: &Api, n: usize) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{n}"), "labels": {"app": format!("app-{}", n % 100)}},
        "spec": {
            "nodeName": NODE, "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": "example.org/app:1"}],
        },
    });
    api.create("/api/v1/namespaces/default/pods", &pod)
}

fn change(api: &Api, n: usize, count: u64) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {"change": count.to_string()}}});
    api.merge(&format!("/api/v1/namespaces/default/pods/pod-{n}"), &patch).map(drop)
}

fn is_agents(event: &Value) -> bool {
    event.pointer("/user/username").and_then(Value::as_str) == Some("agent")
}
