//! Histories of watches: whatever the order of changes, what holds at the end is what a fresh list would say.
use super::*;
use crate::kubernetes::By;
use proptest::prelude::*;

fn pod(uid: usize, said: Option<Said>) -> Pod {
    Pod {
        uid: format!("u{uid}"),
        name: format!("p{uid}"),
        namespace: format!("n{}", uid % 3),
        said,
        ..Pod::default()
    }
}

fn place(uid: usize) -> Place {
    Place { pods: vec![format!("u{uid}")], ..Place::default() }
}

fn seen(uid: usize, said: Option<Said>) -> Change {
    Change::Pod { pod: Box::new(pod(uid, said)), listed: false }
}

fn labelled(namespace: usize) -> Change {
    Change::Namespace { name: format!("n{namespace}"), listed: false }
}

fn apply(cluster: &mut Cluster, changes: impl IntoIterator<Item = Change>) -> Vec<String> {
    let mut touched = BTreeSet::new();
    changes.into_iter().for_each(|change| cluster.apply(change, &mut touched));
    touched.into_iter().collect()
}

#[test]
fn labels_change_the_answer_both_ways() {
    let mut cluster = Cluster::new(true);
    assert_eq!(cluster.answer(&Place::default()), Answer::No(No::NotInPod));
    assert_eq!(cluster.answer(&place(1)), Answer::No(No::PodUnknown));
    assert_eq!(apply(&mut cluster, [seen(1, None)]), ["u1"]);
    assert_eq!(cluster.answer(&place(1)), Answer::No(No::NotLabelled));
    assert_eq!(apply(&mut cluster, [labelled(1)]), ["u1"]);
    assert_eq!(cluster.answer(&place(1)), Answer::Yes(By::Namespace));
    assert_eq!(apply(&mut cluster, [labelled(1)]), [""; 0], "said twice, nothing changes");
    assert_eq!(apply(&mut cluster, [seen(1, Some(Said::No))]), ["u1"]);
    assert_eq!(cluster.answer(&place(1)), Answer::No(No::PodSays));
    apply(&mut cluster, [seen(1, None), Change::NamespaceGone("n1".into())]);
    assert_eq!(cluster.answer(&place(1)), Answer::No(No::NotLabelled));
    apply(&mut cluster, [labelled(1), Change::PodGone("u1".into())]);
    assert_eq!(cluster.answer(&place(1)), Answer::No(No::PodUnknown));
}

#[test]
fn while_a_list_is_not_complete_the_old_holds() {
    let mut cluster = Cluster::new(true);
    apply(&mut cluster, [seen(1, None), labelled(1), Change::PodsBegin, Change::NamespacesBegin]);
    assert!(cluster.is_enabled("u1"));
    apply(&mut cluster, [Change::NamespacesComplete]);
    assert!(!cluster.is_enabled("u1"));
    assert_eq!(apply(&mut cluster, [Change::PodsComplete]), ["u1"]);
    assert_eq!(cluster.pods(), 0);
}

#[test]
fn a_static_pod_is_found_by_the_digest_of_its_file() {
    let mut cluster = Cluster::new(true);
    let digest = || Some("d1".to_owned());
    let mirror = |uid| Pod { static_digest: digest(), ..pod(uid, None) };
    let change = |uid| Change::Pod { pod: Box::new(mirror(uid)), listed: false };
    let at = Place { pods: vec!["d1".into()], ..Place::default() };
    apply(&mut cluster, [change(1), change(4), Change::PodGone("u1".into())]);
    assert_eq!(cluster.pod_at(&at).map(|pod| pod.uid.as_str()), Some("u4"));
    apply(&mut cluster, [Change::PodGone("u4".into())]);
    assert_eq!(cluster.pod_at(&at), None);
}

#[test]
fn a_container_is_named_once_the_kubelet_has_told_of_it() {
    let mut cluster = Cluster::new(true);
    let at = Place { pods: vec!["u1".into()], containers: vec!["c1".into()] };
    apply(&mut cluster, [seen(1, None)]);
    assert_eq!(cluster.identity(&at).map(|identity| identity.is_complete), Some(false));
    let container = Container { id: "c1".into(), name: "app".into(), ..Container::default() };
    let started = Pod { containers: vec![container], ..pod(1, None) };
    apply(&mut cluster, [Change::Pod { pod: Box::new(started), listed: false }]);
    assert_eq!(cluster.identity(&at).map(|identity| identity.is_complete), Some(true));
}

#[test]
fn what_is_beyond_the_bounds_is_refused_and_counted() {
    let mut cluster = Cluster::new(true);
    apply(&mut cluster, (0..PODS + 7).map(|uid| seen(uid, None)));
    assert_eq!((cluster.pods(), cluster.counts().refused), (PODS, 7));
    apply(&mut cluster, [Change::PodGone("u0".into()), seen(PODS, None)]);
    assert_eq!((cluster.pods(), cluster.counts().refused), (PODS, 7), "there is room again");
}

