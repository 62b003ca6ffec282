//! IPv6: the kernel keeps the header; hop limit and destination of a packet come as control data. Its
//! checksum option (`IPV6_CHECKSUM`) stays off: bad sums must reach the machine to be counted.

use std::io;
use std::os::fd::AsFd as _;

use rustix::net::sockopt;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{Device, HOP_LIMIT, PROTOCOL, TRAFFIC_CLASS, filter};

pub(super) fn receiver(device: &Device, filter: &[SockFilter]) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV6, kind, Some(Protocol::from(PROTOCOL)))?;
    socket.attach_filter(filter)?;
    socket.bind_device(Some(device.name.as_bytes()))?;
    socket.set_multicast_all_v6(false)?;
    socket.set_recv_hoplimit_v6(true)?;
    crate::sys::enable_packet_information(socket.as_fd())?;
    Ok(socket)
}

pub(super) fn sender(device: &Device) -> io::Result<Socket> {
    let kind = Type::RAW.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::IPV6, kind, Some(Protocol::from(PROTOCOL)))?;
    socket.attach_filter(&filter::nothing())?;
    socket.bind_device(Some(device.name.as_bytes()))?;
    if device.parent.is_some() {
        // Its source is an address of the interface below.
        socket.set_freebind_v6(true)?;
    }
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_if_v6(device.index)?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_unicast_hops_v6(HOP_LIMIT)?;
    sockopt::set_ipv6_tclass(&socket, TRAFFIC_CLASS)?;
    Ok(socket)
}
