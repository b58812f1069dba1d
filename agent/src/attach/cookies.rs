//! Gives the sockets that exist already their cookies.
//!
//! A `sock_diag` dump makes the cookie of every socket that it lists. It is needed where the socket plane can only read the
//! field (kprobe, syscall exits). Sockets of other network namespaces are not listed: their calls count as `no_socket_cookie`
//! until they are closed. Source: include/uapi/linux/{netlink,inet_diag}.h (v6.18).
use rustix::{
    io,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{self, SocketAddrNetlink},
        recv, sendto, socket_with,
    },
};
use zerocopy::{Immutable, IntoBytes};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
/// Every state but LISTEN: listening sockets move no bytes.
const STATES: u32 = 0xfff & !(1 << 10);

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
#[derive(IntoBytes, Immutable, Default)]
#[repr(C)]
struct Request {
    len: u32,
    kind: u16,
    flags: u16,
    seq: u32,
    pid: u32,
    family: u8,
    protocol: u8,
    extensions: u8,
    pad: u8,
    states: u32,
    id: [u32; 12],
}

/// Makes the cookies of this network namespace's TCP sockets. Without it those of connections opened before the agent are
/// missing, which is counted where it matters.
pub(in crate::attach) fn make() {
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        if let Err(error) = dump(family) {
            tracing::warn!(%error, "cannot list tcp sockets");
        }
    }
}

fn dump(family: AddressFamily) -> io::Result<()> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    let request = Request {
        len: size_of::<Request>() as u32,
        kind: SOCK_DIAG_BY_FAMILY,
        flags: NLM_F_REQUEST_DUMP,
        family: u8::try_from(family.as_raw()).unwrap_or_default(),
        protocol: IPPROTO_TCP,
        states: STATES,
        ..Request::default()
    };
    sendto(&socket, request.as_bytes(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut reply = vec![0_u8; 32 * 1024];
    loop {
        let (len, _) = recv(&socket, reply.as_mut_slice(), RecvFlags::empty())?;
        if len == 0 || ends(reply.get(..len).unwrap_or_default()) {
            return Ok(());
        }
    }
}

/// Does a datagram hold the dump's last message?
fn ends(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((head, _)) = rest.split_first_chunk::<6>() {
        let [a, b, c, d, e, f] = *head;
        let kind = u16::from_ne_bytes([e, f]);
        if matches!(kind, NLMSG_DONE | NLMSG_ERROR) {
            return true;
        }
        let len = (u32::from_ne_bytes([a, b, c, d]) as usize).next_multiple_of(4).max(16);
        rest = rest.get(len..).unwrap_or_default();
    }
    false
}
