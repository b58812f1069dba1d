//! The layout of everything that crosses between kernel and user space, as text: `agent-common/abi.txt`.
//!
//! Shape: types → name, size, alignment, and each field's offset and size in bytes. A field that is missing here is found:
//! types without padding are exactly as large as their fields.
use anyhow::{Result, ensure};
use std::{
    fmt::Write,
    mem::{align_of, offset_of, size_of},
};
use wirespan_common::{
    event::{
        BirthRecord, BytesRecord, ClaimRecord, Endpoints, ExecRecord, ExitRecord, ForkRecord, HandoverRecord,
        Header, ListenRecord, ProgressRecord, SliceRecord, SpawnRecord, StateRecord,
    },
    offsets::{Kernel, Offsets},
    policy::{
        ConnectionState, FrameWalk, FrameWalks, GoLayout, Mark, NodeLayout, Policy, Process, PythonLayout,
        WalkTrust,
    },
};

/// One type's layout.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    fields: Vec<(&'static str, usize, usize)>,
}

/// Every type with its fields, in the order of the source.
macro_rules! layouts {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        vec![$(Layout {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: vec![$((stringify!($field), offset_of!($name, $field), field_size(|of: &$name| &of.$field))),+],
        }),+]
    };
}

fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The file's text.
pub(super) fn text() -> Result<String> {
    let mut text = String::from(
        "# Layout of what crosses between kernel and user space: offset, size, field. Written by `cargo xtask codegen`.\n",
    );
    for Layout { name, size, align, fields } in layouts() {
        let sum: usize = fields.iter().map(|(_, _, size)| size).sum();
        ensure!(
            sum == size,
            "{name} is {size} bytes, its fields here are {sum}: add the missing one to the table"
        );
        writeln!(text, "\n{name} size {size} align {align}")?;
        for (field, offset, size) in fields {
            writeln!(text, "{offset:>6} {size:>4} {field}")?;
        }
    }
    // Its fields are a table already, in `offsets.rs`.
    writeln!(text, "\nOffsets size {} align {}", size_of::<Offsets>(), align_of::<Offsets>())?;
    Ok(text)
}

fn layouts() -> Vec<Layout> {
    layouts! {
        Header { at_ns, tgid, tid, start_ticks, len, kind, flags, cpu }
        Endpoints { local, remote, local_port, remote_port }
        BytesRecord {
            header, conn, task, opposite_at_ns, opposite_seq, seq, moved, captured, skipped, ahead, endpoints,
            direction, source, runtime, reserved,
        }
        ProgressRecord { header, passed_at_ns, conn, seq, direction, by_tail, reserved }
        StateRecord { header, conn, last_at_ns, last_seq, old_state, new_state, reserved }
        ExecRecord { header, filename, args, args_len, reserved }
        ForkRecord { header, parent_tgid, parent_start_ticks }
        ExitRecord { header, exit_code, reserved }
        ListenRecord { header, local, local_port, reserved }
        ClaimRecord { header, conn, goroutine }
        SpawnRecord { header, goroutine, parent_goroutine, site }
        BirthRecord { header, context, creator }
        HandoverRecord { header, item, context, step, reserved }
        SliceRecord { header, begun_at_ns, conn, id, trigger, youngest, cause, flags }
        Mark { armed, seq, tail, tail_len, id }
        WalkTrust { trusted, refused }
        FrameWalk { key, have, from, reached, left, wanted, skipped }
        FrameWalks { walks }
        Policy { capture, head, reserved, marks, walks }
        ConnectionState {
            last_at_ns, last_tail, last_seq, copied, passed, turn, opener, closed_from, ended, reserved,
        }
        Process { flags, start_ticks, runtime, reserved, layout }
        GoLayout { tls_offset, goid_offset, parent_goid_offset, gopc_offset, reserved }
        PythonLayout { context_type, state_slot, context_offset, entered_offset, reserved }
        NodeLayout { ids_offset, wrap_id_offset, environment_offset, context_is_fifth, reserved }
        Kernel { iter_ubuf_type, iter_iovec_type, recvmsg_flags_arg, follow_exec, high_water_bytes, tick_ns }
    }
}
