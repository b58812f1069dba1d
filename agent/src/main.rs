//! The `wirespan` command.
fn main() {}
