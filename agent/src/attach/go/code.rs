//! Places in x86-64 code where a probe is cheap: the kernel emulates `push` and `call`, it need not single-step them.
//!
//! The compiler begins every function in one of two ways, so no disassembler is needed: whatever else stands there is refused.
//! Source: src/cmd/internal/obj/x86/obj6.go `stacksplit` (go1.21 to go1.26).

/// Offset of the `push %rbp` that follows the stack check: a function that must grow its stack passes the check again, not this.
pub(super) fn after_stack_check(code: &[u8]) -> Option<usize> {
    const PUSH_RBP: u8 = 0x55;
    // cmp 0x10(%r14),%rsp
    const SMALL: &[u8] = &[0x49, 0x3b, 0x66, 0x10];
    // cmp 0x10(%r14),%r12
    const LARGE: &[u8] = &[0x4d, 0x3b, 0x66, 0x10];
    // lea -N(%rsp),%r12 with a displacement of one or of four bytes
    const LEA_SHORT: &[u8] = &[0x4c, 0x8d, 0x64, 0x24];
    const LEA_LONG: &[u8] = &[0x4c, 0x8d, 0xa4, 0x24];
    let (lea, compare) = match code {
        _ if code.starts_with(SMALL) => (0, SMALL),
        _ if code.starts_with(LEA_SHORT) => (5, LARGE),
        _ if code.starts_with(LEA_LONG) => (8, LARGE),
        _ => return None,
    };
    let jump = code.get(lea..)?.strip_prefix(compare)?;
    let jump_len = match jump {
        [0x76, ..] => 2,
        [0x0f, 0x86, ..] => 6,
        _ => return None,
    };
    let push = lea + compare.len() + jump_len;
    (code.get(push) == Some(&PUSH_RBP)).then_some(push)
}

/// Offset of the one `call` of the function that begins `distance` bytes after this code.
pub(super) fn call_of(code: &[u8], distance: u64) -> Option<usize> {
    const CALL: u8 = 0xe8;
    const CALL_LEN: usize = 5;
    let is_call = |at: usize, bytes: &[u8]| {
        let [opcode, relative @ ..] = bytes else { return false };
        let Ok(relative) = <[u8; 4]>::try_from(relative) else { return false };
        let target = (at + CALL_LEN) as u64;
        let target = target.wrapping_add(i64::from(i32::from_le_bytes(relative)) as u64);
        *opcode == CALL && target == distance
    };
    let mut calls = code.windows(CALL_LEN).enumerate().filter(|(at, bytes)| is_call(*at, bytes));
    let (at, _) = calls.next()?;
    calls.next().is_none().then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_push_after_each_kind_of_stack_check_is_found() {
        let small = [0x49, 0x3b, 0x66, 0x10, 0x76, 0x53, 0x55, 0x48];
        let large = [0x4c, 0x8d, 0x64, 0x24, 0xf0, 0x4d, 0x3b, 0x66, 0x10, 0x76, 1, 0x55];
        let huge = [
            0x4c, 0x8d, 0xa4, 0x24, 0x58, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 3, 4,
            0x55,
        ];
        assert_eq!(after_stack_check(&small), Some(6));
        assert_eq!(after_stack_check(&large), Some(11));
        assert_eq!(after_stack_check(&huge), Some(18));
    }

    #[test]
    fn other_code_is_refused() {
        assert_eq!(after_stack_check(&[0x55, 0x48, 0x89, 0xe5]), None);
        assert_eq!(after_stack_check(&[0x49, 0x3b, 0x66, 0x10, 0x76, 0x53, 0x48]), None);
        assert_eq!(after_stack_check(&[]), None);
    }

    #[test]
    fn a_call_is_found_by_where_it_leads_and_only_if_it_is_the_only_one() {
        let code = [0x90, 0xe8, 0x0a, 0, 0, 0, 0x90];
        assert_eq!(call_of(&code, 16), Some(1));
        assert_eq!(call_of(&code, 17), None);
        let backwards = [0xe8, 0xf6, 0xff, 0xff, 0xff];
        assert_eq!(call_of(&backwards, 5_u64.wrapping_sub(10)), Some(0));
        let twice = [0xe8, 0x0a, 0, 0, 0, 0xe8, 0x05, 0, 0, 0];
        assert_eq!(call_of(&twice, 15), None);
    }
}
