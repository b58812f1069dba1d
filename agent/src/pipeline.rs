//! The whole agent on one screen.
