//! Who may import whom: a room names only rooms above it, and some names belong to one room.
//!
//! Shape: tree → findings. It reads `crate::room` paths after comments are cut; it is no parser of Rust, and needs none,
//! because imports are written one way here (`use crate::{…}` or `crate::room::…`).
use super::tree::{Finding, Tree};

/// A crate's rooms, from the top: each may import those that stand before it.
struct Order {
    source: &'static str,
    rooms: &'static [&'static str],
}

/// Vocabulary first, then the steps in the order of a request, then those who see everything. `events` stands above
/// `attach`, because what is attached hands out the ring that `events` reads.
const ORDERS: [Order; 2] = [
    Order {
        source: "agent-core/src/",
        rooms: &[
            "counter",
            "percent",
            "event",
            "exchange",
            "protocols",
            "assemble",
            "redact",
            "spans",
            "propagate",
            "sample",
            "correlate",
        ],
    },
    Order {
        source: "agent/src/",
        rooms: &[
            "kubernetes",
            "discover",
            "events",
            "attach",
            "enrich",
            "export",
            "recording",
            "cli",
            "config",
            "telemetry",
            "doctor",
            "explain",
            "pipeline",
        ],
    },
];

/// A name in code, and the only files under `agent/src/` that may use it.
const OWNED: [(&str, &[&str], &str); 3] = [
    (
        "aya",
        &["agent/src/attach", "agent/src/events/ring.rs"],
        "only attach and events/ring.rs know the eBPF library",
    ),
    ("opentelemetry_proto", &["agent/src/export"], "only export knows OTLP"),
    ("std::env::var", &["agent/src/config/source.rs"], "only config/source.rs reads the environment"),
];

/// All rules of this file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        let code = without_comments(text);
        for order in &ORDERS {
            findings.extend(imports(order, path, &code));
        }
        findings.extend(owned(path, &code));
    }
    findings
}

fn imports(order: &Order, path: &str, code: &str) -> Vec<Finding> {
    let Some(inner) = path.strip_prefix(order.source) else { return Vec::new() };
    let room = inner.split(['/', '.']).next().unwrap_or_default();
    // A room's tests may play its neighbours.
    if room == "lib" || room == "main" || inner.ends_with("/tests.rs") {
        return Vec::new();
    }
    let rank = |name: &str| order.rooms.iter().position(|known| *known == name);
    let Some(own) = rank(room) else {
        return vec![Finding::new(
            path,
            0,
            format!("`{room}` has no place in the order of rooms: xtask/src/lint/edges.rs"),
        )];
    };
    let mut findings = Vec::new();
    for (line, name) in crate_paths(code) {
        if rank(name).is_some_and(|other| other > own) {
            findings.push(Finding::new(
                path,
                line,
                format!("`{room}` imports `{name}`, which stands below it"),
            ));
        }
    }
    findings
}

fn owned(path: &str, code: &str) -> Vec<Finding> {
    if !path.starts_with("agent/src/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (name, owners, why) in OWNED {
        if owners.iter().any(|owner| path.starts_with(owner)) {
            continue;
        }
        for (at, line) in code.lines().enumerate() {
            if names(line, name) {
                findings.push(Finding::new(path, at + 1, format!("names `{name}`: {why}")));
            }
        }
    }
    findings
}

/// The name as a path's beginning: `aya::`, `use aya;`, not `aya_build` or `wirespan_aya`.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + name.len()..).and_then(|text| text.chars().next());
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word(before) && before != Some('"') && !word(after) && matches!(after, Some(':' | ';' | '('))
    })
}

/// Every first name after `crate::`, with its line; a group `crate::{a::B, c}` gives each of its members.
fn crate_paths(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let line = code.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let rest = code.get(at + start.len()..).unwrap_or_default();
        match rest.strip_prefix('{') {
            None => found.push((line, first_name(rest))),
            Some(group) => found.extend(group_names(group).into_iter().map(|name| (line, name))),
        }
    }
    found
}

/// First names of a group's members, at the group's own depth.
fn group_names(group: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(group.get(start..at).unwrap_or_default().trim_start()));
                start = at + 1;
                if c == '}' {
                    return names;
                }
            }
            _ => {}
        }
    }
    names
}

fn first_name(path: &str) -> &str {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    path.get(..end).unwrap_or(path)
}

/// Line comments cut; line numbers stay.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tree::shown;

    #[test]
    fn a_room_that_imports_a_room_below_it_is_found() {
        let tree = Tree::from([(
            "agent/src/discover/proc.rs",
            "use crate::{\n    discover::{Found, Why},\n    export::Handle,\n};\nfn f() { crate::pipeline::run() }\n",
        )]);
        assert_eq!(
            shown(&check(&tree)),
            "error: agent/src/discover/proc.rs:1: `discover` imports `export`, which stands below it\n\
             error: agent/src/discover/proc.rs:5: `discover` imports `pipeline`, which stands below it\n"
        );
    }

    #[test]
    fn a_room_may_import_rooms_above_it_and_talk_about_others() {
        let code = "//! Not here: crate::pipeline.\nuse crate::discover::Known;\n";
        assert_eq!(shown(&check(&Tree::from([("agent/src/export.rs", code)]))), "");
    }

    #[test]
    fn a_room_without_a_place_is_found() {
        let found = shown(&check(&Tree::from([("agent-core/src/misc.rs", "")])));
        assert!(found.contains("`misc` has no place"), "{found}");
    }

    #[test]
    fn names_that_belong_to_one_room_are_found_elsewhere() {
        let uses =
            "use aya::Ebpf;\nfn f() { let _ = std::env::var(\"X\"); }\nuse opentelemetry_proto::tonic;\n";
        let found = shown(&check(&Tree::from([("agent/src/doctor.rs", uses)])));
        assert_eq!(found.lines().count(), 3, "{found}");
        assert_eq!(shown(&check(&Tree::from([("agent/src/attach/btf.rs", "use aya::Btf; // aya\n")]))), "");
        assert_eq!(
            shown(&check(&Tree::from([("agent/src/doctor.rs", "let a = \"aya\"; let aya_version = 1;")]))),
            ""
        );
    }
}
