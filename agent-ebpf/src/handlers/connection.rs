//! Life of TCP connections.
//!
//! In: every change of state, every destroyed socket. Out: state records of connections that moved observed bytes, listen
//! records of every process. The current task need not own the socket: most changes happen when a packet arrives.
//! Invariant: a connection in `CONNECTIONS` gets exactly one record with `TCP_CLOSE`, its last: at once if nothing is left to
//! read, else when the socket is destroyed.
use crate::{
    emit::{self, Wake, emit},
    handlers::event_loop,
    kernel::{
        access::Typed,
        clock::{Thread, now_ns},
        rows::{self, count},
        sock::TcpSocket,
        task::Task,
    },
    maps::{CONNECTIONS, POLICIES, PORTS, PROCESSES, WALKS},
};
use wirespan_common::{
    event::{Endpoints, ListenRecord, StateRecord, kind, tcp_state},
    policy::{ConnectionState, Process, process},
    reason::Reason,
};

/// `inet_sock_set_state`.
#[inline(always)]
pub(crate) fn on_state(socket: &TcpSocket<Typed>, old: u16, new: u16) -> Result<(), Reason> {
    // Closing a socket that was shut down sets the state it has.
    if old == new {
        return Ok(());
    }
    // Made for every socket while its pointer is typed, so that programs that may not make it can read it as a field.
    let cookie = socket.cookie()?;
    match new {
        tcp_state::LISTEN => on_listen(socket),
        // A socket may be connected again: what was known of it is another conversation.
        tcp_state::SYN_SENT => {
            event_loop::on_connect(cookie)?;
            on_destroyed(cookie)
        }
        tcp_state::FIN_WAIT1 | tcp_state::CLOSE_WAIT | tcp_state::LAST_ACK | tcp_state::CLOSING => {
            let Some(connection) = rows::connection(cookie) else { return Ok(()) };
            report(cookie, connection, old, new)
        }
        tcp_state::CLOSE => on_close(socket, cookie, old),
        _ => Ok(()),
    }
}

/// No more bytes will pass. What has arrived may still be read: then the end is reported when the socket is destroyed.
#[inline(always)]
fn on_close(socket: &TcpSocket<Typed>, cookie: u64, old: u16) -> Result<(), Reason> {
    let Some(connection) = rows::connection(cookie) else { return Ok(()) };
    connection.closed_from = old as u8;
    if socket.unread()? {
        return Ok(());
    }
    connection.ended = 1;
    report(cookie, connection, old, tcp_state::CLOSE)
}

/// `tcp_destroy_sock`, or a new use of the socket.
#[inline(always)]
pub(crate) fn on_destroyed(cookie: u64) -> Result<(), Reason> {
    let Some(connection) = rows::connection(cookie) else { return Ok(()) };
    let reported = if connection.ended == 0 {
        report(cookie, connection, u16::from(connection.closed_from), tcp_state::CLOSE)
    } else {
        Ok(())
    };
    if CONNECTIONS.remove(cookie).is_err() {
        count(Reason::Internal);
    }
    // Most connections have no policy: that there is none to delete is no loss.
    if POLICIES.remove(cookie).is_ok() {
        WALKS.remove(cookie).ok();
    }
    reported
}

#[inline(always)]
fn report(cookie: u64, connection: &ConnectionState, old: u16, new: u16) -> Result<(), Reason> {
    let mut record = StateRecord { conn: cookie, old_state: old, new_state: new, ..StateRecord::default() };
    record.header = emit::header::<StateRecord>(kind::STATE);
    record.header.at_ns = now_ns();
    record.last_at_ns = connection.last_at_ns;
    record.last_seq = connection.last_seq;
    emit(&record, Wake::Timer)
}

#[inline(always)]
fn on_listen(socket: &TcpSocket<Typed>) -> Result<(), Reason> {
    let mut ends = Endpoints::default();
    socket.endpoints(&mut ends)?;
    let mut record =
        ListenRecord { local: ends.local, local_port: ends.local_port, ..ListenRecord::default() };
    let thread = Thread::current();
    record.header = emit::header::<ListenRecord>(kind::LISTEN);
    record.header.at_ns = now_ns();
    record.header.tgid = thread.tgid();
    record.header.tid = thread.tid();
    record.header.start_ticks = Task::current().start_ticks()?;
    if PORTS.get_ptr(ends.local_port).is_some() {
        follow(thread.tgid(), record.header.start_ticks)?;
    }
    emit(&record, Wake::Now)
}

/// Follows whoever listens on a chosen port, so that its first request is not missed while user space decides.
#[inline(always)]
fn follow(tgid: u32, start_ticks: u32) -> Result<(), Reason> {
    let flags = process::PROVISIONAL | process::LISTENS;
    let row = match rows::process(tgid) {
        Some(row) if row.flags & (process::PROVISIONAL | process::IGNORED) == 0 => return Ok(()),
        Some(row) if row.flags & process::IGNORED == 0 => Process { flags, ..*row },
        _ => Process { flags, start_ticks, ..Process::default() },
    };
    PROCESSES.insert(tgid, row, rows::ANY).map_err(|_| Reason::ProcessesFull)
}
