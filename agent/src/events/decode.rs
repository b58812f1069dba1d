//! One record of the ring as a safe value.
//!
//! Shape: bytes in; [`Record`] out, borrowing the data. Here kernel words become the core's: tgid becomes pid, mapped IPv4
//! becomes IPv4, TCP states become [`Ending`]. Source: `wirespan-common/src/event.rs`. Every truncation is an [`Error`].
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroU64,
};
use thiserror::Error;
use wirespan_common::{
    event::{
        self as wire, BirthRecord, BytesRecord, ClaimRecord, ExecRecord, ExitRecord, ForkRecord,
        HandoverRecord, Header, ListenRecord, ProgressRecord, SliceRecord, SpawnRecord, StateRecord,
        direction, flags, kind, runtime, source, tcp_state,
    },
    policy::frame,
};
use wirespan_core::event::{
    Actor, AsyncIds, Birth, Cause, ConnId, Direction, Ending, Endpoints, Event, Handover, Nanos, ProcessId,
    Proxied, Reached, Segment, Slice, Source, Spawn, Task, Uncopied, Wait, Walk,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Why a record cannot be read: it was damaged, or written by another version.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// Shorter than its kind, or than its own length says.
    #[error("record cut short")]
    Truncated,
    /// A number that has no meaning.
    #[error("unknown {0}")]
    Unknown(&'static str),
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// For the core.
    Event {
        /// What happened.
        event: Event<'a>,
        /// The process was followed from fork or exec and has not been decided upon.
        provisional: bool,
    },
    /// A process executed a program.
    Exec(Exec<'a>),
    /// A process was forked from an observed one.
    Fork {
        /// The child.
        child: ProcessId,
        /// Its parent.
        parent: ProcessId,
        /// When.
        at: Nanos,
    },
    /// A process began to listen.
    Listen {
        /// Which.
        process: ProcessId,
        /// Where.
        local: SocketAddr,
        /// When.
        at: Nanos,
    },
    /// A state that ends nothing by itself: the record exists for the sake of its number.
    Nothing,
}

/// A process executed a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exec<'a> {
    /// Which. Its identity stays: pid and start time survive an exec.
    pub process: ProcessId,
    /// When.
    pub at: Nanos,
    /// The file as the caller named it, cut at 255 bytes.
    pub filename: &'a [u8],
    /// Start of the argument block: NUL after each argument, the last one possibly cut.
    pub args: &'a [u8],
}

/// Reads one record.
///
/// # Errors
/// When the bytes are not a whole record of a known kind.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Error> {
    let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| Error::Truncated)?;
    let len = usize::try_from(header.len).map_err(|_| Error::Truncated)?;
    let bytes = bytes.get(..len).ok_or(Error::Truncated)?;
    match header.kind {
        kind::BYTES => segment(bytes),
        kind::PROGRESS => progress(fixed(bytes)?),
        kind::STATE => Ok(state(fixed(bytes)?)),
        kind::EXEC => exec(fixed(bytes)?),
        kind::FORK => Ok(fork(fixed(bytes)?)),
        kind::EXIT => Ok(exit(fixed(bytes)?)),
        kind::LISTEN => Ok(listen(fixed(bytes)?)),
        kind::CLAIM => Ok(claim(fixed(bytes)?)),
        kind::SPAWN => Ok(spawn(fixed(bytes)?)),
        kind::BIRTH => Ok(birth(fixed(bytes)?)),
        kind::HANDOVER => handover(fixed(bytes)?),
        kind::SLICE => slice(fixed(bytes)?),
        _ => Err(Error::Unknown("kind")),
    }
}

/// When a record was written, monotonic; `None` if it is shorter than a header.
pub fn time_of(bytes: &[u8]) -> Option<Nanos> {
    Header::ref_from_prefix(bytes).ok().map(|(header, _)| Nanos(header.at_ns))
}

/// Whether a record tells what to observe, and nothing of connections: for discovery, not for the core.
pub fn is_of_process(bytes: &[u8]) -> bool {
    let kind = Header::ref_from_prefix(bytes).map_or(0, |(header, _)| header.kind);
    matches!(kind, kind::EXEC | kind::FORK | kind::LISTEN)
}

fn fixed<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8]) -> Result<&T, Error> {
    T::ref_from_prefix(bytes).map(|(record, _)| record).map_err(|_| Error::Truncated)
}

