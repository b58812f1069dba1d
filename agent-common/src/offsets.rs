//! Kernel struct offsets, resolved from BTF by `agent/src/attach/offsets.rs` and passed as the read-only global `OFFSETS`.
//!
//! Shape: one `u32` per field that the kernel programs read, in bytes from the start of the struct that its name begins with.
//! [`ABSENT`] marks a field that this kernel does not have: user space then refuses the hooks that need it.
//! Rust emits no CO-RE relocations, so this table is what makes one object run on every kernel.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kernel has no such field.
pub const ABSENT: u32 = u32::MAX;

/// Declares the struct and the list of its fields' kernel names from one table.
macro_rules! offsets {
    ($($field:ident: $structure:literal, $path:literal;)+) => {
        /// Offsets of the running kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct Offsets { $(#[doc = concat!("`", $structure, "::", $path, "`")] pub $field: u32,)+ }

        impl Offsets {
            /// Nothing is known.
            pub const UNKNOWN: Self = Self { $($field: ABSENT,)+ };

            /// Field names with the kernel struct and member path that they stand for, in the order of the struct.
            pub const FIELDS: &[(&str, &str, &str)] = &[$((stringify!($field), $structure, $path),)+];
        }
    };
}

offsets! {
    task_tgid: "task_struct", "tgid";
    task_pid: "task_struct", "pid";
    task_group_leader: "task_struct", "group_leader";
    task_start_boottime: "task_struct", "start_boottime";
    task_signal: "task_struct", "signal";
    task_exit_code: "task_struct", "exit_code";
    task_mm: "task_struct", "mm";
    task_files: "task_struct", "files";
    task_fsbase: "task_struct", "thread.fsbase";
    task_status: "task_struct", "thread_info.status";
    signal_live: "signal_struct", "live";
    mm_arg_start: "mm_struct", "arg_start";
    mm_arg_end: "mm_struct", "arg_end";
    binprm_filename: "linux_binprm", "filename";
    files_fdt: "files_struct", "fdt";
    fdtable_fd: "fdtable", "fd";
    fdtable_max_fds: "fdtable", "max_fds";
    file_private_data: "file", "private_data";
    file_inode: "file", "f_inode";
    file_flags: "file", "f_flags";
    file_ep: "file", "f_ep";
    inode_mode: "inode", "i_mode";
    epitem_link: "epitem", "fllink";
    epitem_fd: "epitem", "ffd.fd";
    epitem_data: "epitem", "event.data";
    socket_sk: "socket", "sk";
    socket_file: "socket", "file";
    sock_family: "sock", "__sk_common.skc_family";
    sock_flags: "sock", "__sk_common.skc_flags";
    sock_dport: "sock", "__sk_common.skc_dport";
    sock_rcv_saddr: "sock", "__sk_common.skc_rcv_saddr";
    sock_daddr: "sock", "__sk_common.skc_daddr";
    sock_v6_rcv_saddr: "sock", "__sk_common.skc_v6_rcv_saddr";
    sock_v6_daddr: "sock", "__sk_common.skc_v6_daddr";
    sock_cookie: "sock", "__sk_common.skc_cookie";
    sock_protocol: "sock", "sk_protocol";
    sock_socket: "sock", "sk_socket";
    tcp_write_seq: "tcp_sock", "write_seq";
    tcp_copied_seq: "tcp_sock", "copied_seq";
    tcp_rcv_nxt: "tcp_sock", "rcv_nxt";
    tcp_sport: "tcp_sock", "inet_conn.icsk_inet.inet_sport";
    tcp_ulp_ops: "tcp_sock", "inet_conn.icsk_ulp_ops";
    msghdr_iter: "msghdr", "msg_iter";
    iter_type: "iov_iter", "iter_type";
    iter_offset: "iov_iter", "iov_offset";
    iter_iov: "iov_iter", "__iov";
    iter_ubuf: "iov_iter", "ubuf";
    iter_nr_segs: "iov_iter", "nr_segs";
}

/// What is done when a process that is not observed executes a program.
pub mod follow_exec {
    /// Nothing.
    pub const OFF: u32 = 0;
    /// It is observed until user space has decided.
    pub const FOLLOW: u32 = 1;
    /// User space is told that there is one; nothing is read of it, and nothing observed.
    pub const ANNOUNCE: u32 = 2;
}

/// What differs between kernels and is not an offset; the read-only global `KERNEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Kernel {
    /// `ITER_UBUF` of `enum iter_type`, [`ABSENT`] before 6.0.
    pub iter_ubuf_type: u32,
    /// `ITER_IOVEC` of `enum iter_type`.
    pub iter_iovec_type: u32,
    /// Index of `flags` among the parameters of `tcp_recvmsg`.
    pub recvmsg_flags_arg: u32,
    /// What is done about programs that are executed: a value of [`follow_exec`].
    pub follow_exec: u32,
    /// Bytes waiting in the ring above which user space is woken.
    pub high_water_bytes: u32,
    /// Clock ticks of `start_ticks` in nanoseconds: `NSEC_PER_SEC / USER_HZ`.
    pub tick_ns: u32,
}

impl Kernel {
    /// Safe on any kernel.
    pub const UNKNOWN: Self = Self {
        iter_ubuf_type: ABSENT,
        iter_iovec_type: ABSENT,
        recvmsg_flags_arg: ABSENT,
        follow_exec: follow_exec::OFF,
        high_water_bytes: u32::MAX,
        tick_ns: 10_000_000,
    };
}
