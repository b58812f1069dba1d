//! The watches: a thread of their own, which may wait as long as the API server makes it.
//!
//! Shape: [`start`] → a bounded channel of [`Change`]s and a [`StatusHandle`]. A full channel makes the watch wait, never its
//! reader; a watch that falls behind so is listed again. Requests: list and watch of the node's pods (`spec.nodeName`) and, as
//! metadata, of the namespaces that carry the label, if peers are to be named of all Services
//! and their endpoints, and nothing else. Lists come from the API server's cache, which has an index
//! of nodes. After a failure it is tried again after up to 20 s, spread by chance.
use super::{
    LABEL, Settings,
    cluster::Change,
    object::{ApiPod, Pod},
    peers::{Peer, Source},
    services::{ApiService, ApiSlice},
};
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, DefaultBackoff, Event},
    },
};
use std::{
    error::Error,
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Changes that wait for whoever decides.
const WAITING: usize = 256;
/// So long after a failure there would have been another attempt, and its failure: pauses are up to 20 s, an attempt takes up to 30 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before the configuration is read again, where it could not be: a service account's files may come later.
const CONFIG_PAUSE: Duration = Duration::from_secs(5);

/// Pauses between attempts: a third of those that controllers make, so from a quarter of a second to 10 s and by chance up to twice
/// that. A person who labels a namespace just after the API server is back waits for this.
#[derive(Default)]
struct Pauses(DefaultBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next()? / 3)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// How a resource is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// No answer yet.
    #[default]
    Waiting,
    /// Listed, and watched.
    Reached,
    /// Not at the last attempt: in half a sentence why, and when that was.
    Failing(String, Instant),
}

/// How the API server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// This node's pods.
    pub pods: Access,
    /// Labelled namespaces.
    pub namespaces: Access,
    /// Services, if they are watched.
    pub services: Option<Access>,
    /// Their endpoints, likewise.
    pub slices: Option<Access>,
}

impl Status {
    /// Half a sentence for each resource that is not reached.
    pub fn troubles(&self) -> Vec<String> {
        let told = |name: Watched, access: &Access| match access {
            Access::Reached => None,
            Access::Waiting => Some(format!("the API server has not listed {name} yet")),
            // A watch that goes on where it stopped is told of by nothing but its silence.
            Access::Failing(_, at) if at.elapsed() > SILENCE => None,
            Access::Failing(why, _) => Some(format!("{why}; what was last known of {name} holds")),
        };
        let always = [(Watched::Pods, Some(&self.pods)), (Watched::Namespaces, Some(&self.namespaces))];
        let optional = [(Watched::Services, self.services.as_ref()), (Watched::Slices, self.slices.as_ref())];
        always.into_iter().chain(optional).filter_map(|(which, access)| told(which, access?)).collect()
    }
}

/// The present [`Status`], shared with the thread that keeps it.
#[derive(Clone, Debug, Default)]
pub struct StatusHandle(Arc<Mutex<Status>>);

impl StatusHandle {
    /// As it is now.
    pub fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, which: Watched, access: Access) {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match which {
            Watched::Pods => &mut status.pods,
            Watched::Namespaces => &mut status.namespaces,
            Watched::Services => status.services.get_or_insert_default(),
            Watched::Slices => status.slices.get_or_insert_default(),
        };
        match &access {
            Access::Failing(why, _) if matches!(place, Access::Failing(before, _) if before == why) => {}
            Access::Failing(why, _) => warn!("{why}; what was last known holds, and it is tried again"),
            Access::Reached if *place == Access::Reached => {}
            Access::Reached => info!("the API server tells of {which}"),
            Access::Waiting => {}
        }
        *place = access;
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// `pods`.
    Pods,
    /// `namespaces`.
    Namespaces,
    /// `services`.
    Services,
    /// `endpointslices`.
    Slices,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Watched::Pods => "pods",
            Watched::Namespaces => "namespaces",
            Watched::Services => "services",
            Watched::Slices => "endpointslices",
        })
    }
}

