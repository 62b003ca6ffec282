//! Datagrams from the kernel and from nobody else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with, sockopt,
};

use crate::sys;

/// Longest datagram the kernel builds for a dump is 32 KiB; a notification may be longer.
const BUFFER_LEN: usize = 64 * 1024;
/// The kernel answers inside `send`; this is for an answer that is late against all rules.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A netlink socket with its receive buffer.
#[derive(Debug)]
pub(crate) struct Transport {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// What a look into the receive queue gave.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    /// A datagram of the kernel.
    Datagram(&'a [u8]),
    /// A datagram of another process, thrown away.
    Foreign,
    /// A datagram of the kernel that was longer than the buffer, which has grown meanwhile.
    Truncated { len: usize, buffer: usize },
    /// The queue is empty.
    Nothing,
    /// The receive buffer overflowed some time before.
    Overrun,
}

impl Transport {
    pub(crate) fn open(
        protocol: Option<rustix::net::Protocol>,
        receive_buffer: usize,
    ) -> Result<Self, (&'static str, Errno)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .map_err(|errno| ("socket", errno))?;
        // Beyond net.core.rmem_max only with CAP_NET_ADMIN. What the kernel grants is enough for
        // correctness: batches are sized for the default.
        if sockopt::set_socket_recv_buffer_size_force(&fd, receive_buffer).is_err() {
            sockopt::set_socket_recv_buffer_size(&fd, receive_buffer)
                .map_err(|errno| ("setsockopt", errno))?;
        }
        bind(&fd, &SocketAddrNetlink::new(0, 0)).map_err(|errno| ("bind", errno))?;
        // Both only shorten or enrich error messages; kernels before 4.12 lack the second.
        for option in [sys::CAP_ACK, sys::EXT_ACK] {
            match sys::set_option(&fd, option, 1) {
                Ok(()) | Err(Errno::NOPROTOOPT) => {}
                Err(errno) => return Err(("setsockopt", errno)),
            }
        }
        Ok(Self { fd, buffer: vec![0; BUFFER_LEN] })
    }

    pub(crate) fn set_option(&self, option: i32, value: i32) -> Result<(), Errno> {
        sys::set_option(&self.fd, option, value)
    }

    /// The number by which the kernel knows this socket, which stands in the news of what it has asked for.
    pub(crate) fn port(&self) -> Result<u32, Errno> {
        let address = rustix::net::getsockname(&self.fd)?;
        Ok(SocketAddrNetlink::try_from(address)?.pid())
    }

    /// Leaves out news of this type that follow from requests of that port.
    pub(crate) fn ignore(&self, port: u32, message_types: [u16; 2]) -> Result<(), Errno> {
        // Offsets in struct nlmsghdr. The instructions read in the network's order what is in the machine's.
        const TYPE: u32 = 4;
        const PORT: u32 = 12;
        const LOAD_HALF: u16 = 0x28;
        const LOAD_WORD: u16 = 0x20;
        const JUMP_EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        let [first, second] =
            message_types.map(|kind| u32::from(u16::from_be_bytes(kind.to_ne_bytes())));
        let port = u32::from_be_bytes(port.to_ne_bytes());
        let program = [
            (LOAD_HALF, 0, 0, TYPE),
            (JUMP_EQUAL, 1, 0, first),
            (JUMP_EQUAL, 0, 3, second),
            (LOAD_WORD, 0, 0, PORT),
            (JUMP_EQUAL, 0, 1, port),
            (RETURN, 0, 0, 0),
            (RETURN, 0, 0, u32::MAX),
        ];
        let mut program = program.map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k });
        sys::attach_filter(&self.fd, &mut program)
    }

    /// Makes the send buffer large enough for a datagram of `octets`, as far as we may; the kernel doubles the number.
    pub(crate) fn make_room(&self, octets: usize) -> Result<(), Errno> {
        const DEFAULT: usize = 128 * 1024;
        if octets <= DEFAULT {
            return Ok(());
        }
        sockopt::set_socket_send_buffer_size_force(&self.fd, octets)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&self.fd, octets))
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let kernel = SocketAddrNetlink::new(0, 0);
        let sent = retry_on_intr(|| sendto(&self.fd, bytes, SendFlags::empty(), &kernel))?;
        if sent == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
    }

    /// Takes one datagram from the queue without waiting.
    pub(crate) fn receive(&mut self) -> Result<Received<'_>, Errno> {
        let result = retry_on_intr(|| {
            recvfrom(&self.fd, &mut *self.buffer, RecvFlags::TRUNC | RecvFlags::DONTWAIT)
        });
        let (kept, len, sender) = match result {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(Errno::NOBUFS) => return Ok(Received::Overrun),
            Err(errno) => return Err(errno),
        };
        // Port 0 is the kernel; any process may send to our port.
        let from_kernel = sender
            .and_then(|address| SocketAddrNetlink::try_from(address).ok())
            .is_some_and(|address| address.pid() == 0);
        if !from_kernel {
            return Ok(Received::Foreign);
        }
        let buffer = self.buffer.len();
        if len > buffer {
            self.buffer.resize(len, 0);
            return Ok(Received::Truncated { len, buffer });
        }
        Ok(Received::Datagram(self.buffer.get(..kept).unwrap_or_default()))
    }

    /// Waits a moment for a datagram; false when none came.
    pub(crate) fn wait(&self) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        Ok(retry_on_intr(|| poll(&mut fds, Some(&PATIENCE)))? > 0)
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
