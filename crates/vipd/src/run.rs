//! `vipd run FILE`: everything together, from the configuration to the last release.

use core::error::Error;
use std::path::Path;
use std::process::ExitCode;

use crossbeam_channel::{Receiver, never};
use keepalived_conf::{Config, Parsed, Severity};
use lvs::{Director, Foreign, RunningDirector};
use vrrp::{Router, RunningRouter};

use crate::cli::{Half, RunOptions};
use crate::pidfile::{PidFile, PidFileError};
use crate::signals::{Signal, Signals};
use crate::{files, instances, logging, pools, readiness, render, state};

/// Stopped by a signal.
const STOPPED: u8 = 0;
/// Could not start, or failed.
const FAILED: u8 = 1;
/// The configuration has errors, or nothing in it can run.
const CONFIGURATION: u8 = 2;

/// Where the router keeps its journals unless told otherwise.
const RUN_DIRECTORY: &str = "/run/vrrp";

/// Why it does not start. Nothing is configured in the kernel then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum StartError {
    #[error(transparent)]
    Read(#[from] files::ReadError),
    #[error(
        "{file}: the configuration has {errors} and is not run; `vipd check {file}` shows where and what to do"
    )]
    Configuration { file: String, errors: String },
    #[error(transparent)]
    Instance(#[from] instances::InstanceError),
    #[error(transparent)]
    Pool(#[from] pools::PoolError),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("virtual servers cannot be set up")]
    Director(#[source] lvs::BuildError),
    #[error("virtual routers cannot be started")]
    Router(#[source] vrrp::BuildError),
}

impl StartError {
    fn code(&self) -> u8 {
        match self {
            Self::Read(_) | Self::Configuration { .. } | Self::Instance(_) | Self::Pool(_) => {
                CONFIGURATION
            }
            Self::PidFile(_) | Self::Signals(_) | Self::Director(_) | Self::Router(_) => FAILED,
        }
    }
}

/// Runs until a signal says stop.
pub(crate) fn run(options: &RunOptions) -> ExitCode {
    // The last to go, so that every line is written.
    let _logging = logging::start(options.detail);
    let code = match Running::start(options) {
        Ok(running) => running.until_stopped(),
        Err(error) => {
            log::error!("{}", chain(&error));
            error.code()
        }
    };
    ExitCode::from(code)
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent wrappers repeat their cause.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // Every part of us may meet this; not all of them have its error as an `io::Error`, but all have its text.
    if text.contains(&std::io::Error::from(rustix::io::Errno::MFILE).to_string()) {
        text.push_str(
            "; raise the limit of open files: `ulimit -n`, or LimitNOFILE= of the service",
        );
    }
    text
}

/// What runs. Dropping it releases addresses, then services, then removes the pid files: the order of the fields.
struct Running {
    router: Option<RunningRouter>,
    director: Option<RunningDirector>,
    signals: Signals,
    _pid_files: Vec<PidFile>,
}

impl Running {
    fn start(options: &RunOptions) -> Result<Self, StartError> {
        // Before anything else, so that a signal never ends us half-way.
        let signals = Signals::start().map_err(StartError::Signals)?;
        log::info!("vipd {} starts with {}", env!("CARGO_PKG_VERSION"), options.file.display());
        for notice in &options.notices {
            log::warn!("{notice}");
        }
        let config = configuration(options)?;
        let routers = if options.only == Some(Half::Checkers) {
            Vec::new()
        } else {
            instances::virtual_routers(&config)?
        };
        let services =
            if options.only == Some(Half::Vrrp) { Vec::new() } else { pools::services(&config)? };
        if routers.is_empty() && services.is_empty() {
            log::warn!(
                "there is no virtual router and no virtual server to run: doing nothing until SIGTERM"
            );
        }
        let pid_files = pid_files(options, !routers.is_empty(), !services.is_empty())?;
        // Services first: a director that becomes master must be able to forward at once. When the router cannot start, dropping the
        // director removes them.
        let director = director(options, services)?;
        let router = router(options, routers, &instances::sync_groups(&config))?;
        describe(&config, router.is_some(), director.is_some());
        readiness::tell("READY=1");
        Ok(Self { router, director, signals, _pid_files: pid_files })
    }

    /// Logs what happens until a signal or a failure ends it; then releases everything.
    fn until_stopped(mut self) -> u8 {
        let code = loop {
            if let Some(code) = self.next() {
                break code;
            }
        };
        readiness::tell("STOPPING=1");
        code.max(self.release())
    }

    /// Waits for one message; the exit code if it was the last.
    fn next(&self) -> Option<u8> {
        let (no_routing, no_directing) = (never(), never());
        let routing = self.router.as_ref().map(RunningRouter::events);
        let directing = self.director.as_ref().map(RunningDirector::events);
        let signals: &Receiver<Signal> = self.signals.receiver();
        let routing = routing.as_ref().map_or(&no_routing, vrrp::Events::receiver);
        let directing = directing.as_ref().map_or(&no_directing, lvs::Events::receiver);
        crossbeam_channel::select! {
            recv(signals) -> signal => match signal {
                Ok(signal) => self.handle_signal(signal),
                Err(_) => Some(ended("the thread that receives signals")),
            },
            recv(routing) -> event => {
                let Ok(event) = event else { return Some(ended("the thread of the virtual routers")) };
                log::log!(event.kind.level(), "{event}");
                None
            }
            recv(directing) -> event => {
                let Ok(event) = event else { return Some(ended("the thread of the virtual servers")) };
                log::log!(event.kind.level(), "{event}");
                None
            }
        }
    }

    /// What a signal does; the exit code if it ends the program.
    fn handle_signal(&self, signal: Signal) -> Option<u8> {
        match signal {
            Signal::Stop(name) => {
                log::info!("{name}: releasing everything");
                Some(STOPPED)
            }
            Signal::Reload => {
                log::warn!(
                    "SIGHUP: this version reads its configuration at the start only; restart it to apply changes"
                );
                None
            }
            Signal::Dump(name) => {
                log::warn!("{name}: this version writes no dump files, but here:");
                for line in state::lines(self.router.as_ref(), self.director.as_ref()) {
                    log::info!("{line}");
                }
                None
            }
        }
    }

    /// Addresses first, as keepalived: what arrives meanwhile is still forwarded.
    fn release(&mut self) -> u8 {
        let mut code = STOPPED;
        if let Some(router) = self.router.take() {
            let events = router.events();
            if let Err(error) = router.shutdown() {
                log::error!("{}", chain(&error));
                code = FAILED;
            }
            while let Some(event) = events.try_recv() {
                log::log!(event.kind.level(), "{event}");
            }
        }
        if let Some(director) = self.director.take() {
            let events = director.events();
            if let Err(error) = director.stop() {
                log::error!("{}", chain(&error));
                code = FAILED;
            }
            while let Some(event) = events.try_recv() {
                log::log!(event.kind.level(), "{event}");
            }
        }
        if code == STOPPED {
            log::info!("released; the end");
        }
        code
    }
}

/// Something that must not end has ended.
fn ended(thread: &str) -> u8 {
    log::error!("{thread} has ended by itself; releasing everything");
    FAILED
}

/// Reads the configuration and logs what is found.
fn configuration(options: &RunOptions) -> Result<Config, StartError> {
    let Parsed { config, diagnostics, .. } =
        files::parse(&options.file, options.config_id.as_deref())?;
    let mut errors = 0;
    for found in &diagnostics {
        let level = match found.severity {
            Severity::Error => {
                errors += 1;
                log::Level::Error
            }
            Severity::Warning => log::Level::Warn,
            Severity::Note | _ => log::Level::Debug,
        };
        log::log!(level, "{}", render::without_severity(found));
    }
    if errors > 0 {
        let errors = format!("{errors} error{}", if errors == 1 { "" } else { "s" });
        return Err(StartError::Configuration { file: options.file.display().to_string(), errors });
    }
    Ok(config)
}

fn pid_files(options: &RunOptions, routes: bool, serves: bool) -> Result<Vec<PidFile>, StartError> {
    let wanted = [
        options.pid_file.as_ref(),
        options.vrrp_pid_file.as_ref().filter(|_| routes),
        options.checkers_pid_file.as_ref().filter(|_| serves),
    ];
    let written: Result<Vec<PidFile>, PidFileError> =
        wanted.into_iter().flatten().map(|path| PidFile::write(Path::new(path))).collect();
    Ok(written?)
}

fn director(
    options: &RunOptions,
    services: Vec<lvs::ServiceConfig>,
) -> Result<Option<RunningDirector>, StartError> {
    let nothing = services.is_empty();
    let config = services.into_iter().fold(lvs::Config::new(), lvs::Config::service);
    // keepalived takes a service that is there already for its own.
    let mut builder = Director::builder(config).foreign(Foreign::Adopt);
    if let Some(directory) = &options.run_directory {
        builder = builder.run_directory(directory);
    }
    if !nothing {
        return builder.start().map(Some).map_err(StartError::Director);
    }
    // The virtual servers of a process that was killed may not be configured any more. `-P` leaves them to the other half.
    if options.only != Some(Half::Vrrp) && builder.has_leftovers() {
        match builder.build().map_err(StartError::Director) {
            Ok(director) => {
                let events = director.events();
                drop(director);
                while let Some(event) = events.try_recv() {
                    log::log!(event.kind.level(), "{event}");
                }
            }
            Err(error) => log::warn!("what a dead process has left stays: {}", chain(&error)),
        }
    }
    Ok(None)
}

fn router(
    options: &RunOptions,
    routers: Vec<vrrp::VirtualRouter>,
    sync_groups: &[(&str, Vec<&str>)],
) -> Result<Option<RunningRouter>, StartError> {
    if routers.is_empty() {
        // As above, of virtual routers.
        if options.only != Some(Half::Checkers) {
            let directory = options.run_directory.as_deref().unwrap_or(Path::new(RUN_DIRECTORY));
            let orphans = vrrp::remove_orphans(directory).unwrap_or_default();
            if let Some(first) = orphans.first() {
                let more = match orphans.len() {
                    1 => String::new(),
                    number => format!(" and {} more", number - 1),
                };
                log::warn!("{}{more} was left by a process that died; removed", first.address);
            }
        }
        return Ok(None);
    }
    let mut builder = Router::builder().virtual_routers(routers).remove_orphans(true);
    for (name, members) in sync_groups {
        builder = builder.sync_group(name, members.iter().copied());
    }
    if let Some(directory) = &options.run_directory {
        builder = builder.run_directory(directory);
    }
    builder.start().map(Some).map_err(StartError::Router)
}

fn describe(config: &Config, routes: bool, serves: bool) {
    if routes {
        for instance in
            config.vrrp_instances.iter().filter(|instance| !instance.virtual_addresses.is_empty())
        {
            log::info!("{}", instances::describe(instance));
        }
        for (name, members) in instances::sync_groups(config) {
            log::info!("{name}: sync group of {}", members.join(", "));
        }
    }
    if serves {
        for server in config.virtual_servers.iter().filter(|server| !server.real_servers.is_empty())
        {
            log::info!("virtual server {}", pools::describe(server));
        }
    }
}
