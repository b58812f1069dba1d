//! Every world, by group.
//!
//! Shape: one file per group, one function per world; its name is the sentence it shows. The groups are what
//! `cargo xtask e2e` takes.
mod backends;
mod broken;
mod btf;
mod calls;
mod collector;
mod commands;
mod context;
mod damage;
mod docker;
mod engine;
mod go;
mod http;
mod http2;
mod kernel;
mod kinds;
mod kubernetes;
mod links;
mod load;
mod nginx;
mod operate;
mod preempt;
mod privileges;
mod python;
mod sight;
mod streams;
mod truth;

use crate::runner::Scene;

/// All of them, in the order they run: quick ones first.
pub fn all() -> Vec<Scene> {
    [
        kernel::SCENES,
        http::SCENES,
        http2::SCENES,
        streams::SCENES,
        context::SCENES,
        calls::SCENES,
        kinds::SCENES,
        btf::SCENES,
        sight::SCENES,
        links::SCENES,
        go::SCENES,
        nginx::SCENES,
        python::SCENES,
        docker::SCENES,
        commands::SCENES,
        privileges::SCENES,
        broken::SCENES,
        operate::SCENES,
        preempt::SCENES,
        collector::SCENES,
        load::SCENES,
        backends::SCENES,
        truth::SCENES,
        damage::SCENES,
        kubernetes::SCENES,
    ]
    .concat()
}

/// The table of a group: names become titles.
macro_rules! scenes {
    ($group:literal: $($name:ident),+ $(,)?) => {
        pub(super) const SCENES: &[crate::runner::Scene] =
            &[$(crate::runner::Scene { group: $group, name: stringify!($name), play: $name }),+];
    };
}
use scenes;
