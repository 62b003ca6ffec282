//! `cargo xtask fuzz`: hostile input, as much of it as fits into the time given.

use std::fs;
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::host::{self, Outcome};
use crate::packages;

mod seeds;

/// The targets of `fuzz/Cargo.toml`.
const TARGETS: [&str; 9] = [
    "advertisement",
    "authentication",
    "fsm_ops",
    "sync_group",
    "keepalived_conf",
    "netlink_message",
    "ipvs_connections",
    "journal",
    "health_checks",
];

/// The version that is installed when there is none.
const CARGO_FUZZ: &str = "0.13.2";

/// Executions a second of `advertisement` that less than is a reason to look into; other targets do more than read.
const PARSER_SPEED: u64 = 200_000;

/// Seconds after which one input counts as a hang.
const HANG: u32 = 20;

/// Fuzz what reads input from outside, from the test vectors on; fails when any target crashes
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Watch every access to memory: our own parsers are safe Rust, but some of what they call is not. A seventh of the speed
    #[arg(long)]
    address_sanitizer: bool,
    /// Which targets [default: all]
    #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    install()?;
    let all = TARGETS.map(str::to_owned);
    let targets = if arguments.targets.is_empty() { &all[..] } else { &arguments.targets };
    let sanitizer = if arguments.address_sanitizer { "address" } else { "none" };
    for target in targets {
        seeds::sow(target, &folder("corpus", target)?)?;
        build(target, sanitizer)?;
    }
    // Each is one thread. What is measured of their speed holds with all processors busy.
    let at_once = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (waiting, failed) = (Mutex::new(targets.iter()), AtomicBool::new(false));
    let work = || {
        while let Some(target) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) {
            let report = folder("corpus", target)
                .and_then(|corpus| fuzz(target, sanitizer, &corpus, arguments.seconds));
            let passed = match report {
                Ok(report) => {
                    println!("{}", report.line(target, sanitizer));
                    report.passed
                }
                Err(error) => {
                    eprintln!("{error}");
                    false
                }
            };
            failed.fetch_or(!passed, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(work);
        }
    });
    Ok(if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Everything that fuzzing needs and the rest of the project does not.
fn install() -> Result<(), String> {
    packages::ensure(&[("c++", "g++")])?;
    host::install_nightly()?;
    if !host::succeeds(host::cargo().args(["fuzz", "--version"])) {
        host::install_crate("cargo-fuzz", CARGO_FUZZ)?;
    }
    Ok(())
}

/// A target's folder for what cargo-fuzz keeps; git ignores it.
fn folder(kind: &str, target: &str) -> Result<PathBuf, String> {
    let folder = host::workspace().join("fuzz").join(kind).join(target);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

fn cargo_fuzz(command: &str, sanitizer: &str, target: &str) -> Command {
    let mut fuzz = host::nightly("cargo");
    fuzz.args(["fuzz", command, "--fuzz-dir", "fuzz", "--sanitizer", sanitizer, target]);
    fuzz
}

fn build(target: &str, sanitizer: &str) -> Result<(), String> {
    if host::status(&mut cargo_fuzz("build", sanitizer, target))?.success() {
        return Ok(());
    }
    Err(format!("the fuzz target {target} does not build"))
}

/// What became of a target.
#[derive(Debug, Default)]
struct Report {
    passed: bool,
    /// What libFuzzer said of its speed, executions a second.
    speed: Option<u64>,
    /// How many it did.
    executions: Option<u64>,
    /// The input of a crash.
    reproducer: Option<PathBuf>,
}

fn fuzz(target: &str, sanitizer: &str, corpus: &Path, seconds: u32) -> Result<Report, String> {
    let mut fuzz = cargo_fuzz("run", sanitizer, target);
    fuzz.arg(corpus).arg("--").args(["-print_final_stats=1", "-close_fd_mask=1"]);
    fuzz.args([format!("-max_total_time={seconds}"), format!("-timeout={HANG}")]);
    fuzz.arg(format!("-max_len={}", longest(target)));
    fuzz.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = fuzz.spawn().map_err(|error| format!("rustup: {error}"))?;
    let mut lines = Vec::new();
    if let Some(output) = child.stderr.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(|error| format!("{target}: {error}"))?;
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    let status = child.wait().map_err(|error| format!("{target}: {error}"))?;
    if !status.success() {
        // Whole, because the place of a panic stands somewhere in it.
        eprintln!("{}", lines.join("\n"));
    }
    Ok(Report { passed: status.success(), ..read(&lines) })
}

/// Octets of the longest input: a jumbo frame; otherwise what keeps an execution short.
fn longest(target: &str) -> u32 {
    if target == "advertisement" { 9000 } else { 4096 }
}

fn read(lines: &[String]) -> Report {
    let mut report = Report::default();
    for line in lines {
        if let Some(speed) = line.strip_prefix("stat::average_exec_per_sec:") {
            report.speed = speed.trim().parse().ok();
        } else if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            report.executions = number.trim().parse().ok();
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            report.reproducer = Some(path.trim().into());
        }
    }
    report
}

impl Report {
    fn line(&self, target: &str, sanitizer: &str) -> String {
        let number = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
        let (speed, executions) = (number(self.speed), number(self.executions));
        match &self.reproducer {
            _ if self.passed => {
                let slow = target == "advertisement" && self.speed < Some(PARSER_SPEED);
                let note = if slow {
                    format!(" (SLOW: the bar is {PARSER_SPEED})")
                } else {
                    String::new()
                };
                format!("{target}: {executions} executions, {speed} executions/s{note}, no crash")
            }
            Some(path) => {
                let path = path.display();
                format!(
                    "{target}: CRASH after {executions} executions\n  reproducer: {path}\n  replay:     cargo +nightly fuzz run --sanitizer {sanitizer} {target} {path}"
                )
            }
            None => format!("{target}: FAILED without a reproducer; see above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_words_are_understood() {
        let lines = [
            "==1==ERROR: libFuzzer: deadly signal",
            "artifact_prefix='/x/fuzz/artifacts/journal/'; Test unit written to /x/fuzz/artifacts/journal/crash-0a",
            "stat::number_of_executed_units: 4711",
            "stat::average_exec_per_sec:     157",
        ]
        .map(str::to_owned);
        let report = read(&lines);
        assert_eq!((report.executions, report.speed), (Some(4711), Some(157)));
        let line = report.line("journal", "none");
        assert!(
            line.ends_with("fuzz run --sanitizer none journal /x/fuzz/artifacts/journal/crash-0a"),
            "{line}"
        );
        let passed = Report { passed: true, ..report }.line("journal", "none");
        assert_eq!(passed, "journal: 4711 executions, 157 executions/s, no crash");
    }

    #[test]
    fn the_targets_are_those_of_the_manifest() {
        let manifest = fs::read_to_string(host::workspace().join("fuzz/Cargo.toml")).unwrap();
        let mut declared: Vec<_> = manifest
            .split("[[bin]]\nname = \"")
            .skip(1)
            .filter_map(|bin| bin.split('"').next())
            .collect();
        let mut known = TARGETS.to_vec();
        declared.sort_unstable();
        known.sort_unstable();
        assert_eq!(declared, known);
    }
}
