//! The Huffman code of strings. RFC 7541 §5.2, Appendix B.
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and each length begins where the one
//! before ended. So the lengths are the whole table. Sample: `f1 e3 c2 e5 f2 3a 6b a0 ab 90 f4 ff` is `www.example.com`.
use super::Malformed;
use std::sync::LazyLock;

/// Bits of each octet's code.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26,
];
/// Bits of the longest code.
const LONGEST: u8 = 30;

/// Codes of one length.
struct Group {
    /// Bits.
    length: u8,
    /// The first code.
    first: u32,
    /// The code after the last one.
    end: u32,
    /// Its octets, in order.
    octets: Vec<u8>,
}

/// Every length that there is, shortest first.
static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let mut groups = Vec::new();
    let mut next = 0_u32;
    for length in 1..=LONGEST {
        next <<= 1;
        let octets: Vec<u8> =
            (0..=u8::MAX).zip(LENGTHS).filter(|(_, bits)| *bits == length).map(|(octet, _)| octet).collect();
        if octets.is_empty() {
            continue;
        }
        let end = next + u32::try_from(octets.len()).unwrap_or_default();
        groups.push(Group { length, first: next, end, octets });
        next = end;
    }
    groups
});

/// A code of at most eight bits.
#[derive(Clone, Copy)]
struct Short {
    /// Bits; 0: what begins so is longer.
    length: u8,
    octet: u8,
}

/// What begins with these eight bits: nearly all that is ever sent.
static SHORT: LazyLock<[Short; 256]> = LazyLock::new(|| {
    std::array::from_fn(|first| {
        let found = GROUPS.iter().take_while(|group| group.length <= 8).find_map(|group| {
            let code = u32::try_from(first >> (8 - group.length)).ok()?;
            let place = usize::try_from(code.checked_sub(group.first)?).ok()?;
            Some(Short { length: group.length, octet: *group.octets.get(place)? })
        });
        found.unwrap_or(Short { length: 0, octet: 0 })
    })
});

/// Decodes a whole string.
pub(super) fn decode(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
    /// The shortest code has five bits.
    const SHORTEST: usize = 5;
    let mut text = Vec::with_capacity(coded.len() * 8 / SHORTEST);
    let (groups, short) = (GROUPS.as_slice(), &*SHORT);
    let mut input = coded.iter();
    // The next bits, the first one uppermost, and how many there are.
    let (mut bits, mut count) = (0_u64, 0_u8);
    loop {
        while count <= 56 {
            let Some(&byte) = input.next() else { break };
            bits |= u64::from(byte) << (56 - count);
            count += 8;
        }
        if let Some(&Short { length: length @ 1.., octet }) = short.get(usize::from((bits >> 56) as u8))
            && length <= count
        {
            text.push(octet);
            bits <<= length;
            count -= length;
            continue;
        }
        let found = groups.iter().find_map(|group| {
            let code = u32::try_from(bits >> (64 - group.length)).unwrap_or(u32::MAX);
            (code < group.end).then_some((group, code))
        });
        match found {
            Some((group, code)) if group.length <= count => {
                let place = usize::try_from(code.wrapping_sub(group.first)).map_err(|_| Malformed)?;
                text.push(*group.octets.get(place).ok_or(Malformed)?);
                bits <<= group.length;
                count -= group.length;
            }
            // What is left is padding: the start of the code that ends a string, shorter than an octet.
            _ if count < 8 && bits == !(u64::MAX >> count) => return Ok(text),
            _ => return Err(Malformed),
        }
    }
}
