//! Places in the code of Go programs. `agent/src/attach/go.rs` finds them.
use crate::{
    emit::run,
    handlers::goroutine::{on_request, on_spawn},
    kernel::regs::Registers,
};
use aya_ebpf::{EbpfContext as _, macros::uprobe, programs::ProbeContext};

// go1.21+: src/net/http/transport.go func (pc *persistConn) roundTrip(req *transportRequest) (resp *Response, err error)
#[uprobe]
fn go_request_uprobe(ctx: ProbeContext) -> u32 {
    run(|| on_request(Registers::of_probe(ctx.as_ptr()))) as u32
}

// go1.21+: src/runtime/proc.go func newproc(fn *funcval), at its call of runqput(pp *p, gp *g, next bool)
#[uprobe]
fn go_spawn_uprobe(ctx: ProbeContext) -> u32 {
    run(|| on_spawn(Registers::of_probe(ctx.as_ptr()))) as u32
}
