//! Where bytes cross a socket, first kind: the socket tracepoints. The best there is: the socket is trusted, the count and the
//! flags are given, other system calls cost nothing.
use crate::{emit::run, handlers::tracepoint::on_length};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use wirespan_common::event::direction;

// kernel v6.3+: include/trace/events/sock.h DEFINE_EVENT(sock_msg_length, sock_send_length, (struct sock *sk, int ret, int flags))
#[btf_tracepoint(function = "sock_send_length")]
fn sock_send_length(ctx: BtfTracePointContext) -> i32 {
    run(|| on_length(&ctx, direction::EGRESS))
}

// kernel v6.3+: include/trace/events/sock.h DEFINE_EVENT(sock_msg_length, sock_recv_length, (struct sock *sk, int ret, int flags))
#[btf_tracepoint(function = "sock_recv_length")]
fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    run(|| on_length(&ctx, direction::INGRESS))
}