fn segment(bytes: &[u8]) -> Result<Record<'_>, Error> {
    let (record, data) = BytesRecord::ref_from_prefix(bytes).map_err(|_| Error::Truncated)?;
    let header = &record.header;
    let captured = usize::try_from(record.captured).map_err(|_| Error::Truncated)?;
    let data = data.get(..captured).ok_or(Error::Truncated)?;
    if record.captured > record.moved {
        return Err(Error::Unknown("length"));
    }
    let has = |flag| header.flags & flag != 0;
    let uncopied = if record.captured == record.moved {
        Uncopied::Nothing
    } else if has(flags::NO_BUFFER) {
        Uncopied::NoBuffer
    } else if has(flags::UNREADABLE) {
        Uncopied::Unreadable
    } else {
        Uncopied::Policy
    };
    let opposite = Reached { at: Nanos(record.opposite_at_ns), seq: record.opposite_seq };
    let event = Event::Bytes(Segment {
        conn: ConnId(record.conn),
        at: Nanos(header.at_ns),
        actor: Actor {
            process: process(header),
            tid: header.tid,
            task: task_of(record),
            wait: wait_of(header.flags),
        },
        direction: direction_of(record.direction)?,
        source: match record.source {
            source::SOCKET => Source::Socket,
            source::TLS => Source::Tls,
            _ => return Err(Error::Unknown("source")),
        },
        seq: record.seq,
        moved: record.moved,
        data,
        uncopied,
        endpoints: endpoints(&record.endpoints),
        begins_turn: has(flags::TURN_BEGINS),
        opposite: (has(flags::TURN_BEGINS) && opposite.at != Nanos(0)).then_some(opposite),
        walk: has(flags::WALKED).then_some(Walk {
            skipped: record.skipped,
            ahead: (record.ahead != frame::INSIDE_HEADER).then_some(record.ahead),
            begins: has(flags::WALK_BEGINS),
        }),
    });
    Ok(Record::Event { event, provisional: has(flags::PROVISIONAL) })
}

fn progress(record: &ProgressRecord) -> Result<Record<'_>, Error> {
    Ok(core(Event::Progress {
        conn: ConnId(record.conn),
        direction: direction_of(record.direction)?,
        reached: Reached { at: Nanos(record.passed_at_ns), seq: record.seq },
        by_tail: record.by_tail != 0,
    }))
}

fn state(record: &StateRecord) -> Record<'_> {
    let Some(ending) = ending(record.old_state, record.new_state) else { return Record::Nothing };
    let [egress_at, ingress_at] = record.last_at_ns;
    let [egress_seq, ingress_seq] = record.last_seq;
    let reached = |at: u64, seq| (at != 0).then_some(Reached { at: Nanos(at), seq });
    core(Event::Ending {
        conn: ConnId(record.conn),
        at: Nanos(record.header.at_ns),
        ending,
        egress: reached(egress_at, egress_seq),
        ingress: reached(ingress_at, ingress_seq),
    })
}

/// What a change of state means for the conversation. RFC 9293 §3.3.2.
fn ending(old: u16, new: u16) -> Option<Ending> {
    match (old, new) {
        (_, tcp_state::FIN_WAIT1 | tcp_state::LAST_ACK) => Some(Ending::LocalFin),
        (_, tcp_state::CLOSE_WAIT | tcp_state::CLOSING) => Some(Ending::RemoteFin),
        (
            tcp_state::LAST_ACK | tcp_state::FIN_WAIT2 | tcp_state::TIME_WAIT | tcp_state::CLOSING,
            tcp_state::CLOSE,
        ) => Some(Ending::Closed),
        (_, tcp_state::CLOSE) => Some(Ending::Reset),
        _ => None,
    }
}

fn exec(record: &ExecRecord) -> Result<Record<'_>, Error> {
    let args = usize::try_from(record.args_len)
        .ok()
        .and_then(|len| record.args.get(..len))
        .ok_or(Error::Truncated)?;
    Ok(Record::Exec(Exec {
        process: process(&record.header),
        at: Nanos(record.header.at_ns),
        filename: record.filename.split(|&byte| byte == 0).next().unwrap_or_default(),
        args,
    }))
}

fn fork(record: &ForkRecord) -> Record<'_> {
    Record::Fork {
        child: process(&record.header),
        parent: ProcessId { pid: record.parent_tgid, start_ticks: record.parent_start_ticks },
        at: Nanos(record.header.at_ns),
    }
}

fn exit(record: &ExitRecord) -> Record<'_> {
    core(Event::Exit { process: process(&record.header), at: Nanos(record.header.at_ns) })
}

fn listen(record: &ListenRecord) -> Record<'_> {
    Record::Listen {
        process: process(&record.header),
        local: address(record.local, record.local_port),
        at: Nanos(record.header.at_ns),
    }
}

fn claim(record: &ClaimRecord) -> Record<'_> {
    let Some(goroutine) = goid(record.goroutine) else { return Record::Nothing };
    core(Event::Claim {
        conn: ConnId(record.conn),
        at: Nanos(record.header.at_ns),
        process: process(&record.header),
        goroutine,
    })
}

fn spawn(record: &SpawnRecord) -> Record<'_> {
    let (Some(goroutine), Some(parent)) = (goid(record.goroutine), goid(record.parent_goroutine)) else {
        return Record::Nothing;
    };
    core(Event::Spawn {
        process: process(&record.header),
        at: Nanos(record.header.at_ns),
        spawn: Spawn { goroutine, parent, site: record.site },
    })
}

fn birth(record: &BirthRecord) -> Record<'_> {
    let Some(context) = NonZeroU64::new(record.context) else { return Record::Nothing };
    core(Event::Birth {
        process: process(&record.header),
        at: Nanos(record.header.at_ns),
        birth: Birth { context, creator: NonZeroU64::new(record.creator) },
    })
}

