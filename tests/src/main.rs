//! `worlds [--list | --compile | NAME…]`: runs worlds by group or name and sums up in the last line; or names them; or compiles what
//! they start.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use wirespan_tests::{runner, world, worlds};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.iter().any(|name| name == "--list") {
        for world in worlds::all() {
            println!("{}/{}", world.group, world.name);
        }
        return ExitCode::SUCCESS;
    }
    if names.iter().any(|name| name == "--compile") {
        return match world::compile_all() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    runner::run(&worlds::all(), &names)
}
