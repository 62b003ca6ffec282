//! `vipd run FILE`: everything together, from the configuration to the last release.

mod operate;

use core::error::Error;
use core::time::Duration;
use std::path::Path;
use std::process::ExitCode;

use crossbeam_channel::{Receiver, Select};
use keepalived_conf::{Config, Parsed, Severity};
use lvs::RunningDirector;

use crate::cli::{Half, RunOptions};
use crate::control::{self, Control, Request};
use crate::notify::{Notifier, Servers};
use crate::pidfile::{PidFile, PidFileError};
use crate::routers::{Plan, Routers};
use crate::scripts::runnable::Rules;
use crate::scripts::{Scripts, Setup, Verdict};
use crate::signals::{Dump, Signal, Signals};
use crate::trackers::Trackers;
use crate::{clock, dump, files, instances, logging, pools, readiness, render, services, state};

/// Stopped by a signal.
const STOPPED: u8 = 0;
/// Could not start, or failed.
const FAILED: u8 = 1;
/// The configuration has errors, or nothing in it can run.
const CONFIGURATION: u8 = 2;
/// How long scripts may take that tell about the end, as keepalived waits for its children.
const LAST_SCRIPTS: Duration = Duration::from_secs(5);
/// The configuration is a program, as keepalived's exit code says it.
const EXECUTABLE: u8 = 6;

