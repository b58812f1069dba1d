//! wirespan: a node agent that gives distributed traces to programs that nobody changed.
//!
//! Rooms in the order of a request; ARCHITECTURE.md tells the way through them.
#![forbid(unsafe_code)]

pub mod kubernetes;
pub mod discover;
pub mod attach;
pub mod events;
pub mod enrich;
pub mod export;
pub mod pipeline;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod explain;
pub mod recording;
pub mod telemetry;
