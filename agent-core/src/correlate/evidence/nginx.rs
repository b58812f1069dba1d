//! Evidence `task` of nginx: its own structures name the client's connection for whose request a call is made.
//!
//! A connection's requests are answered in their order, so the connection and whether the response has begun name the request:
//! not begun, the first that is not answered; begun, the one that is being answered. Work that goes on after the response
//! (mirrors, background updates of a cache) belongs to a request that is over, and is given to nobody: nginx begins with the next
//! one only when that work is done, whatever it has read already.
use crate::{correlate::Map, event::ConnId, exchange::ExchangeId};
use smallvec::SmallVec;

/// The requests that are open on one connection, in the order in which they were read.
#[derive(Debug, Default)]
struct Line {
    open: SmallVec<[ExchangeId; 2]>,
    /// One of them was given up, so the first that is known need not be the first that is open.
    is_doubtful: bool,
}

/// The requests that are open in a process, by connection. Bounded by them.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Lines {
    lines: Map<ConnId, Line>,
    /// Calls whose connection nginx named.
    pub(in crate::correlate) named: u64,
    /// Calls of which it named none: not made for an HTTP request, or structures of another shape.
    pub(in crate::correlate) unnamed: u64,
}

impl Lines {
    /// A request was read.
    pub(in crate::correlate) fn opened(&mut self, conn: ConnId, id: ExchangeId) {
        self.lines.entry(conn).or_default().open.push(id);
    }

    /// It is over; not `in_order` if nobody knows whether it was answered.
    pub(in crate::correlate) fn ended(&mut self, conn: ConnId, id: ExchangeId, in_order: bool) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        line.open.retain(|open| *open != id);
        line.is_doubtful |= !in_order;
        if line.open.is_empty() {
            self.lines.remove(&conn);
        }
    }

    /// The first request open on a connection of which `is` is true; `None` if there is none, or it cannot be told.
    pub(in crate::correlate) fn first(
        &self,
        conn: ConnId,
        is: impl Fn(ExchangeId) -> bool,
    ) -> Option<ExchangeId> {
        let line = self.lines.get(&conn).filter(|line| !line.is_doubtful)?;
        line.open.iter().copied().find(|id| is(*id))
    }
}
