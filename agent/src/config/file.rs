//! The file: which key has which value.
//!
//! Shape: a tree of YAML in, its nodes by key out, and a mistake for every key that the table does not know, with the nearest that
//! it does. A key may be written nested or dotted. Not here: what values mean (see `config/value.rs`).
use super::{
    error::{ConfigError, Place},
    key::Key,
    yaml::{self, Name, Node, Tree},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The file's values by key.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: Arc<PathBuf>,
    values: BTreeMap<&'static str, Node>,
}

impl File {
    /// Parses the file and finds the place of each key; what is wrong goes to `errors`.
    pub(super) fn parse(
        path: PathBuf,
        text: &str,
        keys: &'static [Key],
        errors: &mut Vec<ConfigError>,
    ) -> File {
        let mut file = File { path: Arc::new(path), values: BTreeMap::new() };
        match yaml::parse(text) {
            Ok(root) => file.walk("", &root, keys, errors),
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                errors.push(ConfigError::Yaml { place: file.place(line), message: yaml::plain(&error) });
            }
        }
        file
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.values.get(key)
    }

    pub(super) fn place(&self, line: u64) -> Place {
        Place::File(self.path.clone(), line)
    }

    fn walk(&mut self, prefix: &str, node: &Node, keys: &'static [Key], errors: &mut Vec<ConfigError>) {
        let Tree::Mapping(entries) = &node.tree else {
            if !matches!(node.tree, Tree::Null) {
                let reason = format!("expected a mapping of keys, found {}", node.tree.kind());
                let prefix = if prefix.is_empty() { "file" } else { prefix };
                errors.push(ConfigError::Invalid {
                    place: self.place(node.line),
                    key: prefix.to_owned(),
                    reason,
                });
            }
            return;
        };
        for (name, value) in entries {
            let path = if prefix.is_empty() { name.text.clone() } else { format!("{prefix}.{}", name.text) };
            if let Some(key) = keys.iter().find(|key| key.path == path) {
                self.insert(key, name, value, errors);
            } else if keys.iter().any(|key| is_inside(key.path, &path)) {
                self.walk(&path, value, keys, errors);
            } else {
                let nearest = nearest(&path, keys);
                errors.push(ConfigError::Unknown { place: self.place(name.line), key: path, nearest });
            }
        }
    }

    fn insert(&mut self, key: &'static Key, name: &Name, value: &Node, errors: &mut Vec<ConfigError>) {
        // `key:` alone is the key of a commented-out value.
        if matches!(value.tree, Tree::Null) {
            return;
        }
        let node = Node { line: name.line, tree: value.tree.clone() };
        if let Some(first) = self.values.insert(key.path, node) {
            let reason = format!("is given twice, first in line {}", first.line);
            errors.push(ConfigError::Invalid {
                place: self.place(name.line),
                key: key.path.to_owned(),
                reason,
            });
        }
    }
}

fn is_inside(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

/// The known key or group that is most like `path`, if any is.
fn nearest(path: &str, keys: &'static [Key]) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    // The right name in the wrong place is a little less likely than a slip of the finger.
    let likeness = |known: &str| {
        strsim::jaro_winkler(path, known).max(strsim::jaro_winkler(&last(path), &last(known)) * 0.97)
    };
    let groups =
        keys.iter().flat_map(|key| key.path.match_indices('.').filter_map(|(end, _)| key.path.get(..end)));
    let known = groups.chain(keys.iter().map(|key| key.path)).map(|known| (likeness(known), known));
    let (likeness, known) = known.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness > 0.8).then_some(known)
}
