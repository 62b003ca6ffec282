//! The same by others.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipvs::Client;
use lab::Namespace;
use rustix::process::{Pid, Signal, kill_process};

use crate::subject::{PORTS, SERVERS, configuration, key, rules};
use crate::{Result, now};

/// Longer than anything that is measured takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the kernel's table: each costs the measured program something.
const LOOK: Duration = Duration::from_millis(5);

/// The time that `ipvsadm -R` takes.
pub(crate) fn ipvsadm(namespace: &Namespace) -> Result<Duration> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("rules");
    std::fs::write(&path, rules())?;
    let mut command = Command::new("ipvsadm");
    command.arg("-R").stdin(File::open(path)?).stdout(Stdio::null());
    let begin = now();
    let status = namespace.spawn(&mut command)?.wait()?;
    let took = begin.elapsed();
    if !status.success() || Client::open()?.services()?.len() != PORTS {
        return Err(format!("ipvsadm -R: {status}").into());
    }
    Ok(took)
}

/// What keepalived takes, without checks.
#[derive(Debug)]
pub(crate) struct Keepalived {
    pub(crate) start: Duration,
    pub(crate) reload: Duration,
    pub(crate) stop: Duration,
    /// Services that it left behind.
    pub(crate) left: usize,
}

pub(crate) fn keepalived(namespace: &Namespace) -> Result<Keepalived> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("conf"), configuration(1))?;
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console", "--check", "--use-file"]).arg(path("conf"));
    command.arg("--pid").arg(path("pid")).arg("--checkers_pid").arg(path("checkers"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(path("log"))?);
    let said = |text: &str| Ok(std::fs::read_to_string(path("log"))?.contains(text));
    let mut client = Client::open()?;
    let begin = now();
    let mut daemon = namespace.spawn(&mut command)?;
    let start = wait(begin, || Ok(client.destinations(&key(PORTS))?.len() == SERVERS))?;
    // It ignores SIGHUP before.
    wait(now(), || said("Startup complete"))?;
    std::fs::write(path("conf"), configuration(7))?;
    let begin = now();
    signal(&daemon, Signal::HUP)?;
    let reload = wait(begin, || {
        let servers = client.destinations(&key(PORTS))?;
        Ok(servers.iter().any(|status| status.destination.weight().value() == 7))
    })?;
    wait(now(), || said("Reload complete"))?;
    let begin = now();
    signal(&daemon, Signal::TERM)?;
    // One service after the other: listing them all would take keepalived's processor time.
    let mut rest = (1..=PORTS).map(key).peekable();
    let mut finished = true;
    let stop = wait(begin, || {
        while let Some(key) = rest.peek() {
            if client.service(key)?.is_some() {
                // After five seconds it kills its own child, which leaves the rest where it is.
                finished = daemon.try_wait()?.is_none();
                return Ok(!finished);
            }
            rest.next();
        }
        Ok(true)
    })?;
    daemon.wait()?;
    Ok(Keepalived {
        start,
        reload,
        stop,
        left: if finished { 0 } else { client.services()?.len() },
    })
}

fn wait(begin: Instant, mut done: impl FnMut() -> Result<bool>) -> Result<Duration> {
    while !done()? {
        if begin.elapsed() > PATIENCE {
            return Err("keepalived does not come to an end".into());
        }
        pause();
    }
    Ok(begin.elapsed())
}

#[allow(clippy::disallowed_methods, reason = "the kernel tells nobody that the table has changed")]
fn pause() {
    std::thread::sleep(LOOK);
}

fn signal(daemon: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw).ok_or("no process")?;
    Ok(kill_process(pid, signal)?)
}
