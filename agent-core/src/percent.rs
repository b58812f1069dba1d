//! Percent-encoding, RFC 3986 §2.1, for `propagate` and `redact`.
//!
//! Shape: bytes in, bytes or text out. A `%` that two digits do not follow stands for itself: readers do not guess.
use std::borrow::Cow;

/// Decodes every `%XX`; borrows if there is none.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%'
            && let [high, low, beyond @ ..] = after
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = beyond;
            continue;
        }
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(decoded)
}

/// Decoded text; what is not UTF-8 becomes U+FFFD.
pub(crate) fn decode_text(text: &[u8]) -> String {
    String::from_utf8_lossy(&decode(text)).into_owned()
}

/// The value of one hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}
