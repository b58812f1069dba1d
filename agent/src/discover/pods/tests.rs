//! Who may be looked at: against a `/proc` of plain files, with what the API server tells.
use super::*;
use crate::kubernetes::{By, Container, Pod};
use std::{fs, os::unix::fs::symlink, path::Path};
use tempfile::TempDir;

const NOW: Nanos = Nanos(1_000_000_000);
const LATER: Nanos = Nanos(5_000_000_000);

fn uid(pod: u32) -> String {
    format!("0a1b2c3d-1111-2222-3333-{pod:012}")
}

/// A process of a pod, or of none (0). Its executable is a link to `app<pid>`.
fn process(root: &Path, pid: u32, pod: u32) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(folder.join("fd")).unwrap();
    let zeros = "0 ".repeat(10);
    let tail = "0 ".repeat(29);
    let stat = format!("{pid} (comm) S 1 1 1 0 -1 4194304 {zeros}1 0 {pid} 1 1 {tail}\n");
    fs::write(folder.join("stat"), stat).unwrap();
    let id = format!("{pid:064}");
    let group =
        if pod == 0 { "system.slice/x.service".into() } else { format!("kubepods/pod{}/{id}", uid(pod)) };
    fs::write(folder.join("cgroup"), format!("0::/{group}\n")).unwrap();
    symlink(format!("/bin/app{pid}"), folder.join("exe")).unwrap();
    fs::write(folder.join("cmdline"), "app\0").unwrap();
}

/// Processes 101 in pod 1, 102 in pod 2, 100 in none.
fn node() -> TempDir {
    let root = TempDir::new().unwrap();
    (0..3).for_each(|pod| process(root.path(), 100 + pod, pod));
    root
}

fn discovery(root: &TempDir, select: Select) -> Discovery {
    Discovery::in_cluster(select, ProcRoot(root.path().into()), Cluster::new(true))
}

fn pod(number: u32) -> Change {
    let pod = Pod {
        uid: uid(number),
        name: format!("p{number}"),
        namespace: format!("n{number}"),
        ..Pod::default()
    };
    Change::Pod { pod: Box::new(pod), listed: false }
}

fn label(number: u32) -> Change {
    Change::Namespace { name: format!("n{number}"), listed: false }
}

fn unlabel(number: u32) -> Change {
    Change::NamespaceGone(format!("n{number}"))
}

fn id(pid: u32) -> ProcessId {
    ProcessId { pid, start_ticks: pid }
}

fn verdicts(known: &[Known]) -> Vec<(u32, Verdict)> {
    let mut verdicts: Vec<_> = known.iter().map(|known| (known.id.pid, known.verdict)).collect();
    verdicts.sort_by_key(|(pid, _)| *pid);
    verdicts
}

fn observed(discovery: &Discovery) -> Vec<u32> {
    let mut pids: Vec<u32> = discovery.observed().map(|known| known.id.pid).collect();
    pids.sort_unstable();
    pids
}

const LABELLED: Verdict = Verdict::Observe(Why::Labelled(By::Namespace));

#[test]
fn nothing_is_read_of_a_process_before_its_pod_may_be_observed() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    assert!(discovery.scan(NOW).is_empty());
    let told = discovery.told([pod(1), pod(2), label(1)], LATER);
    assert_eq!(verdicts(&told.changed), [(101, LABELLED)]);
    let known = |pid| discovery.look_up(pid).unwrap().0;
    assert_eq!(known(101).program.exe, "/bin/app101");
    assert_eq!(known(102).verdict, Verdict::Ignore(Skip::InKubernetes(No::NotLabelled)));
    assert_eq!(known(100).verdict, Verdict::Ignore(Skip::InKubernetes(No::NotInPod)));
    for pid in [100, 102] {
        let program = known(pid).program;
        assert_eq!((program.exe.as_str(), program.args.len(), program.file), ("comm", 0, None), "{pid}");
    }
}

#[test]
fn labels_that_change_change_verdicts_of_running_processes_both_ways() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    discovery.scan(NOW);
    discovery.told([pod(1), pod(2), label(2)], NOW);
    assert_eq!(observed(&discovery), [102]);
    let told = discovery.told([unlabel(2), label(1)], LATER);
    let not = Verdict::Ignore(Skip::InKubernetes(No::NotLabelled));
    assert_eq!(verdicts(&told.changed), [(101, LABELLED), (102, not)]);
    assert_eq!(observed(&discovery), [101]);
    assert_eq!(discovery.counts().relabelled, 3);
    let told = discovery.told([Change::PodGone(uid(1))], LATER);
    assert_eq!(verdicts(&told.changed), [(101, Verdict::Ignore(Skip::InKubernetes(No::PodUnknown)))]);
}

