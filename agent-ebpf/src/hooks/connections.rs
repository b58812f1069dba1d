//! Where TCP connections change their state and end.
use crate::{
    emit::run,
    handlers::connection::{on_destroyed, on_state},
    kernel::sock::TcpSocket,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

// kernel v4.16+: include/trace/events/sock.h TRACE_EVENT(inet_sock_set_state, (const struct sock *sk, const int oldstate, const int newstate))
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let Some(socket) = TcpSocket::from_typed(ctx.arg(0)) else { return 0 };
    run(|| on_state(&socket, ctx.arg::<u32>(1) as u16, ctx.arg::<u32>(2) as u16))
}

// kernel v4.16+: include/trace/events/tcp.h DEFINE_EVENT(tcp_event_sk, tcp_destroy_sock, (struct sock *sk))
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn tcp_destroy_sock(ctx: BtfTracePointContext) -> i32 {
    let Some(socket) = TcpSocket::from_typed(ctx.arg(0)) else { return 0 };
    run(|| on_destroyed(socket.cookie()?))
}