/// Starts the watches. They end when the receiver is dropped.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(settings: Settings) -> io::Result<(mpsc::Receiver<Change>, StatusHandle)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let status = StatusHandle::default();
    let shared = status.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("kubernetes".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = run(&settings, &sender, &shared) => {}
                () = sender.closed() => {}
            }
        });
    })?;
    Ok((receiver, status))
}

async fn run(settings: &Settings, sender: &mpsc::Sender<Change>, status: &StatusHandle) {
    let client = loop {
        match client(settings).await {
            Ok(client) => break client,
            Err(why) => {
                status.set(Watched::Pods, Access::Failing(why.clone(), Instant::now()));
                status.set(Watched::Namespaces, Access::Failing(why, Instant::now()));
                tokio::time::sleep(CONFIG_PAUSE).await;
            }
        }
    };
    let pods = watcher::watcher(Api::<ApiPod>::all(client.clone()), node_pods(&settings.node));
    let peers = async {
        if !settings.peers {
            return;
        }
        let services = watcher::watcher(Api::<ApiService>::all(client.clone()), everywhere());
        let slices = watcher::watcher(Api::<ApiSlice>::all(client.clone()), everywhere());
        let service = |event| Some(peer_change(Source::Service, event));
        let slice = |event| Some(peer_change(Source::Slice, event));
        tokio::join!(
            follow(Watched::Services, services, service, sender, status),
            follow(Watched::Slices, slices, slice, sender, status),
        );
    };
    let namespaces = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
    let namespaces = watcher::watcher(namespaces, labelled());
    tokio::join!(
        follow(Watched::Pods, pods, pod_change, sender, status),
        follow(Watched::Namespaces, namespaces, namespace_change, sender, status),
        peers,
    );
}

/// What is asked of Services and their endpoints.
fn everywhere() -> watcher::Config {
    watcher::Config::default().any_semantic()
}

/// What is asked of pods.
fn node_pods(node: &str) -> watcher::Config {
    watcher::Config::default().any_semantic().fields(&node_selector(node))
}

/// Pods of this node alone.
pub(super) fn node_selector(node: &str) -> String {
    format!("spec.nodeName={node}")
}

/// Namespaces that opt in.
pub(super) fn label_selector() -> String {
    format!("{LABEL}=enabled")
}

/// What is asked of namespaces.
fn labelled() -> watcher::Config {
    watcher::Config::default().any_semantic().labels(&label_selector())
}

/// A client, or half a sentence.
pub(super) async fn client(settings: &Settings) -> Result<Client, String> {
    let config = match &settings.kubeconfig {
        Some(path) => {
            let failed = |error: &dyn Error| {
                format!("kubeconfig {} cannot be used: {}", path.display(), root_cause(error))
            };
            let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| failed(&error))?
        }
        None => Config::incluster_env()
            .map_err(|error| format!("the service account cannot be used: {}", root_cause(&error)))?,
    };
    Client::try_from(config).map_err(|error| format!("no client of the API server: {}", root_cause(&error)))
}

/// Carries one watch to the channel, for ever.
async fn follow<K: Send>(
    which: Watched,
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    change: impl Fn(Event<K>) -> Option<Change>,
    sender: &mpsc::Sender<Change>,
    status: &StatusHandle,
) {
    let mut stream = pin!(stream.backoff(Pauses::default()));
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init) {
                    status.set(which, Access::Reached);
                }
                let Some(change) = change(event) else { continue };
                if sender.send(change).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if let Some(why) = trouble(which, &error) {
                    status.set(which, Access::Failing(why, Instant::now()));
                }
            }
        }
    }
}

fn pod_change(event: Event<ApiPod>) -> Option<Change> {
    let pod = |pod: ApiPod, listed| {
        let pod = Box::new(Pod::from(pod));
        (!pod.uid.is_empty()).then_some(Change::Pod { pod, listed })
    };
    match event {
        Event::Init => Some(Change::PodsBegin),
        Event::InitApply(listed) => pod(listed, true),
        Event::Apply(changed) => pod(changed, false),
        Event::Delete(gone) => Some(Change::PodGone(Pod::from(gone).uid)),
        Event::InitDone => Some(Change::PodsComplete),
    }
}

