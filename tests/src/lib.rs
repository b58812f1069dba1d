//! Worlds: wirespan beside real programs, as a person would run it.
//!
//! Rooms in reading order: `worlds` (what is shown), `runner` (chooses, counts), `world` and `agent` (what runs),
//! `expect` (what is wanted, and what to say when it is not there), `span` (OTLP/JSON as values), `http` (a client that
//! shapes every byte), `load` (many requests, on time), `collector` (where spans go), `cluster` (a Kubernetes node), `deploy` (what
//! is put onto it), `process` and `wait` (guards and deadlines); `bench` (the same worlds, measured); `backends` and `shop` (what
//! users send to, and four services to send from).
#![forbid(unsafe_code)]

pub mod agent;
pub mod backends;
pub mod bench;
pub mod cluster;
pub mod collector;
pub mod deploy;
pub mod expect;
pub mod http;
pub mod ledger;
pub mod load;
pub mod process;
pub mod runner;
pub mod shop;
pub mod span;
pub mod truth;
pub mod wait;
pub mod world;
pub mod worlds;
