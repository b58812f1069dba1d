//! What a configuration key is, and where a value came from.
//!
//! Shape: the `keys!` macro turns the table of `config/keys.rs` into [`Key`]s for help, example and tests, and into one typed
//! struct of settings. Each row is: field, type, path, environment, flag, default, unit, example, check, doc.
use std::{fmt, path::PathBuf, sync::Arc};

/// One key, as a person reads it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its place in the file: `room.name`.
    pub path: &'static str,
    /// Environment variables, the strongest first.
    pub env: &'static [&'static str],
    /// The flag of `wirespan run`, if there is one.
    pub flag: Option<&'static str>,
    /// The default as one would write it; empty for none.
    pub default: &'static str,
    /// What the number counts, or what the text is.
    pub unit: &'static str,
    /// A value worth showing where there is no default.
    pub example: &'static str,
    /// One or two sentences.
    pub doc: &'static str,
    /// The value is shown as `REDACTED`.
    pub secret: bool,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// A rule that looks at other values, in words.
    Rule(&'static str),
    /// The file, and the line.
    File(Arc<PathBuf>, u64),
    /// This variable.
    Env(&'static str),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Rule(why) => write!(f, "default: {why}"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Env(name) | Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// A value that remembers where it came from.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// One line of `wirespan config`.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub key: &'static Key,
    /// The effective value; a secret is already `REDACTED`.
    pub value: serde_json::Value,
    /// Where it came from.
    pub origin: Origin,
}

macro_rules! keys {
    ($($field:ident: $type:ty = $path:literal, [$($env:literal),*], $flag:expr, $default:literal, $unit:literal, $example:literal,
       $check:expr, $secret:literal, $doc:literal;)+) => {
        /// Every key, in the order of the file.
        pub const KEYS: &[Key] = &[$(Key {
            path: $path, env: &[$($env),*], flag: $flag, default: $default, unit: $unit, example: $example, doc: $doc, secret: $secret,
        },)+];

        /// Every value, typed.
        pub(super) struct Settings { $(pub(super) $field: Setting<$type>,)+ }

        impl Settings {
            /// Asks every layer for every key; what is wrong is noted by the resolver and the next lower layer counts.
            pub(super) fn resolve(resolver: &mut Resolver<'_>) -> Option<Settings> {
                let mut keys = KEYS.iter();
                Some(Settings { $($field: resolver.setting::<$type>(keys.next()?, $check)?,)+ })
            }

            /// What `wirespan config` shows.
            pub(super) fn rows(&self) -> Vec<Row> {
                let values = [$((self.$field.value.json(), self.$field.origin.clone()),)+];
                KEYS.iter().zip(values).map(|(key, (value, origin))| {
                    let hidden = key.secret && !crate::config::show::is_empty(&value);
                    Row { key, value: if hidden { "REDACTED".into() } else { value }, origin }
                }).collect()
            }
        }
    };
}
pub(super) use keys;
