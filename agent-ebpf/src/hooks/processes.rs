//! Where processes begin, change their program and end.
use crate::{
    emit::run,
    handlers::process::{on_exec, on_exit, on_fork},
    kernel::task::Task,
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

// kernel v3.4+: include/trace/events/sched.h TRACE_EVENT(sched_process_exec, (struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm))
#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    run(|| on_exec(Task::new(ctx.arg(0)), ctx.arg(2)))
}

// kernel v2.6.28+: include/trace/events/sched.h TRACE_EVENT(sched_process_fork, (struct task_struct *parent, struct task_struct *child))
#[btf_tracepoint(function = "sched_process_fork")]
fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    run(|| on_fork(Task::new(ctx.arg(0)), Task::new(ctx.arg(1))))
}

// kernel v2.6.28+: include/trace/events/sched.h DEFINE_EVENT(sched_process_template, sched_process_exit, (struct task_struct *p, …))
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    run(|| on_exit(Task::new(ctx.arg(0))))
}
