//! Where a process runs, as its cgroups tell: the only thing that is read of a process before its pod is known.
//!
//! Shape: the text of `/proc/PID/cgroup` → [`Place`]. What the names mean is known to `enrich/container.rs`.
use crate::enrich::{Container, containers};

/// Pods and containers that a process is in, the innermost first: a cluster may run within a pod of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Uids, or digests of static pods' files, as the API writes them.
    pub pods: Vec<String>,
    /// Ids: 64 hexadecimal digits.
    pub containers: Vec<String>,
}

impl Place {
    /// Reads the text of `/proc/PID/cgroup`.
    pub fn of(cgroups: &str) -> Place {
        let mut place = Place::default();
        for Container { id, pod_uid, .. } in containers(cgroups).into_iter().rev() {
            place.containers.push(id);
            place.pods.extend(pod_uid.filter(|uid| !place.pods.contains(uid)));
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";
    const SYSTEMD_UID: &str = "0a1b2c3d_1111_2222_3333_444455556666";
    const STATIC: &str = "0123456789abcdef0123456789abcdef";

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn pods_and_containers_are_read_from_every_drivers_names() {
        let id = id();
        let outer = "f".repeat(64);
        let slice = format!("kubepods-burstable-pod{SYSTEMD_UID}.slice");
        let v1 = format!("kubepods/besteffort/pod{STATIC}/{id}");
        let rows = [
            (format!("0::/kubepods/burstable/pod{UID}/{id}\n"), UID),
            (format!("0::/kubepods.slice/kubepods-burstable.slice/{slice}/cri-containerd-{id}.scope\n"), UID),
            (format!("0::/kubepods.slice/{slice}/crio-{id}.scope\n"), UID),
            (format!("0::/../../{slice}/cri-containerd-{id}.scope\n"), UID),
            (format!("12:pids:/{v1}\n1:name=systemd:/{v1}\n0::/\n"), STATIC),
            (format!("0::/docker/{outer}/kubelet/kubepods/burstable/pod{UID}/{id}\n"), UID),
            (format!("0::/system.slice/containerd.service/{slice}:cri-containerd:{id}\n"), UID),
        ];
        for (text, pod) in rows {
            let place = Place::of(&text);
            assert_eq!(place.pods, [pod], "{text}");
            assert_eq!(place.containers.first(), Some(&id), "{text}");
        }
    }

    #[test]
    fn of_pods_within_pods_the_innermost_is_first() {
        let (inner, outer) = (id(), "f".repeat(64));
        let other = "9a1b2c3d-1111-2222-3333-444455556666";
        let place = Place::of(&format!("0::/kubepods/pod{other}/{outer}/kubelet/kubepods/pod{UID}/{inner}"));
        assert_eq!(place.pods, [UID, other]);
        assert_eq!(place.containers, [inner, outer]);
    }
}
