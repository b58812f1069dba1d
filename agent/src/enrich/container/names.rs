//! Asks engines for the names of containers.
//!
//! Shape: [`Names::ask`] when a process is learned, [`Names::answers`] on every turn of the observer. One request per container, of a local socket, on the runtime of the exporters: the observer never waits.
//! Invariant: questions and answers that are remembered are bounded, and what stays without a name is counted. Not here: spans that wait for
//! one (see `pipeline/waiting.rs`).
use super::{Container, Engine, Named, is_hash};
use bytes::Bytes;
use foldhash::fast::RandomState;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use tokio::{net::UnixStream, runtime::Handle, sync::mpsc, time::timeout};
use tracing::debug;
use wirespan_core::counters;

/// Questions that are open at the same time; more wait.
const OPEN: usize = 32;
/// Containers that wait to be asked about.
const WAITING: usize = 1_024;
/// Containers whose answer is remembered.
const KNOWN: usize = 4_096;
/// How long an engine may take, and a span may wait for that. An engine that starts a container answers when that is done.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes read of an answer.
const ANSWER_BYTES: usize = 1 << 20;

counters! {
    /// Work and losses of asking for names.
    Counts in "containers" {
        asked: "work", "containers", "Containers whose engine was asked for their names.";
        named: "work", "containers", "Containers whose names are known.";
        unknown: "skip", "containers", "Containers that no engine that was asked knows: their spans have the id alone.";
        unanswered: "loss", "containers", "Containers whose engine could not be asked or did not answer in time: their spans have the id alone, until another process of theirs is learned.";
        refused: "loss", "containers", "Containers that were not asked about because too many wait.";
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
enum NoAnswer {
    #[error("cannot connect to {path}: {source}")]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("cannot read the answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the engine answered {0}")]
    Status(StatusCode),
    #[error("the engine did not answer within {PATIENCE:?}")]
    Late,
}

/// An answer: `None` if no engine knows the container.
type Answer = Result<Option<Named>, NoAnswer>;

/// The container's id with it.
type Answered = (String, Answer);

/// See the file's doc.
pub struct Names {
    sockets: Arc<[PathBuf]>,
    runtime: Handle,
    open: usize,
    waiting: VecDeque<(String, Option<Engine>)>,
    /// Both of them.
    pending: HashSet<String, RandomState>,
    known: HashMap<String, Option<Named>, RandomState>,
    /// In the order they were learned.
    ages: VecDeque<String>,
    answer: mpsc::Sender<Answered>,
    answers: mpsc::Receiver<Answered>,
    counts: Counts,
}

impl Names {
    /// Engines behind these sockets, asked one after the other; none: nobody is asked, and no span waits.
    pub fn new(sockets: Vec<PathBuf>, runtime: Handle) -> Names {
        let (answer, answers) = mpsc::channel(OPEN);
        Names {
            sockets: sockets.into(),
            runtime,
            open: 0,
            waiting: VecDeque::new(),
            pending: HashSet::default(),
            known: HashMap::default(),
            ages: VecDeque::new(),
            answer,
            answers,
            counts: Counts::default(),
        }
    }

    /// Fills in what is known of a container, or asks for it.
    pub fn ask(&mut self, container: &mut Container) {
        if let Some(named) = self.known.get(&container.id) {
            container.named.clone_from(named);
            return;
        }
        let is_theirs = matches!(container.engine, None | Some(Engine::Docker | Engine::Podman));
        // What Kubernetes runs, the API server names.
        let is_asked = is_theirs && container.pod_uid.is_none() && is_hash(&container.id);
        let is_known_to_nobody = || !self.sockets.iter().any(|socket| serves(socket, container.engine));
        if !is_asked || is_known_to_nobody() || self.pending.contains(&container.id) {
            return;
        }
        if self.waiting.len() >= WAITING {
            self.counts.refused += 1;
            return;
        }
        self.pending.insert(container.id.clone());
        self.waiting.push_back((container.id.clone(), container.engine));
        self.start();
    }

    /// Names that came since the last call.
    pub fn answers(&mut self) -> Vec<(String, Named)> {
        let mut named = Vec::new();
        while let Ok((id, answer)) = self.answers.try_recv() {
            self.open -= 1;
            self.pending.remove(&id);
            match answer {
                Ok(Some(names)) => {
                    self.counts.named += 1;
                    self.remember(id.clone(), Some(names.clone()));
                    named.push((id, names));
                }
                Ok(None) => {
                    self.counts.unknown += 1;
                    self.remember(id, None);
                }
                Err(error) => {
                    self.counts.unanswered += 1;
                    debug!(container = id, %error, "no names for a container");
                }
            }
        }
        self.start();
        named
    }

    /// Are questions open?
    pub fn are_asked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Is this container's engine still to answer?
    pub fn awaits(&self, container: &Container) -> bool {
        self.pending.contains(&container.id)
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn start(&mut self) {
        while self.open < OPEN
            && let Some((id, engine)) = self.waiting.pop_front()
        {
            self.counts.asked += 1;
            self.open += 1;
            let (sockets, answers) = (Arc::clone(&self.sockets), self.answer.clone());
            self.runtime.spawn(async move {
                let look_up = look_up(&sockets, &id, engine);
                let answer = timeout(PATIENCE, look_up).await.unwrap_or(Err(NoAnswer::Late));
                // Nobody listens when the agent has stopped.
                drop(answers.send((id, answer)).await);
            });
        }
    }

    fn remember(&mut self, id: String, named: Option<Named>) {
        if self.ages.len() >= KNOWN
            && let Some(oldest) = self.ages.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(id.clone(), named).is_none() {
            self.ages.push_back(id);
        }
    }
}

/// Is the container's engine behind this socket? A question starts an engine that systemd listens for: one that cannot know the
/// answer is not asked.
fn serves(socket: &Path, engine: Option<Engine>) -> bool {
    let is_podmans = socket.to_string_lossy().contains("podman");
    match engine {
        Some(Engine::Docker) => !is_podmans,
        Some(Engine::Podman) => is_podmans,
        _ => true,
    }
}

/// The first engine that knows the container. One that cannot be asked is an error only if no other knows it.
async fn look_up(sockets: &[PathBuf], id: &str, engine: Option<Engine>) -> Answer {
    let mut answer = Ok(None);
    for socket in sockets.iter().filter(|socket| serves(socket, engine)) {
        match inspect(socket, id).await {
            Ok(Some(named)) => return Ok(Some(named)),
            Ok(None) => {}
            Err(NoAnswer::Connect { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => answer = Err(error),
        }
    }
    answer
}

async fn inspect(socket: &Path, id: &str) -> Answer {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| NoAnswer::Connect { path: socket.to_owned(), source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    if let Ok(uri) = format!("/containers/{id}/json").parse() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().insert(HOST, hyper::header::HeaderValue::from_static("localhost"));
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(NoAnswer::Body);
    connection.abort();
    match status {
        StatusCode::OK => Ok(Named::read(&body?.to_bytes())),
        StatusCode::NOT_FOUND => Ok(None),
        other => Err(NoAnswer::Status(other)),
    }
}

#[cfg(test)]
mod tests;
