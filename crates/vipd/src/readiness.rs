//! Telling systemd (`Type=notify`) that we run, and that we stop.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use reactor::Clock;

/// Tells that the configuration is read again; `READY=1` has to follow (`Type=notify-reload`, `sd_notify(3)`).
pub(crate) fn tell_reloading() {
    let now = Clock::new().now_nanos() / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
}

/// Sends one state, e.g. `READY=1`, to the service manager if there is one. Failing is no reason to stop.
pub(crate) fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(path.as_bytes(), state) {
        log::warn!("cannot tell the service manager {state}: {error}");
    }
}

/// A leading `@` is an abstract name (`sd_notify(3)`).
fn send(path: &[u8], state: &str) -> io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold up an election.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_bytes(), "READY=1").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(manager.recv(&mut buffer).unwrap(), 7);

        let name = format!("vipd-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&abstract_name).unwrap();
        send(format!("@{name}").as_bytes(), "STOPPING=1").unwrap();
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
    }
}
