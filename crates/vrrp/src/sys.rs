//! The socket calls that neither `socket2` nor `rustix` offers safely: receiving a batch with control
//! data, sending a batch (IPv6 from chosen sources), and the overflow counter of a receive queue; real-time
//! scheduling of a thread, and locked memory.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, SO_RXQ_OVFL and sched_setscheduler have no safe wrapper in our dependencies"
)]

use core::mem::{self, MaybeUninit};
use core::net::{IpAddr, Ipv6Addr};
use core::ptr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `SO_RXQ_OVFL` of `include/uapi/asm-generic/socket.h`; `libc` lacks it for this target.
const SO_RXQ_OVFL: libc::c_int = 40;

/// `SO_MEMINFO` (`include/uapi/asm-generic/socket.h`): nine counters, the last is `SK_MEMINFO_DROPS`
/// (`include/uapi/linux/sock_diag.h`).
const SO_MEMINFO: libc::c_int = 55;
const MEMINFO_VALUES: usize = 9;

/// Datagrams taken from a socket, or given to it, by one system call.
pub(crate) const BATCH: usize = 64;

/// Datagrams asked for by the first call after the queue was empty: it costs less to prepare for few.
const FIRST: usize = 4;

/// Octets a datagram may have: an IPv6 advertisement of 255 addresses needs 4,088, an IPv4 one
/// with options and an authentication header 1,120. Of a longer one the machine sees that it is cut.
const DATAGRAM: usize = 4352;

/// Octets of control data: hop limit, packet information and the overflow counter fit twice.
const CONTROL: usize = 128;

/// Reusable buffers for [`Batch::receive`].
pub(crate) struct Batch {
    /// [`DATAGRAM`] octets each, and [`CONTROL`]: zeroed lazily by the kernel, so that those of a small router are
    /// never there.
    bytes: Vec<u8>,
    control: Vec<u8>,
    sources: [libc::sockaddr_in6; BATCH],
    /// What the latest call received: octets of the datagram and of its control data.
    lengths: Vec<(usize, usize)>,
    /// How many the next call asks for.
    ask: usize,
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

/// What one [`Batch::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) count: usize,
    /// There were no more at that moment.
    pub(crate) is_all: bool,
}

