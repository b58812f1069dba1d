//! A real cluster of one node on this machine: what is shipped is admitted, runs with the rights it ships with, and leaves nothing.
//!
//! Not part of `cargo xtask test`: Kubernetes takes ten minutes to build. `cargo xtask e2e kubernetes` runs these.
mod churn;
mod node;
mod opt_in;
mod peers;
mod rights;
mod shop;

use super::scenes;
use crate::{
    cluster::{Binaries, Cluster, Machine, Object},
    deploy::{NAMESPACE, manifest, rendered, same},
    world::{World, repository},
};
use anyhow::{Context, Result, ensure};
use churn::five_thousand_pods_that_change_cost_bounded_memory_and_requests;
use node::the_shipped_daemon_set_runs_with_exactly_the_shipped_capabilities;
use opt_in::{
    a_label_counts_within_two_seconds_both_ways, a_labelled_namespace_is_traced_within_a_minute_and_no_other,
    an_api_server_that_comes_and_goes_costs_no_restart_and_no_wrong_name,
};
use peers::a_call_says_whom_it_went_to_though_nobody_observes_that;
use rights::each_verb_is_needed_and_no_other_is_asked_for;

scenes! { "kubernetes":
    what_is_shipped_is_admitted_with_every_field_known,
    a_node_starts_and_leaves_the_machine_as_it_was,
    the_shipped_daemon_set_runs_with_exactly_the_shipped_capabilities,
    a_labelled_namespace_is_traced_within_a_minute_and_no_other,
    each_verb_is_needed_and_no_other_is_asked_for,
    a_label_counts_within_two_seconds_both_ways,
    an_api_server_that_comes_and_goes_costs_no_restart_and_no_wrong_name,
    a_call_says_whom_it_went_to_though_nobody_observes_that,
    five_thousand_pods_that_change_cost_bounded_memory_and_requests,
}

fn binaries() -> Result<Binaries> {
    Binaries::find(&repository()?.join(".cache"))
}

fn what_is_shipped_is_admitted_with_every_field_known(world: &mut World) -> Result<()> {
    let binaries = binaries()?;
    let cluster = Cluster::control_plane(&binaries, world.scratch())?;
    let plain = manifest()?;
    let chart = rendered(&binaries, &[])?;
    let objects = same(&plain, &chart)?;
    ensure!(objects == 6, "{objects} objects besides the namespace");
    // Objects are only admitted into a namespace that is there.
    cluster.api().apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n"))?;
    let fallback = rendered(&binaries, &["privileged=true", "serviceAccount.name=other"])?;
    let fewer = rendered(
        &binaries,
        &[
            "sysAdmin=false",
            "networkPolicy.enabled=false",
            "priorityClassName=",
            "config.kubernetes.peers=true",
        ],
    )?;
    for text in [&plain, &chart, &fallback, &fewer] {
        for object in Object::all(text)? {
            let name = format!("{} {}", object.kind(), object.name());
            cluster.api().admit(&object).with_context(|| format!("{name} is not admitted"))?;
        }
    }
    let unknown = plain.replace("hostPID: true", "hostPIDs: true");
    let refused = Object::all(&unknown)?.iter().filter(|object| cluster.api().admit(object).is_err()).count();
    ensure!(refused == 1, "a field that nobody knows was admitted");
    Ok(())
}

fn a_node_starts_and_leaves_the_machine_as_it_was(world: &mut World) -> Result<()> {
    let before = Machine::look()?;
    let cluster = Cluster::start(&binaries()?, world.scratch())?;
    cluster.api().apply(&node::pause("default", "sleeper"))?;
    cluster.running_pod("default", "sleeper")?;
    drop(cluster);
    before.expect_unchanged()
}
