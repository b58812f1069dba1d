//! Which container a process is in, or which systemd service, by the names of its control groups.
//!
//! Shape: text of `/proc/PID/cgroup` (versions 1, 2 and both) → [`Place`]. Source: cgroups(7), systemd.slice(5), and what each engine
//! names its groups; `tests/fixtures/cgroup` holds one of every form that is known.
//! Not here: names and images (the engine knows them), pods (the API server does).
//! Invariant: nothing is guessed. An id is what an engine makes, at a place where one puts it; two that contradict are none.
use serde::{Deserialize, Serialize};

/// Bytes of the text that are looked at: the kernel writes one line per hierarchy, a path has at most 4 KiB.
const TEXT_BYTES: usize = 64 * 1024;
/// Characters of an id that engines make from a hash.
const HASH: usize = 64;

/// What engines put before an id, in the group of a container. Monitors (`crio-conmon-…`) are none: what follows is no id.
const PREFIXES: &[(&str, Engine)] = &[
    ("docker-", Engine::Docker),
    ("cri-containerd-", Engine::Containerd),
    ("nerdctl-", Engine::Containerd),
    ("crio-", Engine::CriO),
    ("libpod-payload-", Engine::Podman),
    ("libpod-", Engine::Podman),
];

/// Groups that engines put a container's group into.
const PARENTS: &[(&str, Engine)] =
    &[("docker", Engine::Docker), ("k8s.io", Engine::Containerd), ("moby", Engine::Docker)];

/// Groups below which a hash is something else: Podman's pods, and what Kata runs outside its sandboxes.
const NOT_CONTAINERS: &[&str] = &["libpod_parent", "kata_overhead"];

/// Groups that only a system inside a container has below it.
const OF_A_SYSTEM: &[&str] = &["payload", "init.scope", "system.slice", "user.slice"];

/// Who runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// Docker.
    Docker,
    /// containerd, by Kubernetes or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC, LXD, Incus, Proxmox.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Cloud Foundry's Garden.
    Garden,
    /// Mesos' own containerizer.
    Mesos,
}

impl Engine {
    /// As `container.runtime.name` has it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Containerd => "containerd",
            Engine::CriO => "cri-o",
            Engine::Podman => "podman",
            Engine::Lxc => "lxc",
            Engine::Nspawn => "systemd-nspawn",
            Engine::Garden => "garden",
            Engine::Mesos => "mesos",
        }
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The engine's id; for LXC and systemd-nspawn the name, which is all the id they have.
    pub id: String,
    /// Who runs it, where the path tells.
    pub engine: Option<Engine>,
    /// The pod around it, with dashes as the API server writes it (a static pod's has none).
    pub pod_uid: Option<String>,
}

impl Container {
    /// The name, where the path tells it.
    pub fn name(&self) -> Option<&str> {
        matches!(self.engine, Some(Engine::Lxc | Engine::Nspawn)).then_some(self.id.as_str())
    }
}

/// Where a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The innermost container.
    pub container: Option<Container>,
    /// The systemd service (`nginx.service`) inside that container, or of the machine.
    pub unit: Option<String>,
}

/// Reads `/proc/PID/cgroup`.
pub(super) fn place(text: &str) -> Place {
    let text = cut(text);
    let Some(Path { mut containers, unit: of_container }) = deepest(text) else { return Place::default() };
    match containers.pop() {
        Some(container) => Place { container: Some(container), unit: of_container },
        None => Place { container: None, unit: unit(text) },
    }
}

/// All containers that a process is in, the outermost first, by its `/proc/PID/cgroup`.
pub fn containers(text: &str) -> Vec<Container> {
    deepest(cut(text)).map(|path| path.containers).unwrap_or_default()
}

fn cut(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(TEXT_BYTES)).0
}

/// The path with the most containers; `None` if another contradicts it.
fn deepest(text: &str) -> Option<Path> {
    let mut paths: Vec<Path> = lines(text).map(|(_, path)| Path::read(path)).collect();
    // Controllers that an inner engine does not use stay where the outer one put them.
    let (at, _) = paths.iter().enumerate().max_by_key(|(_, path)| path.containers.len())?;
    let deepest = paths.swap_remove(at);
    paths.iter().all(|path| deepest.begins_with(path)).then_some(deepest)
}

/// The unit of a process of the machine itself: of the hierarchy that systemd works in.
fn unit(text: &str) -> Option<String> {
    let of = |wanted: &str| {
        let (_, path) = lines(text).find(|(controllers, _)| *controllers == wanted)?;
        Path::read(path).unit
    };
    of("name=systemd").or_else(|| of(""))
}

/// Controllers and path of `hierarchy:controllers:path`; the path may contain colons.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        Some((controllers, path.strip_suffix(" (deleted)").unwrap_or(path)))
    })
}

/// What one path names.
struct Path {
    /// From the outermost to the innermost.
    containers: Vec<Container>,
    unit: Option<String>,
}

impl Path {
    fn read(path: &str) -> Path {
        let groups: Vec<&str> = path.split('/').filter(|group| !matches!(*group, "" | "." | "..")).collect();
        let mut read = Path { containers: Vec::new(), unit: None };
        let mut pod: Option<String> = None;
        for (at, group) in groups.iter().enumerate() {
            let above = groups.get(..at).unwrap_or_default();
            let below = groups.get(at + 1).copied();
            if let Some(uid) = pod_uid(group) {
                pod = Some(uid);
            }
            if let Some((id, engine)) = container(above, group, below) {
                read.containers.push(Container { id, engine, pod_uid: pod.clone() });
                read.unit = None;
            } else if group.ends_with(".slice") || group.ends_with(".scope") {
                read.unit = None;
            } else if group.ends_with(".service") && !group.starts_with("user@") {
                // A user's manager is nobody's service: what it runs has units of its own.
                read.unit = Some((*group).to_owned());
            }
        }
        read
    }

