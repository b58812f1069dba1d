//! Where a process runs, as its cgroups tell: the only thing that is read of a process before its pod is known.
//!
//! Not here: what the cgroups' names mean (see `enrich/container.rs`).

/// Pods and containers that a process is in, the innermost first: a cluster may run within a pod of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Uids, or digests of static pods' files, as the API writes them.
    pub pods: Vec<String>,
    /// Ids as engines give them.
    pub containers: Vec<String>,
}
