//! The types of values, each with one way to be written.
//!
//! Shape: text or a node of the file in, typed value out, and back as JSON for `wirespan config`. In the file and in `WIRESPAN_*`
//! durations carry a unit and booleans are `true` or `false`; in `OTEL_*` they follow the specification (see `config/otel.rs`).
use super::{
    otel,
    yaml::{Name, Node, Tree},
};
use serde_json::json;
use std::{path::PathBuf, time::Duration};

/// Who wrote a text, and so how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The file, a flag or a `WIRESPAN_*` variable.
    Own,
    /// An `OTEL_*` variable.
    Standard,
}

/// A type of value. Errors say what was expected; the resolver adds where.
pub(super) trait Knob: Sized {
    fn from_text(text: &str, dialect: Dialect) -> Result<Self, String>;

    /// An `OTEL_*` variable: what cannot be read is complained about and `None`, or left out of a list.
    fn from_standard(text: &str, complaints: &mut Vec<String>) -> Option<Self> {
        Self::from_text(text, Dialect::Standard).map_err(|reason| complaints.push(reason)).ok()
    }

    /// A flag, once per occurrence. Types that hold one value take the last.
    fn from_flags(values: &[String]) -> Result<Self, String> {
        Self::from_text(values.last().map_or("", String::as_str), Dialect::Own)
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.tree {
            Tree::Scalar(text) => Self::from_text(text, Dialect::Own),
            Tree::Null | Tree::Sequence(_) | Tree::Mapping(_) => {
                Err(format!("expected one value, found {}", node.tree.kind()))
            }
        }
    }

    fn json(&self) -> serde_json::Value;
}

impl Knob for bool {
    fn from_text(text: &str, dialect: Dialect) -> Result<bool, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            text if dialect == Dialect::Standard && text.eq_ignore_ascii_case("true") => Ok(true),
            text if dialect == Dialect::Standard && text.eq_ignore_ascii_case("false") => Ok(false),
            other => Err(format!("expected true or false, found `{other}`")),
        }
    }

    /// The specification: whatever is not true is false, with a warning.
    fn from_standard(text: &str, complaints: &mut Vec<String>) -> Option<bool> {
        let read = Self::from_text(text, Dialect::Standard);
        Some(read.unwrap_or_else(|reason| {
            complaints.push(reason);
            false
        }))
    }

    fn json(&self) -> serde_json::Value {
        json!(self)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Knob for $type {
            fn from_text(text: &str, _: Dialect) -> Result<$type, String> {
                text.parse().map_err(|_| format!("expected a whole number up to {}, found `{text}`", <$type>::MAX))
            }

            fn json(&self) -> serde_json::Value {
                json!(self)
            }
        }
    )+};
}
whole_numbers!(u16, u32);

/// How many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Count(pub(super) usize);

impl Knob for Count {
    fn from_text(text: &str, _: Dialect) -> Result<Count, String> {
        text.parse().map(Count).map_err(|_| format!("expected a whole number, found `{text}`"))
    }

    fn json(&self) -> serde_json::Value {
        json!(self.0)
    }
}

/// A size: `64KiB`, `4MiB`, or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Bytes(pub(super) usize);

impl Knob for Bytes {
    fn from_text(text: &str, _: Dialect) -> Result<Bytes, String> {
        let expected = || format!("expected a size such as 65536, 64KiB or 4MiB, found `{text}`");
        let (digits, unit) = split_unit(text);
        let factor: usize = match unit {
            "" | "B" => 1,
            "KiB" => 1024,
            "MiB" => 1024 * 1024,
            "GiB" => 1024 * 1024 * 1024,
            _ => return Err(expected()),
        };
        let number: usize = digits.parse().map_err(|_| expected())?;
        number.checked_mul(factor).map(Bytes).ok_or_else(expected)
    }

    fn json(&self) -> serde_json::Value {
        match self.0 {
            bytes if bytes > 0 && bytes.is_multiple_of(1024 * 1024) => {
                json!(format!("{}MiB", bytes / (1024 * 1024)))
            }
            bytes if bytes > 0 && bytes.is_multiple_of(1024) => json!(format!("{}KiB", bytes / 1024)),
            bytes => json!(bytes),
        }
    }
}

impl Knob for Duration {
    fn from_text(text: &str, dialect: Dialect) -> Result<Duration, String> {
        if dialect == Dialect::Standard {
            return otel::milliseconds(text);
        }
        let expected = || format!("expected a duration such as 500ms, 30s, 5m or 1h, found `{text}`");
        let (digits, unit) = split_unit(text);
        let number: u64 = digits.parse().map_err(|_| expected())?;
        let seconds = match unit {
            "ms" => return Ok(Duration::from_millis(number)),
            "s" => Some(number),
            "m" => number.checked_mul(60),
            "h" => number.checked_mul(3600),
            _ => None,
        };
        seconds.map(Duration::from_secs).ok_or_else(expected)
    }

