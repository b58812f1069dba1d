//! Places in the code of CPython. `agent/src/attach/python.rs` finds them.
use crate::{emit::run, handlers::context::on_birth, kernel::regs::Registers};
use aya_ebpf::{EbpfContext as _, helpers::generated, macros::uprobe, programs::ProbeContext};

// 3.9+: Python/context.c PyObject *PyContext_CopyCurrent(void), where the new object is in a register
#[uprobe]
fn python_birth_uprobe(ctx: ProbeContext) -> u32 {
    // SAFETY: the program's own context.
    let register = unsafe { generated::bpf_get_attach_cookie(ctx.as_ptr()) };
    run(|| on_birth(Registers::of_probe(ctx.as_ptr()), register)) as u32
}
