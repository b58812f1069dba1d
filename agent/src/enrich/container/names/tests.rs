//! Questions to an engine that answers, does not know, is silent, or is not there.
use super::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
    runtime::Builder,
    sync::Semaphore,
};

/// A container, and an engine that answers each request with this text, as soon as it may.
struct World {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    may_answer: Arc<Semaphore>,
}

impl World {
    fn new() -> World {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        World { runtime, folder: tempfile::tempdir().unwrap(), may_answer: Arc::new(Semaphore::new(0)) }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    fn engine(&self, status: &'static str, body: &'static str) {
        let _inside = self.runtime.enter();
        let listener = UnixListener::bind(self.socket()).unwrap();
        let may_answer = Arc::clone(&self.may_answer);
        self.runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                assert!(
                    request.starts_with("GET /containers/") && request.contains("/json HTTP/1.1\r\n"),
                    "{request}"
                );
                may_answer.acquire().await.unwrap().forget();
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
    }

    fn names(&self) -> Names {
        Names::new(vec![self.folder.path().join("none.sock"), self.socket()], self.runtime.handle().clone())
    }

    /// Waits until a question is answered, whatever the answer.
    fn settle(&self, names: &mut Names) -> Vec<(String, Named)> {
        self.runtime.block_on(async {
            let (id, answer) = names.answers.recv().await.unwrap();
            names.answer.send((id, answer)).await.unwrap();
        });
        names.answers()
    }
}

fn container() -> Container {
    Container { id: "3".repeat(64), engine: Some(Engine::Docker), pod_uid: None, named: None }
}

const INSPECT: &str = r#"{"Name":"/cart","Config":{"Image":"shop/cart:2"}}"#;

#[test]
fn a_container_is_asked_about_once_and_its_next_process_is_named_at_once() {
    let world = World::new();
    world.engine("200 OK", INSPECT);
    world.may_answer.add_permits(9);
    let mut names = world.names();
    let mut first = container();
    names.ask(&mut first);
    names.ask(&mut first);
    let answers = world.settle(&mut names);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1.name.as_deref(), Some("cart"));
    let mut second = container();
    names.ask(&mut second);
    assert_eq!(second.named.as_ref(), Some(&answers[0].1));
    assert_eq!((names.counts().asked, names.counts().named), (1, 1));
}

#[test]
fn an_engine_that_is_silent_is_waited_for_and_asked_again_by_the_next_process() {
    let world = World::new();
    world.engine("200 OK", INSPECT);
    let mut names = world.names();
    let mut asked = container();
    assert!(!names.awaits(&asked));
    names.ask(&mut asked);
    assert!(names.awaits(&asked) && names.are_asked());
    assert!(world.settle(&mut names).is_empty());
    assert!(!names.awaits(&asked) && !names.are_asked());
    assert_eq!(names.counts().unanswered, 1);
    names.ask(&mut asked);
    assert_eq!(names.counts().asked, 2);
}

#[test]
fn a_container_that_no_engine_knows_is_not_asked_about_again() {
    let world = World::new();
    world.engine("404 Not Found", r#"{"message":"No such container"}"#);
    world.may_answer.add_permits(9);
    let mut names = world.names();
    let mut asked = container();
    names.ask(&mut asked);
    assert!(world.settle(&mut names).is_empty());
    names.ask(&mut asked);
    assert_eq!((asked.named, names.counts().asked, names.counts().unknown), (None, 1, 1));
}

#[test]
fn nobody_is_asked_about_pods_or_where_no_engine_is_configured() {
    let world = World::new();
    let mut names = world.names();
    names.ask(&mut Container { pod_uid: Some("u".into()), ..container() });
    names.ask(&mut Container { engine: Some(Engine::CriO), ..container() });
    names.ask(&mut Container { id: "web".into(), engine: Some(Engine::Docker), ..container() });
    assert_eq!(names.counts().asked, 0);
    let mut nobody = Names::new(Vec::new(), world.runtime.handle().clone());
    nobody.ask(&mut container());
    assert_eq!(nobody.counts().asked, 0);
    assert!(!nobody.are_asked());
}

#[test]
fn an_engine_is_not_asked_about_anothers_containers() {
    let rows = [
        ("/var/run/docker.sock", Some(Engine::Docker), true),
        ("/var/run/docker.sock", Some(Engine::Podman), false),
        ("/run/podman/podman.sock", Some(Engine::Podman), true),
        ("/run/podman/podman.sock", Some(Engine::Docker), false),
        ("/run/user/1000/podman/podman.sock", None, true),
        ("/run/other.sock", None, true),
    ];
    for (socket, engine, expected) in rows {
        assert_eq!(serves(Path::new(socket), engine), expected, "{socket} {engine:?}");
    }
}

#[test]
fn questions_and_answers_are_bounded() {
    let world = World::new();
    let mut names = world.names();
    for number in 0..OPEN + WAITING + 5 {
        names.ask(&mut Container { id: format!("{number:064x}"), ..container() });
    }
    assert_eq!((names.open, names.waiting.len()), (OPEN, WAITING));
    assert_eq!(names.counts().refused, 5);
    for number in 0..KNOWN + 5 {
        names.remember(format!("{number:064x}"), None);
    }
    assert_eq!((names.known.len(), names.ages.len()), (KNOWN, KNOWN));
}