    fn json(&self) -> serde_json::Value {
        let millis = self.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
        let whole = units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
        json!(whole.map_or(format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit)))
    }
}

/// A share between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio(pub(super) f64);

impl Knob for Ratio {
    fn from_text(text: &str, _: Dialect) -> Result<Ratio, String> {
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Ratio(ratio)),
            _ => Err(format!("expected a number from 0 to 1, found `{text}`")),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!(self.0)
    }
}

impl Knob for String {
    fn from_text(text: &str, _: Dialect) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn json(&self) -> serde_json::Value {
        json!(self)
    }
}

impl Knob for PathBuf {
    fn from_text(text: &str, _: Dialect) -> Result<PathBuf, String> {
        Ok(PathBuf::from(text))
    }

    fn json(&self) -> serde_json::Value {
        json!(self.to_string_lossy())
    }
}

impl<T: Knob> Knob for Option<T> {
    fn from_text(text: &str, dialect: Dialect) -> Result<Option<T>, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text, dialect).map(Some) }
    }

    fn json(&self) -> serde_json::Value {
        self.as_ref().map_or(serde_json::Value::Null, Knob::json)
    }
}

/// An item of a list: a comma separates items, unless the type knows better.
pub(super) trait Item: Knob {
    fn split(text: &str) -> Vec<&str> {
        text.split(',').collect()
    }
}

impl Item for u16 {}
impl Item for u32 {}
impl Item for String {}

impl<T: Item> Knob for Vec<T> {
    fn from_text(text: &str, dialect: Dialect) -> Result<Vec<T>, String> {
        let items = T::split(text).into_iter().map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| T::from_text(item, dialect)).collect()
    }

    fn from_standard(text: &str, complaints: &mut Vec<String>) -> Option<Vec<T>> {
        let items = T::split(text).into_iter().map(str::trim).filter(|item| !item.is_empty());
        let items: Vec<T> = items.filter_map(|item| T::from_standard(item, complaints)).collect();
        (!items.is_empty()).then_some(items)
    }

    fn from_flags(values: &[String]) -> Result<Vec<T>, String> {
        let lists: Result<Vec<Vec<T>>, String> =
            values.iter().map(|value| Self::from_text(value, Dialect::Own)).collect();
        Ok(lists?.into_iter().flatten().collect())
    }

    fn from_node(node: &Node) -> Result<Vec<T>, String> {
        match &node.tree {
            Tree::Sequence(items) => items.iter().map(T::from_node).collect(),
            Tree::Scalar(text) => Self::from_text(text, Dialect::Own),
            Tree::Null | Tree::Mapping(_) => Err(format!("expected a list, found {}", node.tree.kind())),
        }
    }

    fn json(&self) -> serde_json::Value {
        self.iter().map(Knob::json).collect()
    }
}

/// Names with values, in order: `a=1,b=2`, percent-encoded, or a mapping in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Knob for Pairs {
    fn from_text(text: &str, _: Dialect) -> Result<Pairs, String> {
        otel::pairs(text).map(Pairs)
    }

    fn from_node(node: &Node) -> Result<Pairs, String> {
        let Tree::Mapping(entries) = &node.tree else {
            return Err(format!("expected a mapping of names to values, found {}", node.tree.kind()));
        };
        let pair = |(name, value): &(Name, Node)| match &value.tree {
            Tree::Scalar(text) => Ok((name.text.clone(), text.clone())),
            other => Err(format!("expected a text for `{}`, found {}", name.text, other.kind())),
        };
        entries.iter().map(pair).collect::<Result<_, _>>().map(Pairs)
    }

    fn json(&self) -> serde_json::Value {
        self.0
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// A pattern of an executable's path or file name.
#[derive(Clone, Debug)]
pub(super) struct ExeGlob(pub(super) globset::Glob);

impl Knob for ExeGlob {
    fn from_text(text: &str, _: Dialect) -> Result<ExeGlob, String> {
        globset::Glob::new(text).map(ExeGlob).map_err(|error| format!("expected a glob: {error}"))
    }

    fn json(&self) -> serde_json::Value {
        json!(self.0.glob())
    }
}

impl Item for ExeGlob {
    /// A comma inside `{a,b}` belongs to the glob.
    fn split(text: &str) -> Vec<&str> {
        let mut depth = 0_usize;
        let separates = |letter: char| {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == ',' && depth == 0
        };
        text.split(separates).collect()
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(digits).map_or((text, ""), |(digits, unit)| (digits, unit.trim_start()))
}
