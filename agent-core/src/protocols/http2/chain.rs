//! A header block that is put together from the payloads of its frames. RFC 9113 §6.2, §6.6, §6.10.
use super::frame::{Header, flag, kind, word};

/// The block so far.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) stream: u32,
    /// Nothing comes after it on its stream.
    pub(super) ends: bool,
    /// It is the request that a server makes up itself.
    pub(super) is_promise: bool,
    block: Vec<u8>,
    /// Frames so far: empty ones count too.
    frames: usize,
}

impl Chain {
    /// The first frame of a block; `None` if its padding or its priority do not fit.
    pub(super) fn begin(header: Header, payload: &[u8]) -> Option<Chain> {
        let mut block = payload;
        if header.has(flag::PADDED) {
            let (&padding, rest) = block.split_first()?;
            block = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
        }
        let is_promise = header.kind == kind::PUSH_PROMISE;
        if is_promise {
            word(block)?;
            block = block.get(4..)?;
        } else if header.has(flag::PRIORITY) {
            block = block.get(5..)?;
        }
        let ends = !is_promise && header.has(flag::END_STREAM);
        Some(Chain { stream: header.stream, ends, is_promise, block: block.to_vec(), frames: 1 })
    }

    /// A CONTINUATION; `None` if it is another stream's.
    pub(super) fn extend(mut self, header: Header, payload: &[u8]) -> Option<Chain> {
        if header.stream != self.stream {
            return None;
        }
        self.block.extend_from_slice(payload);
        self.frames += 1;
        Some(self)
    }

    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Bytes that came, and about as many are held.
    pub(super) fn bytes(&self) -> usize {
        self.block.len() + self.frames * Header::BYTES
    }
}
