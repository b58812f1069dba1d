//! The ring as a file: record and replay.
