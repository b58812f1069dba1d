//! HTTP/1.0 and HTTP/1.1 on a plain stream.
//!
//! Source: RFC 9112 (messages), RFC 9110 (fields). Recognised: whole start lines, any method that is a token, any header case,
//! line folding, bare LF, empty lines before a request, chunked bodies with extensions and trailers, 1xx, CONNECT, 101.
//! Deliberately not: HTTP/0.9 (no version, no status), multipart/byteranges as framing (obsolete since RFC 7230).
//! Sample: `GET /a HTTP/1.1␍␊Host: b␍␊␍␊` → `HTTP/1.1 200 OK␍␊Content-Length: 2␍␊␍␊hi`;
//! chunked: `5␍␊hello␍␊0␍␊␍␊`; answered early: `HTTP/1.1 100 Continue␍␊␍␊`.
use super::{Body, Frame, Head, Parser, Part, Progress, Protocol, Reading, Sniff};

mod chunks;
mod fields;
mod head;
mod start;

use chunks::Chunks;

/// Bytes of a start line without an end before a sniffer gives up: a target is at most a header block.
const START_LINE_BYTES: usize = 64 * 1024;

/// What a request asked, as [`super::Asked`].
mod asked {
    pub(super) const HEAD: u8 = 1;
    pub(super) const CONNECT: u8 = 2;
}

pub(super) struct Http1;

impl Protocol for Http1 {
    fn name(&self) -> &'static str {
        "http"
    }

    fn sniff(&self, bytes: &[u8]) -> Sniff {
        start::sniff(bytes)
    }

    fn open(&self) -> Box<dyn Parser> {
        Box::new(Connection { request: State::START, response: State::START })
    }
}

/// Where one part's stream is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// In a head of which so many bytes are known not to contain its end.
    Head { scanned: usize },
    /// In a chunked body.
    Chunks(Chunks),
}

impl State {
    const START: State = State::Head { scanned: 0 };
}

struct Connection {
    request: State,
    response: State,
}

impl Connection {
    fn state(&mut self, part: Part) -> &mut State {
        match part {
            Part::Request => &mut self.request,
            Part::Response => &mut self.response,
        }
    }
}

impl Parser for Connection {
    fn read(&mut self, part: Part, bytes: &[u8], reading: &Reading<'_>) -> Progress {
        let state = self.state(part);
        match state {
            State::Head { scanned } => {
                if *scanned > 0 && !head::ends_after(bytes, *scanned) {
                    *scanned = bytes.len();
                    return Progress::Need;
                }
                match head::read(part, bytes, reading, head::Until::End) {
                    head::Outcome::Short => {
                        *scanned = bytes.len();
                        Progress::Need
                    }
                    head::Outcome::Bad => Progress::Bad,
                    head::Outcome::Whole(head, used) => {
                        *state = match head.body {
                            Body::Framed => State::Chunks(Chunks::START),
                            _ => State::START,
                        };
                        Progress::Got(Frame::Head(head), used)
                    }
                }
            }
            State::Chunks(chunks) => {
                let progress = chunks.read(bytes);
                if matches!(progress, Progress::Got(Frame::End, _)) {
                    *state = State::START;
                }
                progress
            }
        }
    }

    fn give_up(&mut self, part: Part, bytes: &[u8], reading: &Reading<'_>) -> Option<Head> {
        self.reset(part);
        match head::read(part, bytes, reading, head::Until::LastLine) {
            head::Outcome::Whole(head, _) => Some(head),
            head::Outcome::Short | head::Outcome::Bad => None,
        }
    }

    fn reset(&mut self, part: Part) {
        *self.state(part) = State::START;
    }

    fn tail(&self) -> &'static [u8] {
        b"\r\n0\r\n\r\n"
    }
}

#[cfg(test)]
mod tests;
