//! Evidence `task`: the goroutine that had read a request made the call, or one that it created while it worked for that request.
//!
//! A goroutine has a number that is never given again, so who made a call is certain; for whom it works is not always:
//! - the one that **read** a request works for it until the response has ended: it reads the next one after that. Requests read in
//!   one go (pipelining) are worked off in order; with requests of several connections open it is no evidence;
//! - a **descendant**, born while the reader, or another descendant, worked for the request and before its response began. The birth
//!   must have been seen: a parent's number alone has no time, and a goroutine that an earlier request of the same keep-alive
//!   connection left behind would be given to the next. Measured: that happens at every concurrency;
//! - but a descendant may be a worker that the first request started and all later ones share, and its first work may be another
//!   request's. So descendants are judged by the `go` statement (*site*) that made them: one of its goroutines that calls, or creates
//!   others, after its request's response began withdraws the site for the life of the process, with every link that is not yet
//!   given. Until [`PROOFS`] goroutines of the site were seen to do nothing after it, links are held as long as `hold_ns` for such a
//!   sign, and with fewer than [`PROOFS_THAT_STOOD`] there is none. All sites on the way up to the reader must be good.
//!
//! The bytes of an HTTP/1 client are written by a goroutine of the connection, whose parent is whoever dialled: no evidence. There
//! a [`Claim`] says who asked: it holds for the next request of its connection. On a connection that calls share, the client of
//! net/http has a goroutine of its own write each request, created by whoever asked: a descendant like any other. There a goroutine
//! that writes a second request is no such one, and the first request of each connection shows only that it has a writer.
//! Where requests share a connection the goroutine that handles one is known by its birth (see `handler`): it works for it like a
//! reader, until the response has ended, and its `go` statement is judged like any other's.
//! What cannot be known: work handed over a channel to a goroutine that was there before, work of goroutines born before the agent
//! looked, and work left behind when the response had begun.
use super::handler::{Certainty, Handlers};
use crate::{
    correlate::Map,
    event::{ConnId, Nanos, Spawn},
    exchange::{ExchangeId, Opened},
};
use smallvec::SmallVec;
use std::{collections::VecDeque, num::NonZeroU64};

/// Goroutines that show a site to be good: as many as proofs are asked of threads.
pub(in crate::correlate) const PROOFS: u32 = 32;
/// Enough for a link that was held and not contradicted.
pub(in crate::correlate) const PROOFS_THAT_STOOD: u32 = 6;
/// Descendants remembered per process, for a while after their request: ten thousand births a second. Those beyond are nobody's.
const BORN_MAX: usize = 32_768;
/// How much longer they are remembered than links are held.
const MARGIN_NS: u64 = 1_000_000_000;
/// A site of so many goroutines that never called nor created any is not looked at again: every request of net/http has one that
/// waits for the client to go away.
const QUIET_BIRTHS: u32 = 256;
/// Sites remembered per process; what is born at others is no evidence.
const SITES_MAX: usize = 1_024;
/// Claims of requests that are not yet written. One that was never used is replaced by the next on its connection.
const CLAIMS_MAX: usize = 4_096;
/// Connections that calls share of which the last writer is remembered; all of them are forgotten at once.
const WRITERS_MAX: usize = 4_096;
/// Steps from a descendant up to the reader that are followed.
const GENERATIONS_MAX: usize = 16;

/// A goroutine's number.
pub(in crate::correlate) type Goroutine = NonZeroU64;

/// Who asked for the next request of a connection, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) struct Claim {
    pub(in crate::correlate) goroutine: Goroutine,
    pub(in crate::correlate) at: Nanos,
}

/// For which request a goroutine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum WorksFor {
    /// None that is known.
    Nobody,
    /// The one that it read; `alone`: it has no other to go on with.
    Read { id: ExchangeId, alone: bool },
    /// The one in whose time it was born; that may be over.
    Born(ExchangeId),
    /// It read several that are open: not knowable.
    Several,
}

/// How far the sites of a descendant are to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Standing {
    /// Shown often enough.
    Proven,
    /// Shown, for a link that was held.
    Stood,
    /// Not shown yet.
    Unknown,
    /// One of its goroutines worked on after the response.
    Withdrawn,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    id: ExchangeId,
    conn: ConnId,
    /// When the call that completed its head returned.
    at: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Born {
    request: ExchangeId,
    parent: Goroutine,
    site: u64,
    /// Counted as a proof of its site.
    counted: bool,
    /// It has written a request to a connection that calls share.
    wrote: bool,
    /// It handles the request, which came on this connection, that requests share.
    handles: Option<ConnId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Site {
    proofs: u32,
    withdrawn: bool,
    births: u32,
    /// One of its goroutines called, or created another.
    acts: bool,
}

/// What the goroutines of one process do.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Goroutines {
    /// Requests by the goroutine that read them, until they end, in the order of reading.
    read: Map<Goroutine, SmallVec<[Read; 1]>>,
    born: Map<Goroutine, Born>,
    /// Keys of `born` by request.
    families: Map<ExchangeId, SmallVec<[Goroutine; 4]>>,
    /// Answered requests that are over, and since when, oldest first.
    over: VecDeque<(Nanos, ExchangeId)>,
    sites: Map<u64, Site>,
    claims: Map<ConnId, Claim>,
    /// Who wrote the last request of a connection that calls share.
    writers: Map<ConnId, Goroutine>,
    /// Claims ever seen: the program says who asks.
    pub(in crate::correlate) claimed: u64,
    /// Births of descendants ever seen.
    pub(in crate::correlate) births: u64,
    /// Connections that requests share.
    pub(in crate::correlate) handlers: Handlers,
}

