//! IPv4: the receiver sees whole packets; the sender gives whole packets (`IP_HDRINCL`), so that the
//! source address and the identification are the machine's.

use core::net::Ipv4Addr;
use std::io;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};

use super::Device;

pub(super) fn receiver(
    device: &Device,
    protocol: i32,
    filter: &[SockFilter],
) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV4, kind, Some(Protocol::from(protocol)))?;
    socket.attach_filter(filter)?;
    socket.bind_device(Some(device.name.as_bytes()))?;
    // Else we would also get the groups that other processes joined on other interfaces.
    socket.set_multicast_all_v4(false)?;
    Ok(socket)
}

pub(super) fn join(socket: &Socket, group: Ipv4Addr, index: u32) -> io::Result<()> {
    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
}

pub(super) fn sender(device: &Device) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV4, kind, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_header_included_v4(true)?;
    socket.bind_device(Some(device.name.as_bytes()))?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}
