//! Is it HTTP/2? From the first bytes of a connection, or from frames in its middle.
//!
//! The preface is proof. Without it frames must hold together up to a header block with a pseudo-header field that only one side
//! writes; the other side's frames must hold together too before it is believed (see `assemble::multiplex`).
use super::{
    Chain, Part,
    frame::{Header, flag, kind},
    head::Block,
};

/// What a client's side begins with. RFC 9113 §3.4.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Something else.
    No,
    /// The start of the preface.
    Short,
    /// The preface.
    Preface,
    /// Frames, of which none says which side they are from.
    Frames,
    /// Frames of this side.
    Side(Part),
}

/// Looks at what may be the start of a connection or of a frame.
pub(crate) fn sniff(bytes: &[u8]) -> Sight {
    if bytes.starts_with(PREFACE) {
        return Sight::Preface;
    }
    if PREFACE.starts_with(bytes) {
        return if bytes.is_empty() { Sight::No } else { Sight::Short };
    }
    let mut rest = bytes;
    let mut frames = 0_u32;
    while let Some(header) = Header::read(rest) {
        if !(header.is_plausible(Part::Request) || header.is_plausible(Part::Response)) {
            return Sight::No;
        }
        frames += 1;
        let Some(payload) = header.payload(rest) else { break };
        if header.kind == kind::HEADERS && header.has(flag::END_HEADERS) {
            return side(header, payload);
        }
        rest = rest.get(Header::BYTES + payload.len()..).unwrap_or_default();
    }
    if frames > 0 { Sight::Frames } else { Sight::No }
}

/// Who writes this header block; trailers do not tell.
fn side(header: Header, payload: &[u8]) -> Sight {
    let Some(chain) = Chain::begin(header, payload) else { return Sight::No };
    match Block::judge(chain.block()) {
        Err(_) => Sight::No,
        Ok(block) if !block.is_sane() => Sight::No,
        Ok(block) if block.is_request() => Sight::Side(Part::Request),
        Ok(block) if block.status.is_some() => Sight::Side(Part::Response),
        Ok(_) => Sight::Frames,
    }
}

/// Do frames of this part begin here, each of them on a stream that `is_near`? To find the way back after a loss.
pub(crate) fn holds_together(part: Part, bytes: &[u8], is_near: impl Fn(u32) -> bool) -> bool {
    let mut rest = bytes;
    let mut frames = 0_u32;
    while let Some(header) = Header::read(rest) {
        let is_inside = frames == 0 && header.kind == kind::CONTINUATION;
        if is_inside || !header.is_plausible(part) || !(header.stream == 0 || is_near(header.stream)) {
            return false;
        }
        frames += 1;
        let Some(payload) = header.payload(rest) else { break };
        rest = rest.get(Header::BYTES + payload.len()..).unwrap_or_default();
    }
    frames > 0
}
