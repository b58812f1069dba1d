//! Whom calls went to, by name, though nobody observes it: with `kubernetes.peers`.
//!
//! Shape: a caller that is observed, and two servers that are not, one behind a Service. All pods share the node's address, so only the
//! port tells whose it is. Nothing forwards to a Service's address here: the node has it itself.
use super::{
    binaries,
    opt_in::{label, observed_by, of, told},
    shop::{deployment, folders, make, search_path},
};
use crate::{
    cluster::Cluster,
    deploy::{NAMESPACE, rendered},
    process::output,
    shop::Program,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{World, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;

const OBSERVED: &str = "callers";
const UNOBSERVED: &str = "stores";
/// The Service's name, which is not its workload's.
const SERVICE: &str = "stock-of-books";
const PORT: u16 = 8_300;
/// No Service selects who listens there.
const OTHER_PORT: u16 = 8_301;

pub(super) fn a_call_says_whom_it_went_to_though_nobody_observes_that(world: &mut World) -> Result<()> {
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
    let chart = rendered(&binaries()?, &["config.kubernetes.peers=true"])?;
    let (cluster, collector) = observed_by(world, &format!("{namespace}\n---\n{chart}"))?;
    [OBSERVED, UNOBSERVED].into_iter().try_for_each(|namespace| make(&cluster, namespace))?;
    label(&cluster, OBSERVED, Some("enabled"))?;
    let node = serve(&cluster, "stock", PORT)?;
    serve(&cluster, "other", OTHER_PORT)?;
    let service = service(&cluster)?;
    let calls = [(node.as_str(), PORT), (service.as_str(), PORT), (node.as_str(), OTHER_PORT)];
    let urls: Vec<String> = calls.iter().map(|(host, port)| format!("http://{host}:{port}/")).collect();
    let script = format!("while :; do curl --silent --max-time 5 {}; sleep 0.2; done", urls.join(" "));
    start(&cluster, OBSERVED, "caller", &["sh", "-c", &script])?;
    collector.wait_for("calls of all three kinds, with names", PATIENCE * 2, |spans| {
        let is_told = |(at, wanted): (&(&str, u16), &str)| {
            spans.iter().any(|span| is_to(span, *at) && span.attribute("service.peer.name") == wanted)
        };
        calls.iter().zip([SERVICE, SERVICE, ""]).all(is_told).then_some(())
    })?;
    for span in collector.spans()? {
        ensure!(of(&span, "k8s.namespace.name") == OBSERVED, "{}", told(&[span]));
        let name = span.attribute("service.peer.name");
        // The first calls may be sooner than the endpoints.
        let is_right = if is_to(&span, calls[2]) { name.is_empty() } else { ["", SERVICE].contains(&name) };
        ensure!(is_right, "{span} went to {name}: {:?}", span.attributes);
        let wanted = if name.is_empty() { "" } else { UNOBSERVED };
        ensure!(span.attribute("service.peer.namespace") == wanted, "{span}: {:?}", span.attributes);
    }
    Ok(())
}

fn is_to(span: &Span, (address, port): (&str, u16)) -> bool {
    span.kind == "client"
        && span.attribute("network.peer.address") == address
        && span.attribute("network.peer.port") == port.to_string()
}

/// A server in the namespace that is not observed; its address, which is the node's.
fn serve(cluster: &Cluster, name: &'static str, port: u16) -> Result<String> {
    let port = port.to_string();
    start(cluster, UNOBSERVED, name, &["python3", "-m", "http.server", &port])?;
    let pod = cluster.running_pod(UNOBSERVED, name)?;
    let address = pod.pointer("/status/podIP").and_then(Value::as_str);
    Ok(address.context("a running pod has an address")?.to_owned())
}

fn start(cluster: &Cluster, namespace: &str, name: &'static str, command: &[&str]) -> Result<()> {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let program = Program { name, command, folder: PathBuf::from("/etc") };
    let folders = folders(&repository()?.join(".cache").canonicalize()?)?;
    cluster.api().apply(&deployment(namespace, &program, &[search_path()], &folders).to_string())?;
    cluster.running_pod(namespace, name).map(drop)
}

/// A Service of the first server, with endpoints; its address.
fn service(cluster: &Cluster) -> Result<String> {
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": UNOBSERVED, "name": SERVICE},
        "spec": {"selector": {"app": "stock"}, "ports": [{"port": PORT}]},
    });
    cluster.api().apply(&object.to_string())?;
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{UNOBSERVED}/endpointslices");
    eventually("the Service's endpoints", PATIENCE, || {
        let slices = cluster.api().get(&path)?.unwrap_or_default();
        Ok(slices.pointer("/items/0/endpoints/0/addresses/0").map(drop))
    })?;
    let made = cluster.api().get(&format!("/api/v1/namespaces/{UNOBSERVED}/services/{SERVICE}"))?;
    let made = made.unwrap_or_default();
    let address =
        made.pointer("/spec/clusterIP").and_then(Value::as_str).context("a Service has an address")?;
    let mut ip = cluster.room().command("ip")?;
    output(ip.args(["address", "add", &format!("{address}/32"), "dev", "lo"]), 0)?;
    Ok(address.to_owned())
}
