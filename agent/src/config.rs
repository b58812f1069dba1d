//! Configuration from one table of keys.