/// What the API server has, and how it is told.
#[derive(Clone, Debug)]
enum Step {
    Apply(usize, Option<Said>),
    Delete(usize),
    Label(usize),
    Unlabel(usize),
    /// A list that breaks off after so many objects, if it does.
    ListPods(Option<usize>),
    ListNamespaces(Option<usize>),
    /// What happens in the server until the next list is not told.
    Deaf,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let said = prop_oneof![Just(None), Just(Some(Said::Yes)), Just(Some(Said::No))];
    let broken = prop_oneof![Just(None), (0_usize..4).prop_map(Some)];
    let step = prop_oneof![
        4 => (0_usize..8, said).prop_map(|(uid, said)| Step::Apply(uid, said)),
        2 => (0_usize..8).prop_map(Step::Delete),
        2 => (0_usize..3).prop_map(Step::Label),
        2 => (0_usize..3).prop_map(Step::Unlabel),
        1 => broken.clone().prop_map(Step::ListPods),
        1 => broken.prop_map(Step::ListNamespaces),
        1 => Just(Step::Deaf),
    ];
    prop::collection::vec(step, 0..60)
}

/// The truth, and what the watches tell of it.
#[derive(Default)]
struct Server {
    pods: std::collections::BTreeMap<usize, Option<Said>>,
    labelled: BTreeSet<usize>,
    is_deaf: [bool; 2],
}

impl Server {
    fn step(&mut self, step: &Step) -> Vec<Change> {
        let [pods_deaf, namespaces_deaf] = self.is_deaf;
        let told = |change, is_deaf| if is_deaf { Vec::new() } else { vec![change] };
        match *step {
            Step::Apply(uid, said) => {
                self.pods.insert(uid, said);
                told(seen(uid, said), pods_deaf)
            }
            Step::Delete(uid) => {
                self.pods.remove(&uid);
                told(Change::PodGone(format!("u{uid}")), pods_deaf)
            }
            Step::Label(namespace) => {
                self.labelled.insert(namespace);
                told(labelled(namespace), namespaces_deaf)
            }
            Step::Unlabel(namespace) => {
                self.labelled.remove(&namespace);
                told(Change::NamespaceGone(format!("n{namespace}")), namespaces_deaf)
            }
            Step::ListPods(broken) => self.list_pods(broken),
            Step::ListNamespaces(broken) => self.list_namespaces(broken),
            Step::Deaf => {
                self.is_deaf = [true; 2];
                Vec::new()
            }
        }
    }

    fn list_pods(&mut self, broken: Option<usize>) -> Vec<Change> {
        let [is_deaf, _] = &mut self.is_deaf;
        let listed = |(uid, said): (&usize, &Option<Said>)| Change::Pod {
            pod: Box::new(pod(*uid, *said)),
            listed: true,
        };
        let objects = self.pods.iter().map(listed).take(broken.unwrap_or(usize::MAX));
        let end = broken.is_none().then_some(Change::PodsComplete);
        *is_deaf = broken.is_some();
        std::iter::once(Change::PodsBegin).chain(objects).chain(end).collect()
    }

    fn list_namespaces(&mut self, broken: Option<usize>) -> Vec<Change> {
        let [_, is_deaf] = &mut self.is_deaf;
        let listed = |name: &usize| Change::Namespace { name: format!("n{name}"), listed: true };
        let objects = self.labelled.iter().map(listed).take(broken.unwrap_or(usize::MAX));
        let end = broken.is_none().then_some(Change::NamespacesComplete);
        *is_deaf = broken.is_some();
        std::iter::once(Change::NamespacesBegin).chain(objects).chain(end).collect()
    }

    fn fresh(&mut self) -> Cluster {
        let mut fresh = Cluster::new(true);
        apply(&mut fresh, self.list_pods(None));
        apply(&mut fresh, self.list_namespaces(None));
        fresh
    }
}

proptest! {
    #[test]
    fn every_history_ends_in_the_answers_of_a_fresh_list(steps in steps()) {
        let mut server = Server::default();
        let mut cluster = Cluster::new(true);
        // What discovery would hold, updated only for the pods that are touched.
        let mut answers: Vec<Answer> = (0..8).map(|uid| cluster.answer(&place(uid))).collect();
        let last = [Step::ListPods(None), Step::ListNamespaces(None)];
        for step in steps.iter().chain(&last) {
            for uid in apply(&mut cluster, server.step(step)) {
                let uid: usize = uid[1..].parse().unwrap();
                answers[uid] = cluster.answer(&place(uid));
            }
        }
        let fresh = server.fresh();
        for uid in 0..8 {
            prop_assert_eq!(cluster.answer(&place(uid)), fresh.answer(&place(uid)));
            prop_assert_eq!(answers[uid], fresh.answer(&place(uid)), "it was not told that pod {} changed", uid);
        }
    }
}
