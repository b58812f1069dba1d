//! The ABI between the kernel programs and user space: what a record means, to the byte.
//!
//! Shape: `repr(C)` structs of fixed-width integers, written by `agent-ebpf`, read by `agent/src/events/decode.rs`;
//! and the reverse, policies and offsets written by `agent/src/attach`, read by the kernel programs.
//! Not here: behaviour. The two sides are built by different compilers, so no `bool`, `enum`, `Option`, `usize`.
#![no_std]
#![deny(unsafe_code)]

pub mod event;
pub mod limits;
pub mod offsets;
pub mod policy;
pub mod reason;
#[cfg(feature = "user")]
mod user;
