//! VRRP and LVS daemon that runs the keepalived.conf you already have.
#![forbid(unsafe_code)]

mod check;
mod cli;
mod client;
mod clock;
mod companions;
mod control;
mod dump;
mod files;
mod instances;
mod json;
mod logging;
mod notify;
mod pidfile;
mod pools;
mod readiness;
mod render;
mod routers;
mod run;
mod scripts;
mod services;
mod signals;
mod state;
mod trackers;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().collect()) {
        Ok(cli::Task::Check(options)) => check::check(&options),
        Ok(cli::Task::Run(options)) => run::run(&options),
        Ok(cli::Task::Sentinel(worker)) => vrrp_sentinel::serve(&worker),
        Ok(cli::Task::Ask(question)) => client::ask(&question),
        Ok(cli::Task::Signal(number)) => check::print_number(number),
        Err(error) => {
            error.print().unwrap_or_default();
            ExitCode::from(if error.use_stderr() { 64 } else { 0 })
        }
    }
}
