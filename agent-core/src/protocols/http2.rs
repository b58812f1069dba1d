//! HTTP/2 on a plain stream: frames of one connection to what they say of its streams.
//!
//! Source: RFC 9113 (frames), RFC 7541 (fields), RFC 8441 (extended CONNECT). Recognised: the preface, and, on a connection that is
//! older than the agent, frames that hold together and a header block with pseudo-header fields. Payload of DATA is passed over.
//! Header blocks are decoded one by one in order, padded, with priority, over CONTINUATION; a block that was not seen in full
//! is never decoded, and what the blocks after it refer to is unknown. Flow control, SETTINGS and PING say nothing of use.
//! Deliberately not: HTTP/2 inside TLS (its plaintext comes another way), pushed responses (nobody asked for them).
//! Sample: `PRI * HTTP/2.0␍␊␍␊SM␍␊␍␊`, `00 00 00 04 00 00 00 00 00` (SETTINGS), `00 00 03 01 05 00 00 00 01 82 86 84` (GET / and no body).
mod chain;
mod frame;
mod head;
mod hpack;
mod sniff;

pub(crate) use head::Block;
pub(crate) use sniff::{PREFACE, Sight, holds_together, sniff};

use super::{KeepList, Part};
use chain::Chain;
use frame::{Header, flag, kind};
use hpack::Decoder;

/// Codes of RST_STREAM and GOAWAY. RFC 9113 §7.
pub(crate) mod code {
    /// Nothing was processed of the stream.
    pub(crate) const REFUSED_STREAM: u32 = 7;
}

/// What a frame says.
#[derive(Debug)]
pub(crate) enum Says {
    /// Nothing of use.
    Nothing,
    /// A header block begins, whose end is still to come.
    Begins,
    /// A header block of a stream; `ends`: nothing but it comes in this direction.
    Head { stream: u32, block: Box<Block>, ends: bool },
    /// So many bytes of a stream's body follow, padding aside; `ends`: and then nothing.
    Data { stream: u32, bytes: u32, ends: bool },
    /// The stream was given up.
    Reset { stream: u32, code: u32 },
    /// Streams above this one were not processed, and will not be.
    GoAway { last: u32 },
}

/// What reading came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Not a whole frame: come again with these bytes and more.
    Need,
    /// A frame: it took `used` bytes, and the `payload` after them says nothing more.
    Got { says: Says, used: usize, payload: u32 },
    /// No frame, or none that may come here.
    Bad,
    /// A header block without end.
    Hostile,
}

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    requests: Side,
    responses: Side,
}

/// One direction.
#[derive(Debug)]
struct Side {
    decoder: Decoder,
    chain: Option<Chain>,
    /// Nothing was read yet.
    is_new: bool,
}

impl Side {
    fn new(is_whole: bool) -> Side {
        Side { decoder: Decoder::new(is_whole), chain: None, is_new: true }
    }
}

impl Session {
    /// For a connection whose preface comes next, or one that was joined between two frames.
    pub(crate) fn new(has_preface: bool) -> Session {
        Session { requests: Side::new(has_preface), responses: Side::new(has_preface) }
    }

    fn side(&mut self, part: Part) -> &mut Side {
        match part {
            Part::Request => &mut self.requests,
            Part::Response => &mut self.responses,
        }
    }

    /// Bytes held: header blocks that have begun, and what later ones may refer to.
    pub(crate) fn bytes(&self) -> usize {
        let of = |side: &Side| side.decoder.bytes() + side.chain.as_ref().map_or(0, Chain::bytes);
        of(&self.requests) + of(&self.responses)
    }

    /// Has a header block begun whose end is still to come?
    pub(crate) fn is_inside_block(&self, part: Part) -> bool {
        match part {
            Part::Request => self.requests.chain.is_some(),
            Part::Response => self.responses.chain.is_some(),
        }
    }

    /// Frames of this part were lost: the next one begins anew, and what header blocks refer to is unknown.
    pub(crate) fn lose(&mut self, part: Part) {
        let side = self.side(part);
        side.decoder.forget();
        side.chain = None;
        side.is_new = false;
    }

    /// Reads the frame at the start of `bytes`, which continue the stream without a gap. No header block may be longer than `max`.
    pub(crate) fn read(&mut self, part: Part, bytes: &[u8], keep: &KeepList, max: usize) -> Step {
        let side = self.side(part);
        if side.is_new && part == Part::Request && PREFACE.starts_with(bytes.get(..3).unwrap_or(bytes)) {
            return preface(side, bytes);
        }
        let Some(header) = Header::read(bytes) else { return Step::Need };
        if !header.is_valid(part) {
            return Step::Bad;
        }
        // A server's first frame says its settings: else its first bytes were not seen.
        if std::mem::take(&mut side.is_new) && !(header.kind == kind::SETTINGS && header.flags == 0) {
            side.decoder.forget();
        }
        match header.kind {
            kind::HEADERS | kind::CONTINUATION | kind::PUSH_PROMISE => side.fields(header, bytes, keep, max),
            // Nothing may come between the parts of a header block.
            _ if side.chain.is_some() => Step::Bad,
            kind::DATA => data(header, bytes),
            kind::RST_STREAM => {
                let Some(code) = header.payload(bytes).and_then(frame::word) else { return Step::Need };
                header.whole(Says::Reset { stream: header.stream, code })
            }
            kind::GOAWAY => match bytes.get(Header::BYTES..).and_then(frame::word) {
                Some(last) => header.begun(Says::GoAway { last: last & frame::STREAM_MASK }, 4),
                None => Step::Need,
            },
            _ => header.begun(Says::Nothing, 0),
        }
    }
}

impl Side {
    /// A frame that carries a part of a header block.
    fn fields(&mut self, header: Header, bytes: &[u8], keep: &KeepList, max: usize) -> Step {
        let so_far = self.chain.as_ref().map_or(0, Chain::bytes);
        if so_far.saturating_add(header.length as usize) > max {
            return Step::Hostile;
        }
        let Some(payload) = header.payload(bytes) else { return Step::Need };
        let is_continued = header.kind == kind::CONTINUATION;
        let chain = match (self.chain.take(), is_continued) {
            (None, false) => Chain::begin(header, payload),
            (Some(chain), true) => chain.extend(header, payload),
            _ => None,
        };
        let Some(chain) = chain else { return Step::Bad };
        if !header.has(flag::END_HEADERS) {
            self.chain = Some(chain);
            return header.whole(Says::Begins);
        }
        let Ok(block) = Block::decode(&mut self.decoder, chain.block(), keep) else { return Step::Bad };
        if chain.is_promise {
            return header.whole(Says::Nothing);
        }
        header.whole(Says::Head { stream: chain.stream, block: Box::new(block), ends: chain.ends })
    }
}

fn preface(side: &mut Side, bytes: &[u8]) -> Step {
    if bytes.starts_with(PREFACE) {
        side.is_new = false;
        return Step::Got { says: Says::Nothing, used: PREFACE.len(), payload: 0 };
    }
    if PREFACE.starts_with(bytes) { Step::Need } else { Step::Bad }
}

fn data(header: Header, bytes: &[u8]) -> Step {
    let ends = header.has(flag::END_STREAM);
    let says = |bytes| Says::Data { stream: header.stream, bytes, ends };
    if !header.has(flag::PADDED) {
        return header.begun(says(header.length), 0);
    }
    match bytes.get(Header::BYTES) {
        None => Step::Need,
        Some(&padding) => match header.length.checked_sub(1 + u32::from(padding)) {
            Some(bytes) => header.begun(says(bytes), 1),
            None => Step::Bad,
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
