//! The calls for which no safe wrapper exists: new namespaces, packet sockets, what a child does before exec.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use rustix::thread::UnshareFlags;

/// Gives the calling thread new namespaces; the rest of the process keeps the old ones.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: the descriptor table stays shared (checked above), which is the one hazard of this call.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Makes the kernel kill the command when the thread that spawned it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure makes one system call and neither allocates nor locks.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into)
        });
    }
}

fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in, a descriptor or -1 out.
    let fd =
        unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set_option<T>(fd: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("an option is small");
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes a bind to an address leave the choice of the port to connect, which takes one after the other.
pub(crate) fn bind_address_no_port(fd: &OwnedFd) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1i32)
}

fn bind<T>(fd: &OwnedFd, address: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("an address is small");
    // SAFETY: the pointer and the length describe `address`, a sockaddr type of the socket's family.
    let result = unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(address).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The index of the calling thread's network interface `name`.
pub(crate) fn link_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// One instruction of a classic BPF program: operation, jump if true, jump if false, operand.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// A packet socket in the calling thread's network namespace: all protocols, of one interface or (0) of all,
/// kernel timestamps on, a large receive buffer. An empty `filter` passes everything.
pub(crate) fn packet_socket(link: u32, filter: &[Instruction]) -> io::Result<OwnedFd> {
    // Protocol 0 receives nothing until bind: no frame slips in before the filter stands.
    let fd = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    let buffer: libc::c_int = 16 << 20;
    if set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &buffer).is_err() {
        set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &buffer)?;
    }
    set_option(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1i32)?;
    if !filter.is_empty() {
        let mut program: Vec<libc::sock_filter> =
            filter.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
        let program = libc::sock_fprog {
            len: u16::try_from(program.len()).expect("a short program"),
            filter: program.as_mut_ptr(),
        };
        set_option(&fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    }
    // SAFETY: sockaddr_ll is plain data; all zeroes is a value of it.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = u16::try_from(libc::AF_PACKET).expect("a small constant");
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).expect("a small constant").to_be();
    address.sll_ifindex = i32::try_from(link).expect("an interface index");
    bind(&fd, &address)?;
    Ok(fd)
}

/// What [`receive_frame`] says about the bytes it put into the buffer.
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) link: u32,
    pub(crate) outgoing: bool,
    pub(crate) at: Option<Duration>,
}

/// The next frame of a packet socket, if one is queued.
pub(crate) fn receive_frame(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    // SAFETY: all three are plain data; all zeroes is a value of them.
    let (mut address, mut control, mut message): (libc::sockaddr_ll, [u64; 16], libc::msghdr) = unsafe {
        (
            MaybeUninit::zeroed().assume_init(),
            MaybeUninit::zeroed().assume_init(),
            MaybeUninit::zeroed().assume_init(),
        )
    };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = std::ptr::from_mut(&mut address).cast();
    message.msg_namelen = libc::socklen_t::try_from(size_of_val(&address)).expect("small");
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: every pointer in `message` is to a live local (or `buffer`) with the length given beside it.
    let length = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    let Ok(length) = usize::try_from(length) else {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    };
    let mut at = None;
    // SAFETY: the kernel filled `control` as `message` says; CMSG_NXTHDR stays inside it, and a timestamp's
    // data is a timespec, read without assuming alignment.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET
                && (*header).cmsg_type == libc::SCM_TIMESTAMPNS
            {
                let time: libc::timespec =
                    libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                at = u64::try_from(time.tv_sec).ok().zip(u32::try_from(time.tv_nsec).ok());
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(Some(Received {
        length,
        link: u32::try_from(address.sll_ifindex).unwrap_or_default(),
        outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
        at: at.map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    }))
}

/// A route netlink socket in the calling thread's network namespace that hears of addresses and links.
pub(crate) fn address_events() -> io::Result<OwnedFd> {
    let fd = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    // SAFETY: sockaddr_nl is plain data; all zeroes is a value of it.
    let mut address: libc::sockaddr_nl = unsafe { MaybeUninit::zeroed().assume_init() };
    address.nl_family = u16::try_from(libc::AF_NETLINK).expect("a small constant");
    let groups = libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    // Root of the machine may have so much; others do with what they get.
    let buffer: libc::c_int = 16 << 20;
    drop(set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &buffer));
    address.nl_groups = u32::try_from(groups).expect("a bit mask");
    bind(&fd, &address)?;
    Ok(fd)
}
