//! Headers of frames. RFC 9113 §4.1, §6.
//!
//! Shape: nine bytes in. *Valid* is what a peer would accept where a frame is known to begin; *plausible* is what senders
//! really write, for places where it is not known.
use super::{Part, Says, Step};

/// Types of frames.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// The bits of a stream's number; the uppermost one is reserved.
pub(super) const STREAM_MASK: u32 = 0x7fff_ffff;
/// The largest frame that may be sent unless more was agreed on.
const USUAL_BYTES: u32 = 16 * 1024;
/// No peer has this many settings.
const SETTINGS_BYTES: u32 = 6 * 64;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    is_reserved: bool,
}

impl Header {
    /// Bytes of a header.
    pub(super) const BYTES: usize = 9;

    pub(super) fn read(bytes: &[u8]) -> Option<Header> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk()?;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        Some(Header {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: stream & STREAM_MASK,
            is_reserved: stream > STREAM_MASK,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload, if it is there in full.
    pub(super) fn payload<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        bytes.get(Header::BYTES..)?.get(..self.length as usize)
    }

    /// The frame with its payload.
    pub(super) fn whole(&self, says: Says) -> Step {
        Step::Got { says, used: Header::BYTES + self.length as usize, payload: 0 }
    }

    /// The frame with the first `used` bytes of its payload.
    pub(super) fn begun(&self, says: Says, used: u32) -> Step {
        let used = used.min(self.length);
        Step::Got { says, used: Header::BYTES + used as usize, payload: self.length - used }
    }

    /// May a peer send this?
    pub(super) fn is_valid(&self, part: Part) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA => on_stream,
            kind::HEADERS => on_stream && self.length > 0 && (part == Part::Response || self.stream % 2 == 1),
            kind::CONTINUATION => on_stream,
            kind::PRIORITY => on_stream && self.length == 5,
            kind::RST_STREAM => on_stream && self.length == 4,
            kind::SETTINGS => {
                let is_list = self.length.is_multiple_of(6) && (self.length == 0 || !self.has(flag::ACK));
                !on_stream && is_list
            }
            kind::PUSH_PROMISE => part == Part::Response && self.stream % 2 == 1 && self.length > 4,
            kind::PING => !on_stream && self.length == 8,
            kind::GOAWAY => !on_stream && self.length >= 8,
            kind::WINDOW_UPDATE => self.length == 4,
            // Extensions are ignored (§5.5).
            _ => true,
        }
    }

    /// Does anybody send this?
    pub(super) fn is_plausible(&self, part: Part) -> bool {
        let flags = match self.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            kind::PUSH_PROMISE => flag::END_HEADERS | flag::PADDED,
            kind::CONTINUATION => flag::END_HEADERS,
            kind::SETTINGS | kind::PING => flag::ACK,
            kind::PRIORITY | kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE => 0,
            _ => return false,
        };
        self.is_valid(part)
            && !self.is_reserved
            && self.flags & !flags == 0
            && self.length <= USUAL_BYTES
            && (self.kind != kind::SETTINGS || self.length <= SETTINGS_BYTES)
            && (self.stream == 0 || self.stream % 2 == 1)
    }
}

/// The number that the first four bytes are.
pub(super) fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
}
