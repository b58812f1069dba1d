//! Every world, by group.
//!
//! Shape: one file per group, one function per world; its name is the sentence it shows.
mod http;

use crate::runner::Scene;

/// All of them, in the order they run.
pub fn all() -> Vec<Scene> {
    http::SCENES.to_vec()
}

/// The table of a group: names become titles.
macro_rules! scenes {
    ($group:literal: $($name:ident),+ $(,)?) => {
        pub(super) const SCENES: &[crate::runner::Scene] =
            &[$(crate::runner::Scene { group: $group, name: stringify!($name), play: $name }),+];
    };
}
use scenes;
