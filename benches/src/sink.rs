//! The servers that are checked: one listener that stands for any number of addresses.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::Node;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::daemons::Result;

/// All servers listen on it.
pub const PORT: u16 = 80;

const PAGE: &[u8] = b"HTTP/1.0 200 OK\r\nServer: sink\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// Servers that accept what comes, and count it.
#[derive(Debug)]
pub struct Sink {
    accepted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sink {
    /// Listens on every address of the node; with `pages`, each connection gets a small page of HTTP.
    pub fn new(node: &Node, pages: bool) -> Result<Self> {
        let listener: TcpListener = node.run(|| -> std::io::Result<TcpListener> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], PORT)).into())?;
            socket.listen(65_535)?;
            Ok(socket.into())
        })?;
        let (accepted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let listener = Arc::new(listener);
        let threads = (0..if pages { 4 } else { 1 })
            .map(|_| {
                let (listener, accepted, stop) =
                    (Arc::clone(&listener), Arc::clone(&accepted), Arc::clone(&stop));
                std::thread::spawn(move || serve(&listener, pages, &accepted, &stop))
            })
            .collect();
        Ok(Self { accepted, stop, threads })
    }

    /// Connections until now.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// All servers die: from now on, connections are refused.
    pub fn die(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ended = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, pages: bool, accepted: &AtomicU64, stop: &AtomicBool) {
    let nap = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                accepted.fetch_add(1, Ordering::Relaxed);
                if pages {
                    answer(stream);
                }
            }
            Err(_) => {
                let mut wait = [PollFd::new(listener, PollFlags::IN)];
                let _ready = poll(&mut wait, Some(&nap));
            }
        }
    }
}

fn answer(mut stream: TcpStream) {
    let patient = SockRef::from(&stream).set_nonblocking(false).is_ok()
        && stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok();
    let mut request = [0; 4096];
    if patient && matches!(stream.read(&mut request), Ok(1..)) {
        let _gone = stream.write_all(PAGE);
    }
}
