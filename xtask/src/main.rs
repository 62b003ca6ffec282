//! `cargo xtask`: what this project's developers run. `cargo xtask --help` lists it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod director;
mod fuzz;
mod host;
mod interop;
mod ledger;
mod miri;
mod model;
mod mutate;
mod package;
mod packages;
mod sim;
mod soak;
mod test;
mod uml;

/// The project's own tasks. Each installs what it needs (Debian packages, as root) and says so.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Demo(demo::Arguments),
    Director(director::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    Fuzz(fuzz::Arguments),
    Interop(interop::Arguments),
    Ledger(ledger::Arguments),
    Miri(miri::Arguments),
    Model(model::Arguments),
    Mutate(mutate::Arguments),
    Package(package::Arguments),
    Sim(sim::Arguments),
    Soak(soak::Arguments),
    Uml(uml::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Director(arguments) => director::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Interop(arguments) => interop::run(&arguments),
        Task::Ledger(arguments) => ledger::run(&arguments),
        Task::Miri(arguments) => miri::run(&arguments),
        Task::Model(arguments) => model::run(&arguments),
        Task::Mutate(arguments) => mutate::run(&arguments),
        Task::Package(arguments) => package::run(&arguments),
        Task::Sim(arguments) => sim::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Uml(arguments) => uml::run(&arguments),
    };
    result.unwrap_or_else(|message| {
        eprintln!("xtask: {message}");
        ExitCode::FAILURE
    })
}
