//! The agent's end of `explain`: a unix socket, one question a line, one JSON line each.
//!
//! Shape: [`Question`]s go over a bounded channel to the thread that owns the state; it answers when it next looks.
//! Bounded: a line of 64 bytes, four connections at once, one second to ask.
use super::Explanation;
use std::{
    fs, io,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream as Connected},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{self, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tracing::warn;

/// A pid, and where the answer goes.
pub struct Question {
    /// Which process.
    pub pid: u32,
    /// Gets `None` for a pid that was never seen.
    pub answer: oneshot::Sender<Option<Explanation>>,
}

const LINE_BYTES: u64 = 64;
const ASKERS: usize = 4;
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// Binds `path` for root alone, replacing a socket that a dead agent left. An agent that still answers there keeps it.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if Connected::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent answers there"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers until it is dropped.
pub async fn serve(listener: UnixListener, questions: mpsc::Sender<Question>) {
    let listener = match net::UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "cannot wait on the agent's socket"),
    };
    let askers = Arc::new(Semaphore::new(ASKERS));
    loop {
        let Ok(permit) = Arc::clone(&askers).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept on the agent's socket");
                tokio::time::sleep(ASK_WITHIN).await;
                continue;
            }
        };
        let questions = questions.clone();
        tokio::spawn(async move {
            // An asker that goes away or talks nonsense gets no answer; nothing depends on it.
            drop(timeout(super::ANSWER_WITHIN, converse(stream, questions)).await);
            drop(permit);
        });
    }
}

async fn converse(stream: UnixStream, questions: mpsc::Sender<Question>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    timeout(ASK_WITHIN, BufReader::new(reader.take(LINE_BYTES)).read_line(&mut line)).await??;
    let Some(pid) = line.strip_prefix("explain ").and_then(|pid| pid.trim().parse().ok()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (answer, answered) = oneshot::channel();
    let full = |_| io::Error::from(io::ErrorKind::WouldBlock);
    questions.try_send(Question { pid, answer }).map_err(full)?;
    let explanation = answered.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
    let mut json = serde_json::to_vec(&explanation)?;
    json.push(b'\n');
    writer.write_all(&json).await
}
