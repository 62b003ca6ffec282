//! Signals as messages: a thread of their own takes them out of signal-hook's pipe.

use std::io;

use crossbeam_channel::Receiver;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals as Pipe};

/// Signals at which keepalived writes files, beside SIGUSR1 and SIGUSR2: JSON, statistics that start again, and threads. By
/// default they would kill us. The numbers are those that `keepalived --signum` prints (SIGRTMIN is 34 there).
const DUMPS: [(i32, &str, Dump); 3] = [
    (JSON, "SIGRTMIN+2", Dump::Json),
    (STATS_CLEAR, "SIGRTMAX-1", Dump::Statistics),
    (64, "SIGRTMAX", Dump::Data),
];
const JSON: i32 = 36;
const STATS_CLEAR: i32 = 63;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, SIGINT: release everything and end. The name is for the log.
    Stop(&'static str),
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1, SIGUSR2 and others: a file is written.
    Dump(&'static str, Dump),
}

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// What everything does.
    Data,
    /// The counters.
    Statistics,
    /// Both, for programs.
    Json,
}

/// The number of the signal that asks keepalived for something, as its `--signum` prints it; 0 for an unknown name.
pub(crate) fn number(name: &str) -> i32 {
    match name {
        "RELOAD" => SIGHUP,
        "STOP" => SIGTERM,
        "DATA" => SIGUSR1,
        "STATS" => SIGUSR2,
        "STATS_CLEAR" => STATS_CLEAR,
        "JSON" => JSON,
        _ => 0,
    }
}

/// Signals from now on; as before once dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    handle: Handle,
    received: Receiver<Signal>,
}

impl Signals {
    pub(crate) fn start() -> io::Result<Self> {
        let mut pipe = Pipe::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
        for (number, ..) in DUMPS {
            pipe.add_signal(number)?;
        }
        let handle = pipe.handle();
        let (sender, received) = crossbeam_channel::unbounded();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in pipe.forever() {
                let message = match signal {
                    SIGTERM => Signal::Stop("SIGTERM"),
                    SIGINT => Signal::Stop("SIGINT"),
                    SIGHUP => Signal::Reload,
                    SIGUSR1 => Signal::Dump("SIGUSR1", Dump::Data),
                    SIGUSR2 => Signal::Dump("SIGUSR2", Dump::Statistics),
                    other => {
                        let known = DUMPS.iter().find(|(number, ..)| *number == other);
                        known.map_or(Signal::Dump("?", Dump::Data), |(_, name, dump)| {
                            Signal::Dump(name, *dump)
                        })
                    }
                };
                if sender.send(message).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { handle, received })
    }

    pub(crate) fn receiver(&self) -> &Receiver<Signal> {
        &self.received
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}
