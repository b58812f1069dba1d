//! The reader against a blob made here, against its truncations, and against the running kernel's own.
use super::{Btf, Error, Kind};

/// A blob with `struct outer { u32 a; union { u32 b; struct { u32 pad; u32 c; } }; const inner d; }`,
/// `struct inner { u32 x; u32 y; }`, `int call(sk, flags)`, `enum { ONE = 1, TWO = 2 }` and a tracepoint's typedef.
fn blob() -> Vec<u8> {
    let mut strings = vec![0_u8];
    let mut name = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let info = |kind: u32, vlen: u32| (kind << 24) | vlen;
    let words = [
        vec![name("u32"), info(1, 0), 4, 32],                                  // 1
        vec![name("inner"), info(4, 2), 8, name("x"), 1, 0, name("y"), 1, 32], // 2
        vec![0, info(10, 0), 2],                                               // 3: const inner
        vec![0, info(4, 2), 8, name("pad"), 1, 0, name("c"), 1, 32],           // 4
        vec![0, info(5, 2), 8, name("b"), 1, 0, 0, 4, 0],                      // 5
        vec![name("outer"), info(4, 3), 20, name("a"), 1, 0, 0, 5, 32, name("d"), 3, 96], // 6
        vec![0, info(13, 2), 1, name("sk"), 0, name("flags"), 1],              // 7
        vec![name("call"), info(12, 0), 7],                                    // 8
        vec![0, info(2, 0), 7],                                                // 9
        vec![name("btf_trace_thing"), info(8, 0), 9],                          // 10
        vec![name("numbers"), info(6, 2), 4, name("ONE"), 1, name("TWO"), 2],  // 11
    ]
    .concat();
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let header = [0x0001_eb9f, 24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
    [header.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect(), types, strings].concat()
}

fn member(bytes: &[u8], structure: &str, path: &str) -> Option<u32> {
    let btf = Btf::parse(bytes).ok()?;
    let id = *btf.find(&[(Kind::Struct, structure)]).get(&(Kind::Struct, structure))?;
    btf.member(id, path)
}

#[test]
fn a_member_is_found_through_anonymous_unions_and_qualified_structs() {
    let bytes = blob();
    assert_eq!(member(&bytes, "outer", "a"), Some(0));
    assert_eq!(member(&bytes, "outer", "b"), Some(4));
    assert_eq!(member(&bytes, "outer", "c"), Some(8));
    assert_eq!(member(&bytes, "outer", "d.y"), Some(16));
}

#[test]
fn a_name_that_does_not_exist_is_absent() {
    let bytes = blob();
    assert_eq!(member(&bytes, "outer", "e"), None);
    assert_eq!(member(&bytes, "outer", "a.x"), None);
    assert_eq!(member(&bytes, "nothing", "a"), None);
}

#[test]
fn functions_enumerators_and_tracepoints_are_found() {
    let bytes = blob();
    let btf = Btf::parse(&bytes).unwrap();
    let wanted = [(Kind::Function, "call"), (Kind::Typedef, "btf_trace_thing"), (Kind::Enum, "numbers")];
    let found = btf.find(&wanted);
    assert_eq!(btf.parameters(found[&wanted[0]]).unwrap(), ["sk", "flags"]);
    assert!(found.contains_key(&wanted[1]));
    assert_eq!(btf.enumerator(found[&wanted[2]], "TWO"), Some(2));
}

#[test]
fn every_truncation_is_an_error_or_finds_less() {
    let bytes = blob();
    for len in 0..bytes.len() {
        assert!(Btf::parse(&bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn every_corrupted_byte_is_survived() {
    let bytes = blob();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            for path in ["a", "b", "c", "d.y"] {
                let _ = member(&bytes, "outer", path);
            }
            let Ok(btf) = Btf::parse(&bytes) else { continue };
            for id in 0..16 {
                let _ = (btf.parameters(id), btf.enumerator(id, "TWO"));
            }
        }
    }
}

#[test]
fn what_is_not_btf_is_refused() {
    assert_eq!(Btf::parse(b"\x7fELF\x02\x01\x01\0").err(), Some(Error::Format));
}

#[test]
fn the_running_kernel_has_its_tcp_socket() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
    assert!(member(&bytes, "tcp_sock", "write_seq").is_some());
    assert!(member(&bytes, "tcp_sock", "inet_conn.icsk_inet.sk.__sk_common.skc_cookie").is_some());
}