impl Goroutines {
    /// A goroutine read a request. Who reads those of a connection that they share works for none of them.
    /// `lost_at`: when records were last known to be lost.
    pub(in crate::correlate) fn read(
        &mut self,
        goroutine: Goroutine,
        opened: &Opened,
        lost_at: Option<Nanos>,
    ) {
        if opened.stream.is_some() {
            return self.handlers.opened(opened, goroutine, lost_at);
        }
        let read = Read { id: opened.id, conn: opened.conn, at: opened.head_at };
        self.read.entry(goroutine).or_default().push(read);
    }

    /// A request is over. One that was never answered says nothing of what goes on in its name.
    pub(in crate::correlate) fn ended(&mut self, reader: Goroutine, id: ExchangeId, answered: Option<Nanos>) {
        match answered {
            None => self.forget(id),
            Some(at) if self.families.contains_key(&id) => self.over.push_back((at, id)),
            Some(_) => {}
        }
        let Some(requests) = self.read.get_mut(&reader) else { return };
        requests.retain(|held| held.id != id);
        if requests.is_empty() {
            self.read.remove(&reader);
        }
    }

    /// Descendants of requests that were over long before links of now are held are forgotten.
    pub(in crate::correlate) fn forget_old(&mut self, now: Nanos, hold_ns: u64) {
        while let Some((_, id)) =
            self.over.pop_front_if(|(at, _)| now.since(*at) > hold_ns.saturating_add(MARGIN_NS))
        {
            self.forget(id);
        }
    }

    fn forget(&mut self, request: ExchangeId) {
        for goroutine in self.families.remove(&request).unwrap_or_default() {
            self.born.remove(&goroutine);
        }
    }

    /// Somebody asks for the next request of a connection.
    pub(in crate::correlate) fn claim(&mut self, conn: ConnId, claim: Claim) {
        self.claimed += 1;
        if self.claims.len() >= CLAIMS_MAX {
            self.claims.clear();
        }
        self.claims.insert(conn, claim);
    }

    /// Who asked for the request whose first byte was sent at `sent`. A claim is for one request.
    pub(in crate::correlate) fn take_claim(&mut self, conn: ConnId, sent: Nanos) -> Option<Claim> {
        // A later claim than the request is for the next: this one's was lost or replaced.
        let claim = self.claims.get(&conn).copied().filter(|claim| claim.at <= sent)?;
        self.claims.remove(&conn);
        Some(claim)
    }

    /// A goroutine writes a request to a connection that calls share; whether it is one that was created for that request.
    pub(in crate::correlate) fn writes(&mut self, conn: ConnId, goroutine: Goroutine) -> bool {
        if self.writers.len() >= WRITERS_MAX {
            self.writers.clear();
        }
        let before = self.writers.insert(conn, goroutine);
        let Some(born) = self.born.get_mut(&goroutine).filter(|born| born.handles.is_none()) else {
            return false;
        };
        if std::mem::replace(&mut born.wrote, true) {
            self.outlived(goroutine);
            return false;
        }
        before.is_some() && !self.read.contains_key(&goroutine)
    }

    /// For whom a goroutine works.
    pub(in crate::correlate) fn works_for(&self, goroutine: Goroutine) -> WorksFor {
        match self.read.get(&goroutine).map(SmallVec::as_slice) {
            // Read in one go, they are worked off in order. One that came later may have come with the body of the one before
            // it, or that one is over and its end was not seen.
            Some([first, rest @ ..]) => {
                if rest.iter().all(|other| (other.conn, other.at) == (first.conn, first.at)) {
                    WorksFor::Read { id: first.id, alone: rest.is_empty() }
                } else {
                    WorksFor::Several
                }
            }
            _ => self.born.get(&goroutine).map_or(WorksFor::Nobody, |born| WorksFor::Born(born.request)),
        }
    }

    /// A goroutine was born while its parent worked for a request whose response had not begun.
    pub(in crate::correlate) fn bear(&mut self, spawn: Spawn, request: ExchangeId) {
        self.acts(spawn.parent);
        self.remember(spawn, request, None);
    }

