//! Places in the code of Node.js. `agent/src/attach/node.rs` finds them.
use crate::{
    emit::run,
    handlers::event_loop::{on_callback, on_completed, on_later, on_resolve, on_waiting, on_wrap_callback},
    kernel::regs::Registers,
};
use aya_ebpf::{EbpfContext as _, macros::uprobe, programs::ProbeContext};

// node v18+: src/api/callback.cc InternalCallbackScope(Environment* env, …, const async_context& asyncContext, int flags, …)
#[uprobe]
fn node_callback_uprobe(ctx: ProbeContext) -> u32 {
    run(|| on_callback(Registers::of_probe(ctx.as_ptr()))) as u32
}

// node v18+: src/api/callback.cc InternalCallbackScope(AsyncWrap* async_wrap, int flags)
#[uprobe]
fn node_wrap_uprobe(ctx: ProbeContext) -> u32 {
    run(|| on_wrap_callback(Registers::of_probe(ctx.as_ptr()))) as u32
}

// node v18+: src/env.cc Environment::RunTimers(uv_timer_t* handle)
#[uprobe]
fn node_timers_uprobe(_: ProbeContext) -> u32 {
    run(on_later) as u32
}

// node v18+: src/env.cc Environment::CheckImmediate(uv_check_t* handle)
#[uprobe]
fn node_immediates_uprobe(_: ProbeContext) -> u32 {
    run(on_later) as u32
}

// node v18+: deps/v8/src/builtins/promise-misc.tq PromiseCapabilityDefaultResolve
#[uprobe]
fn node_resolve_uprobe(_: ProbeContext) -> u32 {
    run(on_resolve) as u32
}

// node v18+: deps/v8/src/execution/microtask-queue.cc MicrotaskQueue::RunMicrotasks(Isolate* isolate)
#[uprobe]
fn node_waiting_uprobe(_: ProbeContext) -> u32 {
    run(on_waiting) as u32
}

// node v18+: deps/v8/src/execution/isolate.cc Isolate::ClearKeptObjects(), which follows every RunMicrotasks
#[uprobe]
fn node_completed_uprobe(_: ProbeContext) -> u32 {
    run(on_completed) as u32
}
