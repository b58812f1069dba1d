//! Integers with a prefix. RFC 7541 §5.1. Sample: 1337 with a prefix of 5 bits is `1f 9a 0a`.
use super::Malformed;

/// More than any index, length or table size can mean.
const MAX: usize = 1 << 28;

/// Takes the integer at the start of `rest`, in whose first byte the lower `prefix` bits belong to it.
pub(super) fn read(rest: &mut &[u8], prefix: u8) -> Result<usize, Malformed> {
    let (&first, mut after) = rest.split_first().ok_or(Malformed)?;
    let mask = (1_u8 << prefix) - 1;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        let mut shift = 0;
        loop {
            let (&byte, next) = after.split_first().ok_or(Malformed)?;
            after = next;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            // Four bytes hold 28 bits: a fifth can only be a zero that is not needed.
            if value > MAX || shift > 28 {
                return Err(Malformed);
            }
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = after;
    Ok(value)
}
