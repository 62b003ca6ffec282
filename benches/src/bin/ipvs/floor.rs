//! What the kernel takes for a table, whoever programs it: messages that are ready before the clock starts, 200 a send, and one
//! acknowledgement a send.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipvs::{Command, Table, codec};
use netlink::{Protocol, Socket};
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use crate::{Result, now};

const MESSAGES: usize = 200;
/// `NLM_F_REQUEST` and `NLM_F_ACK`.
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// Octets of `nlmsghdr`.
const HEADER: usize = 16;

/// Programs the table and says how long it took.
pub(crate) fn program(table: &Table) -> Result<Duration> {
    let family = Socket::open(Protocol::Generic)?.family("IPVS")?;
    let commands: Vec<Command> = table
        .iter()
        .flat_map(|(key, entry)| {
            let servers = entry.destinations().map(|server| Command::NewDestination(*key, *server));
            core::iter::once(Command::NewService(entry.service().clone())).chain(servers)
        })
        .collect();
    let datagrams: Vec<Vec<u8>> =
        commands.chunks(MESSAGES).map(|chunk| datagram(family, chunk)).collect();

    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(GENERIC))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    bind(&socket, &kernel)?;
    let begin = now();
    for datagram in &datagrams {
        sendto(&socket, datagram, SendFlags::empty(), &kernel)?;
        acknowledged(&socket)?;
    }
    Ok(begin.elapsed())
}

fn datagram(family: u16, commands: &[Command]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let payload = codec::command(command);
        let len = u32::try_from(HEADER + payload.len()).expect("commands are small");
        let last = index + 1 == commands.len();
        let flags = if last { REQUEST | ACKNOWLEDGE } else { REQUEST };
        datagram.extend(len.to_ne_bytes());
        datagram.extend(family.to_ne_bytes());
        datagram.extend(flags.to_ne_bytes());
        datagram.extend([0; 8]); // sequence number and port: nothing is told apart
        datagram.extend(payload);
    }
    datagram
}

/// Waits for an answer, which has to be an acknowledgement with the error number 0.
fn acknowledged(socket: &OwnedFd) -> Result<()> {
    let mut answer = [0_u8; 4096];
    let (len, _) = recv(socket, &mut answer, RecvFlags::empty())?;
    match answer.get(HEADER..HEADER + 4) {
        Some([0, 0, 0, 0]) if len >= HEADER + 4 => Ok(()),
        _ => Err("the kernel refused a message of the floor".into()),
    }
}
