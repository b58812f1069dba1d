//! What people read, and the conversation over the socket.
use super::{server::Question, *};
use crate::discover::{Program, Skip, Why};
use expect_test::expect;
use wirespan_core::event::{Nanos, ProcessId};

fn known(verdict: Verdict) -> Known {
    let program = Program { exe: "/usr/sbin/nginx".into(), parent: 1, ..Program::default() };
    Known { id: ProcessId { pid: 7, start_ticks: 9 }, program, verdict, since: Nanos(0), place: None }
}

#[test]
fn an_observed_process_shows_what_was_seen_and_linked() {
    let mut it = Explanation::of(&known(Verdict::Observe(Why::Port(80))), true);
    it.agent = Some("wirespan 0.1.0, pid 5".into());
    it.service = Some("nginx".into());
    it.work = Work { records: 4, moved_bytes: 900, copied_bytes: 300, spans: 2 };
    it.links = vec![Count { name: "wire".into(), value: 2 }];
    it.open =
        vec![Open { kind: "server".into(), name: "t.Calls/Watch".into(), for_ms: 4_021, answering: true }];
    expect![[r#"
        process 7 (/usr/sbin/nginx, running)
          observed: it listens on port 80, chosen by --port
          by wirespan 0.1.0, pid 5
          service.name nginx
          seen: 4 records, 900 bytes moved, 300 copied, 2 spans
          open: server t.Calls/Watch for 4.021 s, being answered
          parents by wire                         2
        losses of the whole agent
          none
    "#]]
    .assert_eq(&it.to_string());
}

#[test]
fn without_an_agent_it_says_what_would_happen() {
    let it = Explanation::of(&known(Verdict::Ignore(Skip::NotSelected)), true);
    expect![[r#"
        process 7 (/usr/sbin/nginx, running)
          no agent runs; it would not be observed: no --pid, --exe or --port matches it
    "#]]
    .assert_eq(&it.to_string());
}

#[test]
fn a_question_over_the_socket_gets_the_owners_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let listener = server::bind(&path).unwrap();
    let (sender, mut questions) = tokio::sync::mpsc::channel::<Question>(1);
    runtime.spawn(server::serve(listener, sender));
    runtime.spawn(async move {
        while let Some(question) = questions.recv().await {
            let found =
                (question.pid == 7).then(|| Explanation::of(&known(Verdict::Ignore(Skip::Agent)), true));
            drop(question.answer.send(found));
        }
    });
    assert_eq!(ask(&path, 7).unwrap().map(|it| it.why), Some("it is this agent".into()));
    assert_eq!(ask(&path, 8).unwrap(), None);
    assert!(server::bind(&path).is_err(), "a second agent does not take the socket of a living one");
}