fn namespace_change(event: Event<PartialObjectMeta<Namespace>>) -> Option<Change> {
    match event {
        Event::Init => Some(Change::NamespacesBegin),
        Event::InitApply(it) => Some(Change::Namespace { name: it.metadata.name?, listed: true }),
        Event::Apply(it) => Some(Change::Namespace { name: it.metadata.name?, listed: false }),
        Event::Delete(it) => Some(Change::NamespaceGone(it.metadata.name?)),
        Event::InitDone => Some(Change::NamespacesComplete),
    }
}

fn peer_change<K: Into<Peer>>(source: Source, event: Event<K>) -> Change {
    match event {
        Event::Init => Change::PeersBegin(source),
        Event::InitApply(listed) => Change::Peer { peer: listed.into(), listed: true },
        Event::Apply(changed) => Change::Peer { peer: changed.into(), listed: false },
        Event::Delete(gone) => Change::PeerGone(gone.into().uid),
        Event::InitDone => Change::PeersComplete(source),
    }
}

/// Half a sentence about a failure; `None` for what belongs to a watch's life: the server forgets, and it is listed again.
fn trouble(which: Watched, error: &watcher::Error) -> Option<String> {
    use kube::Error::Api;
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(Api(status)) => refusal(which, "list", status.code),
        WatchStartFailed(Api(status)) => refusal(which, "watch", status.code),
        WatchError(status) => return refusal(which, "watch", status.code).filter(|_| status.code != 410),
        // The connection ended: the next attempt says whether the server is there.
        WatchFailed(_) => return None,
        _ => None,
    }
    .or_else(|| Some(format!("the API server does not tell of {which}: {}", root_cause(error))))
}

/// The innermost error: those around it say where in the client it happened.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// What a status code of the API server means for the agent.
pub(super) fn refusal(which: Watched, verb: &str, code: u16) -> Option<String> {
    match code {
        401 => Some("the API server does not accept the agent's credentials".to_owned()),
        403 => Some(format!("the agent's service account lacks the verb `{verb}` on `{which}`")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status as ApiStatus;

    fn status(code: u16) -> Box<ApiStatus> {
        Box::new(ApiStatus::failure("no", "Reason").with_code(code))
    }

    #[test]
    fn a_missing_verb_is_named_and_an_expired_watch_is_no_trouble() {
        let list = watcher::Error::InitialListFailed(kube::Error::Api(status(403)));
        let watch = watcher::Error::WatchStartFailed(kube::Error::Api(status(403)));
        let lacks = |verb| Some(format!("the agent's service account lacks the verb `{verb}` on `pods`"));
        assert_eq!(trouble(Watched::Pods, &list), lacks("list"));
        assert_eq!(trouble(Watched::Pods, &watch), lacks("watch"));
        assert_eq!(trouble(Watched::Pods, &watcher::Error::WatchError(status(410))), None);
        let down = watcher::Error::InitialListFailed(kube::Error::Api(status(503)));
        assert!(trouble(Watched::Namespaces, &down).unwrap().contains("does not tell of namespaces"));
    }

    #[test]
    fn what_is_not_reached_is_told() {
        let handle = StatusHandle::default();
        assert_eq!(handle.get().troubles().len(), 2);
        handle.set(Watched::Pods, Access::Reached);
        handle.set(Watched::Namespaces, Access::Failing("no".into(), Instant::now()));
        assert_eq!(handle.get().troubles(), ["no; what was last known of namespaces holds"]);
        let long_ago = Instant::now() - SILENCE - Duration::from_secs(1);
        handle.set(Watched::Namespaces, Access::Failing("no".into(), long_ago));
        assert!(handle.get().troubles().is_empty());
    }
}
