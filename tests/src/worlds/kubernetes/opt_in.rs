//! One label opts a namespace in: whole traces with the right names come, and nothing of anybody else.
use super::{
    binaries,
    node::{agent_is_ready, pod_of},
    shop::Shop,
};
use crate::{
    cluster::{Cluster, NODE, NodeCollector},
    collector::Binary,
    deploy::manifest,
    shop::{CHECKOUT_SPANS, SERVICES, path},
    span::Span,
    wait::PATIENCE,
    world::{World, repository},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// From the label to whole traces at the Collector.
const A_MINUTE: Duration = Duration::from_secs(60);
/// From a label to what is observed.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Checkouts in each namespace before anything is labelled.
const UNSEEN: u32 = 5;

/// A node with agent and Collector.
pub(super) fn observed(world: &World) -> Result<(Cluster, NodeCollector)> {
    observed_by(world, &manifest()?)
}

/// A node with that agent and a Collector.
pub(super) fn observed_by(world: &World, manifest: &str) -> Result<(Cluster, NodeCollector)> {
    let binary = Binary::build(&repository()?.join(".cache"))?;
    let cluster = Cluster::start(&binaries()?, world.scratch())?;
    let collector = NodeCollector::start(&binary, cluster.room())?;
    cluster.api().apply(manifest)?;
    agent_is_ready(&cluster)?;
    Ok((cluster, collector))
}

/// Sets or removes a label of a namespace.
pub(super) fn label(cluster: &Cluster, namespace: &str, value: Option<&str>) -> Result<SystemTime> {
    let patch = json!({"metadata": {"labels": {"wirespan.io/trace": value}}});
    cluster.api().merge(&format!("/api/v1/namespaces/{namespace}"), &patch)?;
    Ok(SystemTime::now())
}

pub(super) fn a_labelled_namespace_is_traced_within_a_minute_and_no_other(world: &mut World) -> Result<()> {
    let (cluster, collector) = observed(world)?;
    let shops = [Shop::open(&cluster, "shop", 8100)?, Shop::open(&cluster, "quiet", 8200)?];
    for cart in 0..UNSEEN {
        shops.iter().try_for_each(|shop| shop.checkout(&cluster, cart))?;
    }
    let [shop, quiet] = &shops;
    label(&cluster, &shop.namespace, Some("enabled"))?;
    let since = Instant::now();
    let mut cart = UNSEEN;
    let trace = loop {
        ensure!(since.elapsed() < A_MINUTE, "no whole trace in a minute: {}", told(&collector.spans()?));
        shop.checkout(&cluster, cart)?;
        quiet.checkout(&cluster, cart)?;
        let whole = |spans: &[Span]| whole_checkout(spans, cart);
        match collector.wait_for("a whole checkout", Duration::from_secs(10), whole) {
            Ok((trace, _)) => break trace,
            Err(_) => cart += 1,
        }
    };
    println!("  a whole checkout {:.1} s after the label", since.elapsed().as_secs_f64());
    names_are_right(&cluster, shop, &trace)?;
    for span in collector.spans()? {
        ensure!(
            of(&span, "k8s.namespace.name") == shop.namespace,
            "a span of nobody's: {span} {:?}",
            span.resource
        );
        let cart = span.path().rsplit('/').next().and_then(|cart| cart.parse().ok());
        ensure!(cart.is_none_or(|cart: u32| cart >= UNSEEN), "{span} was before the label");
    }
    Ok(())
}

pub(super) fn of<'a>(span: &'a Span, key: &str) -> &'a str {
    span.resource.get(key).map_or("", String::as_str)
}

pub(super) fn told(spans: &[Span]) -> String {
    spans.iter().map(|span| format!("{} {span}\n", of(span, "service.name"))).collect()
}

/// All spans of a checkout, if they form one trace with one root.
fn whole_checkout(spans: &[Span], cart: u32) -> Option<Vec<Span>> {
    let root = spans.iter().find(|span| span.kind == "server" && span.path() == path(cart))?;
    let trace: Vec<Span> = spans.iter().filter(|span| span.trace_id == root.trace_id).cloned().collect();
    let roots = trace.iter().filter(|span| span.parent_id.is_empty()).count();
    (trace.len() == CHECKOUT_SPANS && roots == 1).then_some(trace)
}

/// What the API server says of each pod is what its spans say.
fn names_are_right(cluster: &Cluster, shop: &Shop, trace: &[Span]) -> Result<()> {
    let services: BTreeSet<&str> = trace.iter().map(|span| of(span, "service.name")).collect();
    ensure!(services == BTreeSet::from(SERVICES), "services {services:?}");
    for service in SERVICES {
        let pod = cluster.running_pod(&shop.namespace, service)?;
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str).context("a pod has it");
        let container = text("/status/containerStatuses/0/containerID")?;
        let wanted = BTreeMap::from([
            ("k8s.pod.name", text("/metadata/name")?),
            ("k8s.pod.uid", text("/metadata/uid")?),
            ("k8s.namespace.name", shop.namespace.as_str()),
            ("k8s.deployment.name", service),
            ("k8s.node.name", NODE),
            ("k8s.container.name", "main"),
            ("service.namespace", shop.namespace.as_str()),
            ("container.id", container.trim_start_matches("containerd://")),
        ]);
        for span in trace.iter().filter(|span| of(span, "service.name") == service) {
            for (key, value) in &wanted {
                ensure!(of(span, key) == *value, "{key} of {service} is {:?}, not {value}", of(span, key));
            }
        }
    }
    Ok(())
}

