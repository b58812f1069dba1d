//! Ring bytes to events.
