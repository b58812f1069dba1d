//! How much to copy of each connection: the core's commands as rows of `POLICIES`.
//!
//! Shape: [`Command`] in; an [`Event`] out when the mark that was set is already behind, because the bytes had passed before.
//! The kernel deletes a row with its socket. A row written after that would stay for ever, so each write is followed by a
//! look whether the connection is still there.
use crate::attach::kernel::{Error, Kernel};
use aya::{
    Pod,
    maps::{HashMap, MapData, MapError},
};
use wirespan_common::{
    limits,
    policy::{self, ConnectionState, FrameWalks, Policy, armed, capture},
};
use wirespan_core::{
    assemble::{Command, Mark},
    event::{ConnId, Direction, Event, Nanos, Reached},
};

const POLICIES: &str = "POLICIES";
const CONNECTIONS: &str = "CONNECTIONS";
const WALKS: &str = "WALKS";
/// Missed ends that are worth a look at all rows: so many rows of `CONNECTIONS` may be dead, one in 64.
const DEAD_ROWS: u64 = limits::CONNECTIONS as u64 / 64;
/// A closed connection that was silent for so long is not read again.
const UNREAD_NS: u64 = 600_000_000_000;

/// Gives every mark an id of its own: the kernel remembers by it which mark was passed.
#[derive(Debug, Default)]
pub(in crate::attach) struct MarkIds(u32);

impl MarkIds {
    fn next(&mut self) -> u32 {
        self.0 = self.0.checked_add(1).unwrap_or(1);
        self.0
    }
}

impl Kernel {
    /// Does what the core asks. `Some` if a mark had been passed before it was set. The kernel may report the same mark as
    /// well, when a call ran at the same moment: passing twice means no more than passing once.
    ///
    /// # Errors
    /// When `POLICIES` is full, or a map cannot be used. The connection is then copied by the default policy.
    pub fn apply(&mut self, command: Command) -> Result<Option<Event<'static>>, Error> {
        match command {
            Command::Stop { conn } => {
                self.change(conn, |policy| policy.capture = capture::STOP)?;
                Ok(None)
            }
            Command::Head { conn, direction, bytes } => {
                self.change(conn, |policy| *of(&mut policy.head, direction) = bytes)?;
                Ok(None)
            }
            Command::Frames { conn, walks } => {
                let mode = if walks { capture::FRAMES } else { capture::HEAD };
                self.change(conn, |policy| policy.capture = mode)?;
                Ok(None)
            }
            Command::Walk { conn, direction, from, is_right } => {
                self.change(conn, |policy| {
                    let trust = of(&mut policy.walks, direction);
                    *(if is_right { &mut trust.trusted } else { &mut trust.refused }) = from;
                })?;
                Ok(None)
            }
            Command::Unmark { conn, direction } => {
                self.change(conn, |policy| *of(&mut policy.marks, direction) = policy::Mark::default())?;
                Ok(None)
            }
            Command::Mark { conn, direction, mark } => {
                let mark = row_of(mark, self.marks.next());
                let state = self.change(conn, |policy| *of(&mut policy.marks, direction) = mark)?;
                Ok(state.and_then(|state| passed(conn, direction, mark, state)))
            }
        }
    }

    /// Changes a connection's policy; its state if it still exists.
    fn change(
        &mut self,
        conn: ConnId,
        change: impl FnOnce(&mut Policy),
    ) -> Result<Option<ConnectionState>, Error> {
        let map = self.ebpf.map_mut(POLICIES).ok_or(Error::NoMap(POLICIES))?;
        let mut policies: HashMap<&mut MapData, u64, Policy> =
            HashMap::try_from(map).map_err(failed(POLICIES))?;
        let mut policy = found(policies.get(&conn.0, 0)).map_err(failed(POLICIES))?.unwrap_or_default();
        change(&mut policy);
        policies.insert(conn.0, policy, 0).map_err(failed(POLICIES))?;
        let state = self.state(conn)?;
        if state.is_none() {
            self.remove::<Policy>(POLICIES, conn.0)?;
        }
        Ok(state)
    }

    /// Deletes the rows of connections that are closed and whose sockets were destroyed unseen. `missed_ends`: how often
    /// `tcp_destroy_sock` was not run until now. All rows are looked at, so only if enough of them may be dead.
    ///
    /// # Errors
    /// When a map cannot be used.
    pub fn forget_dead_connections(&mut self, missed_ends: u64, now: Nanos) -> Result<(), Error> {
        if missed_ends.saturating_sub(self.ends_swept) < DEAD_ROWS {
            return Ok(());
        }
        self.ends_swept = missed_ends;
        let map = self.ebpf.map(CONNECTIONS).ok_or(Error::NoMap(CONNECTIONS))?;
        let connections: HashMap<&MapData, u64, ConnectionState> =
            HashMap::try_from(map).map_err(failed(CONNECTIONS))?;
        let dead: Vec<u64> = connections
            .iter()
            .filter_map(Result::ok)
            .filter(|(_, state)| is_dead(state, now))
            .map(|(conn, _)| conn)
            .collect();
        for conn in dead {
            self.remove::<ConnectionState>(CONNECTIONS, conn)?;
            self.remove::<Policy>(POLICIES, conn)?;
            self.remove::<FrameWalks>(WALKS, conn)?;
        }
        Ok(())
    }

    fn remove<V: Pod>(&mut self, name: &'static str, conn: u64) -> Result<(), Error> {
        let map = self.ebpf.map_mut(name).ok_or(Error::NoMap(name))?;
        let mut rows: HashMap<&mut MapData, u64, V> = HashMap::try_from(map).map_err(failed(name))?;
        found(rows.remove(&conn)).map_err(failed(name))?;
        Ok(())
    }

    /// What the kernel knows of a connection.
    fn state(&self, conn: ConnId) -> Result<Option<ConnectionState>, Error> {
        let map = self.ebpf.map(CONNECTIONS).ok_or(Error::NoMap(CONNECTIONS))?;
        let connections: HashMap<&MapData, u64, ConnectionState> =
            HashMap::try_from(map).map_err(failed(CONNECTIONS))?;
        found(connections.get(&conn.0, 0)).map_err(failed(CONNECTIONS))
    }
}

