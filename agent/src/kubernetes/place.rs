//! Where a process runs, as its cgroups tell: the only thing that is read of a process before its pod is known.
//!
//! Shape: the text of `/proc/PID/cgroup` → [`Place`]. Source: the names that the kubelet gives, with both cgroup drivers:
//! `/kubepods/burstable/pod<uid>/<id>` and `/kubepods.slice/kubepods-pod<uid with _>.slice/cri-containerd-<id>.scope`.
//! A static pod's name holds the digest of its file instead of a uid. Not here: containers outside pods (see `enrich`).

/// Pods and containers that a process is in, the innermost first: a cluster may run within a pod of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Uids, or digests of static pods' files, as the API writes them.
    pub pods: Vec<String>,
    /// Ids: 64 hexadecimal digits.
    pub containers: Vec<String>,
}

impl Place {
    /// Reads the text of `/proc/PID/cgroup`. With cgroup v1 every hierarchy says the same, and some say nothing.
    pub fn of(cgroups: &str) -> Place {
        let mut place = Place::default();
        for line in cgroups.lines() {
            let Some(path) = line.splitn(3, ':').nth(2) else { continue };
            for name in path.split(['/', ':']).rev() {
                add(&mut place.pods, pod(name));
                add(&mut place.containers, container(name));
            }
        }
        place
    }
}

fn add(known: &mut Vec<String>, found: Option<String>) {
    if let Some(found) = found.filter(|found| !known.contains(found)) {
        known.push(found);
    }
}

/// `pod<uid>`, or `kubepods[-<class>]-pod<uid>.slice` with `_` for `-`.
fn pod(name: &str) -> Option<String> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1,
        None => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups: Vec<usize> = uid.split('-').map(str::len).collect();
    let is_uid = groups == [8, 4, 4, 4, 12] || groups == [32];
    (is_uid && uid.split('-').all(is_hex)).then_some(uid)
}

/// `<id>`, or `<runtime>-<id>.scope`. A monitor's own cgroup (`crio-conmon-<id>`) is not the container.
fn container(name: &str) -> Option<String> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    if name.contains("-conmon-") {
        return None;
    }
    let id = name.rsplit('-').next().unwrap_or(name);
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
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
        let rows = [
            (format!("0::/kubepods/burstable/pod{UID}/{id}\n"), UID),
            (format!("0::/kubepods/pod{UID}/{id}\n"), UID),
            (format!("0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SYSTEMD_UID}.slice/cri-containerd-{id}.scope\n"), UID),
            (format!("0::/kubepods.slice/kubepods-pod{SYSTEMD_UID}.slice/crio-{id}.scope\n"), UID),
            (format!("0::/../../kubepods-burstable-pod{SYSTEMD_UID}.slice/cri-containerd-{id}.scope\n"), UID),
            (format!("12:pids:/kubepods/besteffort/pod{STATIC}/{id}\n1:name=systemd:/kubepods/besteffort/pod{STATIC}/{id}\n0::/\n"), STATIC),
            (format!("0::/docker/{outer}/kubelet/kubepods/burstable/pod{UID}/{id}\n"), UID),
            (format!("0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SYSTEMD_UID}.slice/cri-containerd-{id}.scope\n"), UID),
            (format!("0::/system.slice/containerd.service/kubepods-burstable-pod{SYSTEMD_UID}.slice:cri-containerd:{id}\n"), UID),
        ];
        for (text, pod) in rows {
            let place = Place::of(&text);
            assert_eq!(place.pods.first().map_or("", String::as_str), pod, "{text}");
            assert_eq!(place.containers.first(), Some(&id), "{text}");
        }
    }

    #[test]
    fn what_is_in_no_pod_has_no_place() {
        for text in ["0::/", "0::/user.slice/user-0.slice/session-1.scope", "0::/system.slice/podman.service", "0::/podracer", "garbage"] {
            assert_eq!(Place::of(text), Place::default(), "{text}");
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
