//! The three socket calls that neither `socket2` nor `rustix` offers safely: receiving a batch with
//! control data, sending from a chosen IPv6 source, and the overflow counter of a receive queue.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmsg and SO_RXQ_OVFL have no safe wrapper in our dependencies"
)]

use core::mem::{self, MaybeUninit};
use core::net::Ipv6Addr;
use core::ptr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `SO_RXQ_OVFL` of `include/uapi/asm-generic/socket.h`; `libc` lacks it for this target.
const SO_RXQ_OVFL: libc::c_int = 40;

/// `SO_MEMINFO` (`include/uapi/asm-generic/socket.h`): nine counters, the last is `SK_MEMINFO_DROPS`
/// (`include/uapi/linux/sock_diag.h`).
const SO_MEMINFO: libc::c_int = 55;
const MEMINFO_VALUES: usize = 9;

/// Datagrams taken from a socket by one system call.
pub(crate) const BATCH: usize = 16;

/// Octets a datagram may have: an IPv6 advertisement of 255 addresses needs 4,088, an IPv4 one
/// with options and an authentication header 1,120. Of a longer one the machine sees that it is cut.
const DATAGRAM: usize = 4352;

/// Octets of control data: hop limit, packet information and the overflow counter fit twice.
const CONTROL: usize = 128;

/// Reusable buffers for [`Batch::receive`].
pub(crate) struct Batch {
    slots: Vec<Slot>,
}

struct Slot {
    bytes: [u8; DATAGRAM],
    control: [u8; CONTROL],
    source: libc::sockaddr_in6,
    len: usize,
    control_len: usize,
}

/// One received datagram, as the kernel delivered it.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// IPv4: from the IP header on. IPv6: from the VRRP message on.
    pub(crate) bytes: &'a [u8],
    /// Control messages, see [`crate::socket::control`].
    pub(crate) control: &'a [u8],
    /// The sender, of IPv6 sockets only (IPv4 has it in its header).
    pub(crate) source: Option<Ipv6Addr>,
}

impl core::fmt::Debug for Batch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batch").field("slots", &self.slots.len()).finish()
    }
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: `sockaddr_in6` is a C struct of integers; all zeroes is one of its values.
        let source: libc::sockaddr_in6 = unsafe { mem::zeroed() };
        let slot =
            || Slot { bytes: [0; DATAGRAM], control: [0; CONTROL], source, len: 0, control_len: 0 };
        Self { slots: core::iter::repeat_with(slot).take(BATCH).collect() }
    }

    /// Takes up to [`BATCH`] datagrams off the queue of `socket` without waiting and returns how
    /// many there were; 0 when the queue is empty.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut vectors = [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; BATCH];
        let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] =
            [const { MaybeUninit::zeroed() }; BATCH];
        for ((slot, vector), header) in self.slots.iter_mut().zip(&mut vectors).zip(&mut headers) {
            vector.iov_base = slot.bytes.as_mut_ptr().cast();
            vector.iov_len = DATAGRAM;
            // SAFETY: `mmsghdr` is a C struct of integers and pointers; the zeroed value is valid.
            let header = unsafe { header.assume_init_mut() };
            header.msg_hdr.msg_name = ptr::from_mut(&mut slot.source).cast();
            header.msg_hdr.msg_namelen = size_as(size_of::<libc::sockaddr_in6>());
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: every header points at the buffers of its own slot, with their true lengths; all
        // of them outlive the call, and nothing else refers to them during it.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                size_as(BATCH),
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            let empty = error.kind() == io::ErrorKind::WouldBlock;
            return if empty { Ok(0) } else { Err(error) };
        };
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            // SAFETY: initialised (zeroed) above, then filled by the kernel.
            let header = unsafe { header.assume_init_ref() };
            slot.len = usize::try_from(header.msg_len).unwrap_or(0).min(DATAGRAM);
            slot.control_len = header.msg_hdr.msg_controllen.min(CONTROL);
        }
        Ok(count)
    }

    /// The first `count` datagrams of the last [`Batch::receive`].
    pub(crate) fn received(&self, count: usize) -> impl Iterator<Item = Received<'_>> {
        self.slots.iter().take(count).map(|slot| Received {
            bytes: slot.bytes.get(..slot.len).unwrap_or_default(),
            control: slot.control.get(..slot.control_len).unwrap_or_default(),
            source: (i32::from(slot.source.sin6_family) == libc::AF_INET6)
                .then(|| Ipv6Addr::from(slot.source.sin6_addr.s6_addr)),
        })
    }
}

/// Asks for the number of datagrams lost so far beside every datagram received (`SO_RXQ_OVFL`).
pub(crate) fn enable_overflow_counter(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(socket, libc::SOL_SOCKET, SO_RXQ_OVFL)
}

/// Asks for the destination address beside every IPv6 datagram received (`IPV6_RECVPKTINFO`, RFC 3542 §6.1).
pub(crate) fn enable_packet_information(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
}

/// How many datagrams the socket has lost so far, asked for now (`SO_MEMINFO`).
pub(crate) fn lost_datagrams(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut values = [0_u32; MEMINFO_VALUES];
    let mut len: libc::socklen_t = size_as(size_of_val(&values));
    // SAFETY: the kernel writes at most `len` octets to `values` and the number of them to `len`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 {
        Ok(values.last().copied().unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set_flag(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option value is a live `int` of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&on).cast(),
            size_as(size_of::<libc::c_int>()),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends `bytes` to `destination` out of the interface, from `source` (`IPV6_PKTINFO`, RFC 3542 §6.2).
pub(crate) fn send_from(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    interface: u32,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> io::Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        information: libc::in6_pktinfo,
    }
    let link_local = destination.is_unicast_link_local() || destination.is_multicast();
    // SAFETY: C structs of integers and pointers, for which zero is a value.
    let (mut name, mut control, mut message): (libc::sockaddr_in6, Control, libc::msghdr) =
        unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
    name.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or_default();
    name.sin6_addr.s6_addr = destination.octets();
    name.sin6_scope_id = if link_local { interface } else { 0 };
    control.header.cmsg_len = size_of::<libc::cmsghdr>() + size_of::<libc::in6_pktinfo>();
    control.header.cmsg_level = libc::IPPROTO_IPV6;
    control.header.cmsg_type = libc::IPV6_PKTINFO;
    control.information.ipi6_addr.s6_addr = source.octets();
    control.information.ipi6_ifindex = interface;
    let mut vector =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    message.msg_name = ptr::from_mut(&mut name).cast();
    message.msg_namelen = size_as(size_of::<libc::sockaddr_in6>());
    message.msg_iov = ptr::from_mut(&mut vector);
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the message points at live objects of the lengths given; the kernel only reads them.
    let sent = unsafe {
        libc::sendmsg(
            socket.as_raw_fd(),
            ptr::from_ref(&message),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The sizes of this module are small constants; they fit every integer type the calls want.
fn size_as<T: TryFrom<usize> + Default>(size: usize) -> T {
    T::try_from(size).unwrap_or_default()
}
