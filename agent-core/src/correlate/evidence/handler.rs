//! Evidence `task` where requests share a connection (HTTP/2): which goroutine a Go server creates for which request.
//!
//! One goroutine reads the frames of a connection, and each head that it completes has a goroutine created before it reads on: grpc-go's
//! reader creates it itself, net/http's hands the frame to the goroutine that had created the reader, and waits until that has. So between
//! two reads one `go` statement has as many births as the first read completed heads, in their order.
//! A statement is believed on a connection only if that was so from the first request on that was seen there: one birth too many or
//! too few, or one before there was a head, and never again. (Statements that start writers have births of their own; of a request that is
//! refused, or waits for its turn, nothing is born.) Where records were lost at about that time, a statement that had been right for
//! long is forgiven: links of requests from before the loss are given up anyway. A head that is understood late, like the first of a connection, says nothing: its births are past.
//! Beyond that, its goroutines are judged as descendants are: see `goroutine`.
//!
//! Whose births count for a connection: its reader's, the reader's creator's, and those of who created the writer of a response; unless
//! they do for two connections, as those do who accept them.
use super::goroutine::Goroutine;
use crate::{
    correlate::Map,
    event::{ConnId, Nanos, Spawn},
    exchange::{ExchangeId, Opened},
};
use smallvec::SmallVec;
use std::collections::hash_map::Entry;

/// Connections followed; all of them are forgotten at once.
const CONNS_MAX: usize = 4_096;
/// Goroutines of which the creator is remembered, until they read or write; all of them are forgotten at once.
const CREATORS_MAX: usize = 16_384;
/// Goroutines whose births count; all of them are forgotten at once.
const OWNERS_MAX: usize = 4 * CONNS_MAX;
/// `go` statements counted on one connection; what is born at others is no evidence.
const SITES_MAX: usize = 8;
/// Heads that one read completes, of which the goroutines are told apart: a read of 64 KiB holds some thousands at most.
const HEADS_MAX: usize = 4_096;

/// Reads that show a statement to be one for which a loss is forgiven, and those that it has to show then.
const PROOFS: u32 = 32;
const PROOFS_AFTER_LOSS: u32 = 8;
/// How far a loss may be from what it did to a count: they are told up to 150 ms late.
const LOSS_NS: u64 = 1_000_000_000;

/// The births at one `go` statement, on one connection.
#[derive(Clone, Copy, Debug)]
struct Births {
    site: u64,
    /// Since the last read that completed a head.
    count: usize,
    /// Since when they were not one for each head.
    wrong: Option<Nanos>,
    /// Reads with one birth for each head, in a row.
    right: u32,
    /// So many are asked for: a loss was forgiven.
    asked: u32,
}

impl Births {
    /// All births for so many heads have been.
    fn close(&mut self, heads: usize, at: Nanos) {
        if self.count != heads {
            self.wrong.get_or_insert(at);
        } else if self.wrong.is_none() {
            self.right = self.right.saturating_add(1);
        }
    }

    /// A loss may be why they were wrong, if they had always been right.
    fn forgive(&mut self, lost: Nanos) {
        let by_loss = |wrong: Nanos| lost.since(wrong) < LOSS_NS && wrong.since(lost) < LOSS_NS;
        if self.right >= PROOFS && self.wrong.is_some_and(by_loss) {
            (self.wrong, self.right, self.asked) = (None, 0, PROOFS_AFTER_LOSS);
        }
    }

    fn is_believed(&self) -> bool {
        self.wrong.is_none() && self.right >= self.asked
    }
}

#[derive(Clone, Debug, Default)]
struct Conn {
    /// When the last read returned that completed a head.
    at: Nanos,
    /// The heads that it completed.
    heads: SmallVec<[ExchangeId; 2]>,
    births: SmallVec<[Births; 2]>,
    /// The births for these heads were counted from the first one on.
    is_counted: bool,
    /// Another read had completed heads before whose births were counted.
    is_later: bool,
}

impl Conn {
    /// A read completed a head. `is_late`: there were births since.
    fn add(&mut self, id: ExchangeId, at: Nanos, is_late: bool, lost_at: Option<Nanos>) {
        if at != self.at {
            self.close(at, lost_at);
            (self.at, self.is_counted) = (at, true);
            self.heads.clear();
        }
        self.is_counted &= !is_late && self.heads.len() < HEADS_MAX;
        self.heads.push(id);
        self.heads.truncate(HEADS_MAX);
    }