#[test]
fn what_was_forked_before_its_pod_was_labelled_is_found() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    discovery.scan(NOW);
    process(root.path(), 201, 1);
    discovery.told([pod(1), label(1)], NOW);
    assert!(discovery.look_for_unseen(Nanos(NOW.0 + LOOK_EVERY_NS - 1)).is_empty(), "not so soon again");
    assert_eq!(verdicts(&discovery.look_for_unseen(LATER)), [(201, LABELLED)]);
    process(root.path(), 202, 1);
    let again = Nanos(LATER.0 + LOOK_EVERY_NS);
    assert_eq!(verdicts(&discovery.look_for_unseen(again)), [(202, LABELLED)], "until a look finds nothing");
    assert!(discovery.look_for_unseen(Nanos(again.0 + LOOK_EVERY_NS)).is_empty());
    process(root.path(), 203, 1);
    assert!(discovery.look_for_unseen(Nanos(again.0 + 9 * LOOK_EVERY_NS)).is_empty(), "and not for ever");
}

#[test]
fn a_program_executed_in_a_known_pod_is_decided_at_once_and_else_when_the_pod_is_told() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    discovery.told([pod(1), label(1), label(3)], NOW);
    process(root.path(), 300, 1);
    assert_eq!(discovery.exec(id(300), Program::default(), LATER).verdict, LABELLED);
    process(root.path(), 301, 3);
    let early = discovery.exec(id(301), Program::default(), LATER).verdict;
    assert_eq!(early, Verdict::Ignore(Skip::InKubernetes(No::PodUnknown)));
    assert_eq!(verdicts(&discovery.told([pod(3)], LATER).changed), [(301, LABELLED)]);
    let over = discovery.exec(id(999), Program::default(), LATER).verdict;
    assert_eq!(over, Verdict::Ignore(Skip::Unplaced));
}

#[test]
fn the_cgroup_is_read_again_when_a_program_is_executed() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    discovery.told([pod(1), label(1)], NOW);
    process(root.path(), 300, 0);
    let runtime = discovery.exec(id(300), Program::default(), NOW);
    assert_eq!(runtime.verdict, Verdict::Ignore(Skip::InKubernetes(No::NotInPod)));
    fs::remove_dir_all(root.path().join("300")).unwrap();
    process(root.path(), 300, 1);
    assert_eq!(discovery.exec(id(300), Program::default(), LATER).verdict, LABELLED);
}

#[test]
fn selectors_choose_among_those_whose_pods_opt_in() {
    let root = node();
    process(root.path(), 103, 1);
    let select = Select { pids: [100, 102, 103].into(), ..Select::default() };
    let mut discovery = discovery(&root, select);
    discovery.scan(NOW);
    let told = discovery.told([pod(1), pod(2), label(1)], NOW);
    assert_eq!(verdicts(&told.changed), [(103, Verdict::Observe(Why::Pid))]);
    assert_eq!(discovery.look_up(101).unwrap().0.verdict, Verdict::Ignore(Skip::NotSelected));
}

#[test]
fn the_agent_is_not_observed_whatever_its_labels_say() {
    let root = node();
    let mut discovery = discovery(&root, Select { own_pid: 101, ..Select::default() });
    discovery.scan(NOW);
    discovery.told([pod(1), label(1)], NOW);
    assert!(observed(&discovery).is_empty());
    assert_eq!(discovery.look_up(101).unwrap().0.verdict, Verdict::Ignore(Skip::Agent));
}

#[test]
fn a_container_that_gets_its_name_is_renamed_even_if_its_process_is_over() {
    let root = node();
    let mut discovery = discovery(&root, Select::default());
    discovery.scan(NOW);
    discovery.told([pod(1), pod(2), label(1), label(2)], NOW);
    discovery.exit(id(102));
    let named = |number: u32| {
        let Change::Pod { mut pod, listed } = pod(number) else { unreachable!() };
        let id = format!("{:064}", 100 + number);
        pod.containers = vec![Container { id, name: "app".into(), ..Container::default() }];
        Change::Pod { pod, listed }
    };
    let told = discovery.told([named(1), named(2)], LATER);
    assert!(told.changed.is_empty());
    assert_eq!(verdicts(&told.renamed), [(101, LABELLED), (102, LABELLED)]);
    for known in told.renamed {
        assert!(discovery.identity(&known).unwrap().is_complete);
    }
}
