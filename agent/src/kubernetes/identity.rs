//! What Kubernetes calls a process: the attributes of its pod, owner and container, and the name of its service.
//!
//! Shape: [`Pod`] and a container's id → [`Identity`]. Source: semantic conventions `k8s` and `container`; the conventions' rules
//! for service attributes in Kubernetes, which the OpenTelemetry operator follows. The first that says something wins:
//! - `service.name`: annotation, labels `app.kubernetes.io/instance` and `/name`, the highest owner, the pod, the container;
//! - `service.namespace`: annotation, the namespace;
//! - `service.version`: annotation, label `app.kubernetes.io/version`, the image's tag and digest;
//! - `service.instance.id`: annotation, `<namespace>.<pod>.<container>`.
//!
//! An annotation `resource.opentelemetry.io/<key>` states any attribute. What a process itself states comes before all of these.
use super::{
    object::{Container, Pod},
    owner::{self, Workload},
};
use opentelemetry_semantic_conventions::attribute as key;
use serde::{Deserialize, Serialize};

const INSTANCE: &str = "app.kubernetes.io/instance";
const NAME: &str = "app.kubernetes.io/name";
const VERSION: &str = "app.kubernetes.io/version";

/// What Kubernetes calls a process; recordings carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `service.name`.
    pub service_name: String,
    /// The other attributes, keys unique.
    pub attributes: Vec<(String, String)>,
    /// `container.image.tags`.
    pub image_tags: Vec<String>,
    /// The container's name is known too: nothing is waited for.
    pub is_complete: bool,
}

impl Identity {
    /// Of a process in this pod; `container` is absent until the kubelet has told the API of it.
    pub(super) fn of(pod: &Pod, container: Option<&Container>, names_by_labels: bool) -> Identity {
        let workload = Workload::of(pod.owner.as_ref(), &pod.labels);
        let label = |name| pod.labels.get(name).filter(|value| names_by_labels && !value.is_empty());
        let image = container.map(|container| Image::of(&container.image));
        let mut it = Identity { is_complete: container.is_some(), ..Identity::default() };
        for (key, value) in &pod.stated {
            it.add(key, value);
        }
        let stated = it.find(key::SERVICE_NAME).map(ToOwned::to_owned);
        let labelled = label(INSTANCE).or_else(|| label(NAME)).map(String::as_str);
        let derived = labelled.or(workload.name()).unwrap_or(&pod.name);
        it.service_name = stated.unwrap_or_else(|| derived.to_owned());
        it.attributes.retain(|(known, _)| known != key::SERVICE_NAME);

        it.add(key::SERVICE_NAMESPACE, &pod.namespace);
        let version = label(VERSION).cloned().or_else(|| image.as_ref()?.version(container?));
        it.add_some(key::SERVICE_VERSION, version);
        let instance = container.map(|one| format!("{}.{}.{}", pod.namespace, pod.name, one.name));
        it.add_some(key::SERVICE_INSTANCE_ID, instance);
        it.pod(pod, &workload);
        if let (Some(container), Some(image)) = (container, image) {
            it.container(container, image);
        }
        it
    }

    fn pod(&mut self, pod: &Pod, workload: &Workload) {
        self.add(key::K8S_NAMESPACE_NAME, &pod.namespace);
        self.add(key::K8S_POD_NAME, &pod.name);
        self.add(key::K8S_POD_UID, &pod.uid);
        self.add(key::K8S_NODE_NAME, &pod.node);
        let mut uid = workload.uid.as_deref();
        for (kind, name) in &workload.owners {
            let uid = uid.take();
            let Some((name_key, uid_key)) = owner::keys(kind) else { continue };
            self.add(name_key, name);
            self.add_some(uid_key.unwrap_or_default(), uid.map(ToOwned::to_owned));
        }
    }

    fn container(&mut self, container: &Container, image: Image<'_>) {
        self.add(key::K8S_CONTAINER_NAME, &container.name);
        self.add(key::CONTAINER_NAME, &container.name);
        self.add(key::CONTAINER_ID, &container.id);
        self.add(key::CONTAINER_IMAGE_NAME, image.name);
        self.image_tags = image.tag.into_iter().map(ToOwned::to_owned).collect();
    }

    fn find(&self, wanted: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
    }

    fn add_some(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.add(key, &value);
        }
    }

    fn add(&mut self, key: &str, value: &str) {
        if !key.is_empty() && !value.is_empty() && self.find(key).is_none() {
            self.attributes.push((key.to_owned(), value.to_owned()));
        }
    }
}

/// An image's name in parts: `registry:5000/shop/front:1.2@sha256:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    fn of(text: &'a str) -> Image<'a> {
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash belongs to a registry's port.
        let tagged = rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (name, tag) = tagged.map_or((rest, None), |(name, tag)| (name, Some(tag)));
        Image { name, tag, digest }
    }

    /// The conventions' rule: `<tag>@<digest>`, or what there is of them; without both the tag is `latest`, which says nothing.
    fn version(&self, container: &Container) -> Option<String> {
        let resolved = container.digest.as_deref().and_then(|digest| digest.split_once('@'));
        match (self.tag, self.digest.or_else(|| self.tag.is_none().then_some(resolved?.1))) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
#[path = "identity/tests.rs"]
mod tests;
