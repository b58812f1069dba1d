//! The rules for names, as a table.
use super::*;
use crate::kubernetes::owner::Owner;

fn pod() -> Pod {
    let owner = Owner { kind: "ReplicaSet".into(), name: "front-7d4b9".into(), uid: "r1".into() };
    Pod {
        uid: "u1".into(),
        name: "front-7d4b9-x".into(),
        namespace: "shop".into(),
        node: "n1".into(),
        owner: Some(owner),
        labels: [("pod-template-hash".into(), "7d4b9".into())].into(),
        ..Pod::default()
    }
}

fn container(image: &str) -> Container {
    Container { id: "c1".into(), name: "app".into(), image: image.into(), digest: None }
}

fn value<'a>(identity: &'a Identity, key: &str) -> &'a str {
    identity.find(key).unwrap_or("-")
}

#[test]
fn a_service_is_named_by_annotation_then_labels_then_owner_then_pod() {
    let rows: [(&[(&str, &str)], &[(&str, &str)], bool, bool, &str); 7] = [
        (&[("service.name", "stated")], &[(INSTANCE, "i"), (NAME, "n")], true, true, "stated"),
        (&[], &[(INSTANCE, "i"), (NAME, "n")], true, true, "i"),
        (&[], &[(NAME, "n")], true, true, "n"),
        (&[], &[(INSTANCE, "i"), (NAME, "n")], false, true, "front"),
        (&[], &[(NAME, "")], true, true, "front"),
        (&[], &[], true, true, "front"),
        (&[], &[], true, false, "front-7d4b9-x"),
    ];
    for (stated, labels, by_labels, is_owned, expected) in rows {
        let mut pod = pod();
        pod.stated = stated.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        pod.labels.extend(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        pod.owner = pod.owner.filter(|_| is_owned);
        let identity = Identity::of(&pod, None, by_labels);
        assert_eq!(identity.service_name, expected, "{stated:?} {labels:?} {by_labels}");
        assert_eq!(identity.find(key::SERVICE_NAME), None);
    }
}

#[test]
fn version_and_instance_follow_the_conventions_rules() {
    let rows = [
        ("front:1.2", None, "1.2"),
        ("registry:5000/shop/front:1.2@sha256:9f", None, "1.2@sha256:9f"),
        ("registry:5000/shop/front", None, "-"),
        ("front@sha256:9f", None, "sha256:9f"),
        ("front", Some("front@sha256:9f"), "sha256:9f"),
    ];
    for (image, digest, version) in rows {
        let container = Container { digest: digest.map(ToOwned::to_owned), ..container(image) };
        let identity = Identity::of(&pod(), Some(&container), true);
        assert_eq!(value(&identity, key::SERVICE_VERSION), version, "{image}");
        assert_eq!(value(&identity, key::SERVICE_INSTANCE_ID), "shop.front-7d4b9-x.app");
    }
    let mut labelled = pod();
    labelled.labels.insert(VERSION.into(), "7".into());
    let identity = Identity::of(&labelled, Some(&container("front:1.2")), true);
    assert_eq!(value(&identity, key::SERVICE_VERSION), "7");
}

#[test]
fn pod_owner_and_container_are_told_in_the_conventions_words() {
    let identity = Identity::of(&pod(), Some(&container("registry:5000/shop/front:1.2")), true);
    let expected = [
        (key::SERVICE_NAMESPACE, "shop"),
        (key::SERVICE_VERSION, "1.2"),
        (key::SERVICE_INSTANCE_ID, "shop.front-7d4b9-x.app"),
        (key::K8S_NAMESPACE_NAME, "shop"),
        (key::K8S_POD_NAME, "front-7d4b9-x"),
        (key::K8S_POD_UID, "u1"),
        (key::K8S_NODE_NAME, "n1"),
        (key::K8S_REPLICASET_NAME, "front-7d4b9"),
        (key::K8S_REPLICASET_UID, "r1"),
        (key::K8S_DEPLOYMENT_NAME, "front"),
        (key::K8S_CONTAINER_NAME, "app"),
        (key::CONTAINER_NAME, "app"),
        (key::CONTAINER_ID, "c1"),
        (key::CONTAINER_IMAGE_NAME, "registry:5000/shop/front"),
    ];
    let expected: Vec<(String, String)> =
        expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(identity.attributes, expected);
    assert_eq!(identity.image_tags, ["1.2"]);
    assert!(identity.is_complete);
}

#[test]
fn until_the_container_is_known_nothing_is_said_of_it() {
    let mut pod = pod();
    pod.stated = vec![("team".into(), "blue".into()), ("service.namespace".into(), "stated".into())];
    let identity = Identity::of(&pod, None, true);
    assert!(!identity.is_complete);
    assert_eq!(value(&identity, "team"), "blue");
    assert_eq!(value(&identity, key::SERVICE_NAMESPACE), "stated");
    assert_eq!(value(&identity, key::SERVICE_INSTANCE_ID), "-");
    assert_eq!(value(&identity, key::K8S_CONTAINER_NAME), "-");
}
