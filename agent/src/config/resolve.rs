//! Asks the layers for each key: default < file < environment < flag.
//!
//! Shape: [`Layers`] and a key in, a typed setting out; mistakes are collected, never returned early, and a layer is checked even
//! if a stronger one overrides it. A mistake in an `OTEL_*` variable is a warning and the variable counts as unset, as the
//! specification wants; everywhere else it ends the start.
use super::{
    error::{ConfigError, Place, Warning},
    file::File,
    key::{Key, Origin, Setting},
    source::Source,
    value::{Dialect, Knob},
};

/// The layers above the defaults, and what was wrong in them.
pub(super) struct Resolver<'a> {
    pub(super) flags: Vec<(&'static str, &'a [String])>,
    pub(super) source: &'a dyn Source,
    pub(super) file: Option<File>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
}

impl Resolver<'_> {
    /// One key's value: that of the strongest layer. `None` only if the table's own default is wrong.
    pub(super) fn setting<T: Knob>(
        &mut self,
        key: &'static Key,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Option<Setting<T>> {
        let checked = |value: T| check(&value).map(|()| value);
        let default = T::from_text(key.default, Dialect::Own).and_then(checked);
        let default = default.map_err(|reason| self.errors.push(invalid(Place::Table, key, reason))).ok()?;
        let mut setting = Setting { value: default, origin: Origin::Default };
        self.ask_file(key, &checked, &mut setting);
        for name in key.env.iter().rev() {
            self.ask_env(key, name, &checked, &mut setting);
        }
        self.ask_flag(key, &checked, &mut setting);
        Some(setting)
    }

    fn ask_file<T: Knob>(
        &mut self,
        key: &'static Key,
        checked: &impl Fn(T) -> Result<T, String>,
        setting: &mut Setting<T>,
    ) {
        let Some((file, node)) = self.file.as_ref().and_then(|file| Some((file, file.get(key.path)?))) else {
            return;
        };
        match T::from_node(node).and_then(checked) {
            Ok(value) => *setting = Setting { value, origin: Origin::File(file.path.clone(), node.line) },
            Err(reason) => self.errors.push(invalid(file.place(node.line), key, reason)),
        }
    }

    fn ask_env<T: Knob>(
        &mut self,
        key: &'static Key,
        name: &'static str,
        checked: &impl Fn(T) -> Result<T, String>,
        setting: &mut Setting<T>,
    ) {
        // Empty means unset, in the specification and for our own variables.
        let Some(text) = self.source.get(name).filter(|text| !text.trim().is_empty()) else { return };
        let text = text.trim();
        if !name.starts_with("OTEL_") {
            match T::from_text(text, Dialect::Own).and_then(checked) {
                Ok(value) => *setting = Setting { value, origin: Origin::Env(name) },
                Err(reason) => self.errors.push(invalid(Place::Env(name), key, reason)),
            }
            return;
        }
        let mut complaints = Vec::new();
        match T::from_standard(text, &mut complaints).map(checked) {
            Some(Ok(value)) => *setting = Setting { value, origin: Origin::Env(name) },
            Some(Err(reason)) => complaints.push(reason),
            None => {}
        }
        let warn = |reason| Warning { place: Place::Env(name), key: key.path, reason };
        self.warnings.extend(complaints.into_iter().map(warn));
    }

    fn ask_flag<T: Knob>(
        &mut self,
        key: &'static Key,
        checked: &impl Fn(T) -> Result<T, String>,
        setting: &mut Setting<T>,
    ) {
        let Some(flag) = key.flag else { return };
        let given = self.flags.iter().find(|(name, values)| *name == flag && !values.is_empty());
        let Some((_, values)) = given else { return };
        match T::from_flags(values).and_then(checked) {
            Ok(value) => *setting = Setting { value, origin: Origin::Flag(flag) },
            Err(reason) => self.errors.push(invalid(Place::Flag(flag), key, reason)),
        }
    }
}

fn invalid(place: Place, key: &'static Key, reason: String) -> ConfigError {
    ConfigError::Invalid { place, key: key.path.to_owned(), reason }
}
