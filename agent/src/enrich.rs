//! Resource attributes of processes and the host.
