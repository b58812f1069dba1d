//! `aya::Pod` for what crosses a map: the one list, and the crate's only unsafe.
#![expect(unsafe_code, reason = "aya::Pod is an unsafe trait")]
