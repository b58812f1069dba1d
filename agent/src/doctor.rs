//! What this machine supports.