/// Why it does not start. Nothing is configured in the kernel then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
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
    #[error("scripts cannot be run")]
    Scripts(#[source] std::io::Error),
    #[error("virtual servers cannot be set up")]
    Director(#[source] lvs::BuildError),
    #[error("virtual servers cannot be changed")]
    Reconfigure(#[from] lvs::ApplyError),
    #[error("virtual routers cannot be started")]
    Router(#[source] vrrp::BuildError),
}

impl StartError {
    fn code(&self) -> u8 {
        match self {
            Self::Read(files::ReadError::Executable { .. }) => EXECUTABLE,
            Self::Read(_) | Self::Configuration { .. } | Self::Instance(_) | Self::Pool(_) => {
                CONFIGURATION
            }
            Self::PidFile(_)
            | Self::Signals(_)
            | Self::Scripts(_)
            | Self::Director(_)
            | Self::Reconfigure(_)
            | Self::Router(_) => FAILED,
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
pub(crate) fn chain(error: &dyn Error) -> String {
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
    routers: Option<Routers>,
    director: Option<RunningDirector>,
    /// What the director was last given.
    services: Vec<lvs::ServiceConfig>,
    scripts: Scripts,
    notifier: Notifier,
    servers: Servers,
    trackers: Trackers,
    control: Option<Control>,
    /// In its place when there is none.
    nobody: Receiver<Request>,
    signals: Signals,
    options: RunOptions,
    _pid_files: Vec<PidFile>,
}

/// One of the things that the main thread waits for.
enum Message {
    Signal(Signal),
    Router(vrrp::Event),
    Director(lvs::Event),
    Script(Verdict),
    Asked(Request),
    /// A thread that must not end has ended.
    Ended(&'static str),
}

impl Running {
    fn start(options: &RunOptions) -> Result<Self, StartError> {
        // Before anything else, so that a signal never ends us half-way.
        let signals = Signals::start().map_err(StartError::Signals)?;
        log::info!("vipd {} starts with {}", env!("CARGO_PKG_VERSION"), options.file.display());
        for notice in &options.notices {
            log::warn!("{notice}");
        }
        let wanted = Wanted::read(options)?;
        if wanted.is_empty() {
            log::warn!(
                "there is no virtual router and no virtual server to run: doing nothing until SIGTERM"
            );
        }
        let (electing, serving) = (!wanted.plan.is_empty(), !wanted.services.is_empty());
        let pid_files = pid_files(options, electing, serving)?;
        // Services first: a director that becomes master must be able to forward at once. When the router cannot start, dropping the
        // director removes them.
        let scripts = Scripts::start().map_err(StartError::Scripts)?;
        let director = services::start(options, &wanted.services).map_err(StartError::Director)?;
        let directory = options.run_directory.as_deref();
        // `-C` leaves what there is to the other half.
        let routers = (options.only != Some(Half::Checkers))
            .then(|| {
                Routers::start(wanted.plan, directory, options.sentinel).map_err(StartError::Router)
            })
            .transpose()?;
        describe(&wanted.config, electing, serving);
        readiness::tell("READY=1");
        scripts.configure(setup(&wanted.trackers, &wanted.notifier));
        if let Some(status) = director.as_ref().and_then(|director| director.status().ok()) {
            wanted.servers.begin(&status, &scripts);
        }
        Ok(Self {
            routers,
            director,
            services: wanted.services,
            scripts,
            notifier: wanted.notifier,
            servers: wanted.servers,
            trackers: wanted.trackers,
            control: control(options),
            nobody: crossbeam_channel::never(),
            signals,
            options: options.clone(),
            _pid_files: pid_files,
        })
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

    /// Waits for one message and acts upon it; the exit code if it was the last.
    fn next(&mut self) -> Option<u8> {
        match self.wait() {
            Message::Signal(signal) => self.handle_signal(signal),
            Message::Asked(request) => {
                let answer = self.answer(&request.line);
                // Who asked may be gone.
                request.answer.try_send(answer).unwrap_or_default();
                None
            }
            Message::Router(event) => {
                self.tell(event.kind.level(), &event);
                self.notifier.handle(&event, &self.scripts);
                None
            }
            Message::Script(verdict) => {
                self.follow(verdict);
                None
            }
            Message::Director(event) => {
                self.tell(event.kind.level(), &event);
                self.servers.handle(&event, &self.scripts);
                None
            }
            Message::Ended(thread) => {
                log::error!("{thread} has ended by itself; releasing everything");
                Some(FAILED)
            }
        }
    }

    /// To the log, and to those who follow the events.
    fn tell(&self, level: log::Level, event: &dyn core::fmt::Display) {
        log::log!(level, "{event}");
        if let Some(control) = &self.control {
            let text = render::printable(&event.to_string());
            control.tell(&format!("{} {text}\n", clock::timestamp()));
        }
    }

    /// Tells those that track a script how it stands.
    fn follow(&self, Verdict { subject, condition }: Verdict) {
        let Some(routers) = &self.routers else { return };
        for name in self.trackers.interested(&subject) {
            routers.set_tracker(name, &subject.to_string(), condition);
        }
    }

    fn wait(&self) -> Message {
        let routing = self.routers.as_ref().map(Routers::events).unwrap_or_default();
        let directing = self.director.as_ref().map(RunningDirector::events);
        let mut select = Select::new();
        let signals = select.recv(self.signals.receiver());
        let scripts = select.recv(self.scripts.verdicts());
        let control = self.control.as_ref().map_or(&self.nobody, Control::requests);
        let asked = select.recv(control);
        let director = directing.as_ref().map(|events| select.recv(events.receiver()));
        for events in &routing {
            select.recv(events.receiver());
        }
        let operation = select.select();
        match operation.index() {
            index if index == signals => operation
                .recv(self.signals.receiver())
                .map_or(Message::Ended("the thread that receives signals"), Message::Signal),
            index if index == scripts => operation
                .recv(self.scripts.verdicts())
                .map_or(Message::Ended("the thread of the scripts"), Message::Script),
            index if index == asked => operation
                .recv(control)
                .map_or(Message::Ended("the thread of the control socket"), Message::Asked),
            index if Some(index) == director => directing
                .as_ref()
                .and_then(|events| operation.recv(events.receiver()).ok())
                .map_or(Message::Ended("the thread of the virtual servers"), Message::Director),
            index => {
                let first = director.unwrap_or(asked) + 1;
                routing
                    .get(index.saturating_sub(first))
                    .and_then(|events| operation.recv(events.receiver()).ok())
                    .map_or(Message::Ended("the thread of the virtual routers"), Message::Router)
            }
        }
    }

    /// What a signal does; the exit code if it ends the program.
    fn handle_signal(&mut self, signal: Signal) -> Option<u8> {
        match signal {
            Signal::Stop(name) => {
                log::info!("{name}: releasing everything");
                return Some(STOPPED);
            }
            Signal::Reload => {
                readiness::tell_reloading();
                match self.reload() {
                    Ok(()) => {}
                    Err(error) => log::error!(
                        "SIGHUP: the new configuration is refused, the former one runs on: {}",
                        chain(&error)
                    ),
                }
                readiness::tell("READY=1");
            }
            Signal::Dump(name, dump) => {
                let routers = self.routers.as_ref().map(Routers::status).unwrap_or_default();
                let (file, text) = match dump {
                    Dump::Data => {
                        let lines = state::lines(self.routers.as_ref(), self.director.as_ref());
                        ("keepalived.data", lines.join("\n") + "\n")
                    }
                    Dump::Statistics => ("keepalived.stats", dump::statistics(&routers)),
                    Dump::Json => ("keepalived.json", format!("{}\n", self.json())),
                };
                match dump::write(file, &text) {
                    Ok(path) => log::info!("{name}: written to {}", path.display()),
                    Err(error) => log::error!("{name}: {file} cannot be written: {error}"),
                }
            }
        }
        None
    }

    /// Reads the file again and brings what runs to it. Nothing has changed after an error.
    fn reload(&mut self) -> Result<(), StartError> {
        log::info!("SIGHUP: reading {} again", self.options.file.display());
        let wanted = Wanted::read(&self.options)?;
        // Services first, as at the start.
        services::reload(&self.options, &mut self.director, &wanted.services)?;
        self.servers = wanted.servers;
        let former = core::mem::replace(&mut self.services, wanted.services);
        if let Some(routers) = &mut self.routers {
            match routers.reload(&wanted.plan) {
                Ok(summary) => {
                    log::info!("{summary}");
                    self.notifier.replace(wanted.notifier, &self.scripts);
                    self.trackers = wanted.trackers;
                    self.scripts.configure(setup(&self.trackers, &self.notifier));
                }
                Err(error) => {
                    services::reload(&self.options, &mut self.director, &former)?;
                    self.services = former;
                    return Err(StartError::Router(error));
                }
            }
        }
        Ok(())
    }

    /// Addresses first, as keepalived: what arrives meanwhile is still forwarded.
    fn release(&mut self) -> u8 {
        let mut code = STOPPED;
        if let Some(routers) = self.routers.take() {
            // Nobody is told of them: the end follows at once.
            let ended = routers.shut_down(|event| log::log!(event.kind.level(), "{event}"));
            self.notifier.stop(&self.scripts);
            for error in ended.err().unwrap_or_default() {
                log::error!("{}", chain(&error));
                code = FAILED;
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
                self.servers.handle(&event, &self.scripts);
            }
        }
        self.scripts.finish(LAST_SCRIPTS);
        if code == STOPPED {
            log::info!("released; the end");
        }
        code
    }
}

/// A configuration, and what is to be run of it.
struct Wanted {
    config: Config,
    plan: Plan,
    services: Vec<lvs::ServiceConfig>,
    trackers: Trackers,
    notifier: Notifier,
    servers: Servers,
}

impl Wanted {
    fn read(options: &RunOptions) -> Result<Self, StartError> {
        let config = configuration(options)?;
        let rules = Rules::of(&config.global);
        let (trackers, plan, notifier) = match options.only {
            Some(Half::Checkers) => Default::default(),
            Some(Half::Vrrp) | None => {
                let trackers = Trackers::of(&config, &rules);
                let plan = Plan::of(&config, &trackers)?;
                (trackers, plan, Notifier::of(&config, &rules))
            }
        };
        let services = match options.only {
            Some(Half::Vrrp) => Vec::new(),
            Some(Half::Checkers) | None => pools::services(&config, &rules)?,
        };
        let servers = Servers::of(&config, &rules);
        Ok(Self { config, plan, services, trackers, notifier, servers })
    }

    fn is_empty(&self) -> bool {
        self.plan.is_empty() && self.services.is_empty()
    }
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

fn setup(trackers: &Trackers, notifier: &Notifier) -> Setup {
    Setup {
        scripts: trackers.scripts.clone(),
        files: trackers.files.clone(),
        fifos: notifier.fifos.clone(),
    }
}

/// Not to be asked is no reason not to run.
fn control(options: &RunOptions) -> Option<Control> {
    let path = options.control.as_deref().unwrap_or(Path::new(control::DEFAULT_PATH));
    let refused = |error| {
        log::warn!("`vipd status` and the like will not work: {}: {error}", path.display());
    };
    Control::open(path).map_err(refused).ok()
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
