//! The file: YAML as a tree in which every node knows its line.
//!
//! Shape: text in, [`Node`]s by key out, and every key that the table does not know, with the nearest that it does. Scalars keep
//! their text (`1.10` stays `1.10`), because the table and not YAML says what a value is. A key may be written nested or dotted.
//! Not here: what values mean.
use super::{
    error::{ConfigError, Place},
    key::Key,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) line: u64,
}

/// A key of a mapping and its line.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) line: u64,
}

/// What YAML has.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Name, Node)>),
}

impl Tree {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Tree::Null => "nothing",
            Tree::Scalar(_) => "one value",
            Tree::Sequence(_) => "a list",
            Tree::Mapping(_) => "a mapping",
        }
    }
}

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
        match parse(text) {
            Ok(root) => file.walk("", &root, keys, errors),
            Err(error) => {
                let line = error.location().map_or(0, |location| location.line());
                let message = error.without_snippet().to_string();
                errors.push(ConfigError::Yaml { place: file.place(line), message });
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

fn parse(text: &str) -> Result<Node, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        // Both come through, and are told with both lines.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
    };
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(raw.map_or(Node { tree: Tree::Null, line: 1 }, |raw| raw_node(raw, text)))
}

/// As YAML resolves it; numbers and booleans are replaced by their text.
enum Raw {
    Null,
    Text(String),
    Resolved,
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn raw_node(raw: Spanned<Raw>, source: &str) -> Node {
    let span = raw.defined.span();
    let tree = match raw.value {
        Raw::Null => Tree::Null,
        Raw::Text(text) => Tree::Scalar(text),
        Raw::Resolved => {
            let start = span.byte_offset().unwrap_or_default() as usize;
            let end = start + span.byte_len().unwrap_or_default() as usize;
            Tree::Scalar(source.get(start..end).unwrap_or_default().trim().to_owned())
        }
        Raw::Sequence(items) => {
            Tree::Sequence(items.into_iter().map(|item| raw_node(item, source)).collect())
        }
        Raw::Mapping(entries) => {
            let entry = |(name, value): (Spanned<String>, Spanned<Raw>)| {
                let line = name.referenced.line();
                (Name { text: name.value, line }, raw_node(value, source))
            };
            Tree::Mapping(entries.into_iter().map(entry).collect())
        }
    };
    Node { tree, line: raw.referenced.line() }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Resolved)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(Raw::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            mapping.push(entry);
        }
        Ok(Raw::Mapping(mapping))
    }
}
