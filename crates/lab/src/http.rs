//! An HTTP client that says which of several addresses it asks from.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::sys;

/// Asks `target` for `/` from the address `source`, on the calling thread's network, and gives the body of a 200.
/// Everything together takes at most `patience`.
pub fn get(source: Ipv4Addr, target: SocketAddrV4, patience: Duration) -> io::Result<String> {
    let end = Instant::now() + patience;
    let left = || match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = connect(source, target, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", target.ip()).as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.lines().next().unwrap_or_default();
    if status.contains(" 200 ") {
        Ok(body.trim_end().to_owned())
    } else {
        Err(io::Error::other(status.to_owned()))
    }
}

fn connect(source: Ipv4Addr, target: SocketAddrV4, patience: Duration) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // A port chosen at random may come again soon, and IPVS would send it where it went before: to a real server
    // that is gone.
    sys::bind_address_no_port(&socket)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    if poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&patience))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    sockopt::socket_error(&socket)??;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}
