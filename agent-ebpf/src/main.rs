//! The kernel programs: what the sockets and processes of observed programs do, as records in one ring.
//!
//! Shape: `hooks` are the attach points, each calls one function of `handlers`, which reads the kernel through `kernel`,
//! keeps its rows in `maps` and writes records through `emit`. Clock: `CLOCK_MONOTONIC`. No protocol is known here: how much
//! is copied follows from `POLICIES`. No kernel version is known here either: offsets come from user space as `OFFSETS`.
//! Invariant: an event of a process nobody asked for costs one look-up in `PROCESSES`. Every loss moves a row of `REASONS`.
//! Invariant: unsafe code is in `kernel` and `emit` alone.
#![no_std]
#![no_main]

mod emit;
mod handlers;
mod hooks;
mod kernel;
mod maps;
mod scratch;

/// The verifier proves that nothing panics; the compiler does not know that.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// GPL, because the helpers that read memory ask for it.
#[expect(unsafe_code, reason = "the loader finds the licence by its section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
