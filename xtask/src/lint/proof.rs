//! Proves that the lint policy bites in every crate.
//!
//! Shape: for each crate a twin with the crate's own `[lints]` section, the workspace's policy and `clippy.toml`, and
//! four planted offences → clippy must refuse each of them in each twin. It takes a second, because twins depend on nothing.
//! Why: a policy that a typo switched off looks exactly like clean code.
use super::{
    manifests::{members, section},
    tree::Tree,
};
use crate::command::{self, cargo};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeSet, fmt::Write, path::Path};

/// Offences as code, and the lint that must refuse each.
const PLANTED: &str = "//! Planted.
/// Planted.
pub fn unwraps(x: Option<u8>) -> u8 { x.unwrap() }
/// Planted.
pub fn indexes(x: &[u8]) -> u8 { x[0] }
/// Planted.
pub fn reads() -> bool { std::env::var(\"X\").is_ok() }
pub fn undocumented() {}
";
const REFUSED_AS: [&str; 4] =
    ["clippy::unwrap_used", "clippy::indexing_slicing", "clippy::disallowed_methods", "missing_docs"];

/// Plants, lints, and names what went through.
pub(super) fn run(tree: &Tree) -> Result<()> {
    let folder = command::root()?.join("target/lint-proof");
    let twins = plant(tree, &folder)?;
    let manifest = folder.join("Cargo.toml");
    let mut clippy = cargo(&["clippy", "--quiet", "--keep-going", "--message-format=json", "--offline"])?;
    clippy.arg("--manifest-path").arg(&manifest).current_dir(&folder);
    println!("$ cargo clippy ({} crates with planted offences)", twins.len());
    let output = command::capture(&mut clippy)?;
    let refused = refusals(&String::from_utf8_lossy(&output.stdout));
    for twin in &twins {
        for lint in REFUSED_AS {
            let found = refused.contains(&(twin.clone(), lint.to_owned()));
            ensure!(found, "{lint} is not denied in {twin}:\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(())
}

/// Writes a workspace of twins; gives their names.
fn plant(tree: &Tree, folder: &Path) -> Result<BTreeSet<String>> {
    let root = tree.text("Cargo.toml").context("Cargo.toml is missing")?;
    let mut workspace =
        String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*/\"]\nexclude = [\"target\"]\n");
    for name in ["workspace.lints.rust", "workspace.lints.clippy"] {
        copy_section(root, name, &mut workspace)?;
    }
    let mut twins = BTreeSet::new();
    let mut names = Vec::new();
    for path in members(tree) {
        let name = path.trim_end_matches("/Cargo.toml").replace('/', "-");
        let mut manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
        copy_section(tree.text(&path).unwrap_or_default(), "lints", &mut manifest)?;
        write(&folder.join(&name).join("Cargo.toml"), &manifest)?;
        write(&folder.join(&name).join("src/lib.rs"), PLANTED)?;
        names.push(format!("{name:?}"));
        twins.insert(name);
    }
    write(&folder.join("Cargo.toml"), &workspace.replace("\"*/\"", &names.join(", ")))?;
    write(&folder.join("clippy.toml"), tree.text("clippy.toml").unwrap_or_default())?;
    Ok(twins)
}

fn copy_section(manifest: &str, name: &str, out: &mut String) -> Result<()> {
    writeln!(out, "[{name}]")?;
    for (_, line) in section(manifest, name) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes only what changed, so that cargo's cache stays good.
fn write(path: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// `(crate, lint)` of every error in cargo's messages.
fn refusals(messages: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let text = |pointer: &str| message.pointer(pointer).and_then(serde_json::Value::as_str);
        let (Some(name), Some(lint), Some("error")) =
            (text("/target/name"), text("/message/code/code"), text("/message/level"))
        else {
            continue;
        };
        found.insert((name.replace('_', "-"), lint.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_count_as_refusals() {
        let message = |level: &str| {
            format!(
                r#"{{"reason":"compiler-message","target":{{"name":"agent_core"}},"message":{{"level":"{level}","code":{{"code":"missing_docs"}}}}}}"#
            )
        };
        let pair = ("agent-core".to_owned(), "missing_docs".to_owned());
        assert!(refusals(&message("error")).contains(&pair));
        assert!(refusals(&message("warning")).is_empty());
    }
}
