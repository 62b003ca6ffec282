//! The one system call that no safe wrapper offers: options of the netlink level.

#![expect(unsafe_code, reason = "rustix has no setsockopt for SOL_NETLINK")]

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