    /// All births for the heads so far have been.
    fn close(&mut self, at: Nanos, lost_at: Option<Nanos>) {
        let (heads, is_counted) = (self.heads.len(), self.is_counted);
        for births in &mut self.births {
            if is_counted {
                births.close(heads, at);
            }
            if let Some(lost) = lost_at {
                births.forgive(lost);
            }
            births.count = 0;
        }
        self.is_later |= is_counted && heads > 0;
    }

    /// A birth: the request whose turn it is.
    fn bear(&mut self, site: u64, at: Nanos) -> Option<ExchangeId> {
        if !self.is_counted {
            return None;
        }
        let births = match self.births.iter().position(|births| births.site == site) {
            Some(index) => self.births.get_mut(index)?,
            None if self.births.len() < SITES_MAX => {
                let wrong = self.is_later.then_some(at);
                self.births.push(Births { site, count: 0, wrong, right: 0, asked: 0 });
                self.births.last_mut()?
            }
            None => return None,
        };
        let request = self.heads.get(births.count).copied().filter(|_| self.at <= at);
        births.count = births.count.saturating_add(1);
        if request.is_none() {
            births.wrong.get_or_insert(at);
        }
        request.filter(|_| births.is_believed())
    }

    /// Somebody whose births were not counted bears for this connection.
    fn begin_anew(&mut self) {
        (self.is_counted, self.is_later) = (false, false);
    }

    fn is_certain(&self, request: ExchangeId, site: u64) -> Certainty {
        match self.births.iter().find(|births| births.site == site) {
            Some(births) if births.is_believed() => {
                let is_open = self.heads.contains(&request) && births.count < self.heads.len();
                if is_open { Certainty::NotYet } else { Certainty::Yes }
            }
            _ => Certainty::No,
        }
    }
}

/// Whether the goroutine that was born for a request handles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Certainty {
    /// One for each head.
    Yes,
    /// Heads of the same read still wait for theirs.
    NotYet,
    /// There were more, or fewer.
    No,
}

/// The connections of one process that requests share.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Handlers {
    conns: Map<ConnId, Conn>,
    /// Whose births count for which connection; `None`: for several, so for none.
    owners: Map<Goroutine, Option<ConnId>>,
    creators: Map<Goroutine, Goroutine>,
    /// When the last goroutine was born.
    born_at: Nanos,
}

impl Handlers {
    /// A request came on a connection that requests share, read by `reader`; `lost_at`: when records were last known to be lost.
    pub(in crate::correlate) fn opened(
        &mut self,
        opened: &Opened,
        reader: Goroutine,
        lost_at: Option<Nanos>,
    ) {
        let is_late = self.born_at > opened.head_at;
        if self.conns.len() >= CONNS_MAX && !self.conns.contains_key(&opened.conn) {
            self.conns.clear();
        }
        self.own(opened.conn, reader);
        self.owned_by_creator(opened.conn, reader);
        self.conns.entry(opened.conn).or_default().add(opened.id, opened.head_at, is_late, lost_at);
    }

    /// A response on such a connection was written by `writer`.
    pub(in crate::correlate) fn answered(&mut self, conn: ConnId, writer: Goroutine) {
        if self.conns.contains_key(&conn) {
            self.owned_by_creator(conn, writer);
        }
    }

    /// A goroutine was born that works for nobody that is known: the request that it is born for, if its parent serves a connection.
    pub(in crate::correlate) fn bear(&mut self, spawn: Spawn, at: Nanos) -> Option<(ConnId, ExchangeId)> {
        self.born_at = self.born_at.max(at);
        if self.creators.len() >= CREATORS_MAX {
            self.creators.clear();
        }
        self.creators.insert(spawn.goroutine, spawn.parent);
        let conn = self.owners.get(&spawn.parent).copied().flatten()?;
        Some((conn, self.conns.get_mut(&conn)?.bear(spawn.site, at)?))
    }

    /// Whether that was so for every head of the connection.
    pub(in crate::correlate) fn is_certain(&self, conn: ConnId, request: ExchangeId, site: u64) -> Certainty {
        self.conns.get(&conn).map_or(Certainty::No, |conn| conn.is_certain(request, site))
    }

    fn owned_by_creator(&mut self, conn: ConnId, goroutine: Goroutine) {
        if let Some(creator) = self.creators.get(&goroutine).copied() {
            self.own(conn, creator);
        }
    }

    fn own(&mut self, conn: ConnId, goroutine: Goroutine) {
        if self.owners.len() >= OWNERS_MAX {
            self.owners.clear();
        }
        match self.owners.entry(goroutine) {
            Entry::Occupied(mut owned) => {
                let kept = owned.get().filter(|owned| *owned == conn);
                owned.insert(kept);
            }
            Entry::Vacant(free) => {
                free.insert(Some(conn));
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.begin_anew();
                }
            }
        }
    }
}
