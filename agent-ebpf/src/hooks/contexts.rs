//! Places in the code of CPython. `agent/src/attach/python.rs` finds them.
use crate::{
    emit::run,
    handlers::context::{on_birth, on_put, on_queued, on_taken},
    kernel::regs::Registers,
};
use aya_ebpf::{EbpfContext as _, helpers::generated, macros::uprobe, programs::ProbeContext};

// 3.9+: Python/context.c PyObject *PyContext_CopyCurrent(void), where the new object is in a register
#[uprobe]
fn python_birth_uprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the program's own context.
    let register = unsafe { generated::bpf_get_attach_cookie(ctx.as_ptr()) };
    run(|| on_birth(Registers::of_probe(ctx.as_ptr()), register)) as u32
}

// 3.9+: Modules/_queuemodule.c _queue_SimpleQueue_put(simplequeueobject *self, PyObject *const *args, …), where args is in a register
#[uprobe]
fn python_put_uprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the program's own context.
    let register = unsafe { generated::bpf_get_attach_cookie(ctx.as_ptr()) };
    run(|| on_put(Registers::of_probe(ctx.as_ptr()), register)) as u32
}

// 3.9+: Modules/_queuemodule.c _queue_SimpleQueue_get and _queue_SimpleQueue_get_nowait, where the item is in a register
#[uprobe]
fn python_take_uprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the program's own context.
    let register = unsafe { generated::bpf_get_attach_cookie(ctx.as_ptr()) };
    run(|| on_taken(Registers::of_probe(ctx.as_ptr()), register)) as u32
}

// uvloop 0.17+: uvloop/handles/stream.pyx UVStream.write and writelines, where self is in a register
#[uprobe]
fn python_queued_uprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the program's own context.
    let register = unsafe { generated::bpf_get_attach_cookie(ctx.as_ptr()) };
    run(|| on_queued(Registers::of_probe(ctx.as_ptr()), register)) as u32
}
