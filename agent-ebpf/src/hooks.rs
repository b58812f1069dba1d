//! Attach points, by subject. Each hook is one call; `agent/src/attach/hooks.rs` lists every one of them.
mod connections;
mod contexts;
mod event_loops;
mod goroutines;
mod processes;
mod sockets;
