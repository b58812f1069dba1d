//! Which processes to observe.
