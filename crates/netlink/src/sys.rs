//! The one system call that no safe wrapper offers: options of the netlink level, and filters.

#![expect(unsafe_code, reason = "rustix has no setsockopt for SOL_NETLINK and SO_ATTACH_FILTER")]

use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, socklen_t};
use rustix::io::{Errno, Result};

/// `NETLINK_*` socket options (`linux/netlink.h`).
pub(crate) const ADD_MEMBERSHIP: c_int = 1;
pub(crate) const CAP_ACK: c_int = 10;
pub(crate) const EXT_ACK: c_int = 11;
pub(crate) const GET_STRICT_CHK: c_int = 12;

/// Sets an integer option of level `SOL_NETLINK`.
pub(crate) fn set_option(socket: impl AsFd, option: c_int, value: c_int) -> Result<()> {
    const LEN: socklen_t = 4;
    // SAFETY: the descriptor is open while it is borrowed; the pointer is to a live c_int of LEN octets,
    // which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            core::ptr::from_ref(&value).cast(),
            LEN,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Err(Errno::from_raw_os_error(errno))
}

/// Lets only those messages through that the classic BPF program says so of.
pub(crate) fn attach_filter(socket: impl AsFd, program: &mut [libc::sock_filter]) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let size = socklen_t::try_from(size_of_val(&program)).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open while it is borrowed; the pointer is to a live sock_fprog of that size, which points to `len`
    // instructions; the kernel copies both and writes to neither.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            core::ptr::from_ref(&program).cast(),
            size,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Err(Errno::from_raw_os_error(errno))
}
