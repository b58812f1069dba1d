//! Where bytes cross a socket: four kinds, best first. User space attaches one of them.
use crate::{
    emit::run,
    handlers::{function, syscall, tracepoint::on_length},
    kernel::globals,
};
use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, fexit, kprobe, kretprobe, tracepoint},
    programs::{BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext},
};
use core::hint::black_box;
use wirespan_common::event::direction::{EGRESS, INGRESS};

// kernel v6.3+: include/trace/events/sock.h DEFINE_EVENT(sock_msg_length, sock_send_length, (struct sock *sk, int ret, int flags))
#[btf_tracepoint(function = "sock_send_length")]
fn sock_send_length(ctx: BtfTracePointContext) -> i32 {
    run(|| on_length(&ctx, EGRESS))
}

// kernel v6.3+: include/trace/events/sock.h DEFINE_EVENT(sock_msg_length, sock_recv_length, (struct sock *sk, int ret, int flags))
#[btf_tracepoint(function = "sock_recv_length")]
fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    run(|| on_length(&ctx, INGRESS))
}

// kernel v4.1+: net/ipv4/tcp.c int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
#[fexit(function = "tcp_sendmsg")]
fn tcp_sendmsg_fexit(ctx: FExitContext) -> i32 {
    run(|| function::on_exit(ctx.arg(0), ctx.arg(1), 0, ctx.arg(3), EGRESS))
}

// kernel v7.2+ (and some 6.18): net/ipv4/tcp.c int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
#[fexit(function = "tcp_recvmsg")]
fn tcp_recvmsg_fexit4(ctx: FExitContext) -> i32 {
    run(|| function::on_exit(ctx.arg(0), ctx.arg(1), ctx.arg(3), ctx.arg(4), INGRESS))
}

// kernel v5.19+: net/ipv4/tcp.c int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
#[fexit(function = "tcp_recvmsg")]
fn tcp_recvmsg_fexit5(ctx: FExitContext) -> i32 {
    run(|| function::on_exit(ctx.arg(0), ctx.arg(1), ctx.arg(3), ctx.arg(5), INGRESS))
}

// kernel v4.1+: net/ipv4/tcp.c int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int nonblock, int flags, int *addr_len)
#[fexit(function = "tcp_recvmsg")]
fn tcp_recvmsg_fexit6(ctx: FExitContext) -> i32 {
    run(|| function::on_exit(ctx.arg(0), ctx.arg(1), ctx.arg(4), ctx.arg(6), INGRESS))
}

// kernel v4.1+: net/ipv4/tcp.c int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
#[kprobe(function = "tcp_sendmsg")]
fn tcp_sendmsg_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(sock), Some(message)) = (ctx.arg(0), ctx.arg(1)) else { return 0 };
    run(|| function::on_call(sock, message, 0, EGRESS)) as u32
}

// kernel v4.1+: as above
#[kretprobe(function = "tcp_sendmsg")]
fn tcp_sendmsg_kretprobe(ctx: RetProbeContext) -> u32 {
    run(|| function::on_return(ctx.ret(), EGRESS)) as u32
}

// kernel v4.1+: net/ipv4/tcp.c int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, …): flags are the fourth or fifth
#[kprobe(function = "tcp_recvmsg")]
fn tcp_recvmsg_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(sock), Some(message)) = (ctx.arg(0), ctx.arg(1)) else { return 0 };
    // Both are loaded, as the verifier does not allow a choice of the place to load from.
    let (fourth, fifth) = (black_box(ctx.arg(3).unwrap_or(0)), black_box(ctx.arg(4).unwrap_or(0)));
    let flags = if globals::recvmsg_flags_are_fifth() { fifth } else { fourth };
    run(|| function::on_call(sock, message, flags, INGRESS)) as u32
}

// kernel v4.1+: as above
#[kretprobe(function = "tcp_recvmsg")]
fn tcp_recvmsg_kretprobe(ctx: RetProbeContext) -> u32 {
    run(|| function::on_return(ctx.ret(), INGRESS)) as u32
}

// kernel v2.6+, until v6.4: net/ipv4/tcp.c int tcp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
#[fexit(function = "tcp_sendpage")]
fn tcp_sendpage_fexit(ctx: FExitContext) -> i32 {
    run(|| function::on_pages(ctx.arg(0), ctx.arg(5)))
}

// kernel v2.6+, until v6.4: as above
#[kprobe(function = "tcp_sendpage")]
fn tcp_sendpage_kprobe(ctx: ProbeContext) -> u32 {
    let Some(sock) = ctx.arg(0) else { return 0 };
    run(|| function::on_call(sock, 0, 0, EGRESS)) as u32
}

// kernel v2.6+, until v6.4: as above
#[kretprobe(function = "tcp_sendpage")]
fn tcp_sendpage_kretprobe(ctx: RetProbeContext) -> u32 {
    run(|| function::on_return(ctx.ret(), EGRESS)) as u32
}

// kernel v5.15+: syscalls:sys_exit_* of every call that sends; include/trace/events/syscalls.h TRACE_EVENT(sys_exit, (struct pt_regs *regs, long ret))
#[tracepoint]
fn sys_exit_egress(ctx: TracePointContext) -> u32 {
    run(|| syscall::on_exit(crate::kernel::regs::result(ctx.as_ptr()), EGRESS)) as u32
}

// kernel v5.15+: syscalls:sys_exit_* of every call that receives
#[tracepoint]
fn sys_exit_ingress(ctx: TracePointContext) -> u32 {
    run(|| syscall::on_exit(crate::kernel::regs::result(ctx.as_ptr()), INGRESS)) as u32
}
