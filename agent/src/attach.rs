//! Loads the kernel programs, chooses hooks, writes policies. Only this room and `events/ring.rs` name aya.
