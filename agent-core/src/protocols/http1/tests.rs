//! HTTP/1 heads and chunks.