fn unix_nanos(time: SystemTime) -> Result<u64> {
    Ok(u64::try_from(time.duration_since(UNIX_EPOCH)?.as_nanos())?)
}

pub(super) fn a_label_counts_within_two_seconds_both_ways(world: &mut World) -> Result<()> {
    let (cluster, collector) = observed(world)?;
    let shop = Shop::open(&cluster, "shop", 8100)?;
    let (mut cart, mut slowest) = (0, Duration::ZERO);
    for round in 0..3 {
        let on = unix_nanos(label(&cluster, &shop.namespace, Some("enabled"))?)?;
        visit_for(&cluster, &shop, &mut cart, AT_ONCE * 2)?;
        let off = unix_nanos(label(&cluster, &shop.namespace, None)?)?;
        visit_for(&cluster, &shop, &mut cart, AT_ONCE * 2)?;
        let end = unix_nanos(SystemTime::now())?;
        // What is on its way arrives before what is judged: the last span of the round has ended, or never comes.
        let first =
            |spans: &[Span]| spans.iter().map(|span| span.start_ns).filter(|start| *start >= on).min();
        let (first, _) = collector.wait_for("spans after the label", PATIENCE, first)?;
        visit_for(&cluster, &shop, &mut cart, AT_ONCE * 3)?;
        let spans = collector.spans()?;
        let last = spans.iter().map(|span| span.start_ns).filter(|start| (on..end + 1).contains(start)).max();
        let last = last.context("spans of the round")?;
        let (begun, ended) =
            (Duration::from_nanos(first - on), Duration::from_nanos(last.saturating_sub(off)));
        println!("  round {round}: first span {begun:.2?} after the label, last {ended:.2?} after its end");
        slowest = slowest.max(begun).max(ended);
        let later = spans.iter().filter(|span| span.start_ns > end).count();
        ensure!(later == 0, "{later} spans long after the label was gone");
    }
    ensure!(slowest <= AT_ONCE, "a label took {slowest:?}");
    Ok(())
}

fn visit_for(cluster: &Cluster, shop: &Shop, cart: &mut u32, time: Duration) -> Result<()> {
    let since = Instant::now();
    while since.elapsed() < time {
        shop.checkout(cluster, *cart)?;
        *cart += 1;
    }
    Ok(())
}

pub(super) fn an_api_server_that_comes_and_goes_costs_no_restart_and_no_wrong_name(
    world: &mut World,
) -> Result<()> {
    let (mut cluster, collector) = observed(world)?;
    let shop = Shop::open(&cluster, "shop", 8100)?;
    label(&cluster, &shop.namespace, Some("enabled"))?;
    let mut cart = whole(&cluster, &collector, &shop, 0)?;
    cluster.stop_api();
    cart = whole(&cluster, &collector, &shop, cart)?;
    cluster.start_api()?;
    // What has changed meanwhile is learnt: the label goes while the watches are away or just back.
    let spans = collector.spans()?;
    ensure!(spans.iter().all(|span| SERVICES.contains(&of(span, "service.name"))), "{}", told(&spans));
    cart = whole(&cluster, &collector, &shop, cart)?;
    let off = unix_nanos(label(&cluster, &shop.namespace, None)?)?;
    // Watches come back after a pause that grows with the time away: half a minute at most.
    visit_for(&cluster, &shop, &mut cart, Duration::from_secs(40))?;
    let end = unix_nanos(SystemTime::now())?;
    visit_for(&cluster, &shop, &mut cart, AT_ONCE * 3)?;
    let spans = collector.spans()?;
    let last = spans.iter().map(|span| span.start_ns).max().context("spans")?;
    println!("  last span {:.1?} after the label was taken", Duration::from_nanos(last.saturating_sub(off)));
    ensure!(last <= end, "the agent has not learnt that the label is gone");
    let agent = pod_of(&cluster)?;
    let restarts = agent.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_u64);
    ensure!(restarts == Some(0), "the agent has restarted: {restarts:?}");
    Ok(())
}

/// A checkout that is seen whole with its names; the number of the next.
fn whole(cluster: &Cluster, collector: &NodeCollector, shop: &Shop, first: u32) -> Result<u32> {
    for cart in first..first + 6 {
        shop.checkout(cluster, cart)?;
        let found = collector
            .wait_for("a whole checkout", Duration::from_secs(10), |spans| whole_checkout(spans, cart));
        if let Ok((trace, _)) = found {
            let services: BTreeSet<&str> = trace.iter().map(|span| of(span, "service.name")).collect();
            ensure!(services == BTreeSet::from(SERVICES), "services {services:?}");
            return Ok(cart + 1);
        }
    }
    bail!("no checkout was seen whole: {}", told(&collector.spans()?))
}
