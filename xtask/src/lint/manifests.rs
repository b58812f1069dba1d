//! Rules for `Cargo.toml` files: the lint policy is on in every crate, and versions stand in one place.
//!
//! Shape: tree → findings. Not here: that the policy *bites* (see `proof`).
use super::tree::{Finding, Tree};

/// All rules of this file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in members(tree) {
        let text = tree.text(&path).unwrap_or_default();
        if !has_policy(text) {
            findings.push(Finding::new(
                &path,
                0,
                "add `[lints]` with `workspace = true`: the policy is the workspace's",
            ));
        }
        findings.extend(versions(&path, text));
    }
    if let Some(root) = tree.text("Cargo.toml") {
        findings.extend(reasons(root));
    }
    findings
}

/// Manifests of the workspace's crates: every one in the first level of folders.
pub(super) fn members(tree: &Tree) -> Vec<String> {
    let manifests = tree.all().map(|(path, _)| path);
    manifests
        .filter(|path| path.ends_with("/Cargo.toml") && !path.starts_with("fuzz/"))
        .map(str::to_owned)
        .collect()
}

/// The section of that name, without its heading.
pub(super) fn section<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let heading = format!("[{name}]");
    let lines = manifest.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines.skip_while(move |(_, line)| *line != heading).skip(1).take_while(|(_, line)| !line.starts_with('['))
}

fn has_policy(manifest: &str) -> bool {
    section(manifest, "lints").any(|(_, line)| line.replace(' ', "") == "workspace=true")
}

/// A crate names what it uses, the workspace which version: so one version of each, and one place to read.
fn versions(path: &str, manifest: &str) -> Vec<Finding> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let rows = sections.into_iter().flat_map(|name| section(manifest, name));
    rows.filter(|(_, row)| {
        !row.is_empty() && !row.starts_with('#') && !row.replace(' ', "").contains("workspace=true")
    })
    .map(|(line, row)| {
        let name = row.split([' ', '=', '.']).next().unwrap_or(row);
        Finding::new(
            path,
            line,
            format!("`{name}`: say `.workspace = true` and pin it in the root Cargo.toml"),
        )
    })
    .collect()
}

/// Every pinned dependency says why it is there.
fn reasons(root: &str) -> Vec<Finding> {
    let rows = section(root, "workspace.dependencies");
    rows.filter(|(_, row)| !row.is_empty() && !row.starts_with('#') && !row.contains("path ="))
        .filter(|(_, row)| !row.contains("\"=") || !row.contains(" # "))
        .map(|(line, row)| {
            let name = row.split([' ', '=']).next().unwrap_or(row);
            Finding::new(
                "Cargo.toml",
                line,
                format!("`{name}`: pin it (`\"=x.y.z\"`) and give the reason (`# …`)"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tree::shown;

    const GOOD: &str =
        "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\nanyhow.workspace = true\n";

    #[test]
    fn a_crate_without_the_policy_is_found() {
        let without = GOOD.replace("workspace = true\n\n", "\n");
        let tree = Tree::from([("a/Cargo.toml", GOOD), ("b/Cargo.toml", without.as_str())]);
        assert_eq!(
            shown(&check(&tree)),
            "error: b/Cargo.toml: add `[lints]` with `workspace = true`: the policy is the workspace's\n"
        );
    }

    #[test]
    fn a_version_in_a_crate_is_found() {
        let own = GOOD.replace("anyhow.workspace = true", "anyhow = \"1\"");
        let tree = Tree::from([("a/Cargo.toml", own.as_str())]);
        assert!(shown(&check(&tree)).starts_with("error: a/Cargo.toml:8: `anyhow`: say"));
    }

    #[test]
    fn a_dependency_without_a_pin_or_a_reason_is_found() {
        let root = "[workspace.dependencies]\na = \"=1.0.0\" # good\nb = \"1.0\" # loose\nc = \"=1.0.0\"\n";
        let tree = Tree::from([("Cargo.toml", root)]);
        let found = shown(&check(&tree));
        assert!(found.contains("Cargo.toml:3: `b`") && found.contains("Cargo.toml:4: `c`"), "{found}");
        assert!(!found.contains("`a`"), "{found}");
    }
}
