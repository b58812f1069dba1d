//! What a thread works on, as its language runtime knows it: read from the process's own memory, without a probe.
//!
//! Shape: one module per runtime, one arm per runtime in [`task`]. What cannot be read is zero: the thread is then all that is known.
pub(crate) mod go;
mod nginx;
pub(crate) mod python;
pub(crate) mod node;

use crate::kernel::{access::Access, sock::TcpSocket, task::Task};
use wirespan_common::{event::runtime, policy::Process};

/// The numbers of the record's `task`, when the thread has moved bytes on `socket`.
#[inline(always)]
pub(crate) fn task<A: Access>(
    thread: Task,
    process: &Process,
    socket: &TcpSocket<A>,
    towards: u8,
) -> [u64; 3] {
    match process.runtime as u8 {
        runtime::GO => [go::current(thread, process), 0, 0],
        runtime::NGINX => nginx::request(thread, socket, towards).unwrap_or_default(),
        runtime::PYTHON => python::sender(thread, process, socket, towards),
        runtime::NODE => node::ids(),
        _ => [0; 3],
    }
}
