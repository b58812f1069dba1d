//! nginx: each connection points to the request that it is used for, and that to the client's connection.
//!
//! nginx gives epoll the address of its `ngx_connection_t`, and the kernel keeps it: so it is known for every connection, however
//! old, without a hook. Source: src/core/ngx_connection.h, src/http/ngx_http_request.h (1.22; these first fields are the same
//! since 0.8). Every step is checked; another layout, or a connection that serves no HTTP request, yields nothing.
use crate::kernel::{
    access::{Access, Probed},
    file,
    sock::TcpSocket,
    task::Task,
    user,
};
use wirespan_common::event::direction;

/// `ngx_connection_t.fd`.
const CONNECTION_FD: u64 = 24;
/// `ngx_connection_t.sent`: bytes sent since its current request began.
const CONNECTION_SENT: u64 = 72;
/// `NGX_HTTP_MODULE`: "HTTP".
const HTTP: u32 = 0x5054_5448;
/// nginx marks the pointers that it gives epoll with the age of the connection.
const INSTANCE: u64 = 1;

/// Start of an `ngx_connection_t`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Connection {
    /// Of an upstream connection in use the `ngx_http_request_t`.
    data: u64,
    /// Its events.
    events: [u64; 2],
    fd: u32,
}

/// Start of an `ngx_http_request_t`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Request {
    signature: u32,
    padding: u32,
    /// The client's, of a subrequest too.
    connection: u64,
}

/// For which request these bytes are sent to an upstream: the client's connection, and how much of its response was sent.
#[inline(always)]
pub(crate) fn request<A: Access>(thread: Task, socket: &TcpSocket<A>, towards: u8) -> Option<[u64; 3]> {
    if towards != direction::EGRESS {
        return None;
    }
    let registration = file::registration::<A>(socket.file().ok()?).ok()??;
    let connection = registration.data & !INSTANCE;
    let Connection { data, fd, .. } = user::read(connection)?;
    if fd != registration.descriptor {
        return None;
    }
    let Request { signature, connection: client, .. } = user::read(data)?;
    if signature != HTTP || client == connection {
        return None;
    }
    let sent: u64 = user::read(client.wrapping_add(CONNECTION_SENT))?;
    let sock = file::socket(thread, user::read(client.wrapping_add(CONNECTION_FD))?).ok()??;
    let cookie = TcpSocket::<Probed>::from_address(sock).ok()??.cookie().ok()?;
    Some([cookie, sent, 0])
}
