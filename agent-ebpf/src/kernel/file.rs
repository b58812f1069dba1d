//! From a file descriptor of the running task to its socket. Source: include/linux/{fdtable,fs,net}.h (v6.18).
use crate::kernel::{
    access::{Access, Probed, Typed},
    globals::offset,
    task::Task,
};
use wirespan_common::reason::Reason;

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
