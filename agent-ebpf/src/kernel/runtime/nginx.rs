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

/// `ngx_connection_t.data`: of an upstream connection in use the `ngx_http_request_t`.
const CONNECTION_DATA: u64 = 0;
/// `ngx_connection_t.fd`.
const CONNECTION_FD: u64 = 24;
/// `ngx_connection_t.sent`: bytes sent since its current request began.
const CONNECTION_SENT: u64 = 72;
/// `ngx_http_request_t.signature`.
const REQUEST_SIGNATURE: u64 = 0;
/// `NGX_HTTP_MODULE`: "HTTP".
const HTTP: u32 = 0x5054_5448;
/// `ngx_http_request_t.connection`: the client's, of a subrequest too.
const REQUEST_CONNECTION: u64 = 8;
/// nginx marks the pointers that it gives epoll with the age of the connection.
const INSTANCE: u64 = 1;

/// For which request these bytes are sent to an upstream: the client's connection, and how much of its response was sent.
#[inline(always)]
pub(crate) fn request<A: Access>(thread: Task, socket: &TcpSocket<A>, towards: u8) -> Option<[u64; 3]> {
    if towards != direction::EGRESS {
        return None;
    }
    let registration = file::registration(socket.file().ok()?).ok()??;
    let connection = registration.data & !INSTANCE;
    if user::read::<u32>(connection.wrapping_add(CONNECTION_FD))? != registration.descriptor {
        return None;
    }
    let request: u64 = user::read(connection.wrapping_add(CONNECTION_DATA))?;
    if user::read::<u32>(request.wrapping_add(REQUEST_SIGNATURE))? != HTTP {
        return None;
    }
    let client: u64 = user::read(request.wrapping_add(REQUEST_CONNECTION))?;
    if client == connection {
        return None;
    }
    let sent: u64 = user::read(client.wrapping_add(CONNECTION_SENT))?;
    let sock = file::socket(thread, user::read(client.wrapping_add(CONNECTION_FD))?).ok()??;
    let cookie = TcpSocket::<Probed>::from_address(sock).ok()??.cookie().ok()?;
    Some([cookie, sent, 0])
}
