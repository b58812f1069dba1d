//! What compilers make of four functions of Node.js: a few instructions are looked for, whatever stands between them.
//!
//! Measured on official builds of v18 to v26 (GCC and clang) and on Debian's. Source: Intel's manual, volume 2, for the encodings.

/// Bytes of a function that are looked at.
pub(super) const FUNCTION_BYTES: u64 = 0x100;
/// Bytes of a function's beginning.
pub(super) const BEGIN_BYTES: u64 = 16;

/// Offset of an instruction that the kernel emulates, and that every call passes with its arguments where they were.
pub(super) fn emulated(code: &[u8]) -> Option<u64> {
    match code {
        // push
        [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..] => Some(0),
        // add $N,%rdi, then jmp
        [0x48, 0x81, 0xc7, _, _, _, _, 0xe9, ..] => Some(7),
        _ => None,
    }
}

/// Of `AsyncHooksGetExecutionAsyncId`: `mov N(%r),%rax`, then `movsd (%rax),%xmm0` before anything else changes `rax`.
pub(super) fn ids_offset(code: &[u8]) -> Option<u32> {
    const MOVSD: &[u8] = &[0xf2, 0x0f, 0x10, 0x00];
    /// Between the two there may be one instruction that frees the stack.
    const BETWEEN: usize = 8;
    let movsd = memchr::memmem::find(code, MOVSD)?;
    (0..=BETWEEN).find_map(|between| {
        let before = code.get(..movsd.checked_sub(between)?)?;
        let (rest, offset) = before.split_last_chunk::<4>()?;
        let is_load = matches!(
            rest,
            // With a base of r12 or rsp there is one byte more.
            [.., 0x48 | 0x49, 0x8b, 0x80..=0x83 | 0x85..=0x87] | [.., 0x49, 0x8b, 0x84, 0x24]
        );
        is_load.then(|| u32::from_le_bytes(*offset)).filter(|offset| *offset < 0x2000)
    })
}

/// Of `InternalCallbackScope(AsyncWrap*, int)`: the offsets of the async id in the wrap, and of the environment in its realm.
pub(super) fn wrap_offsets(code: &[u8]) -> Option<(u32, u32)> {
    /// From the load of the realm to that of the environment.
    const APART: usize = 24;
    // mov 0x10(%r),%r': the realm
    let mut realms = code.windows(4).enumerate().filter_map(|(at, bytes)| match *bytes {
        [rex @ (0x48..=0x4f), 0x8b, modrm, 0x10] if modrm & 0xc0 == 0x40 && modrm & 7 != 4 => {
            Some((code.get(at + 4..)?, register(rex >> 2, modrm >> 3)))
        }
        _ => None,
    });
    // mov N(%r'),%r
    let environment = realms.find_map(|(after, realm)| {
        after.windows(7).take(APART).find_map(|bytes| match *bytes {
            [rex @ (0x48..=0x4f), 0x8b, modrm, a, b, c, d]
                if modrm & 0xc0 == 0x80 && register(rex, modrm) == realm =>
            {
                Some(u32::from_le_bytes([a, b, c, d])).filter(|offset| *offset < 0x1000)
            }
            _ => None,
        })
    })?;
    // movsd, movupd or movups N(%r),%xmm
    let id = code.windows(4).find_map(|bytes| match *bytes {
        [0x0f, 0x10, modrm, offset @ (0x28 | 0x38)] if modrm & 0xc0 == 0x40 && modrm & 7 != 4 => Some(offset),
        _ => None,
    })?;
    Some((u32::from(id), environment))
}

/// A register's number: its upper bit is in the prefix.
fn register(rex: u8, modrm: u8) -> u8 {
    (rex & 1) << 3 | modrm & 7
}
