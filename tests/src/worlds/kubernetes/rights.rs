//! The agent's rights in the cluster are exactly enough: each verb is missed when it is gone, and nothing else is ever asked.
use super::{node::agent_is_ready, opt_in::observed};
use crate::{
    cluster::{Cluster, Object},
    deploy::{NAMESPACE, manifest},
    wait::{PATIENCE, eventually},
    world::World,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who the agent is to the API server.
const AGENT: &str = "system:serviceaccount:wirespan:wirespan";

pub(super) fn each_verb_is_needed_and_no_other_is_asked_for(world: &mut World) -> Result<()> {
    let (cluster, _collector) = observed(world)?;
    let role = Object::all(&manifest()?)?.into_iter().find(|object| object.kind() == "ClusterRole");
    let role = role.context("the manifest has a ClusterRole")?;
    let rules = role.0.get("rules").and_then(Value::as_array).context("rules")?.clone();
    let mut wanted = BTreeSet::new();
    for (at, rule) in rules.iter().enumerate() {
        let list =
            |key| rule.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for resource in list("resources") {
            for verb in list("verbs") {
                wanted.insert((verb.to_owned(), resource.to_owned()));
                missed(&cluster, &role, at, verb, resource)?;
            }
        }
    }
    cluster.api().apply(&role.0.to_string())?;
    restart(&cluster)?;
    agent_is_ready(&cluster)?;
    eventually("both watches in the audit log", PATIENCE, || {
        let asked = asked(&cluster)?;
        Ok((asked == wanted).then_some(()))
    })
    .with_context(|| format!("asked {:?}, may {wanted:?}", asked(&cluster)))
}

/// What the agent has asked, `(verb, resource)`; an error if that was of another node or in another way.
fn asked(cluster: &Cluster) -> Result<BTreeSet<(String, String)>> {
    let mut asked = BTreeSet::new();
    for event in cluster.audit()? {
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("/user/username") != AGENT {
            continue;
        }
        let (verb, resource, uri) = (text("/verb"), text("/objectRef/resource"), text("/requestURI"));
        ensure!(
            resource != "pods" || uri.contains("fieldSelector=spec.nodeName"),
            "pods of every node: {uri}"
        );
        ensure!(
            resource != "namespaces" || uri.contains("labelSelector=wirespan.io"),
            "every namespace: {uri}"
        );
        asked.insert((verb, resource));
    }
    Ok(asked)
}

/// Without the verb the agent says so.
fn missed(cluster: &Cluster, role: &Object, at: usize, verb: &str, resource: &str) -> Result<()> {
    let mut less = role.clone();
    let verbs = less.0.pointer_mut(&format!("/rules/{at}/verbs")).context("verbs")?;
    let kept: Vec<Value> =
        verbs.as_array().into_iter().flatten().filter(|one| one.as_str() != Some(verb)).cloned().collect();
    *verbs = json!(kept);
    cluster.api().apply(&less.0.to_string())?;
    restart(cluster)?;
    let log = cluster.log(NAMESPACE, "wirespan");
    let wanted = format!("lacks the verb `{verb}` on `{resource}`");
    log.wait_for(&wanted, |line| line.contains(&wanted)).map(drop)
}

/// A new pod of the DaemonSet, with a log of its own.
fn restart(cluster: &Cluster) -> Result<()> {
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let old = cluster.running_pod(NAMESPACE, "wirespan")?;
    let name = old.pointer("/metadata/name").and_then(Value::as_str).context("a pod has a name")?;
    cluster.api().delete(&format!("{pods}/{name}?gracePeriodSeconds=1"))?;
    eventually("the old agent's end", PATIENCE, || {
        Ok(cluster.api().get(&format!("{pods}/{name}"))?.is_none().then_some(()))
    })
}
