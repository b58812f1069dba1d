//! The pure core: events in, spans out. No IO, no clock, no async, no unsafe: so every part can be benched, fuzzed and replayed.
//!
//! Rooms in the order of a request: [`event`] → [`assemble`] + [`protocols`] → [`exchange`] → [`correlate`] with
//! [`propagate`], [`spans`] and [`sample`]: a trace is kept or dropped where it gets its id. Who imports whom is checked by lint.
#![forbid(unsafe_code)]

pub mod assemble;
pub mod correlate;
pub mod counter;
pub mod event;
pub mod exchange;
mod percent;
pub mod propagate;
pub mod protocols;
pub mod redact;
pub mod sample;
pub mod spans;
