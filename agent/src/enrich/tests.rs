//! Resources of processes, from a `/proc` of plain files.
use super::*;
use expect_test::{Expect, expect};
use std::{fs, os::unix::fs::symlink, path::Path};
use wirespan_core::spans::Value;

/// A process folder with the files that are read.
fn process(root: &Path, pid: u32, comm: &str, exe: &str, cmdline: &str, environ: &str) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    let tail = "S 41 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8888 1 2 3";
    fs::write(folder.join("stat"), format!("{pid} ({comm}) {tail}\n")).unwrap();
    fs::write(folder.join("cmdline"), cmdline).unwrap();
    fs::write(folder.join("environ"), environ).unwrap();
    fs::write(folder.join("status"), "Name:\tx\nUid:\t33\t0\t0\t0\n").unwrap();
    symlink(exe, folder.join("exe")).unwrap();
    symlink("/srv/shop", folder.join("cwd")).unwrap();
}

fn host() -> Host {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/passwd"), "www-data:x:33:33::/:/bin/sh\n").unwrap();
    fs::write(root.path().join("etc/os-release"), "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
        .unwrap();
    let mut host = Host::read(root.path());
    host.name = "node-1".into();
    host.id = Some("f00".into());
    host.arch = "amd64".into();
    host.os_version = "6.18.0".into();
    host
}

fn check(resource: &Resource, expected: Expect) {
    let lines = resource.attributes.iter().map(|(key, value)| match value {
        Value::Str(text) => format!("{key}={text}\n"),
        other => format!("{key}={other:?}\n"),
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn a_process_is_read_from_proc_and_described_by_the_conventions() {
    let root = tempfile::tempdir().unwrap();
    process(
        root.path(),
        42,
        "python3",
        "/usr/bin/python3.11",
        "python3\0app.py\0--password=x\0",
        "PATH=/bin\0TOKEN=t\0",
    );

    let facts = read(root.path(), 42).unwrap();
    let resource = Resources::new(Settings::default(), host()).learn(facts.clone());

    assert_eq!(facts.id, ProcessId { pid: 42, start_ticks: 8888 });
    assert_eq!((facts.parent, facts.uid, facts.runtime), (Some(41), Some(33), Some(Runtime::Python)));
    check(
        &resource,
        expect![[r#"
            service.name=shop
            service.instance.id=56927fd8-3f52-5abb-9aea-d46ffb25b803
            process.pid=Int(42)
            process.parent_pid=Int(41)
            process.executable.name=python3.11
            process.executable.path=/usr/bin/python3.11
            process.command=python3
            process.owner=www-data
            process.runtime.name=cpython
            host.name=node-1
            host.id=f00
            host.arch=amd64
            os.type=linux
            os.description=Debian GNU/Linux 12 (bookworm)
            os.version=6.18.0
            telemetry.sdk.name=wirespan
            telemetry.sdk.language=rust
            telemetry.sdk.version=0.1.0
            telemetry.distro.name=wirespan
            telemetry.distro.version=0.1.0
        "#]],
    );
}

#[test]
fn what_a_process_states_in_its_environment_wins_over_the_agents_and_over_what_was_detected() {
    let root = tempfile::tempdir().unwrap();
    let environ = "OTEL_RESOURCE_ATTRIBUTES=service.name=pay,deployment.environment.name=a%2Cb,host.name=mine,service.instance.id=i1\0";
    process(root.path(), 42, "x", "/srv/x", "x\0", environ);
    let agent = [("deployment.environment.name", "agent"), ("team", "red"), ("service.instance.id", "i2")];
    let settings = Settings {
        service_name: Some("all".into()),
        resource_attributes: agent.map(|(key, value)| (key.into(), value.into())).to_vec(),
    };

    let resource = Resources::new(settings, host()).learn(read(root.path(), 42).unwrap());

    let stated =
        Resource { attributes: resource.attributes.iter().take(5).cloned().collect(), ..(*resource).clone() };
    check(
        &stated,
        expect![[r#"
            service.name=pay
            deployment.environment.name=a,b
            host.name=mine
            service.instance.id=i1
            team=red
        "#]],
    );
}

#[test]
fn a_process_in_a_container_says_which() {
    let root = tempfile::tempdir().unwrap();
    process(root.path(), 42, "x", "/srv/x", "x\0", "");
    let id = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961";
    let pod = "pod2c48913c_b29f_11e7_9350_020968147796";
    let path = format!("/kubepods.slice/kubepods-{pod}.slice/cri-containerd-{id}.scope/init.scope");
    fs::write(root.path().join("42/cgroup"), format!("4:memory:{path}\n0::/\n")).unwrap();

    let resource = Resources::new(Settings::default(), host()).learn(read(root.path(), 42).unwrap());

    let is_of_container = |key: &str| key.starts_with("container.") || key.starts_with("k8s.");
    let attributes = resource.attributes.iter().filter(|(key, _)| is_of_container(key)).cloned().collect();
    check(
        &Resource { attributes, ..(*resource).clone() },
        expect![[r#"
            container.id=9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961
            container.runtime.name=containerd
            k8s.pod.uid=2c48913c-b29f-11e7-9350-020968147796
        "#]],
    );
}

#[test]
fn attributes_that_cannot_be_decoded_are_not_used_at_all_and_counted() {
    let root = tempfile::tempdir().unwrap();
    process(root.path(), 42, "x", "/srv/x", "x\0", "OTEL_RESOURCE_ATTRIBUTES=a=1,b=%zz\0");
    let mut resources = Resources::new(Settings::default(), host());
    let resource = resources.learn(read(root.path(), 42).unwrap());
    assert!(!resource.attributes.iter().any(|(key, _)| key == "a"));
    assert_eq!(resources.counts().unreadable_attributes, 1);
}

#[test]
fn a_name_with_parentheses_and_a_process_without_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    process(root.path(), 42, "a (b) c", "/srv/x", "", "");
    fs::remove_file(root.path().join("42/exe")).unwrap();
    fs::remove_file(root.path().join("42/environ")).unwrap();
    let facts = read(root.path(), 42).unwrap();
    assert_eq!((facts.comm.as_str(), facts.exe.as_str(), facts.args.len()), ("a (b) c", "a (b) c", 0));
    assert_eq!(read(root.path(), 43), None);
}

#[test]
fn a_go_program_is_recognised_by_its_linkers_note() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("inventory");
    fs::write(&program, b"\x7fELF....\x04\0\0\0\x53\0\0\0\x04\0\0\0Go\0\0abc").unwrap();
    process(root.path(), 42, "inventory", program.to_str().unwrap(), "inventory\0", "");
    assert_eq!(read(root.path(), 42).unwrap().runtime, Some(Runtime::Go));
}

#[test]
fn a_forked_worker_is_the_same_service_and_another_instance() {
    let root = tempfile::tempdir().unwrap();
    process(root.path(), 42, "x", "/srv/x", "x\0", "OTEL_SERVICE_NAME=web\0");
    let mut resources = Resources::new(Settings::default(), host());
    let master = resources.learn(read(root.path(), 42).unwrap());
    let child = ProcessId { pid: 50, start_ticks: 9000 };

    let worker = resources.fork(ProcessId { pid: 42, start_ticks: 8888 }, child).unwrap();

    let instance = |resource: &Resource| {
        resource
            .attributes
            .iter()
            .find(|(key, _)| key == "service.instance.id")
            .map(|(_, value)| value.clone())
    };
    assert_eq!(worker.service_name, "web");
    assert_ne!(instance(&worker), instance(&master));
    assert!(Arc::ptr_eq(&resources.of(child), &worker));
}

#[test]
fn a_resource_outlives_its_process_until_many_others_have_ended() {
    let mut resources = Resources::new(Settings::default(), host());
    let id = |n: u32| ProcessId { pid: n, start_ticks: n };
    for n in 0..=ENDED as u32 {
        resources.learn(ProcessFacts::from_exec(id(n), "/srv/x".into(), vec![], None));
        resources.exit(id(n));
    }
    assert_eq!(resources.of(id(1)).service_name, "x");
    assert_eq!(resources.of(id(0)).service_name, "unknown_service");
    assert_eq!(resources.counts().unknown, 1);
}

#[test]
fn too_many_processes_are_forgotten_and_counted() {
    let mut resources = Resources::new(Settings::default(), host());
    for n in 0..=KNOWN as u32 {
        resources.learn(ProcessFacts::from_exec(
            ProcessId { pid: n, start_ticks: n },
            "/x".into(),
            vec![],
            None,
        ));
    }
    assert_eq!((resources.known.len(), resources.counts().forgotten), (KNOWN, 1));
}
