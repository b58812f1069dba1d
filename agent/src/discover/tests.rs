//! Discovery against a `/proc` of plain files.
use super::*;
use globset::{Glob, GlobSet};
use std::{fs, os::unix::fs::symlink, path::Path};
use tempfile::TempDir;

const NOW: Nanos = Nanos(1_000_000_000);

fn process(root: &Path, pid: u32, ppid: u32, start: u32, exe: &str) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(folder.join("fd")).unwrap();
    fs::create_dir_all(folder.join("net")).unwrap();
    let comm = exe.rsplit('/').next().unwrap();
    let zeros = "0 ".repeat(10);
    fs::write(
        folder.join("stat"),
        format!("{pid} ({comm}) S {ppid} 1 1 0 -1 4194304 {zeros}1 0 {start} 1 1 {}\n", "0 ".repeat(29)),
    )
    .unwrap();
    symlink(exe, folder.join("exe")).unwrap();
    fs::write(folder.join("cmdline"), format!("{comm}\0")).unwrap();
}

fn fake(count: u32) -> TempDir {
    let root = TempDir::new().unwrap();
    for pid in 1..=count {
        process(root.path(), 100 + pid, 1, 1000 + pid, &format!("/usr/bin/app{pid}"));
    }
    root
}

fn discovery(root: &TempDir, select: Select) -> Discovery {
    Discovery::new(select, ProcRoot(root.path().to_path_buf()))
}

fn globs(pattern: &str) -> Option<GlobSet> {
    Some(GlobSet::builder().add(Glob::new(pattern).unwrap()).build().unwrap())
}

fn id(pid: u32, start_ticks: u32) -> ProcessId {
    ProcessId { pid, start_ticks }
}

fn program(exe: &str, parent: u32) -> Program {
    Program { exe: exe.into(), args: vec![exe.into()], parent, ..Program::default() }
}

#[test]
fn without_a_selector_everything_but_the_agent_is_observed() {
    let root = fake(3);
    let mut discovery = discovery(&root, Select { own_pid: 102, ..Select::default() });
    let mut found = discovery.scan(NOW);
    found.sort_by_key(|known| known.id.pid);
    let verdicts: Vec<Verdict> = found.iter().map(|known| known.verdict).collect();
    let everything = Verdict::Observe(Why::Everything);
    assert_eq!(verdicts, [everything, Verdict::Ignore(Skip::Agent), everything]);
}

#[test]
fn an_executable_is_matched_by_path_and_by_file_name() {
    for pattern in ["/usr/bin/app2", "app2", "*/app2", "app[2]"] {
        let root = fake(3);
        let mut discovery = discovery(&root, Select { exes: globs(pattern), ..Select::default() });
        discovery.scan(NOW);
        let observed: Vec<u32> = discovery.observed().map(|known| known.id.pid).collect();
        assert_eq!(observed, [102], "{pattern}");
    }
}

#[test]
fn the_workers_of_a_chosen_pid_are_observed_at_start() {
    let root = fake(1);
    process(root.path(), 200, 101, 5000, "/usr/bin/worker");
    process(root.path(), 201, 200, 5001, "/usr/bin/grandchild");
    let mut discovery = discovery(&root, Select { pids: [101].into(), ..Select::default() });
    discovery.scan(NOW);
    let mut observed: Vec<u32> = discovery.observed().map(|known| known.id.pid).collect();
    observed.sort();
    assert_eq!(observed, [101, 200, 201]);
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let root = fake(1);
    let mut discovery = discovery(&root, Select { pids: [101].into(), ..Select::default() });
    discovery.scan(NOW);
    assert!(discovery.is_observed(id(101, 1001)));
    assert!(!discovery.is_observed(id(101, 9999)));
    assert!(discovery.exit(id(101, 9999)).is_none(), "an exit of another life ends nothing");
    assert!(discovery.exit(id(101, 1001)).is_some());
    assert!(!discovery.is_observed(id(101, 1001)));
}

#[test]
fn a_program_is_chosen_when_it_begins_to_listen_on_the_port() {
    let root = fake(0);
    let mut discovery = discovery(&root, Select { ports: [8080].into(), ..Select::default() });
    let waiting = discovery.exec(id(300, 1), program("/bin/server", 1), NOW);
    assert_eq!(waiting.verdict, Verdict::Ignore(Skip::NotSelected));
    assert!(discovery.listen(id(300, 1), 9090, NOW).is_empty(), "another port changes nothing");
    let listening = discovery.listen(id(300, 1), 8080, NOW);
    assert_eq!(verdicts(&listening), [(300, Verdict::Observe(Why::Port(8080)))]);
}

