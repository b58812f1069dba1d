//! What people apply to a cluster: the plain manifest and the chart, as objects.
//!
//! Shape: files of `deploy/` → objects; [`same`] holds the rendered chart against the manifest, so that there is one truth.
//! The unit tests need no cluster: they compare capabilities with the agent's own table.
use crate::{
    cluster::{Binaries, Object},
    process::output,
    world::repository,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

/// The namespace of the manifest.
pub const NAMESPACE: &str = "wirespan";
/// What the chart adds, so that a change of the configuration rolls the agents.
const CHECKSUM: &str = "wirespan.io/config";

/// The plain manifest's text.
pub fn manifest() -> Result<String> {
    let file = repository()?.join("deploy/kubernetes/wirespan.yaml");
    fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
}

/// The chart's folder.
pub fn chart() -> Result<PathBuf> {
    Ok(repository()?.join("deploy/helm/wirespan"))
}

/// The chart as Helm renders it, with values set as on its command line.
pub fn rendered(binaries: &Binaries, values: &[&str]) -> Result<String> {
    let mut helm = Command::new(binaries.path("helm"));
    helm.args(["template", "wirespan"]).arg(chart()?).args(["--namespace", NAMESPACE]);
    // Helm learns from its own build which Kubernetes there is; ours was not told.
    helm.args(["--kube-version", "1.36.3"]);
    for value in values {
        helm.args(["--set", value]);
    }
    Ok(output(&mut helm, 0)?.0)
}

/// The rendered chart has the objects of the manifest, but for the namespace, which Helm makes itself, and the checksum.
pub fn same(manifest: &str, rendered: &str) -> Result<usize> {
    let (mut plain, chart) = (objects(manifest)?, objects(rendered)?);
    plain.remove(&("Namespace".to_owned(), NAMESPACE.to_owned()));
    for (id, wanted) in &plain {
        let found = chart.get(id).with_context(|| format!("the chart has no {id:?}"))?;
        ensure!(found == wanted, "{id:?} is\n{found:#}\nin the chart, and\n{wanted:#}\nin the manifest");
    }
    let more: Vec<_> = chart.keys().filter(|id| !plain.contains_key(*id)).collect();
    ensure!(more.is_empty(), "only the chart has {more:?}");
    Ok(plain.len())
}

fn objects(yaml: &str) -> Result<BTreeMap<(String, String), Value>> {
    let objects = Object::all(yaml)?.into_iter();
    Ok(objects
        .map(|object| ((object.kind().to_owned(), object.name().to_owned()), without_checksum(object.0)))
        .collect())
}

fn without_checksum(mut object: Value) -> Value {
    let metadata = object.pointer_mut("/spec/template/metadata").and_then(Value::as_object_mut);
    let Some(metadata) = metadata else { return object };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(CHECKSUM);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wirespan::doctor::CAPABILITIES;

    /// Lines `- NAME` after `add:`, whatever template is between them.
    fn added(text: &str) -> BTreeSet<String> {
        let lines = text.lines().map(str::trim).skip_while(|line| *line != "add:").skip(1);
        let inside = lines.take_while(|line| ["#", "- ", "{{"].iter().any(|first| line.starts_with(first)));
        inside.filter_map(|line| Some(format!("CAP_{}", line.strip_prefix("- ")?))).collect()
    }

    #[test]
    fn manifest_and_chart_add_the_capabilities_of_the_agents_table_and_no_others() {
        let table: BTreeSet<String> = CAPABILITIES.iter().map(|row| row.name.to_owned()).collect();
        let chart = fs::read_to_string(chart().unwrap().join("templates/daemonset.yaml")).unwrap();
        for text in [manifest().unwrap(), chart] {
            assert_eq!(added(&text), table);
        }
    }

    #[test]
    fn every_capability_has_a_comment_of_its_own() {
        let text = manifest().unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for row in CAPABILITIES {
            let name = row.name.trim_start_matches("CAP_");
            let at = lines.iter().position(|line| *line == format!("- {name}"));
            let before = lines[at.unwrap() - 1];
            assert!(before.starts_with("# "), "{name}: {before}");
        }
    }

    #[test]
    fn the_container_is_as_closed_as_an_agent_can_be() {
        let objects = objects(&manifest().unwrap()).unwrap();
        let daemon = &objects[&("DaemonSet".to_owned(), "wirespan".to_owned())];
        let container = daemon.pointer("/spec/template/spec/containers/0").unwrap();
        let context = &container["securityContext"];
        assert_eq!(context["privileged"], false);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        for mount in container["volumeMounts"].as_array().unwrap() {
            let name = mount["name"].as_str().unwrap();
            assert!(name == "run" || mount["readOnly"] == true, "{name} is writable");
        }
    }

    #[test]
    fn the_configuration_in_the_manifest_names_keys_that_the_agent_knows() {
        let objects = objects(&manifest().unwrap()).unwrap();
        let config = &objects[&("ConfigMap".to_owned(), "wirespan".to_owned())]["data"]["config.yaml"];
        let wanted: Value = serde_saphyr::from_str(config.as_str().unwrap()).unwrap();
        let example = fs::read_to_string(repository().unwrap().join("deploy/config.example.yaml")).unwrap();
        for (room, keys) in wanted.as_object().unwrap() {
            assert!(example.lines().any(|line| line == format!("{room}:")), "{room}");
            for key in keys.as_object().unwrap().keys() {
                assert!(example.contains(&format!("  #{key}: ")), "{room}.{key}");
            }
        }
    }

    #[test]
    fn a_difference_between_chart_and_manifest_is_named() {
        let plain = "kind: A\nmetadata: {name: one}\nspec: {x: 1}\n";
        assert_eq!(same(plain, plain).unwrap(), 1);
        let error = same(plain, "kind: A\nmetadata: {name: one}\nspec: {x: 2}\n").unwrap_err().to_string();
        assert!(error.contains("in the manifest"), "{error}");
        assert!(same(plain, "kind: B\nmetadata: {name: one}\n").is_err());
    }
}
