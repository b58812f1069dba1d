//! The walk from frame to frame, as `agent-ebpf/src/handlers/frames.rs` does it.
use crate::event::Walk;

/// One direction's.
#[derive(Clone, Debug, Default)]
pub(super) struct Walker {
    /// Where it began; 0 if it has not.
    from: u32,
    /// Sequence number after the last call.
    reached: u32,
    /// Bytes to the next frame.
    left: u32,
    /// The part of a frame's header that was seen.
    key: Vec<u8>,
    is_wanted: bool,
    pub(super) skipped: u32,
    pub(super) trusted: u32,
    pub(super) refused: u32,
}

impl Walker {
    /// A call at `seq`, of which nothing is known if it has no `data`; `None` if it is skipped.
    pub(super) fn call(&mut self, seq: u32, moved: u32, data: Option<&[u8]>) -> Option<Walk> {
        let begins = self.from == 0 || self.from == self.refused || self.reached != seq;
        if begins {
            let Walker { skipped, trusted, refused, .. } = *self;
            *self = Walker { from: seq, skipped, trusted, refused, ..Walker::default() };
        }
        let place = Walk { skipped: self.skipped, ahead: self.key.is_empty().then_some(self.left), begins };
        let is_trusted = self.from == self.trusted;
        let mut wanted = self.is_wanted || !self.key.is_empty();
        let mut rest = data.unwrap_or_default();
        while let Some((&byte, after)) = rest.split_first() {
            if self.left > 0 {
                wanted |= self.is_wanted;
                let passed = (self.left as usize).min(rest.len());
                self.left -= u32::try_from(passed).unwrap();
                rest = &rest[passed..];
                continue;
            }
            self.key.push(byte);
            rest = after;
            if let [a, b, c, kind, flags] = *self.key.as_slice() {
                self.left = u32::from_be_bytes([0, a, b, c]) + 4;
                self.is_wanted = !matches!((kind, flags & 1), (0, 0) | (2 | 6 | 8, _));
                wanted |= self.is_wanted;
                self.key.clear();
            }
        }
        wanted |= !self.key.is_empty() || data.is_none();
        self.reached = seq.wrapping_add(moved);
        if data.is_none() {
            self.from = 0;
        }
        if !wanted && is_trusted {
            self.skipped += moved;
            return None;
        }
        self.skipped = 0;
        Some(place)
    }
}