    /// A goroutine was born to handle a request of a connection that requests share.
    pub(in crate::correlate) fn bear_handler(&mut self, spawn: Spawn, conn: ConnId, request: ExchangeId) {
        self.remember(spawn, request, Some(conn));
    }

    fn remember(&mut self, spawn: Spawn, request: ExchangeId, handles: Option<ConnId>) {
        self.births += 1;
        if self.sites.len() >= SITES_MAX && !self.sites.contains_key(&spawn.site) {
            return;
        }
        let site = self.sites.entry(spawn.site).or_default();
        site.births = site.births.saturating_add(1);
        // A server may be asked nothing but for its health for a long time.
        let is_quiet = handles.is_none() && site.births > QUIET_BIRTHS && !site.acts;
        if is_quiet || self.born.len() >= BORN_MAX {
            return;
        }
        let (parent, site) = (spawn.parent, spawn.site);
        let born = Born { request, parent, site, counted: false, wrote: false, handles };
        if self.born.insert(spawn.goroutine, born).is_none() {
            self.families.entry(request).or_default().push(spawn.goroutine);
        }
    }

    /// A goroutine called, or created another.
    pub(in crate::correlate) fn acts(&mut self, goroutine: Goroutine) {
        let Some(born) = self.born.get(&goroutine) else { return };
        if let Some(site) = self.sites.get_mut(&born.site) {
            // What is quiet stays so: of those that were not looked at nobody knows whether they kept to their request.
            site.acts |= site.births <= QUIET_BIRTHS;
        }
    }

    /// A descendant worked on after its request's response had begun, or wrote several requests: it may work for anybody.
    pub(in crate::correlate) fn outlived(&mut self, goroutine: Goroutine) {
        let Some(born) = self.born.get(&goroutine) else { return };
        if let Some(site) = self.sites.get_mut(&born.site) {
            site.withdrawn = true;
        }
    }

    /// A descendant, and those between it and the reader, did nothing after their request's response had begun, for as long as links
    /// are held.
    pub(in crate::correlate) fn stood(&mut self, goroutine: Goroutine) {
        let mut next = goroutine;
        for _ in 0..GENERATIONS_MAX {
            let Some(born) = self.born.get_mut(&next) else { return };
            if std::mem::replace(&mut born.counted, true) {
                return;
            }
            if let Some(site) = self.sites.get_mut(&born.site) {
                site.proofs = site.proofs.saturating_add(1);
            }
            next = born.parent;
        }
    }

    /// How far a descendant of `request` is to be believed.
    pub(in crate::correlate) fn standing(&self, goroutine: Goroutine, request: ExchangeId) -> Standing {
        let mut worst = u32::MAX;
        let mut next = goroutine;
        for _ in 0..GENERATIONS_MAX {
            let Some(born) = self.born.get(&next).filter(|born| born.request == request) else {
                // The reader. A descendant that was forgotten meanwhile leads to nobody.
                return match worst {
                    _ if next == goroutine => Standing::Unknown,
                    PROOFS.. => Standing::Proven,
                    PROOFS_THAT_STOOD.. => Standing::Stood,
                    _ => Standing::Unknown,
                };
            };
            let site = self.sites.get(&born.site).copied().unwrap_or_default();
            let certainty = match born.handles {
                Some(conn) => self.handlers.is_certain(conn, request, born.site),
                None => Certainty::Yes,
            };
            match certainty {
                Certainty::No => return Standing::Withdrawn,
                _ if site.withdrawn => return Standing::Withdrawn,
                Certainty::NotYet => worst = 0,
                Certainty::Yes => worst = worst.min(site.proofs),
            }
            next = born.parent;
        }
        Standing::Unknown
    }

    /// Whether a goroutine was born to handle its request: it does until the response has ended.
    pub(in crate::correlate) fn handles(&self, goroutine: Goroutine) -> bool {
        self.born.get(&goroutine).is_some_and(|born| born.handles.is_some())
    }

    /// Whether a goroutine works, or worked, for a request.
    pub(in crate::correlate) fn is_of(&self, goroutine: Goroutine, request: ExchangeId) -> bool {
        match self.works_for(goroutine) {
            WorksFor::Read { id, .. } | WorksFor::Born(id) => id == request,
            WorksFor::Nobody | WorksFor::Several => false,
        }
    }

    /// Sites in use and sites withdrawn, for `explain`.
    pub(in crate::correlate) fn sites(&self) -> (usize, usize) {
        let withdrawn = self.sites.values().filter(|site| site.withdrawn).count();
        let used =
            self.sites.values().filter(|site| !site.withdrawn && site.proofs >= PROOFS_THAT_STOOD).count();
        (used, withdrawn)
    }
}

#[cfg(test)]
mod tests;