/// Is the connection closed, for so long that nobody may still read what is left of it?
fn is_dead(state: &ConnectionState, now: Nanos) -> bool {
    let [egress, ingress] = state.last_at_ns;
    let is_closed = state.ended != 0 || state.closed_from != 0;
    is_closed && now.since(Nanos(egress.max(ingress))) > UNREAD_NS
}

/// A mark as the kernel reads it.
fn row_of(mark: Mark, id: u32) -> policy::Mark {
    match mark {
        Mark::Seq(seq) => policy::Mark { armed: armed::SEQ, seq, id, ..policy::Mark::default() },
        Mark::Tail { bytes, len } => {
            let len = len.clamp(1, 8);
            // Left-aligned bytes, first byte first, become the upper bytes of a little-endian word, last byte uppermost.
            let tail = u64::from_le_bytes(bytes) << (64 - 8 * u32::from(len));
            policy::Mark { armed: armed::TAIL, tail, tail_len: u32::from(len), id, ..policy::Mark::default() }
        }
    }
}

/// The event of a mark that the connection had passed before.
fn passed(
    conn: ConnId,
    direction: Direction,
    mark: policy::Mark,
    mut state: ConnectionState,
) -> Option<Event<'static>> {
    let reached = Reached {
        at: Nanos(*of(&mut state.last_at_ns, direction)),
        seq: *of(&mut state.last_seq, direction),
    };
    if reached.at == Nanos(0) {
        return None;
    }
    let by_tail = mark.armed == armed::TAIL;
    let is_behind = if by_tail {
        let shift = 64_u32.saturating_sub(8 * mark.tail_len).min(63);
        *of(&mut state.last_tail, direction) >> shift == mark.tail >> shift
    } else {
        // Half of the sequence space lies behind.
        reached.seq.wrapping_sub(mark.seq) < 1 << 31
    };
    is_behind.then_some(Event::Progress { conn, direction, reached, by_tail })
}

fn of<T>(pair: &mut [T; 2], direction: Direction) -> &mut T {
    let [egress, ingress] = pair;
    match direction {
        Direction::Egress => egress,
        Direction::Ingress => ingress,
    }
}

/// A missing row is an answer, not a failure.
fn found<T>(result: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(map: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map { map, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnId = ConnId(7);

    fn state(last_seq: u32, tail: &[u8; 8]) -> ConnectionState {
        ConnectionState {
            last_at_ns: [5, 0],
            last_seq: [last_seq, 0],
            last_tail: [u64::from_le_bytes(*tail), 0],
            ..ConnectionState::default()
        }
    }

    fn is_passed(mark: Mark, state: ConnectionState) -> bool {
        passed(CONN, Direction::Egress, row_of(mark, 1), state).is_some()
    }

    #[test]
    fn a_sequence_mark_is_passed_from_its_number_on_also_across_the_wrap() {
        for (reached, expected) in [(99, false), (100, true), (101, true)] {
            assert_eq!(is_passed(Mark::Seq(100), state(reached, &[0; 8])), expected, "{reached}");
        }
        assert!(is_passed(Mark::Seq(u32::MAX - 1), state(3, &[0; 8])));
        assert!(!is_passed(Mark::Seq(3), state(u32::MAX - 1, &[0; 8])));
    }

    #[test]
    fn a_tail_mark_looks_at_as_many_bytes_as_it_has() {
        let mark = Mark::Tail { bytes: *b"0\r\n\r\n\0\0\0", len: 5 };
        assert!(is_passed(mark, state(1, b"abc0\r\n\r\n")));
        assert!(is_passed(mark, state(1, b"xyz0\r\n\r\n")));
        assert!(!is_passed(mark, state(1, b"abc1\r\n\r\n")));
        assert!(is_passed(Mark::Tail { bytes: *b"abc0\r\n\r\n", len: 8 }, state(1, b"abc0\r\n\r\n")));
    }

    #[test]
    fn a_direction_that_moved_nothing_has_passed_no_mark() {
        let row = row_of(Mark::Seq(0), 1);
        assert!(passed(CONN, Direction::Ingress, row, state(1, &[0; 8])).is_none());
    }

    #[test]
    fn a_row_is_dead_when_its_connection_is_closed_and_nobody_reads_it_any_more() {
        let late = Nanos(6 + UNREAD_NS);
        let open = state(1, b"abcdefgh");
        assert!(!is_dead(&open, late), "open");
        let closed = ConnectionState { ended: 1, ..open };
        let unread = ConnectionState { closed_from: 8, ..open };
        assert!(is_dead(&closed, late) && is_dead(&unread, late), "closed");
        assert!(!is_dead(&closed, Nanos(7)) && !is_dead(&unread, Nanos(7)), "just now");
    }

    #[test]
    fn no_two_marks_in_a_row_have_the_same_id_and_none_has_zero() {
        let mut ids = MarkIds(u32::MAX - 1);
        assert_eq!([ids.next(), ids.next(), ids.next()], [u32::MAX, 1, 2]);
    }
}
