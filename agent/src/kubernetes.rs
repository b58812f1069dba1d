//! What Kubernetes says of this node: which pods are to be observed, and what their processes are called.
//!
//! Shape: [`watch`] on a thread of its own → [`Change`]s through a bounded channel → [`Cluster`], which whoever decides owns and asks.
//! A process is placed by its cgroups alone ([`Place`]): pod and container. Source: the API's `pods` of this node and those
//! `namespaces` that carry the label, if wanted `services` and their `endpointslices`, all by list and watch and nothing else.
//! Not here: a process's verdict (see `discover`), its resource (see `enrich`).
//! Invariant: what was last known holds until the API server says otherwise: its absence changes no verdict and no name.
mod answer;
mod check;
mod cluster;
mod identity;
mod object;
mod owner;
mod peers;
mod place;
mod resource;
mod services;
mod watch;

pub use answer::{Answer, By, LABEL, No, Said};
pub use check::{Checked, check};
pub use cluster::{Change, Cluster, Counts};
pub use identity::Identity;
pub use object::{Container, Pod};
pub use peers::Peer;
pub use place::Place;
pub use watch::{Access, Status, StatusHandle, start};

use std::path::PathBuf;

/// How the room works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node whose pods are watched, by its name in the API.
    pub node: String,
    /// How to reach the API server from outside a pod; `None`: as the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Do the labels `app.kubernetes.io/…` name services?
    pub names_by_labels: bool,
    /// Are Services and their endpoints watched too, to name who is called?
    pub peers: bool,
}
