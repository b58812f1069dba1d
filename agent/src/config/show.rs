//! The table and the effective values as text: `wirespan config`, `--help`, and the example file.
//!
//! Shape: [`Key`]s and [`Row`]s in, text out. Everything is generated, so nothing here names a key.
use super::{
    key::{Key, Row},
    keys::KEYS,
};
use serde_json::{Value, json};

const WIDTH: usize = 100;

/// One aligned line per key: value, then origin.
pub(super) fn text(rows: &[Row]) -> String {
    let cells: Vec<(&str, String, String)> =
        rows.iter().map(|row| (row.key.path, shown(&row.value), row.origin.to_string())).collect();
    let keys = cells.iter().map(|(key, _, _)| key.len()).max().unwrap_or_default();
    let values = cells.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or_default().min(48);
    cells.iter().map(|(key, value, origin)| format!("{key:keys$}  {value:values$}  {origin}\n")).collect()
}

/// One object per key.
pub(super) fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "key": row.key.path,
            "value": row.value,
            "origin": row.origin.to_string(),
            "default": row.key.default,
            "environment": row.key.env,
            "flag": row.key.flag,
        })
    };
    rows.iter().map(row).collect()
}

/// Every key with its default and environment, for `wirespan run --help`.
pub fn help() -> String {
    let mut text =
        String::from("Keys of the configuration file, with their environment variables and defaults:\n");
    for key in KEYS {
        let default =
            if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        text.push_str(&format!("\n  {}  {}{default}\n", key.path, key.env.join(", ")));
        text.push_str(&wrap(key.doc, "      "));
    }
    text
}

/// The example file: every key commented out at its default, under its groups.
pub fn example() -> String {
    let mut text = wrap(
        "Configuration of wirespan, generated from the agent's table of keys by `wirespan config --example`. Every key is optional \
         and shown with its default, or with an example where it has none. Precedence: default, this file, environment, flag.",
        "# ",
    );
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let mut groups: Vec<&str> = key.path.split('.').collect();
        let name = groups.pop().unwrap_or_default();
        let common = open.iter().zip(&groups).take_while(|(one, other)| one == other).count();
        for (depth, group) in groups.iter().enumerate().skip(common) {
            let gap = if depth == 0 { "\n" } else { "" };
            text.push_str(&format!("{gap}{}{group}:\n", "  ".repeat(depth)));
        }
        let indent = "  ".repeat(groups.len());
        open = groups;
        text.push_str(&wrap(&describe(key), &format!("{indent}# ")));
        let value = if key.default.is_empty() { key.example } else { key.default };
        text.push_str(&format!("{indent}#{name}: {}\n", yaml(value)));
    }
    text
}

fn describe(key: &Key) -> String {
    let unit = if key.unit.is_empty() { String::new() } else { format!(" Value: {}.", key.unit) };
    let flag = key.flag.map(|flag| format!(", {flag}")).unwrap_or_default();
    format!("{}{unit} [{}{flag}]", key.doc, key.env.join(", "))
}

/// A default as YAML: lists that the environment separates by commas get brackets.
fn yaml(value: &str) -> String {
    if value.contains(',') && !value.starts_with(['[', '{']) {
        format!("[{value}]")
    } else {
        value.to_owned()
    }
}

/// A value as one would type it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Object(pairs) => {
            pairs.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(",")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

pub(super) fn is_empty(value: &Value) -> bool {
    plain(value).is_empty()
}

fn shown(value: &Value) -> String {
    if is_empty(value) { "-".to_owned() } else { plain(value) }
}

/// Lines of at most [`WIDTH`], each after `prefix`.
fn wrap(text: &str, prefix: &str) -> String {
    let mut wrapped = String::new();
    let mut line = String::from(prefix);
    for word in text.split_whitespace() {
        let is_first = line.len() == prefix.len();
        if !is_first && line.len() + 1 + word.len() > WIDTH {
            wrapped.push_str(&line);
            wrapped.push('\n');
            line = String::from(prefix);
        } else if !is_first {
            line.push(' ');
        }
        line.push_str(word);
    }
    wrapped + &line + "\n"
}
