//! What a service is called: one stated rule, the same on every run.
//!
//! Shape: [`ProcessFacts`] → `service.name`. The first of these that says something wins:
//! 1. `OTEL_SERVICE_NAME` in the environment of the process itself;
//! 2. `service.name` in its `OTEL_RESOURCE_ATTRIBUTES` (both: OpenTelemetry specification, resource SDK);
//! 3. the agent's own `OTEL_SERVICE_NAME` or `service.name`;
//! 4. in Kubernetes, what its pod is called (see `kubernetes/identity.rs`);
//! 5. the container's service of Compose or Swarm;
//! 6. for an interpreter, what it interprets: the script, module, jar or main class. A name that says nothing (`app.py`,
//!    `index.js`, `main`) is replaced by the nearest folder whose name does; a launcher (`gunicorn`, `flask`, `rails`) by what it launches;
//! 7. for an interpreter of which all that says nothing: its systemd service, else its container's image;
//! 8. the executable's file name.
//!
//! A container's own name is none of a service: an engine makes one up where nobody chose it. Invariant: only names are used, never an argument's value that could be a secret.
mod interpreter;
#[cfg(test)]
mod tests;

use super::{
    facts::{ProcessFacts, file_name},
    runtime::{Runtime, stem},
};

/// Characters kept of a name: back ends index it.
const NAME_CHARS: usize = 255;

/// File stems that say what a file is for, not whose it is.
const GENERIC_FILES: &[&str] = &[
    "__init__",
    "__main__",
    "app",
    "application",
    "artisan",
    "asgi",
    "bootstrap",
    "cli",
    "console",
    "entrypoint",
    "index",
    "main",
    "manage",
    "program",
    "router",
    "run",
    "server",
    "service",
    "start",
    "wsgi",
    "www",
];
/// Folders that say what is in them, not whose they are.
const GENERIC_FOLDERS: &[&str] = &[
    "",
    ".",
    "..",
    "app",
    "application",
    "bin",
    "build",
    "classes",
    "cmd",
    "code",
    "current",
    "debug",
    "dist",
    "home",
    "lib",
    "libs",
    "local",
    "opt",
    "out",
    "public",
    "release",
    "root",
    "sbin",
    "script",
    "scripts",
    "server",
    "share",
    "src",
    "srv",
    "target",
    "tmp",
    "usr",
    "usr/local",
    "var",
    "work",
    "workspace",
    "www",
];

/// How services of systemd begin that run other people's programs.
const RUNNERS: &[&str] = &[
    "actions.runner",
    "anacron",
    "atd",
    "buildkit",
    "containerd",
    "cron",
    "docker",
    "hosted-compute-agent",
    "pm2",
    "podman",
    "rc-local",
    "ssh",
    "supervisor",
];

/// The rule of the module's documentation. `from_attributes` is `service.name` of the process's own resource attributes.
pub(super) fn service_name(
    facts: &ProcessFacts,
    from_attributes: Option<&str>,
    configured: Option<&str>,
) -> String {
    let own = facts.otel_service_name.as_deref().or(from_attributes);
    let of_pod = facts.kubernetes.as_ref().map(|known| known.service_name.as_str());
    let said = own.or(configured).or(of_pod).map(clean).filter(|name| !name.is_empty());
    said.or_else(|| of_compose(facts)).unwrap_or_else(|| derived(facts))
}

/// Rule 5.
fn of_compose(facts: &ProcessFacts) -> Option<String> {
    let service = facts.container.as_ref()?.named.as_ref()?.service.as_deref();
    service.map(clean).filter(|name| !name.is_empty())
}

/// Rules 6 to 8.
fn derived(facts: &ProcessFacts) -> String {
    let executable = file_name(&facts.exe);
    let interpreter = facts.runtime.filter(|runtime| *runtime != Runtime::Go);
    let place = Place { cwd: facts.cwd.as_deref() };
    let interpreted = interpreter.and_then(|runtime| interpreter::name(runtime, &facts.args, place));
    let says_nothing = |name: &str| is_generic_file(name) || interpreter::is_launcher(name);
    let telling = interpreted.as_deref().filter(|name| !says_nothing(name));
    let around = interpreter.and_then(|_| around(facts));
    let fallback = if interpreter.is_some() { stem(executable) } else { executable };
    let name = clean(telling.or(around).or(interpreted.as_deref()).unwrap_or(fallback));
    if name.is_empty() { format!("pid-{}", facts.id.pid) } else { name }
}

/// Rule 6.
fn around(facts: &ProcessFacts) -> Option<&str> {
    let unit = facts.unit.as_deref().and_then(|unit| unit.strip_suffix(".service"));
    // `api@1` and `api@2` are instances of one service.
    let unit = unit.map(|unit| match unit.split_once('@') {
        Some((template, instance)) if instance.bytes().all(|byte| byte.is_ascii_digit()) => template,
        _ => unit,
    });
    let unit = unit.filter(|unit| !RUNNERS.iter().any(|runner| unit.starts_with(runner)));
    let image = || facts.container.as_ref()?.named.as_ref()?.image_stem();
    unit.or_else(image).filter(|name| !name.is_empty())
}

/// Without white space around it and without control characters, cut to a length that back ends take.
fn clean(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect()
}

/// Where a process works: relative paths start there.
#[derive(Clone, Copy)]
struct Place<'a> {
    cwd: Option<&'a str>,
}

impl Place<'_> {
    /// The name behind a script's path: its stem, or the nearest folder that says more.
    fn of_path(self, path: &str) -> Option<String> {
        let stem = without_extension(file_name(path));
        if !is_generic_file(stem) {
            return Some(stem.to_owned());
        }
        let absolute = self.absolute(path);
        let folder = absolute.rsplit_once('/').map_or("", |(folder, _)| folder);
        nearest_folder(folder).or_else(|| Some(stem.to_owned()))
    }

    /// The nearest telling folder of the working directory.
    fn folder(self) -> Option<String> {
        nearest_folder(self.cwd?)
    }

    fn absolute(self, path: &str) -> String {
        match self.cwd {
            Some(cwd) if !path.starts_with('/') => format!("{}/{path}", cwd.trim_end_matches('/')),
            _ => path.to_owned(),
        }
    }
}

/// The last component of `folder` that is not generic; a user's home is not a service.
fn nearest_folder(folder: &str) -> Option<String> {
    let mut rest = folder.trim_end_matches('/');
    loop {
        let (above, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        if !GENERIC_FOLDERS.contains(&name) && above != "/home" {
            return Some(name.to_owned());
        }
        if above.is_empty() {
            return None;
        }
        rest = above;
    }
}

fn is_generic_file(stem: &str) -> bool {
    GENERIC_FILES.contains(&stem.to_ascii_lowercase().as_str())
}

/// `order.py` is `order`; `.hidden` and `v1.2` stay: an extension is letters and digits that begin with a letter.
fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty() && extension.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            stem
        }
        _ => name,
    }
}