fn handover(record: &HandoverRecord) -> Result<Record<'_>, Error> {
    let Some(item) = NonZeroU64::new(record.item) else { return Ok(Record::Nothing) };
    let is_taken = match record.step {
        wire::handover::PUT => false,
        wire::handover::TAKEN => true,
        _ => return Err(Error::Unknown("step")),
    };
    let Header { at_ns, tid, .. } = record.header;
    let handover = Handover { item, tid, context: NonZeroU64::new(record.context), is_taken };
    Ok(core(Event::Handover { process: process(&record.header), at: Nanos(at_ns), handover }))
}

fn slice(record: &SliceRecord) -> Result<Record<'_>, Error> {
    let (id, trigger) = (async_id(record.id), async_id(record.trigger));
    let is_known = id.is_some() && trigger.is_some();
    let (id, trigger) = (id.unwrap_or_default(), trigger.unwrap_or_default());
    let conn = ConnId(record.conn);
    let cause = match record.cause {
        // What cannot be read is a new part all the same: what went before it is over.
        _ if !is_known => Cause::Nobody,
        wire::slice::READ => Cause::Read { conn, id },
        wire::slice::CALLBACK => Cause::Callback { id, trigger },
        wire::slice::NOBODY => Cause::Nobody,
        wire::slice::RESOLVED => {
            Cause::Resolved { id, trigger, first: async_id(record.conn).unwrap_or_default() }
        }
        wire::slice::NAMED => Cause::Named { id, trigger, first: async_id(record.conn).unwrap_or_default() },
        wire::slice::CONNECT => Cause::Connect { conn, running: id, trigger },
        _ => return Err(Error::Unknown("cause")),
    };
    let is_bounded = record.flags & wire::slice::IS_BOUNDED != 0;
    let youngest = async_id(record.youngest).unwrap_or_default();
    let slice = Slice { tid: record.header.tid, cause, youngest, is_bounded };
    Ok(core(Event::Slice { process: process(&record.header), at: Nanos(record.begun_at_ns), slice }))
}

/// How the socket's owner waits.
fn wait_of(bits: u16) -> Wait {
    match bits & (flags::BLOCKING | flags::POLLED) {
        flags::BLOCKING => Wait::Call,
        flags::POLLED => Wait::Poll,
        _ => Wait::Epoll,
    }
}

/// What the thread works on. Numbers that mean nothing are no task: the thread is then all that is known.
fn task_of(record: &BytesRecord) -> Option<Task> {
    let [first, second, third] = record.task;
    match record.runtime {
        runtime::GO => goid(first).map(Task::Goroutine),
        runtime::PYTHON => NonZeroU64::new(first).map(|context| match second {
            0 => Task::Context(context),
            at => Task::Queued { context, at: Nanos(at) },
        }),
        runtime::NODE => Some(Task::Async(async_ids(first, second, third).unwrap_or_default())),
        runtime::NGINX => {
            Some(Task::Nginx((first != 0).then_some(Proxied { conn: ConnId(first), begun: second != 0 })))
        }
        _ => None,
    }
}

/// A goroutine's number. They are counted up from one: what is larger was read at a wrong place, and means nothing.
fn goid(number: u64) -> Option<NonZeroU64> {
    const PLAUSIBLE: u64 = 1 << 40;
    NonZeroU64::new(number).filter(|number| number.get() < PLAUSIBLE)
}

fn async_ids(running: u64, trigger: u64, youngest: u64) -> Option<AsyncIds> {
    Some(AsyncIds { running: async_id(running)?, trigger: async_id(trigger)?, youngest: async_id(youngest)? })
}

/// An async id, which Node.js keeps as a floating-point number. What is no such number was read at a wrong place; -1 is none.
fn async_id(bits: u64) -> Option<u64> {
    const PLAUSIBLE: f64 = (1_u64 << 48) as f64;
    let number = f64::from_bits(bits);
    if number == -1.0 {
        return Some(0);
    }
    // A subnormal is a small integer's bits, not its value.
    let is_id = (0.0..PLAUSIBLE).contains(&number) && number.fract() == 0.0 && !number.is_subnormal();
    is_id.then_some(number as u64)
}

fn core(event: Event<'_>) -> Record<'_> {
    Record::Event { event, provisional: false }
}

fn process(header: &Header) -> ProcessId {
    ProcessId { pid: header.tgid, start_ticks: header.start_ticks }
}

fn direction_of(number: u8) -> Result<Direction, Error> {
    match number {
        direction::EGRESS => Ok(Direction::Egress),
        direction::INGRESS => Ok(Direction::Ingress),
        _ => Err(Error::Unknown("direction")),
    }
}

fn endpoints(ends: &wire::Endpoints) -> Endpoints {
    Endpoints { local: address(ends.local, ends.local_port), remote: address(ends.remote, ends.remote_port) }
}

fn address(bytes: [u8; 16], port: u16) -> SocketAddr {
    let v6 = Ipv6Addr::from(bytes);
    SocketAddr::new(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4), port)
}

#[cfg(test)]
mod tests;
