//! Kernel struct offsets, resolved from BTF by `agent/src/attach/offsets.rs` and passed as the read-only global `OFFSETS`.
