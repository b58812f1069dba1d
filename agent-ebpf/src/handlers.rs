//! What is done about an event, whichever hook saw it.
pub(crate) mod buffer;
pub(crate) mod bytes;
pub(crate) mod capture;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod event_loop;
pub(crate) mod function;
pub(crate) mod goroutine;
pub(crate) mod iterator;
pub(crate) mod mark;
pub(crate) mod process;
pub(crate) mod receive;
pub(crate) mod registers;
pub(crate) mod side;
pub(crate) mod syscall;
pub(crate) mod tail;
pub(crate) mod tracepoint;
