//! Hexadecimal ids.
//!
//! Shape: ASCII digits in, big-endian bytes out. Not here: the meaning of zero (each format's own rule).

/// Exactly `2 N` lower-case digits.
pub(super) fn lower<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.iter().any(u8::is_ascii_uppercase) || text.len() != 2 * N {
        return None;
    }
    padded(text)
}

/// Exactly `2 N` digits of any case.
pub(super) fn exact<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    padded(text)
}

/// 1 to `2 N` digits of any case; missing ones are zeros on the left.
pub(super) fn padded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut digits = text.iter().rev();
    for byte in bytes.iter_mut().rev() {
        let Some(&low) = digits.next() else { break };
        let high = digits.next().copied().unwrap_or(b'0');
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// The value of one digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
