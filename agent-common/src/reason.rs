//! Why the kernel side lost or skipped something: the index into the per-CPU array `REASONS`.
