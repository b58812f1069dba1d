//! The Node.js of this machine, and the code of others. Without one there is nothing to look at.
use super::{HookId, Program, code, inspect};
use std::{fs::File, path::PathBuf};

fn installed() -> Option<Program> {
    let paths = std::env::var_os("PATH")?;
    let node: PathBuf =
        std::env::split_paths(&paths).map(|path| path.join("node")).find(|path| path.is_file())?;
    let program = inspect(std::process::id(), &File::open(&node).unwrap());
    Some(program.unwrap_or_else(|| panic!("{}: not known as Node.js", node.display())))
}

#[test]
fn the_installed_one_is_known() {
    let Some(program) = installed() else {
        eprintln!("node is not installed: nothing is looked at");
        return;
    };
    let layout = program.layout.unwrap();
    assert!(matches!(layout.ids_offset, 0x400..=0x500), "{layout:x?}");
    assert!(matches!(layout.wrap_id_offset, 0x28 | 0x38), "{layout:x?}");
    assert_eq!(layout.environment_offset, 0xb0);
    let needed = [HookId::NodeCallbacks, HookId::NodeWraps, HookId::NodeTimers, HookId::NodeImmediates];
    for (hook, place) in program.places.iter().filter(|(hook, _)| needed.contains(hook)) {
        assert!(place.as_ref().unwrap().is_cheap, "{hook:?}");
    }
}

#[test]
fn what_is_no_node_is_none() {
    let own = File::open("/proc/self/exe").unwrap();
    assert_eq!(inspect(std::process::id(), &own), None);
}

#[test]
fn the_ids_are_found_with_and_without_an_instruction_between() {
    // v26: mov 0x480(%rax),%rax; movsd (%rax),%xmm0
    let near = [0x48, 0x8b, 0x80, 0x80, 0x04, 0, 0, 0xf2, 0x0f, 0x10, 0x00];
    // v20: mov 0x480(%r12),%rax; add $0x28,%rsp; movsd (%rax),%xmm0
    let apart = [0x49, 0x8b, 0x84, 0x24, 0x80, 0x04, 0, 0, 0x48, 0x83, 0xc4, 0x28, 0xf2, 0x0f, 0x10, 0x00];
    assert_eq!(code::ids_offset(&near), Some(0x480));
    assert_eq!(code::ids_offset(&apart), Some(0x480));
    assert_eq!(code::ids_offset(&[0x55, 0xf2, 0x0f, 0x10, 0x00]), None);
    assert_eq!(code::ids_offset(&[]), None);
}

#[test]
fn the_wrap_is_found_in_each_compilers_order() {
    // v20: mov 0x10(%rsi),%rax; movsd 0x28(%rsi),%xmm2; mov 0xb0(%rax),%r13
    let gcc = [0x48, 0x8b, 0x46, 0x10, 0xf2, 0x0f, 0x10, 0x56, 0x28, 0x4c, 0x8b, 0xa8, 0xb0, 0, 0, 0, 0x90];
    // v26: mov 0x10(%rsi),%rax; mov 0xb0(%rax),%r15; movups 0x38(%r13),%xmm0
    let clang = [0x48, 0x8b, 0x46, 0x10, 0x4c, 0x8b, 0xb8, 0xb0, 0, 0, 0, 0x41, 0x0f, 0x10, 0x45, 0x38, 0x90];
    assert_eq!(code::wrap_offsets(&gcc), Some((0x28, 0xb0)));
    assert_eq!(code::wrap_offsets(&clang), Some((0x38, 0xb0)));
    // v24: movupd 0x38(%rbx),%xmm0; mov 0x10(%rbx),%rax; mov 0xb0(%rax),%rsi
    let other = [0x66, 0x0f, 0x10, 0x43, 0x38, 0x48, 0x8b, 0x43, 0x10, 0x48, 0x8b, 0xb0, 0xb0, 0, 0, 0, 0x90];
    assert_eq!(code::wrap_offsets(&other), Some((0x38, 0xb0)));
    assert_eq!(code::wrap_offsets(&[0x55]), None);
}

#[test]
fn a_push_and_the_jump_after_a_sum_are_cheap() {
    assert_eq!(code::emulated(&[0x55, 0x48]), Some(0));
    assert_eq!(code::emulated(&[0x41, 0x57]), Some(0));
    assert_eq!(code::emulated(&[0x48, 0x81, 0xc7, 0x38, 0xc6, 0, 0, 0xe9, 1]), Some(7));
    assert_eq!(code::emulated(&[0x48, 0x89, 0xe5]), None);
}
