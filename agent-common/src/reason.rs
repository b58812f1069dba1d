//! Why the kernel side lost or skipped something: the index into the per-CPU array `REASONS`.
//!
//! Every one is a loss that user space reports, or a skip that explains an absent span. Numbers are explicit and never reused.

/// Declares the enum, its numbers, names and docs from one table.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $class:literal, $name:literal;)+) => {
        /// One row of `REASONS`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Reason { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl Reason {
            /// All of them, in order of their numbers.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)+];

            /// `loss`, `skip` or `work`, as in the agent's counters.
            pub const fn class(self) -> &'static str {
                match self { $(Reason::$variant => $class,)+ }
            }

            /// Snake case, stable.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }

            /// One sentence.
            pub const fn doc(self) -> &'static str {
                match self { $(Reason::$variant => concat!($($doc,)+),)+ }
            }
        }
    };
}

reasons! {
    /// Records that the full ring refused.
    RingFull = 0, "loss", "ring_full";
    /// Connections not followed because `CONNECTIONS` was full.
    ConnectionsFull = 1, "loss", "connections_full";
    /// Processes not followed because `PROCESSES` was full.
    ProcessesFull = 2, "loss", "processes_full";
    /// Calls in flight not remembered because `INFLIGHT` was full.
    InflightFull = 3, "loss", "inflight_full";
    /// Calls whose user memory could not be read, in full or in part.
    UserMemory = 4, "loss", "user_memory_unreadable";
    /// Kernel objects whose fields could not be read.
    KernelMemory = 5, "loss", "kernel_memory_unreadable";
    /// Calls without a user buffer that could be found (sendfile, splice, io_uring): counted, not copied.
    NoBuffer = 6, "loss", "no_user_buffer";
    /// Calls of 32-bit programs, whose registers mean something else: counted, not copied.
    Compat = 7, "skip", "compat_call";
    /// Calls on sockets that carry an upper layer in the kernel (kTLS, MPTCP): sequence numbers do not name their bytes.
    UpperLayer = 8, "skip", "upper_layer_socket";
    /// Calls on a connection whose cookie was not yet made: opened before the agent started.
    NoCookie = 9, "loss", "no_socket_cookie";
    /// Iovecs of more segments than are walked: the rest was counted, not copied.
    TooManySegments = 10, "loss", "too_many_segments";
    /// Scratch or map rows that should have been there.
    Internal = 11, "loss", "internal";
    /// Receives that threw the bytes away (MSG_TRUNC): counted, not copied.
    Discarded = 12, "skip", "discarded_receive";
    /// Calls of which no byte was copied because the connection's turn had used up its budget or waits for a mark.
    Uncopied = 13, "work", "call_not_copied";
    /// Messages of one `sendmmsg` or `recvmmsg` whose place in the vector is not known: counted, not copied.
    VectorPlace = 14, "loss", "message_vector_place_unknown";
}

/// Rows of `REASONS`: the number of reasons, with room for a few more so that the map need not change with each.
pub const ROWS: u32 = 32;
const _: () = assert!(Reason::ALL.len() <= ROWS as usize);
