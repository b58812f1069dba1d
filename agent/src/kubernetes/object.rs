//! A pod as it comes from the API, and what is kept of it.
//!
//! Shape: the API's JSON → [`ApiPod`], whose other fields are never kept → [`Pod`], some hundred bytes. Source: the API's
//! `v1.Pod`. Every text in it was written by a user of the cluster: their number and length are bounded.
use super::{answer::Said, owner::Owner, resource::resource};
use kube::core::ObjectMeta;
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr};

/// Texts kept of a pod's annotations.
const ANNOTATIONS: usize = 32;
/// Characters kept of a text.
const TEXT_CHARS: usize = 1024;
/// Addresses kept of a pod: one per address family.
const ADDRESSES: usize = 2;
/// Containers kept of a pod.
const CONTAINERS: usize = 64;
/// Annotations that state resource attributes.
pub(super) const ATTRIBUTE_PREFIX: &str = "resource.opentelemetry.io/";
/// Labels that are used: those that names are made of.
const LABELS: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "pod-template-hash",
    "rollouts-pod-template-hash",
];
/// The digest of a static pod's file, which its cgroups are named by.
const STATIC_DIGEST: &str = "kubernetes.io/config.hash";

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Uid in the API.
    pub uid: String,
    /// What its cgroups are called by, if that is not the uid.
    pub static_digest: Option<String>,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Node.
    pub node: String,
    /// What its own label says of being observed.
    pub said: Option<Said>,
    /// Who controls it.
    pub owner: Option<Owner>,
    /// The labels that names are made of.
    pub labels: BTreeMap<String, String>,
    /// Resource attributes that its annotations state.
    pub stated: Vec<(String, String)>,
    /// Containers that have been started.
    pub containers: Vec<Container>,
    /// Its own addresses; none on the node's network.
    pub addresses: Vec<IpAddr>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Id without the runtime's name.
    pub id: String,
    /// Name in the pod.
    pub name: String,
    /// The image as the pod names it.
    pub image: String,
    /// `name@sha256:…`, where the runtime says it.
    pub digest: Option<String>,
}

/// The fields of a pod that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiPod {
    metadata: ObjectMeta,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
    host_network: bool,
    containers: Vec<SpecContainer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SpecContainer {
    name: String,
    image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    image: String,
    #[serde(rename = "imageID")]
    image_id: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

resource!(ApiPod, "", "Pod", "pods");

impl From<ApiPod> for Pod {
    fn from(pod: ApiPod) -> Pod {
        let ApiPod { metadata, spec, status } = pod;
        let labels = metadata.labels.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let owner = metadata.owner_references.unwrap_or_default();
        // A static pod is owned by its node, which is no workload.
        let owner = owner.into_iter().find(|owner| owner.controller == Some(true) && owner.kind != "Node");
        Pod {
            uid: metadata.uid.unwrap_or_default(),
            static_digest: annotations.get(STATIC_DIGEST).map(|digest| bounded(digest)),
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            node: spec.node_name,
            said: labels.get(super::LABEL).and_then(|value| Said::of(value)),
            owner: owner.map(|owner| Owner {
                kind: bounded(&owner.kind),
                name: bounded(&owner.name),
                uid: bounded(&owner.uid),
            }),
            stated: stated(annotations),
            labels: labels.into_iter().filter(|(key, _)| LABELS.contains(&key.as_str())).collect(),
            addresses: if spec.host_network { Vec::new() } else { status.addresses() },
            containers: status.containers(&spec.containers),
        }
    }
}

impl Status {
    fn addresses(&self) -> Vec<IpAddr> {
        self.pod_ips.iter().filter_map(|one| one.ip.parse().ok()).take(ADDRESSES).collect()
    }

    fn containers(self, spec: &[SpecContainer]) -> Vec<Container> {
        let all = [self.container_statuses, self.init_container_statuses, self.ephemeral_container_statuses];
        let started = all.into_iter().flatten().filter_map(|status| {
            let (_, id) = status.container_id.as_deref()?.rsplit_once("//")?;
            // A runtime may know the image by its digest alone; the pod names it as a person did.
            let named = spec.iter().find(|one| one.name == status.name).map(|one| &one.image);
            let digest = status.image_id.rsplit_once("://").map_or(status.image_id.as_str(), |(_, id)| id);
            let digest = digest.contains('@').then(|| bounded(digest));
            let image = bounded(named.unwrap_or(&status.image));
            Some(Container { id: bounded(id), image, name: bounded(&status.name), digest })
        });
        started.take(CONTAINERS).collect()
    }
}

fn stated(annotations: BTreeMap<String, String>) -> Vec<(String, String)> {
    let stated = annotations.into_iter().filter_map(|(key, value)| {
        let key = key.strip_prefix(ATTRIBUTE_PREFIX).filter(|key| !key.is_empty())?;
        Some((bounded(key), bounded(&value)))
    });
    stated.take(ANNOTATIONS).collect()
}

fn bounded(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pod_only_what_is_used_is_kept() {
        let json = r#"{"apiVersion":"v1","kind":"Pod",
          "metadata":{"name":"front-7d4b9-x","namespace":"shop","uid":"u1","resourceVersion":"7",
            "labels":{"app":"front","pod-template-hash":"7d4b9","wirespan.io/trace":"disabled"},
            "annotations":{"resource.opentelemetry.io/team":"blue","other":"secret","kubernetes.io/config.hash":"d1"},
            "managedFields":[{"manager":"k","operation":"Update","fieldsType":"FieldsV1","fieldsV1":{"f:x":{}}}],
            "ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"n1"},
              {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"front-7d4b9","uid":"r1","controller":true}]},
          "spec":{"nodeName":"n1","containers":[{"name":"app","image":"front:1.2","env":[{"name":"SECRET","value":"x"}]}]},
          "status":{"containerStatuses":[
            {"name":"app","image":"sha256:abc","imageID":"docker-pullable://front@sha256:9f","containerID":"containerd://c1","ready":true},
            {"name":"later","image":"x","imageID":"","ready":false}]}}"#;
        let pod: ApiPod = serde_json::from_str(json).unwrap();
        let pod = Pod::from(pod);
        assert_eq!((pod.uid.as_str(), pod.namespace.as_str(), pod.node.as_str()), ("u1", "shop", "n1"));
        assert_eq!(pod.static_digest.as_deref(), Some("d1"));
        assert_eq!(pod.said, Some(Said::No));
        assert_eq!(pod.owner.map(|owner| owner.name), Some("front-7d4b9".into()));
        assert_eq!(pod.stated, [("team".into(), "blue".into())]);
        assert_eq!(pod.labels.len(), 1);
        let app = Container {
            id: "c1".into(),
            name: "app".into(),
            image: "front:1.2".into(),
            digest: Some("front@sha256:9f".into()),
        };
        assert_eq!(pod.containers, [app]);
    }
}
