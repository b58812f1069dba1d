//! Chunked bodies: `5;ext␍␊hello␍␊0␍␊Trailer: x␍␊␍␊`. RFC 9112 §7.1.
use crate::protocols::{Frame, Progress};
use memchr::memchr;

/// Longest chunk-size line that is believed, extensions included.
const SIZE_LINE_BYTES: usize = 16 * 1024;

/// Where in a chunked body a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before a chunk-size line.
    Size,
    /// After a chunk's data, before its line end.
    DataEnd,
    /// After the last chunk: so many bytes of trailers were passed over.
    Trailers,
}

impl Chunks {
    pub(super) const START: Chunks = Chunks::Size;

    /// The next chunk's data, or the end of the body.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut rest = bytes;
        let mut at = *self;
        loop {
            let (line, after) = match split_line(rest) {
                Some(split) => split,
                None if at == Chunks::DataEnd && !matches!(rest, [] | [b'\r']) => return Progress::Bad,
                None if at == Chunks::Size && !is_size_begun(rest) => return Progress::Bad,
                None => return Progress::Need,
            };
            rest = after;
            let used = bytes.len() - rest.len();
            at = match at {
                Chunks::DataEnd if line.is_empty() => Chunks::Size,
                Chunks::DataEnd => return Progress::Bad,
                Chunks::Size => match size(line) {
                    None => return Progress::Bad,
                    Some(0) => Chunks::Trailers,
                    Some(size) => {
                        *self = Chunks::DataEnd;
                        return Progress::Got(Frame::Payload(size), used);
                    }
                },
                Chunks::Trailers if line.is_empty() => return Progress::Got(Frame::End, used),
                Chunks::Trailers => Chunks::Trailers,
            };
        }
    }
}

/// A line without its end, and what follows it. A bare LF ends a line too (RFC 9112 §2.2).
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr(b'\n', bytes)?)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default()))
}

/// The size that a chunk-size line names.
fn size(line: &[u8]) -> Option<u64> {
    if line.len() > SIZE_LINE_BYTES {
        return None;
    }
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(digits)?;
    // Extensions follow a semicolon; some servers pad the size with spaces.
    let rest = rest.trim_ascii_start();
    if !matches!(rest, [] | [b';', ..]) {
        return None;
    }
    let digits = str::from_utf8(digits).ok()?;
    let significant = digits.trim_start_matches('0');
    if digits.is_empty() || significant.len() > 15 {
        return None;
    }
    if significant.is_empty() { Some(0) } else { u64::from_str_radix(significant, 16).ok() }
}

/// Could these bytes, without a line end, begin a chunk-size line?
fn is_size_begun(bytes: &[u8]) -> bool {
    let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    line.is_empty() || size(line).is_some()
}
