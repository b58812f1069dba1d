//! From a file descriptor of the running task to its socket, and from a file to what was asked of epoll for it.
//! Source: include/linux/{fdtable,fs,net}.h, fs/eventpoll.c `struct epitem` (v6.18).
use crate::kernel::{
    access::{Access, Probed, Typed},
    globals::offset,
    task::Task,
};
use wirespan_common::{offsets::ABSENT, reason::Reason};

/// The `struct sock` of a descriptor; `None` if it is no socket.
#[inline(always)]
pub(crate) fn socket(task: Task, descriptor: u32) -> Result<Option<*const u8>, Reason> {
    const S_IFMT: u16 = 0o170_000;
    const S_IFSOCK: u16 = 0o140_000;
    let files: *const u8 = Typed::read(task.as_ptr(), offset!(task_files))?;
    let table: *const u8 = Typed::read(files, offset!(files_fdt))?;
    let len: u32 = Typed::read(table, offset!(fdtable_max_fds))?;
    if descriptor >= len {
        return Ok(None);
    }
    let array: *const u8 = Typed::read(table, offset!(fdtable_fd))?;
    let entry = array.wrapping_add(descriptor as usize * size_of::<u64>());
    let file: *const u8 = Probed::read(entry, 0)?;
    if file.is_null() {
        return Ok(None);
    }
    let inode: *const u8 = Probed::read(file, offset!(file_inode))?;
    let mode: u16 = Probed::read(inode, offset!(inode_mode))?;
    if mode & S_IFMT != S_IFSOCK {
        return Ok(None);
    }
    let socket: *const u8 = Probed::read(file, offset!(file_private_data))?;
    let sock: *const u8 = Probed::read(socket, offset!(socket_sk))?;
    Ok((!sock.is_null()).then_some(sock))
}

/// What a process told epoll about one of its files.
pub(crate) struct Registration {
    /// By this number.
    pub(crate) descriptor: u32,
    /// What epoll is to say with each event: `epoll_event.data`.
    pub(crate) data: u64,
}

/// The latest registration of a file; `None` if there is none, or if this kernel (before 5.11) keeps it elsewhere.
#[inline(always)]
pub(crate) fn registration<A: Access>(file: *const u8) -> Result<Option<Registration>, Reason> {
    if offset!(file_ep) == ABSENT || offset!(epitem_data) == ABSENT || file.is_null() {
        return Ok(None);
    }
    let list: *const u8 = A::read(file, offset!(file_ep))?;
    if list.is_null() {
        return Ok(None);
    }
    let link: *const u8 = A::read(list, 0)?;
    if link.is_null() {
        return Ok(None);
    }
    let item = link.wrapping_sub(offset!(epitem_link) as usize);
    Ok(Some(Registration {
        descriptor: Probed::read(item, offset!(epitem_fd))?,
        data: Probed::read(item, offset!(epitem_data))?,
    }))
}
