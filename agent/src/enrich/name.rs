//! What a service is called: one stated rule, the same on every run.
//!
//! Shape: [`ProcessFacts`] → `service.name`. The first of these that says something wins:
//! 1. `OTEL_SERVICE_NAME` in the environment of the process itself;
//! 2. `service.name` in its `OTEL_RESOURCE_ATTRIBUTES` (both: OpenTelemetry specification, resource SDK);
//! 3. the agent's own `OTEL_SERVICE_NAME` or `service.name`;
//! 4. in Kubernetes, what its pod is called (see `kubernetes/identity.rs`);
//! 5. for an interpreter, what it interprets: the script, module, jar or main class. A name that says nothing (`app.py`,
//!    `index.js`, `main`) is replaced by the nearest folder whose name does; a launcher (`gunicorn`, `flask`, `rails`) by what it launches;
//! 6. the executable's file name.
//!
//! Invariant: only names are used, never an argument's value that could be a secret.
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

/// The rule of the module's documentation. `from_attributes` is `service.name` of the process's own resource attributes.
pub(super) fn service_name(
    facts: &ProcessFacts,
    from_attributes: Option<&str>,
    configured: Option<&str>,
) -> String {
    let own = facts.otel_service_name.as_deref().or(from_attributes);
    let of_pod = facts.kubernetes.as_ref().map(|known| known.service_name.as_str());
    let said = own.or(configured).or(of_pod).map(clean).filter(|name| !name.is_empty());
    said.unwrap_or_else(|| derived(facts))
}

/// Rules 5 and 6.
fn derived(facts: &ProcessFacts) -> String {
    let executable = file_name(&facts.exe);
    let interpreted = facts.runtime.filter(|runtime| *runtime != Runtime::Go).and_then(|runtime| {
        let place = Place { cwd: facts.cwd.as_deref() };
        interpreter::name(runtime, &facts.args, place)
    });
    let fallback = if facts.runtime.is_some_and(|runtime| runtime != Runtime::Go) {
        stem(executable)
    } else {
        executable
    };
    let name = clean(interpreted.as_deref().unwrap_or(fallback));
    if name.is_empty() { format!("pid-{}", facts.id.pid) } else { name }
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
