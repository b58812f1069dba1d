//! YAML as a tree in which every node knows its line.
//!
//! Shape: text in, [`Node`] out. Scalars keep their text (`1.10` stays `1.10`), because the table and not YAML says what a value is.
//! Source: YAML 1.2 by serde-saphyr, which bounds depth and aliases. Not here: what keys there are (see `config/file.rs`).
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::fmt;

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

/// The whole text as one document; an empty one is [`Tree::Null`].
pub(super) fn parse(text: &str) -> Result<Node, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        // Both come through, and are told with both lines.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
    };
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(raw.map_or(Node { tree: Tree::Null, line: 1 }, |raw| raw_node(raw, text)))
}

/// The parser's words without its position, which is told already, and without advice to programmers.
pub(super) fn plain(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let end = [" at line ", "; use "].iter().filter_map(|end| message.find(end)).min();
    end.and_then(|end| message.get(..end)).unwrap_or(&message).to_owned()
}

/// As YAML resolves it; numbers and booleans are replaced by their text.
enum Raw {
    Null,
    Text(String),
    /// A number or a boolean, as YAML would write it.
    Resolved(String),
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn raw_node(raw: Spanned<Raw>, source: &str) -> Node {
    let span = raw.defined.span();
    let tree = match raw.value {
        Raw::Null => Tree::Null,
        Raw::Text(text) => Tree::Scalar(text),
        Raw::Resolved(value) => {
            let start = span.byte_offset().unwrap_or_default() as usize;
            let end = start + span.byte_len().unwrap_or_default() as usize;
            let written = source.get(start..end).map(str::trim).unwrap_or_default();
            // With a tag (`!!int "80"`) the span is not the value.
            let is_plain = !written.is_empty() && !written.starts_with(['"', '\'', '!', '&']);
            Tree::Scalar(if is_plain { written.to_owned() } else { value })
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

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
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