impl core::fmt::Debug for Batch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batch").field("taken", &self.lengths.len()).finish_non_exhaustive()
    }
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: `sockaddr_in6` is a C struct of integers; all zeroes is one of its values.
        let source: libc::sockaddr_in6 = unsafe { mem::zeroed() };
        Self {
            bytes: vec![0; BATCH * DATAGRAM],
            control: vec![0; BATCH * CONTROL],
            sources: [source; BATCH],
            lengths: Vec::with_capacity(BATCH),
            ask: FIRST,
        }
    }

    /// Takes up to [`BATCH`] datagrams off the queue of `socket` without waiting.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<Taken> {
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        let buffers =
            self.bytes.chunks_exact_mut(DATAGRAM).zip(self.control.chunks_exact_mut(CONTROL));
        let parts = buffers.zip(&mut self.sources).zip(&mut vectors).zip(&mut headers);
        for ((((bytes, control), source), vector), header) in parts.take(self.ask) {
            let vector = vector
                .write(libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: DATAGRAM });
            // SAFETY: `mmsghdr` is a C struct of integers and pointers; the zeroed value is valid.
            let header = header.write(unsafe { mem::zeroed() });
            header.msg_hdr.msg_name = ptr::from_mut(source).cast();
            header.msg_hdr.msg_namelen = size_as(size_of::<libc::sockaddr_in6>());
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        self.lengths.clear();
        // SAFETY: the first `ask` headers are initialised and each points at the buffers of its own slot, with their
        // true lengths; all of them outlive the call, and nothing else refers to them during it.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                size_as(self.ask),
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            let empty = error.kind() == io::ErrorKind::WouldBlock;
            self.ask = FIRST;
            return if empty { Ok(Taken { count: 0, is_all: true }) } else { Err(error) };
        };
        for header in headers.iter().take(count.min(self.ask)) {
            // SAFETY: initialised above, then filled by the kernel.
            let header = unsafe { header.assume_init_ref() };
            let len = usize::try_from(header.msg_len).unwrap_or(0).min(DATAGRAM);
            self.lengths.push((len, header.msg_hdr.msg_controllen.min(CONTROL)));
        }
        let is_all = count < self.ask;
        self.ask = if is_all { FIRST } else { BATCH };
        Ok(Taken { count, is_all })
    }

    /// The datagrams of the latest successful [`Batch::receive`].
    pub(crate) fn received(&self) -> impl Iterator<Item = Received<'_>> {
        let buffers = self.bytes.chunks_exact(DATAGRAM).zip(self.control.chunks_exact(CONTROL));
        let parts = self.lengths.iter().zip(buffers).zip(&self.sources);
        parts.map(|(((len, control_len), (bytes, control)), source)| Received {
            bytes: bytes.get(..*len).unwrap_or_default(),
            control: control.get(..*control_len).unwrap_or_default(),
            source: (i32::from(source.sin6_family) == libc::AF_INET6)
                .then(|| Ipv6Addr::from(source.sin6_addr.s6_addr)),
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

/// One datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    /// IPv4: the whole packet. IPv6: the VRRP message.
    pub(crate) bytes: &'a [u8],
    /// Of IPv6, which has it in control data (`IPV6_PKTINFO`, RFC 3542 §6.2).
    pub(crate) source: Option<Ipv6Addr>,
    pub(crate) destination: IpAddr,
}

/// Gives the first [`BATCH`] of `messages` to the socket without waiting, out of the interface, and returns how many it took: it
/// stops before one that fails, and an error is that of the first. `is_direct`: out of the device whatever the routing table says.
pub(crate) fn send_batch<'a>(
    socket: BorrowedFd<'_>,
    interface: u32,
    is_direct: bool,
    messages: impl IntoIterator<Item = Outgoing<'a>>,
) -> io::Result<usize> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        information: libc::in6_pktinfo,
    }
    let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let mut count = 0;
    let parts = names.iter_mut().zip(&mut controls).zip(&mut vectors).zip(&mut headers);
    for ((((name, control), vector), header), message) in parts.zip(messages) {
        let base = message.bytes.as_ptr().cast_mut().cast();
        let vector = vector.write(libc::iovec { iov_base: base, iov_len: message.bytes.len() });
        // SAFETY: a C struct of integers and pointers, for which zero is a value.
        let header = header.write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = name.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = write_name(name, message.destination, interface);
        if let Some(source) = message.source {
            // SAFETY: a C struct of integers, for which zero is a value.
            let control = control.write(unsafe { mem::zeroed() });
            control.header.cmsg_len = size_of::<libc::cmsghdr>() + size_of::<libc::in6_pktinfo>();
            control.header.cmsg_level = libc::IPPROTO_IPV6;
            control.header.cmsg_type = libc::IPV6_PKTINFO;
            control.information.ipi6_addr.s6_addr = source.octets();
            control.information.ipi6_ifindex = interface;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
        }
        count += 1;
    }
    let direct = if is_direct { libc::MSG_DONTROUTE } else { 0 };
    // SAFETY: the first `count` headers are initialised and point at live objects of the lengths given, which the
    // kernel only reads; it writes the lengths sent into the headers.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            size_as(count),
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | direct,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Writes a socket address; returns its length.
fn write_name(
    name: &mut MaybeUninit<libc::sockaddr_storage>,
    destination: IpAddr,
    interface: u32,
) -> libc::socklen_t {
    match destination {
        IpAddr::V4(destination) => {
            // SAFETY: a C struct of integers, for which zero is a value.
            let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
            address.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
            address.sin_addr.s_addr = u32::from_ne_bytes(destination.octets());
            // SAFETY: the storage has room and alignment for every socket address.
            unsafe { name.as_mut_ptr().cast::<libc::sockaddr_in>().write(address) };
            size_as(size_of::<libc::sockaddr_in>())
        }
        IpAddr::V6(destination) => {
            let is_local = destination.is_unicast_link_local() || destination.is_multicast();
            // SAFETY: a C struct of integers, for which zero is a value.
            let mut address: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            address.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or_default();
            address.sin6_addr.s6_addr = destination.octets();
            address.sin6_scope_id = if is_local { interface } else { 0 };
            // SAFETY: the storage has room and alignment for every socket address.
            unsafe { name.as_mut_ptr().cast::<libc::sockaddr_in6>().write(address) };
            size_as(size_of::<libc::sockaddr_in6>())
        }
    }
}

/// Gives the calling thread this priority of `SCHED_FIFO`; what it starts does not inherit it.
pub(crate) fn set_real_time_priority(priority: u8) -> io::Result<()> {
    // SAFETY: a C struct of integers, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = i32::from(priority);
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel reads the struct, which outlives the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Locks the memory of the process, present and future, each page from its first use on.
pub(crate) fn lock_memory() -> io::Result<()> {
    // SAFETY: it changes no memory.
    let result =
        unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The sizes of this module are small constants; they fit every integer type the calls want.
fn size_as<T: TryFrom<usize> + Default>(size: usize) -> T {
    T::try_from(size).unwrap_or_default()
}
