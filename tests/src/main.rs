//! `worlds [--list] [NAME…]`: runs worlds by group or name and sums up in the last line.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use wirespan_tests::{runner, worlds};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.iter().any(|name| name == "--list") {
        for world in worlds::all() {
            println!("{}/{}", world.group, world.name);
        }
        return ExitCode::SUCCESS;
    }
    runner::run(&worlds::all(), &names)
}
