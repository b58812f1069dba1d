//! Rules for single files: how long, how they begin, and which words have no place.
//!
//! Shape: tree → findings. A word is written in two halves here, so that this file passes its own check.
use super::tree::{Finding, Tree};

/// A file this long is worth a thought; tests in a `tests.rs` are not counted.
const LONG: usize = 400;
/// A file longer than this must be split by noun.
const TOO_LONG: usize = 600;

/// Words that must not be in Rust sources, and what to do instead.
const IN_SOURCES: [(&str, &str); 6] = [
    (concat!("TO", "DO"), "write an issue, or do it"),
    (concat!("FIX", "ME"), "write an issue, or fix it"),
    (concat!("to", "do!"), "no stubs"),
    (concat!("#[ig", "nore"), "a test runs or is not there"),
    (concat!("#[al", "low("), "use #[expect(…, reason = …)]"),
    (concat!("#![al", "low("), "use #![expect(…, reason = …)]"),
];

/// Words that must not be in any file: what is true on one machine only.
const ANYWHERE: [(&str, &str); 3] = [
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
];

/// Hosts that lock files and manifests may name. Whoever uses a mirror configures it outside the repository.
const PUBLIC_HOSTS: [&str; 14] = [
    "crates.io",
    "docs.rs",
    "github.com",
    "go.dev",
    "www.gnu.org",
    "maven.apache.org",
    "opencollective.com",
    "opensource.org",
    "pypi.org",
    "registry.npmjs.org",
    "repo.maven.apache.org",
    "tidelift.com",
    "www.apache.org",
    "www.w3.org",
];

/// Files whose addresses are where packages come from.
const PACKAGE_FILES: [&str; 7] =
    [".lock", "Cargo.toml", "package.json", "package-lock.json", "requirements.txt", "pom.xml", "go.sum"];

/// All rules of this file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        findings.extend(size(path, text));
        findings.extend(beginning(path, text));
        findings.extend(words(path, text, &IN_SOURCES));
    }
    for (path, text) in tree.all() {
        findings.extend(words(path, text, &ANYWHERE));
        findings.extend(hosts(path, text));
    }
    findings
}

fn size(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    if path.ends_with("/tests.rs") || lines <= LONG {
        return None;
    }
    let what = format!("{lines} lines; split it by noun (warned from {LONG}, refused from {TOO_LONG})");
    Some(if lines > TOO_LONG { Finding::new(path, 0, what) } else { Finding::warning(path, 0, what) })
}

fn beginning(path: &str, text: &str) -> Option<Finding> {
    let documented = text.starts_with("//!");
    (!documented).then(|| {
        Finding::new(path, 1, "begin with `//!`: what the room is for, shape, units, source, not here")
    })
}

fn words(path: &str, text: &str, forbidden: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (word, instead) in forbidden {
            if line.contains(word) {
                findings.push(Finding::new(path, at + 1, format!("`{word}`: {instead}")));
            }
        }
    }
    findings
}

fn hosts(path: &str, text: &str) -> Vec<Finding> {
    if !PACKAGE_FILES.iter().any(|name| path.ends_with(name)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for address in line.split("://").skip(1) {
            let host = address.split(['/', '"', '\'', '<', ' ', ':', '#', '?']).next().unwrap_or_default();
            // A funding or home page of a package is no place that packages come from.
            let asked = !line.contains("\"url\"") && !host.is_empty();
            if asked && !PUBLIC_HOSTS.contains(&host) {
                findings.push(Finding::new(path, at + 1, format!("`{host}` is not a public registry")));
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
    fn a_file_past_the_limit_fails_and_a_long_one_warns() {
        let text = |lines: usize| format!("//! Doc.\n{}", "\n".repeat(lines - 1));
        let tree = Tree::from([
            ("a/src/short.rs", text(LONG).as_str()),
            ("a/src/long.rs", text(LONG + 1).as_str()),
            ("a/src/longer.rs", text(TOO_LONG + 1).as_str()),
            ("a/src/longer/tests.rs", text(TOO_LONG + 1).as_str()),
        ]);
        assert_eq!(
            shown(&check(&tree)),
            "warning: a/src/long.rs: 401 lines; split it by noun (warned from 400, refused from 600)\n\
             error: a/src/longer.rs: 601 lines; split it by noun (warned from 400, refused from 600)\n"
        );
    }

    #[test]
    fn a_source_that_does_not_say_what_it_is_for_is_found() {
        let tree = Tree::from([("a/src/lib.rs", "use std::fmt;\n")]);
        assert!(shown(&check(&tree)).starts_with("error: a/src/lib.rs:1: begin with `//!`"));
    }

    #[test]
    fn every_forbidden_word_is_found_where_it_stands() {
        for (word, _) in IN_SOURCES.iter().chain(&ANYWHERE) {
            let text = format!("//! Doc.\n\n// {word}\n");
            let tree = Tree::from([("a/src/lib.rs", text.as_str())]);
            assert!(shown(&check(&tree)).contains(&format!("a/src/lib.rs:3: `{word}`")), "{word}");
        }
    }

    #[test]
    fn a_lock_file_may_name_public_registries_only() {
        let public = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
        let mirror = r#""resolved": "http://mirror.example:4873/x.tgz""#;
        let tree = Tree::from([("Cargo.lock", public), ("app/package-lock.json", mirror)]);
        assert_eq!(
            shown(&check(&tree)),
            "error: app/package-lock.json:1: `mirror.example` is not a public registry\n"
        );
    }
}