    fn begins_with(&self, outer: &Path) -> bool {
        let ids = |path: &Path| path.containers.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        ids(self).starts_with(&ids(outer))
    }
}

/// Is `group` that of a container? `above` are the groups around it, `below` is the one in it.
fn container(above: &[&str], group: &str, below: Option<&str>) -> Option<(String, Option<Engine>)> {
    let parent = above.last().copied().unwrap_or_default();
    let scope = group.strip_suffix(".scope");
    let name = scope.unwrap_or(group);
    if is_hash(name) {
        let engine = PARENTS.iter().find(|(of, _)| *of == parent).map(|(_, engine)| *engine);
        return (scope.is_none() && !NOT_CONTAINERS.contains(&parent)).then(|| (name.to_owned(), engine));
    }
    if let Some((id, engine)) = prefixed(name) {
        // With systemd, CRI-O's group without a scope is that of the sandbox.
        let is_sandbox = engine == Engine::CriO && scope.is_none() && parent.ends_with(".slice");
        return (!is_sandbox).then(|| (id.to_owned(), Some(engine)));
    }
    let (id, engine) = colons(group)
        .or_else(|| named(parent, group))
        .or_else(|| machine(group, below))
        .or_else(|| fargate(above, group))?;
    Some((id, engine))
}

/// `libpod-<hash>`.
fn prefixed(name: &str) -> Option<(&str, Engine)> {
    PREFIXES.iter().find_map(|(prefix, engine)| {
        let id = name.strip_prefix(prefix)?;
        is_hash(id).then_some((id, *engine))
    })
}

/// `kubepods-besteffort-pod<uid>.slice:cri-containerd:<hash>`: systemd's form, with an engine that makes groups by itself.
fn colons(group: &str) -> Option<(String, Option<Engine>)> {
    let (slice, engine_and_id) = group.split_once(".slice:")?;
    let (prefix, id) = engine_and_id.split_once(':')?;
    let (_, engine) = prefixed(&format!("{prefix}-{id}"))?;
    (!slice.contains(':')).then(|| (id.to_owned(), Some(engine)))
}

/// Engines whose containers have names of their own kind.
fn named(parent: &str, group: &str) -> Option<(String, Option<Engine>)> {
    let engine = match parent {
        "lxc" | "lxc.payload" if is_name(group) => Engine::Lxc,
        "garden" if is_garden(group) => Engine::Garden,
        "mesos" if is_uuid(group) => Engine::Mesos,
        _ => {
            let name = group.strip_prefix("lxc.payload.")?;
            let name = name.strip_suffix(".scope").unwrap_or(name);
            return is_name(name).then(|| (name.to_owned(), Some(Engine::Lxc)));
        }
    };
    Some((group.to_owned(), Some(engine)))
}

/// systemd's machines. Virtual machines have the same scopes: only what has a system's groups in it is a container.
fn machine(group: &str, below: Option<&str>) -> Option<(String, Option<Engine>)> {
    let scope = |group: &'_ str| group.strip_prefix("machine-")?.strip_suffix(".scope").map(unescaped);
    let service =
        |group: &'_ str| group.strip_prefix("systemd-nspawn@")?.strip_suffix(".service").map(unescaped);
    let name = scope(group).or_else(|| service(group))?;
    let is_system = below.is_some_and(|below| OF_A_SYSTEM.contains(&below));
    // libvirt writes what it drives into the name.
    let is_libvirt = name.starts_with("qemu-") || name.starts_with("lxc-");
    (is_system && !is_libvirt && is_name(&name)).then_some((name, Some(Engine::Nspawn)))
}

/// `/ecs/<task>/<task>-<number>`: Fargate's containers are named by their task.
fn fargate(above: &[&str], group: &str) -> Option<(String, Option<Engine>)> {
    let [.., "ecs", task] = above else { return None };
    let number = group.strip_prefix(task)?.strip_prefix('-')?;
    let is_task = task.len() == 32 && is_hex(task);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_task && is_number).then(|| (group.to_owned(), None))
}

/// The uid in a pod's group: `pod<uid>`, `kubepods-burstable-pod<uid_with_underscores>.slice`, and the latter before a colon.
fn pod_uid(group: &str) -> Option<String> {
    let uid = match group.split_once(".slice") {
        Some((slice, rest)) if rest.is_empty() || rest.starts_with(':') => {
            let (kubepods, uid) = slice.rsplit_once("-pod")?;
            kubepods.contains("kubepods").then_some(uid)?
        }
        _ => group.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let is_static = uid.len() == 32 && is_hex(&uid);
    (is_static || is_uuid(&uid)).then_some(uid)
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid(text: &str) -> bool {
    has_groups(text, &[8, 4, 4, 4, 12])
}

/// Garden's handles: a UUID, or one whose last group is as short as those before it.
fn is_garden(text: &str) -> bool {
    is_uuid(text) || has_groups(text, &[8, 4, 4, 4, 4])
}

fn has_groups(text: &str, lengths: &[usize]) -> bool {
    let mut lengths = lengths.iter();
    let fit = text.split('-').all(|part| lengths.next() == Some(&part.len()) && is_hex(part));
    fit && lengths.next().is_none()
}

/// What LXC and systemd take for a name.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= HASH && text.chars().all(is_part)
}

/// systemd writes a dash in a name as `\x2d`.
fn unescaped(name: &str) -> String {
    name.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests;
