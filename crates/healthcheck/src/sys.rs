//! The one socket option that neither rustix nor socket2 has.
#![expect(unsafe_code, reason = "setsockopt with an int")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// Has every ICMP error about a datagram socket reported, not the final ones only: `EHOSTUNREACH` and `ENETUNREACH`, too (`ip(7)`,
/// `IP_RECVERR`).
pub(crate) fn report_errors(socket: impl AsFd, ipv6: bool) -> io::Result<()> {
    let (level, option) = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `length` bytes of `on`.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const on).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
