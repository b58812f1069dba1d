//! The connections that are remembered: a bounded table that forgets the one that was silent for longest.
//!
//! Shape: look-up by [`ConnId`], order of last use. Neither look-up nor use allocates. Not here: what is forgotten is handed
//! back, so that its exchanges end with a reason.
use super::connection::Connection;
use crate::event::ConnId;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Hash of an id that the kernel hands out: one multiplication. Nobody outside the kernel can choose the ids.
#[derive(Clone, Copy, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(u64::from(id));
    }

    fn write_u64(&mut self, id: u64) {
        // 2⁶⁴ / golden ratio: spreads consecutive numbers over the upper and lower bits alike.
        let mixed = (self.0.rotate_left(5) ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map keyed by a small id.
pub(super) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// No slot.
const NONE: usize = usize::MAX;

struct Slot {
    connection: Option<Box<Connection>>,
    older: usize,
    newer: usize,
}

/// Connections by id and by last use.
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
    by_id: IdMap<ConnId, usize>,
    oldest: usize,
    newest: usize,
}

impl Table {
    pub(super) fn new() -> Table {
        Table { slots: Vec::new(), free: Vec::new(), by_id: IdMap::default(), oldest: NONE, newest: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The connection, without using it.
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let slot = *self.by_id.get(&id)?;
        self.slots.get_mut(slot)?.connection.as_deref_mut()
    }

    /// The connection, which becomes the one used last.
    pub(super) fn touch(&mut self, id: ConnId) -> Option<&mut Connection> {
        let slot = *self.by_id.get(&id)?;
        if self.newest != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
        self.slots.get_mut(slot)?.connection.as_deref_mut()
    }

    /// Adds a connection as the one used last.
    pub(super) fn insert(&mut self, connection: Connection) {
        let id = connection.id;
        let filled = Slot { connection: Some(Box::new(connection)), older: NONE, newer: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = filled;
                }
                slot
            }
            None => {
                self.slots.push(filled);
                self.slots.len() - 1
            }
        };
        self.by_id.insert(id, slot);
        self.link_newest(slot);
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        let slot = self.by_id.remove(&id)?;
        self.unlink(slot);
        self.free.push(slot);
        self.slots.get_mut(slot)?.connection.take()
    }

    /// The connection that was silent for longest.
    pub(super) fn oldest(&self) -> Option<&Connection> {
        self.slots.get(self.oldest)?.connection.as_deref()
    }

    /// Every connection, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().filter_map(|slot| slot.connection.as_deref_mut())
    }

    fn unlink(&mut self, slot: usize) {
        let Some(&Slot { older, newer, .. }) = self.slots.get(slot) else { return };
        match self.slots.get_mut(older) {
            Some(other) => other.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer) {
            Some(other) => other.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, slot: usize) {
        let before = std::mem::replace(&mut self.newest, slot);
        if let Some(place) = self.slots.get_mut(slot) {
            place.older = before;
            place.newer = NONE;
        }
        match self.slots.get_mut(before) {
            Some(other) => other.newer = slot,
            None => self.oldest = slot,
        }
    }
}
