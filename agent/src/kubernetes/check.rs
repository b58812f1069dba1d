//! For `doctor`: is the API server reached, and may the agent ask what it has to ask?
//!
//! Shape: [`Settings`] → one [`Checked`] per verb and resource. Asks exactly what the watches ask, one object at most.
use super::{
    Settings,
    object::ApiPod,
    services::{ApiService, ApiSlice},
    watch::{Watched, client, label_selector, node_selector, refusal, root_cause},
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ListParams, WatchParams},
    core::{PartialObjectMeta, Resource},
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, time::Duration};

/// Time for each question.
const WITHIN: Duration = Duration::from_secs(5);

/// One question to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// `list pods`, ….
    pub name: String,
    /// Was it answered?
    pub ok: bool,
    /// How, or what is missing.
    pub detail: String,
}

/// Asks, and waits for the answers: seconds at most.
pub fn check(settings: &Settings) -> Vec<Checked> {
    let failed = |detail| vec![Checked { name: "API server".into(), ok: false, detail }];
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async {
            match client(settings).await {
                Ok(client) => ask(settings, client).await,
                Err(why) => failed(why),
            }
        }),
        Err(error) => failed(error.to_string()),
    }
}

async fn ask(settings: &Settings, client: Client) -> Vec<Checked> {
    let node = node_selector(&settings.node);
    let label = label_selector();
    let mut checks = Vec::new();
    let pods = (ListParams::default().fields(&node), WatchParams::default().fields(&node));
    checks.extend(both::<ApiPod>(Watched::Pods, &Api::all(client.clone()), pods).await);
    let namespaces = (ListParams::default().labels(&label), WatchParams::default().labels(&label));
    let api = Api::<PartialObjectMeta<Namespace>>::all(client.clone());
    checks.extend(both(Watched::Namespaces, &api, namespaces).await);
    if settings.peers {
        let all = || (ListParams::default(), WatchParams::default());
        checks.extend(both::<ApiService>(Watched::Services, &Api::all(client.clone()), all()).await);
        checks.extend(both::<ApiSlice>(Watched::Slices, &Api::all(client), all()).await);
    }
    checks
}

async fn both<K>(which: Watched, api: &Api<K>, (list, watch): (ListParams, WatchParams)) -> [Checked; 2]
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let listed = timed(async { api.list(&list.limit(1)).await.map(|_| ()) }).await;
    let watched = timed(async { api.watch(&watch.timeout(1), "0").await.map(|_| ()) }).await;
    [checked(which, "list", listed), checked(which, "watch", watched)]
}

async fn timed(question: impl Future<Output = kube::Result<()>>) -> Result<(), Option<kube::Error>> {
    match tokio::time::timeout(WITHIN, question).await {
        Ok(answer) => answer.map_err(Some),
        Err(_) => Err(None),
    }
}

fn checked(which: Watched, verb: &str, answer: Result<(), Option<kube::Error>>) -> Checked {
    let name = format!("{verb} {which}");
    let detail = match &answer {
        Ok(()) => "answered".to_owned(),
        Err(None) => format!("no answer within {} s", WITHIN.as_secs()),
        Err(Some(kube::Error::Api(status))) => {
            refusal(which, verb, status.code).unwrap_or_else(|| status.message.clone())
        }
        Err(Some(error)) => root_cause(&error),
    };
    Checked { name, ok: answer.is_ok(), detail }
}
