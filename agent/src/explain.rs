//! Is this process observed, and why not.
