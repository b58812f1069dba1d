//! Whose pod is it: the workload that a person knows, by the owner references of the pod alone.
//!
//! Shape: the pod's controlling owner and labels → [`Workload`]. What stands above the owner is read from its name, and only where
//! the name is certain: a ReplicaSet of a Deployment is called `<deployment>-<hash>`, and its pods carry that hash as a label; a Job
//! of a CronJob `<cronjob>-<minutes>`. So neither ReplicaSets nor Jobs need to be read. Source: the rules of the OpenTelemetry
//! operator, and Kubernetes' controllers.
use opentelemetry_semantic_conventions::attribute as key;
use std::collections::BTreeMap;

/// The label with a Deployment's hash, and what makes ReplicaSets so.
const HASHES: [(&str, &str); 2] =
    [("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout")];
/// Digits of a CronJob's schedule in its Jobs' names: minutes since 1970, before 1.21 seconds.
const SCHEDULE_DIGITS: std::ops::RangeInclusive<usize> = 8..=10;

/// What a pod's owner reference says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `ReplicaSet`, `Job`, ….
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The owners of a pod, from the nearest up; each with its uid where that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Workload {
    /// Kind and name.
    pub(super) owners: Vec<(String, String)>,
    /// The nearest owner's.
    pub(super) uid: Option<String>,
}

impl Workload {
    /// Of a pod with this owner and these labels.
    pub(super) fn of(owner: Option<&Owner>, labels: &BTreeMap<String, String>) -> Workload {
        let Some(owner) = owner else { return Workload::default() };
        let mut owners = vec![(owner.kind.clone(), owner.name.clone())];
        owners.extend(above(owner, labels));
        Workload { owners, uid: Some(owner.uid.clone()) }
    }

    /// The name that a person gave: that of the highest owner.
    pub(super) fn name(&self) -> Option<&str> {
        self.owners.last().map(|(_, name)| name.as_str())
    }
}

/// Who made the owner, if its name says so for certain.
fn above(owner: &Owner, labels: &BTreeMap<String, String>) -> Option<(String, String)> {
    let (kind, name) = match owner.kind.as_str() {
        "ReplicaSet" => HASHES.iter().find_map(|(label, kind)| {
            let name = owner.name.strip_suffix(labels.get(*label)?.as_str())?.strip_suffix('-')?;
            Some((*kind, name))
        })?,
        "Job" => {
            let (name, schedule) = owner.name.rsplit_once('-')?;
            let is_schedule = SCHEDULE_DIGITS.contains(&schedule.len())
                && schedule.bytes().all(|byte| byte.is_ascii_digit());
            ("CronJob", Some(name).filter(|_| is_schedule)?)
        }
        _ => return None,
    };
    (!name.is_empty()).then(|| (kind.to_owned(), name.to_owned()))
}

/// The conventions' keys for the name and the uid of an owner of this kind.
pub(super) fn keys(kind: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match kind {
        "Deployment" => (key::K8S_DEPLOYMENT_NAME, None),
        "ReplicaSet" => (key::K8S_REPLICASET_NAME, Some(key::K8S_REPLICASET_UID)),
        "StatefulSet" => (key::K8S_STATEFULSET_NAME, Some(key::K8S_STATEFULSET_UID)),
        "DaemonSet" => (key::K8S_DAEMONSET_NAME, Some(key::K8S_DAEMONSET_UID)),
        "Job" => (key::K8S_JOB_NAME, Some(key::K8S_JOB_UID)),
        "CronJob" => (key::K8S_CRONJOB_NAME, None),
        "ReplicationController" => {
            (key::K8S_REPLICATIONCONTROLLER_NAME, Some(key::K8S_REPLICATIONCONTROLLER_UID))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_read_from_names_only_where_they_are_certain() {
        let rows: [(&str, &str, &[(&str, &str)], &[&str]); 13] = [
            (
                "ReplicaSet",
                "front-7d4b9",
                &[("pod-template-hash", "7d4b9")],
                &["ReplicaSet front-7d4b9", "Deployment front"],
            ),
            (
                "ReplicaSet",
                "a-b-c-5f6",
                &[("pod-template-hash", "5f6")],
                &["ReplicaSet a-b-c-5f6", "Deployment a-b-c"],
            ),
            ("ReplicaSet", "alone", &[], &["ReplicaSet alone"]),
            ("ReplicaSet", "alone-x", &[("pod-template-hash", "y")], &["ReplicaSet alone-x"]),
            ("ReplicaSet", "5f6", &[("pod-template-hash", "5f6")], &["ReplicaSet 5f6"]),
            (
                "ReplicaSet",
                "shop-68d",
                &[("rollouts-pod-template-hash", "68d")],
                &["ReplicaSet shop-68d", "Rollout shop"],
            ),
            ("StatefulSet", "db", &[], &["StatefulSet db"]),
            ("DaemonSet", "proxy", &[("pod-template-hash", "proxy")], &["DaemonSet proxy"]),
            ("Job", "import-28934400", &[], &["Job import-28934400", "CronJob import"]),
            ("Job", "import-1612345678", &[], &["Job import-1612345678", "CronJob import"]),
            ("Job", "import-2024", &[], &["Job import-2024"]),
            ("Job", "import-abcdefgh", &[], &["Job import-abcdefgh"]),
            ("Sandbox", "one", &[], &["Sandbox one"]),
        ];
        for (kind, name, labels, expected) in rows {
            let owner = Owner { kind: kind.into(), name: name.into(), uid: "u".into() };
            let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            let workload = Workload::of(Some(&owner), &labels);
            let owners: Vec<String> =
                workload.owners.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
            assert_eq!(owners, expected, "{kind} {name}");
        }
        assert_eq!(Workload::of(None, &BTreeMap::new()).name(), None);
    }
}
