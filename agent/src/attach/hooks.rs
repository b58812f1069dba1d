//! Every hook in one table: what it is for, and the ways to have it, best first.
//!
//! Shape: data. `kernel.rs` walks it to load, `doctor` to explain; a test holds it against the programs of the embedded object.
use std::fmt;

/// What a hook sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookId {
    /// A process executes a program.
    Exec,
    /// A process is forked.
    Fork,
    /// A process ends.
    Exit,
    /// A TCP connection changes its state.
    ConnectionState,
    /// A TCP socket is destroyed.
    ConnectionEnd,
    /// Bytes cross a TCP socket.
    SocketBytes,
}

/// The ways to see bytes cross a socket (design §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// tp_btf `sock_send_length` and `sock_recv_length`.
    Tracepoints,
    /// fexit on `tcp_sendmsg` and `tcp_recvmsg`.
    Fentry,
    /// kprobe and kretprobe on the same.
    Kprobe,
    /// `sys_exit_*` tracepoints.
    Syscalls,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tracepoints => "tracepoints",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Syscalls => "syscalls",
        })
    }
}

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A tracepoint, with arguments typed by BTF.
    BtfTracepoint {
        /// Its name.
        name: &'static str,
        /// The typedef that BTF has for it.
        typedef: &'static str,
    },
}

/// A program of the embedded object and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Name in the object.
    pub program: &'static str,
    /// Place in the kernel.
    pub point: Point,
}

/// One way to have a hook: all of its programs, or none.
#[derive(Debug)]
pub struct Variant {
    /// `None` for hooks that there is one way to have.
    pub kind: Option<Kind>,
    /// Programs.
    pub attachments: &'static [Attachment],
    /// Fields of kernel structs that the programs read, by their names in `Offsets`.
    pub fields: &'static [&'static str],
    /// What it is good for, for `doctor`.
    pub doc: &'static str,
}

/// One row.
#[derive(Debug)]
pub struct Hook {
    /// What it sees.
    pub id: HookId,
    /// What is missing without it.
    pub needed_for: &'static str,
    /// The agent runs without it.
    pub optional: bool,
    /// Best first.
    pub variants: &'static [Variant],
}

const fn tracepoint(program: &'static str, name: &'static str, typedef: &'static str) -> Attachment {
    Attachment { program, point: Point::BtfTracepoint { name, typedef } }
}

const TASK: &[&str] = &["task_tgid", "task_pid", "task_group_leader", "task_start_boottime"];

/// The table.
pub const HOOKS: &[Hook] = &[
    Hook {
        id: HookId::Exec,
        needed_for: "programs that start after the agent",
        optional: false,
        variants: &[Variant {
            kind: None,
            attachments: &[tracepoint(
                "sched_process_exec",
                "sched_process_exec",
                "btf_trace_sched_process_exec",
            )],
            fields: &[
                "task_tgid",
                "task_pid",
                "task_group_leader",
                "task_start_boottime",
                "task_mm",
                "mm_arg_start",
                "mm_arg_end",
                "binprm_filename",
            ],
            doc: "",
        }],
    },
    Hook {
        id: HookId::Fork,
        needed_for: "children of observed processes",
        optional: false,
        variants: &[Variant {
            kind: None,
            attachments: &[tracepoint(
                "sched_process_fork",
                "sched_process_fork",
                "btf_trace_sched_process_fork",
            )],
            fields: TASK,
            doc: "",
        }],
    },
    Hook {
        id: HookId::Exit,
        needed_for: "the end of processes: without it a reused pid could be taken for the old one",
        optional: false,
        variants: &[Variant {
            kind: None,
            attachments: &[tracepoint(
                "sched_process_exit",
                "sched_process_exit",
                "btf_trace_sched_process_exit",
            )],
            fields: &[
                "task_tgid",
                "task_pid",
                "task_group_leader",
                "task_start_boottime",
                "task_signal",
                "signal_live",
                "task_exit_code",
            ],
            doc: "",
        }],
    },
    Hook {
        id: HookId::ConnectionState,
        needed_for: "connections that end, sockets that listen, socket cookies",
        optional: false,
        variants: &[Variant {
            kind: None,
            attachments: &[tracepoint(
                "inet_sock_set_state",
                "inet_sock_set_state",
                "btf_trace_inet_sock_set_state",
            )],
            fields: &[
                "sock_family",
                "sock_num",
                "sock_dport",
                "sock_rcv_saddr",
                "sock_daddr",
                "sock_v6_rcv_saddr",
                "sock_v6_daddr",
                "tcp_copied_seq",
                "tcp_rcv_nxt",
                "task_group_leader",
                "task_start_boottime",
            ],
            doc: "",
        }],
    },
    Hook {
        id: HookId::ConnectionEnd,
        needed_for: "the memory of connections that are gone",
        optional: false,
        variants: &[Variant {
            kind: None,
            attachments: &[tracepoint("tcp_destroy_sock", "tcp_destroy_sock", "btf_trace_tcp_destroy_sock")],
            fields: &[],
            doc: "",
        }],
    },
    Hook {
        id: HookId::SocketBytes,
        needed_for: "every span",
        optional: false,
        variants: &[Variant {
            kind: Some(Kind::Tracepoints),
            attachments: &[
                tracepoint("sock_send_length", "sock_send_length", "btf_trace_sock_send_length"),
                tracepoint("sock_recv_length", "sock_recv_length", "btf_trace_sock_recv_length"),
            ],
            fields: &[
                "task_status",
                "task_fsbase",
                "sock_family",
                "sock_num",
                "sock_dport",
                "sock_rcv_saddr",
                "sock_daddr",
                "sock_v6_rcv_saddr",
                "sock_v6_daddr",
                "sock_socket",
                "socket_file",
                "tcp_write_seq",
                "tcp_copied_seq",
                "tcp_ulp_ops",
            ],
            doc: "cheapest: +0.45 µs a call, nothing for calls on files; kernel 6.3 or newer",
        }],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wirespan_common::offsets::Offsets;

    #[test]
    fn every_program_of_the_object_is_in_exactly_one_row() {
        let ebpf = aya_programs();
        let mut listed = Vec::new();
        for hook in HOOKS {
            let programs: BTreeSet<&str> = hook
                .variants
                .iter()
                .flat_map(|variant| variant.attachments)
                .map(|attachment| attachment.program)
                .collect();
            listed.extend(programs.into_iter().map(str::to_owned));
        }
        listed.sort();
        assert_eq!(listed, ebpf);
    }

    #[test]
    fn every_field_that_a_variant_needs_is_in_the_table_of_offsets() {
        let known: BTreeSet<&str> = Offsets::FIELDS.iter().map(|(field, _, _)| *field).collect();
        for field in HOOKS.iter().flat_map(|hook| hook.variants).flat_map(|variant| variant.fields) {
            assert!(known.contains(field), "{field}");
        }
    }

    /// Names of the programs in the embedded object, sorted: its global functions.
    fn aya_programs() -> Vec<String> {
        let object = aya_obj::Object::parse(crate::attach::kernel::OBJECT).unwrap();
        let mut names: Vec<String> = object.programs.keys().cloned().collect();
        names.sort();
        names
    }
}
