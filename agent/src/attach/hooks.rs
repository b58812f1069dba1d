//! Every hook in one table: what it is for, and the ways to have it, best first.
//!
//! Shape: data. `kernel.rs` walks it to load, `doctor` to explain; a test holds it against the programs of the embedded object.
use serde::Serialize;
use std::fmt;

/// What a hook sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Pages are sent on a TCP socket without passing through user memory, where that has a function of its own.
    SocketPages,
    /// A goroutine asks for a request on a pooled connection.
    GoRequests,
    /// A goroutine is created.
    GoBirths,
    /// A context of Python is created.
    PythonBirths,
    /// Work is put into the queue of a pool of Python's threads.
    PythonPuts,
    /// One of them takes it.
    PythonTakes,
    /// uvloop queues bytes to send.
    PythonQueued,
    /// Node.js calls a callback.
    NodeCallbacks,
    /// Node.js calls a callback of a resource.
    NodeWraps,
    /// Node.js runs timers.
    NodeTimers,
    /// Node.js runs immediates.
    NodeImmediates,
    /// JavaScript resolves a promise.
    NodeResolves,
    /// What waits for promises begins to run.
    NodeWaiting,
    /// What waits for promises has run.
    NodeCompleted,
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
    /// The return of a function, with arguments typed by BTF.
    Fexit {
        /// Its name.
        function: &'static str,
        /// How many parameters it must have for this program.
        parameters: usize,
    },
    /// The call of a function.
    Kprobe(&'static str),
    /// The return of a function.
    Kretprobe(&'static str),
    /// The exits of system calls, by their names in tracefs.
    SyscallExits(&'static [&'static str]),
    /// A place in the code of programs: loaded at start, attached to each program when it is found.
    Uprobe,
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
    /// Fields of kernel structs that the programs read, by their names in `Offsets`, in groups.
    pub fields: &'static [&'static [&'static str]],
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

/// A program with the name of its tracepoint.
macro_rules! tracepoint {
    ($name:literal) => {
        Attachment {
            program: $name,
            point: Point::BtfTracepoint { name: $name, typedef: concat!("btf_trace_", $name) },
        }
    };
}

/// A hook that there is one way to have.
macro_rules! only {
    ($name:literal, $($fields:expr),*) => {
        &[Variant { kind: None, attachments: &[tracepoint!($name)], fields: &[$($fields),*], doc: "kernel 5.12 or newer, with BTF" }]
    };
}

const fn attachment(program: &'static str, point: Point) -> Attachment {
    Attachment { program, point }
}

const fn fexit(attachments: &'static [Attachment]) -> Variant {
    const DOC: &str = "sees io_uring too, but no call that waits already when the agent comes; nothing for calls on files; needs BPF trampolines for kernel functions";
    Variant { kind: Some(Kind::Fentry), attachments, fields: &[MOVED, ITERATOR], doc: DOC }
}

const SENDMSG: Attachment =
    attachment("tcp_sendmsg_fexit", Point::Fexit { function: "tcp_sendmsg", parameters: 3 });

const TASK: &[&str] = &["task_tgid", "task_pid", "task_group_leader", "task_start_boottime"];
const ARGUMENTS: &[&str] = &["task_mm", "mm_arg_start", "mm_arg_end", "binprm_filename"];
const THREADS: &[&str] = &["task_signal", "signal_live", "task_exit_code"];
const COOKIE: &[&str] = &["sock_cookie"];
const ENDPOINTS: &[&str] = &[
    "sock_family",
    "tcp_sport",
    "sock_dport",
    "sock_rcv_saddr",
    "sock_daddr",
    "sock_v6_rcv_saddr",
    "sock_v6_daddr",
];
const UNREAD: &[&str] =
    &["sock_flags", "tcp_copied_seq", "tcp_rcv_nxt", "task_group_leader", "task_start_boottime"];
const MOVED: &[&str] = &[
    "task_fsbase",
    "sock_cookie",
    "sock_family",
    "tcp_sport",
    "sock_dport",
    "sock_rcv_saddr",
    "sock_daddr",
    "sock_v6_rcv_saddr",
    "sock_v6_daddr",
    "sock_socket",
    "socket_file",
    "sock_flags",
    "tcp_write_seq",
    "tcp_copied_seq",
    "tcp_rcv_nxt",
    "tcp_ulp_ops",
];
const PROBED: &[&str] = &["sock_protocol"];
const COMPAT: &[&str] = &["task_status"];
const ITERATOR: &[&str] = &["msghdr_iter", "iter_type", "iter_offset", "iter_iov"];
const DESCRIPTOR: &[&str] = &[
    "task_files",
    "files_fdt",
    "fdtable_fd",
    "fdtable_max_fds",
    "file_private_data",
    "file_inode",
    "inode_mode",
    "socket_sk",
];

/// Calls that may send on a socket. `sendfile` and `splice` show no buffer: they are counted.
const SENDING: &[&str] =
    &["write", "writev", "pwritev2", "sendto", "sendmsg", "sendmmsg", "sendfile64", "splice"];
/// Calls that may receive from one.
const RECEIVING: &[&str] = &["read", "readv", "preadv2", "recvfrom", "recvmsg", "recvmmsg", "splice"];

const THREAD: &[&str] = &["task_fsbase"];

/// A place in the code of Go programs.
macro_rules! uprobe {
    ($name:literal, $($fields:expr),*) => {
        &[Variant {
            kind: None,
            attachments: &[attachment($name, Point::Uprobe)],
            fields: &[$($fields),*],
            doc: "+0.5 µs each time; go1.21 to go1.26 on x86-64, stripped or not",
        }]
    };
}

/// A place in the code of Python's queues.
macro_rules! queue {
    ($name:ident, $program:literal) => {
        const $name: Variant = Variant {
            kind: None,
            attachments: &[attachment($program, Point::Uprobe)],
            fields: &[THREAD],
            doc: "+1 µs each time, +10 µs where the code has no better place; CPython 3.9 to 3.14 on x86-64, stripped or not",
        };
    };
}
queue!(PYTHON_PUT, "python_put_uprobe");
queue!(PYTHON_TAKE, "python_take_uprobe");

const PYTHON_QUEUED: Variant = Variant {
    kind: None,
    attachments: &[attachment("python_queued_uprobe", Point::Uprobe)],
    fields: &[THREAD, DESCRIPTOR, PROBED, COOKIE],
    doc: "+1 µs each time, +10 µs where the code begins otherwise; uvloop 0.17 to 0.23 on x86-64, with its symbols",
};

const fn python_queue(id: HookId, needed_for: &'static str, variants: &'static [Variant]) -> Hook {
    Hook { id, needed_for, optional: true, variants }
}

/// A place in the code of Node.js.
macro_rules! node {
    ($name:ident, $program:literal) => {
        const $name: Variant = Variant {
            kind: None,
            attachments: &[attachment($program, Point::Uprobe)],
            fields: &[],
            doc: "+0.5 µs to 1 µs each time; Node.js 18 to 26 on x86-64, stripped or not",
        };
    };
}
node!(NODE_CALLBACK, "node_callback_uprobe");
node!(NODE_WRAP, "node_wrap_uprobe");
node!(NODE_TIMERS, "node_timers_uprobe");
node!(NODE_IMMEDIATES, "node_immediates_uprobe");
node!(NODE_RESOLVE, "node_resolve_uprobe");
node!(NODE_WAITING, "node_waiting_uprobe");
node!(NODE_COMPLETED, "node_completed_uprobe");

const fn node_hook(id: HookId, needed_for: &'static str, variants: &'static [Variant]) -> Hook {
    Hook { id, needed_for, optional: true, variants }
}

/// The table.
pub const HOOKS: &[Hook] = &[
    Hook {
        id: HookId::Exec,
        needed_for: "programs that start after the agent",
        optional: false,
        variants: only!("sched_process_exec", TASK, ARGUMENTS),
    },
    Hook {
        id: HookId::Fork,
        needed_for: "children of observed processes",
        optional: false,
        variants: only!("sched_process_fork", TASK),
    },
    Hook {
        id: HookId::Exit,
        needed_for: "the end of processes: without it a reused pid could be taken for the old one",
        optional: false,
        variants: only!("sched_process_exit", TASK, THREADS),
    },
    Hook {
        id: HookId::ConnectionState,
        needed_for: "connections that end, sockets that listen, socket cookies",
        optional: false,
        variants: only!("inet_sock_set_state", COOKIE, ENDPOINTS, UNREAD),
    },
    Hook {
        id: HookId::ConnectionEnd,
        needed_for: "the memory of connections that are gone",
        optional: false,
        variants: only!("tcp_destroy_sock", COOKIE),
    },
    Hook {
        id: HookId::SocketBytes,
        needed_for: "every span",
        optional: false,
        variants: &[
            Variant {
                kind: Some(Kind::Tracepoints),
                attachments: &[tracepoint!("sock_send_length"), tracepoint!("sock_recv_length")],
                fields: &[MOVED, COMPAT],
                doc: "cheapest: +0.45 µs a call, nothing for calls on files; what io_uring and sendfile move is counted, not read; kernel 6.3 or newer",
            },
            fexit(&[
                SENDMSG,
                attachment("tcp_recvmsg_fexit5", Point::Fexit { function: "tcp_recvmsg", parameters: 5 }),
            ]),
            fexit(&[
                SENDMSG,
                attachment("tcp_recvmsg_fexit4", Point::Fexit { function: "tcp_recvmsg", parameters: 4 }),
            ]),
            fexit(&[
                SENDMSG,
                attachment("tcp_recvmsg_fexit6", Point::Fexit { function: "tcp_recvmsg", parameters: 6 }),
            ]),
            Variant {
                kind: Some(Kind::Kprobe),
                attachments: &[
                    attachment("tcp_sendmsg_kprobe", Point::Kprobe("tcp_sendmsg")),
                    attachment("tcp_sendmsg_kretprobe", Point::Kretprobe("tcp_sendmsg")),
                    attachment("tcp_recvmsg_kprobe", Point::Kprobe("tcp_recvmsg")),
                    attachment("tcp_recvmsg_kretprobe", Point::Kretprobe("tcp_recvmsg")),
                ],
                fields: &[MOVED, PROBED, ITERATOR],
                doc: "sees io_uring too, but no call that waits already when the agent comes; nothing for calls on files; two traps a call; needs CONFIG_KPROBES",
            },
            Variant {
                kind: Some(Kind::Syscalls),
                attachments: &[
                    attachment("sys_exit_egress", Point::SyscallExits(SENDING)),
                    attachment("sys_exit_ingress", Point::SyscallExits(RECEIVING)),
                ],
                fields: &[MOVED, PROBED, DESCRIPTOR],
                doc: "+0.95 µs a call, +0.03 µs for calls on files; io_uring is not seen; needs tracefs; kernel 5.15 or newer",
            },
        ],
    },
    Hook {
        id: HookId::SocketPages,
        needed_for: "the bytes of sendfile and splice, before 6.5; later they are among the others",
        optional: true,
        variants: &[
            Variant {
                kind: Some(Kind::Fentry),
                attachments: &[attachment(
                    "tcp_sendpage_fexit",
                    Point::Fexit { function: "tcp_sendpage", parameters: 5 },
                )],
                fields: &[MOVED],
                doc: "counted, not copied",
            },
            Variant {
                kind: Some(Kind::Kprobe),
                attachments: &[
                    attachment("tcp_sendpage_kprobe", Point::Kprobe("tcp_sendpage")),
                    attachment("tcp_sendpage_kretprobe", Point::Kretprobe("tcp_sendpage")),
                ],
                fields: &[MOVED, PROBED],
                doc: "counted, not copied",
            },
        ],
    },
    Hook {
        id: HookId::GoRequests,
        needed_for: "who asks for the requests of Go's pooled clients",
        optional: true,
        variants: uprobe!("go_request_uprobe", DESCRIPTOR, PROBED, COOKIE, ENDPOINTS),
    },
    Hook {
        id: HookId::GoBirths,
        needed_for: "goroutines that a request's goroutine starts",
        optional: true,
        variants: uprobe!("go_spawn_uprobe",),
    },
    Hook {
        id: HookId::PythonBirths,
        needed_for: "tasks that a request's task starts",
        optional: true,
        variants: &[Variant {
            kind: None,
            attachments: &[attachment("python_birth_uprobe", Point::Uprobe)],
            fields: &[THREAD],
            doc: "+1 µs each time, +10 µs where the code has no better place; CPython 3.9 to 3.14 on x86-64, stripped or not",
        }],
    },
    python_queue(HookId::PythonPuts, "work that a request's task hands to a pool of threads", &[PYTHON_PUT]),
    python_queue(HookId::PythonTakes, "threads that take such work", &[PYTHON_TAKE]),
    python_queue(HookId::PythonQueued, "who sends what uvloop sends", &[PYTHON_QUEUED]),
    node_hook(HookId::NodeCallbacks, "what calls of Node.js are made for", &[NODE_CALLBACK]),
    node_hook(HookId::NodeWraps, "the same, for callbacks of files, names and sockets", &[NODE_WRAP]),
    node_hook(HookId::NodeTimers, "calls made after timers of Node.js", &[NODE_TIMERS]),
    node_hook(HookId::NodeImmediates, "calls made after immediates of Node.js", &[NODE_IMMEDIATES]),
    node_hook(HookId::NodeResolves, "promises that timers of Node.js resolve", &[NODE_RESOLVE]),
    node_hook(HookId::NodeWaiting, "what waits for such promises", &[NODE_WAITING]),
    node_hook(HookId::NodeCompleted, "the end of what waits for them", &[NODE_COMPLETED]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wirespan_common::offsets::Offsets;

    #[test]
    fn every_program_of_the_object_is_in_exactly_one_row() {
        let mut listed = Vec::new();
        for hook in HOOKS {
            let attachments = hook.variants.iter().flat_map(|variant| variant.attachments);
            let programs: BTreeSet<&str> = attachments.map(|attachment| attachment.program).collect();
            listed.extend(programs.into_iter().map(str::to_owned));
        }
        listed.sort();
        let object = aya_obj::Object::parse(crate::attach::load::OBJECT).unwrap();
        let mut programs: Vec<String> = object.programs.keys().cloned().collect();
        programs.sort();
        assert_eq!(listed, programs);
    }

    #[test]
    fn every_field_that_a_variant_needs_is_in_the_table_of_offsets() {
        let known: BTreeSet<&str> = Offsets::FIELDS.iter().map(|(field, _, _)| *field).collect();
        for field in
            HOOKS.iter().flat_map(|hook| hook.variants).flat_map(|variant| variant.fields).copied().flatten()
        {
            assert!(known.contains(field), "{field}");
        }
    }
}
