//! The client: one request after the other through the virtual address, and who answered.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab::Namespace;

use crate::demo::events::{Log, What, Who};

/// A request that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it was begun, since the Unix epoch.
    pub(crate) began: Duration,
    /// The body, or why there is none.
    pub(crate) answer: Result<String, String>,
}

/// A browser that is reloaded all the time. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// From one request to the next.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a request may take.
const PATIENCE: Duration = Duration::from_millis(400);

impl Browser {
    pub(crate) fn start(
        client: &Arc<Namespace>,
        source: Ipv4Addr,
        target: SocketAddrV4,
        log: Log,
    ) -> std::io::Result<Self> {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (list, end, client) = (Arc::clone(&requests), Arc::clone(&stop), Arc::clone(client));
        let thread = std::thread::Builder::new().name("browser".to_owned()).spawn(move || {
            if let Err(error) = client.enter() {
                return eprintln!("client: {error}");
            }
            browse(source, target, &list, &end, &log);
        })?;
        Ok(Self { requests, stop, thread: Some(thread) })
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests that began at `since` or later and have ended.
    pub(crate) fn requests(&self, since: Duration) -> Vec<Request> {
        self.locked().iter().filter(|request| request.began >= since).cloned().collect()
    }

    /// Waits until `count` requests that began at `since` or later have ended, and gives them.
    pub(crate) fn wait(&self, since: Duration, count: usize) -> Vec<Request> {
        let enough = || {
            let requests = self.requests(since);
            (requests.len() >= count).then_some(requests)
        };
        let patience = (INTERVAL + PATIENCE) * u32::try_from(count).unwrap_or(u32::MAX) * 2;
        lab::eventually(patience, enough).unwrap_or_else(|| self.requests(since))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn browse(
    source: Ipv4Addr,
    target: SocketAddrV4,
    list: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
    log: &Log,
) {
    let mut served_by: Option<String> = None;
    let mut failing = true; // until the first answer: nobody has started yet
    while !stop.load(Ordering::Relaxed) {
        let (began, due) = (lab::now(), Instant::now() + INTERVAL);
        let answer = ask(source, target);
        match &answer {
            Ok(by) if failing || served_by.as_ref() != Some(by) => {
                log.push(lab::now(), Who::Client, What::Served { by: by.clone() });
                served_by = Some(by.clone());
                failing = false;
            }
            Err(why) if !failing => {
                log.push(lab::now(), Who::Client, What::Failing { why: why.clone() });
                failing = true;
            }
            Ok(_) | Err(_) => {}
        }
        list.lock().unwrap_or_else(PoisonError::into_inner).push(Request { began, answer });
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// One request on the calling thread's network.
pub(crate) fn ask(source: Ipv4Addr, target: SocketAddrV4) -> Result<String, String> {
    lab::http::get(source, target, PATIENCE).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => "no answer".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::HostUnreachable => "no route to host".to_owned(),
        _ => error.to_string(),
    })
}
