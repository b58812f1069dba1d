//! The kinds of evidence, best first: each a module that remembers what it needs and answers one question.
//!
//! - [`wire`]: what do the request's own headers say?
//! - [`peer`]: which request is the other end of this one?
//! - [`goroutine`]: for which open request does this goroutine work?
//! - [`handler`]: for which request of a shared connection was this goroutine created?
//! - [`nginx`]: which request is nginx at on this connection?
//! - [`context`]: which request does this context answer, or was it born for?
//! - [`event_loop`]: for which open request does this part of an event loop's work run?
//! - [`thread`]: which open request did this thread read, and do the threads of this process answer what they read?
//! - [`only`]: is exactly one request open, and nothing else at work?
//!
//! Weighing them is in `client` and `server`, not here.
pub(super) mod context;
mod doubt;
pub(super) mod event_loop;
pub(super) mod only;
pub(super) mod peer;
pub(super) mod goroutine;
pub(super) mod handler;
pub(super) mod nginx;
pub(super) mod thread;
pub(super) mod wire;
