//! Fields of `struct sock` and `struct tcp_sock`. Source: include/net/sock.h, include/linux/tcp.h (v6.18).
use crate::kernel::{
    access::{Access, Probed, Typed},
    globals::offset,
};
use aya_ebpf::helpers::generated;
use core::{ffi::c_void, marker::PhantomData};
use wirespan_common::{
    event::{Endpoints, direction, flags},
    offsets::ABSENT,
    reason::Reason,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
/// `1 << SOCK_DONE` of `enum sock_flags`: a FIN has arrived (`tcp_fin`).
const SOCK_DONE: u64 = 1 << 1;

/// A TCP socket.
pub(crate) struct TcpSocket<A> {
    /// As `struct sock`.
    sock: *const u8,
    /// As `struct tcp_sock`: the same address, another type for the verifier.
    tcp: *const u8,
    access: PhantomData<A>,
}

impl TcpSocket<Typed> {
    /// From a `struct sock` whose type the verifier knows; `None` if it is not TCP.
    #[inline(always)]
    pub(crate) fn from_typed(sock: *const u8) -> Option<Self> {
        // SAFETY: the verifier checks the pointer's type.
        let tcp = unsafe { generated::bpf_skc_to_tcp_sock(sock.cast_mut().cast::<c_void>()) };
        if tcp.is_null() {
            return None;
        }
        Some(Self { sock, tcp: tcp.cast_const().cast(), access: PhantomData })
    }
}

impl TcpSocket<Probed> {
    /// From the address of a `struct sock`; `None` if it is not TCP.
    #[inline(always)]
    pub(crate) fn from_address(sock: *const u8) -> Result<Option<Self>, Reason> {
        let family: u16 = Probed::read(sock, offset!(sock_family))?;
        if family != AF_INET && family != AF_INET6 {
            return Ok(None);
        }
        let protocol: u16 = Probed::read(sock, offset!(sock_protocol))?;
        Ok((protocol == IPPROTO_TCP).then_some(Self { sock, tcp: sock, access: PhantomData }))
    }
}

impl<A: Access> TcpSocket<A> {
    /// The cookie, made now if the socket had none and it can be made here.
    #[inline(always)]
    pub(crate) fn cookie(&self) -> Result<u64, Reason> {
        match A::read(self.sock, offset!(sock_cookie))? {
            0 => A::make_cookie(self.sock),
            cookie => Ok(cookie),
        }
    }

    /// Sequence number after the last byte that the process moved in a direction.
    /// `write_seq` and `copied_seq` after the call, less the bytes it moved, name its first byte: before the call the former
    /// is stale when two threads send, and 0 under TCP Fast Open.
    #[inline(always)]
    pub(crate) fn reached(&self, towards: u8) -> Result<u32, Reason> {
        if towards == direction::EGRESS {
            return A::read(self.tcp, offset!(tcp_write_seq));
        }
        let copied: u32 = A::read(self.tcp, offset!(tcp_copied_seq))?;
        let flags: u64 = A::read(self.sock, offset!(sock_flags))?;
        // The state does not tell: a socket that was shut down, or reset, is closed when its last bytes are read.
        if flags & SOCK_DONE == 0 {
            return Ok(copied);
        }
        // A receive that ends at the FIN counts it as read (`tcp_recvmsg_locked`, `found_fin_ok`): it is no byte.
        let arrived: u32 = A::read(self.tcp, offset!(tcp_rcv_nxt))?;
        Ok(copied.wrapping_sub(u32::from(arrived == copied)))
    }

    /// Bytes that arrived and that nobody has read.
    #[inline(always)]
    pub(crate) fn unread(&self) -> Result<bool, Reason> {
        let arrived: u32 = A::read(self.tcp, offset!(tcp_rcv_nxt))?;
        Ok(arrived.wrapping_sub(self.reached(direction::INGRESS)?) > 1)
    }

    /// Are the bytes of the running call the bytes of this connection? Not if the socket is the kernel's own (NFS, CIFS, …),
    /// nor if an upper layer in the kernel (kTLS, …) changes them below the call.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> Result<bool, Reason> {
        if self.file()?.is_null() {
            return Ok(false);
        }
        let upper_layer: u64 = A::read(self.tcp, offset!(tcp_ulp_ops))?;
        if upper_layer != 0 { Err(Reason::UpperLayer) } else { Ok(true) }
    }

    /// Its `struct file`; null if it has none.
    #[inline(always)]
    pub(crate) fn file(&self) -> Result<*const u8, Reason> {
        let socket: *const u8 = A::read(self.sock, offset!(sock_socket))?;
        if socket.is_null() {
            return Ok(socket);
        }
        A::read(socket, offset!(socket_file))
    }

    /// How its owner waits for its bytes, as flags of a record; none if epoll does that, or if this kernel does not tell.
    /// `file::f_ep` lists the epoll instances that watch a file (fs/eventpoll.c `attach_epitem`, 5.11).
    #[inline(always)]
    pub(crate) fn waiting(&self) -> Result<u16, Reason> {
        const O_NONBLOCK: u32 = 0o4000;
        if offset!(file_ep) == ABSENT || offset!(file_flags) == ABSENT {
            return Ok(0);
        }
        let file = self.file()?;
        if file.is_null() {
            return Ok(0);
        }
        let watchers: u64 = A::read(file, offset!(file_ep))?;
        if watchers != 0 {
            return Ok(0);
        }
        let mode: u32 = A::read(file, offset!(file_flags))?;
        Ok(if mode & O_NONBLOCK == 0 { flags::BLOCKING } else { flags::POLLED })
    }

    /// Both ends.
    #[inline(always)]
    pub(crate) fn endpoints(&self, to: &mut Endpoints) -> Result<(), Reason> {
        let family: u16 = A::read(self.sock, offset!(sock_family))?;
        if family == AF_INET {
            to.local = mapped(A::read(self.sock, offset!(sock_rcv_saddr))?);
            to.remote = mapped(A::read(self.sock, offset!(sock_daddr))?);
        } else {
            to.local = self.v6(offset!(sock_v6_rcv_saddr))?;
            to.remote = self.v6(offset!(sock_v6_daddr))?;
        }
        // Not `skc_num`: it is zero once the connection is closed, when what has arrived may still be read.
        to.local_port = u16::from_be(A::read(self.tcp, offset!(tcp_sport))?);
        to.remote_port = u16::from_be(A::read(self.sock, offset!(sock_dport))?);
        Ok(())
    }

    #[inline(always)]
    fn v6(&self, offset: u32) -> Result<[u8; 16], Reason> {
        let high: u64 = A::read(self.sock, offset)?;
        let low: u64 = A::read(self.sock, offset + 8)?;
        Ok(zerocopy::transmute!([high, low]))
    }
}

/// An IPv4 address in network order as `::ffff:a.b.c.d`.
#[inline(always)]
fn mapped(address: u32) -> [u8; 16] {
    zerocopy::transmute!([0, 0, 0xffff_0000_u32.to_le(), address])
}
