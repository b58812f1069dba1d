//! Rules for the documents: ARCHITECTURE.md tells the truth about paths and rooms, README.md stays short.
//!
//! Shape: tree → findings. What counts as a path: a word between backticks that has a slash and begins with a folder of
//! the repository.
use super::tree::{Finding, Tree};
use std::collections::BTreeSet;

/// Longer than this, nobody reads it.
const README_LINES: usize = 150;
/// A map must fit in a head.
const ARCHITECTURE_LINES: usize = 250;

/// All rules of this file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(tree, "README.md", README_LINES));
    findings.extend(length(tree, "ARCHITECTURE.md", ARCHITECTURE_LINES));
    for document in ["README.md", "ARCHITECTURE.md"] {
        findings.extend(paths(tree, document));
    }
    findings.extend(rooms(tree));
    findings
}

fn length(tree: &Tree, path: &str, most: usize) -> Option<Finding> {
    let Some(text) = tree.text(path) else { return Some(Finding::new(path, 0, "is missing")) };
    let lines = text.lines().count();
    (lines > most).then(|| Finding::new(path, 0, format!("{lines} lines, at most {most}")))
}

fn paths(tree: &Tree, document: &str) -> Vec<Finding> {
    let text = tree.text(document).unwrap_or_default();
    let folders: BTreeSet<&str> = tree.all().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in line.split('`').skip(1).step_by(2) {
            let Some((folder, _)) = word.split_once('/') else { continue };
            let pattern = word.contains(['<', '*', '{', '…', ' ']);
            if folders.contains(folder) && !pattern && !tree.has(word) {
                findings.push(Finding::new(document, at + 1, format!("`{word}` does not exist")));
            }
        }
    }
    findings
}

/// Rooms are the public modules of the two crates; each has a paragraph that names it.
fn rooms(tree: &Tree) -> Vec<Finding> {
    let map = tree.text("ARCHITECTURE.md").unwrap_or_default();
    let mut findings = Vec::new();
    for source in ["agent/src/", "agent-core/src/"] {
        let declared = tree.text(&format!("{source}lib.rs")).unwrap_or_default();
        for line in declared.lines() {
            let Some(room) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) else {
                continue;
            };
            let named = [format!("`{room}`"), format!("`{source}{room}.rs`"), format!("`{source}{room}`")];
            if !named.iter().any(|name| map.contains(name.as_str())) {
                findings.push(Finding::new(
                    "ARCHITECTURE.md",
                    0,
                    format!("no paragraph for the room `{room}` ({source})"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::tree::shown;

    #[test]
    fn a_path_that_is_gone_and_a_room_without_a_paragraph_are_found() {
        let tree = Tree::from([
            ("README.md", "See `agent/src/lib.rs` and `agent/src/gone.rs`.\n"),
            (
                "ARCHITECTURE.md",
                "`attach` loads.\nAdd `agent-core/src/protocols/<name>.rs`; see `text/plain`.\n",
            ),
            ("agent/src/lib.rs", "pub mod attach;\n"),
            ("agent-core/src/lib.rs", "mod percent;\npub mod measure;\n"),
        ]);
        assert_eq!(
            shown(&check(&tree)),
            "error: README.md:1: `agent/src/gone.rs` does not exist\n\
             error: ARCHITECTURE.md: no paragraph for the room `measure` (agent-core/src/)\n"
        );
    }

    #[test]
    fn documents_must_exist_and_stay_short() {
        let long = "line\n".repeat(README_LINES + 1);
        let tree = Tree::from([("README.md", long.as_str())]);
        assert_eq!(
            shown(&check(&tree)),
            "error: README.md: 151 lines, at most 150\nerror: ARCHITECTURE.md: is missing\n"
        );
    }
}