fn verdicts(changed: &[Known]) -> Vec<(u32, Verdict)> {
    changed.iter().map(|known| (known.id.pid, known.verdict)).collect()
}

/// A program that hands sockets to workers, one of which has a worker too, and that starts something else.
fn workers() -> TempDir {
    let root = fake(0);
    for (pid, parent, exe) in
        [(300, 1, "server"), (301, 300, "server"), (302, 301, "server"), (303, 300, "other")]
    {
        let file = root.path().join(exe);
        fs::write(&file, exe).unwrap();
        process(root.path(), pid, parent, pid, file.to_str().unwrap());
    }
    root
}

#[test]
fn workers_that_run_the_same_program_as_whoever_listens_are_chosen_with_it() {
    let root = workers();
    let mut discovery = discovery(&root, Select { ports: [8080].into(), ..Select::default() });
    discovery.scan(NOW);
    assert_eq!(discovery.observed().count(), 0);
    let mut changed = verdicts(&discovery.listen(id(300, 300), 8080, NOW));
    assert_eq!(changed.first(), Some(&(300, Verdict::Observe(Why::Port(8080)))));
    changed.sort_by_key(|(pid, _)| *pid);
    let follows = |pid, parent| (pid, Verdict::Observe(Why::ChildOf(parent)));
    assert_eq!(changed[1..], [follows(301, 300), follows(302, 301)], "and not what else it has started");
    let file = root.path().join("server");
    process(root.path(), 304, 300, 304, file.to_str().unwrap());
    let later = discovery.exec(id(304, 304), program("server", 300), NOW);
    assert_eq!(later.verdict, Verdict::Observe(Why::ChildOf(300)));
}

#[test]
fn whoever_listens_where_spans_go_is_never_observed() {
    let root = fake(0);
    let mut discovery = discovery(&root, Select { collector_ports: [4317].into(), ..Select::default() });
    let seen = discovery.exec(id(300, 1), program("/bin/otelcol", 1), NOW);
    assert!(seen.verdict.is_observe());
    let collector = discovery.listen(id(300, 1), 4317, NOW);
    assert_eq!(verdicts(&collector), [(300, Verdict::Ignore(Skip::Collector(4317)))]);
}

#[test]
fn a_forked_child_has_its_parents_verdict_and_program() {
    let root = fake(1);
    let mut discovery = discovery(&root, Select { exes: globs("app1"), ..Select::default() });
    discovery.scan(NOW);
    let child = discovery.fork(id(101, 1001), id(400, 7), NOW).unwrap();
    assert_eq!(child.verdict, Verdict::Observe(Why::ChildOf(101)));
    assert_eq!(child.program.exe, "/usr/bin/app1");
    assert!(
        discovery.fork(id(101, 4), id(401, 7), NOW).is_none(),
        "another life of the parent has no children here"
    );
}

#[test]
fn a_process_that_is_gone_is_known_by_its_exec_record() {
    let root = fake(0);
    let mut discovery = discovery(&root, Select { exes: globs("short-lived"), ..Select::default() });
    let known = discovery.exec(id(500, 3), program("./short-lived", 1), NOW);
    assert_eq!(known.verdict, Verdict::Observe(Why::Exe));
    assert_eq!(discovery.counts().gone, 1);
}

#[test]
fn the_sweep_finds_processes_whose_exit_was_lost() {
    let root = fake(2);
    let mut discovery = discovery(&root, Select::default());
    discovery.scan(NOW);
    fs::remove_dir_all(root.path().join("101")).unwrap();
    let gone = discovery.sweep();
    assert_eq!(gone.iter().map(|known| known.id.pid).collect::<Vec<_>>(), [101]);
    assert_eq!(discovery.look_up(101).map(|(_, runs)| runs), Some(false));
}

#[test]
fn a_record_from_before_the_scan_does_not_undo_what_the_scan_saw() {
    let root = fake(1);
    let mut discovery = discovery(&root, Select { pids: [101].into(), ..Select::default() });
    process(root.path(), 200, 101, 5000, "/usr/bin/worker");
    discovery.scan(NOW);
    let before = Nanos(NOW.0 - 1);
    assert_eq!(discovery.exec(id(200, 5000), program("/usr/bin/worker", 1), before).since, NOW);
    let forked = discovery.fork(id(7, 7), id(200, 5000), before);
    assert!(forked.is_some_and(|known| known.verdict.is_observe()), "of an unknown parent, and yet known");
    let after = Nanos(NOW.0 + 1);
    assert_eq!(discovery.exec(id(200, 5000), program("/usr/bin/other", 1), after).since, after);
}
