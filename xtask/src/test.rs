//! `cargo xtask test`: every test of the workspace, with what it needs, and an account of what was skipped.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::host::{self, Artifact, Outcome};
use crate::packages;
use crate::test::tally::Tally;

pub(crate) mod ran;
mod tally;

/// Run all tests: unit, documentation, and against the real kernel (user-mode Linux where it has no `ip_vs`)
///
/// What cannot run on this machine is named, counted as skipped and explained. The environment variable REQUIRE
/// (netns,uml,keepalived,frr,... with commas between) turns such skips into failures. What ran and passed is listed in
/// target/tests-ran.txt, for `cargo xtask ledger`.
///
/// A test that fails beside others is run once more, alone. When it passes then, it is reported as FLAKY and not counted as
/// failed; the fourth such test of a run is.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this package (can be given again)
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
    /// Install nothing; what is missing is skipped
    #[arg(long)]
    no_install: bool,
    /// Arguments for the test binaries, such as a name to filter by
    #[arg(last = true)]
    rest: Vec<String>,
}

/// No test binary may run longer: a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(600);

/// So many tests of a run may fail at first and pass alone. On a shared machine a stall of seconds is no defect of the code,
/// but it does not hit many.
const MAX_FLAKY: usize = 3;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let begin = Instant::now();
    let has_ipvs = lab::need::check("ipvs").is_ok();
    install(arguments, has_ipvs);
    let tests = build(arguments)?;
    let skips = tempfile()?;
    let mut tally = Tally::default();
    let (in_guest, on_host): (Vec<_>, Vec<_>) = tests
        .into_iter()
        .partition(|test| !has_ipvs && test.kind == "test" && test.target.starts_with("ipvs_"));
    for test in &on_host {
        let program = || Command::new(&test.executable);
        run_binary(test, program, "", arguments, &skips, &mut tally)?;
    }
    // cargo refuses to look for documentation tests in packages without a library.
    if on_host.iter().any(|test| test.kind == "lib") {
        doc_tests(arguments, &skips, &mut tally)?;
    }
    let guests = lab::need::check("uml");
    for test in &in_guest {
        // Without guests they run here and skip themselves, or fail where REQUIRE says so.
        let program = || match &guests {
            Ok(()) => {
                let guest = lab::uml::Guest::new().timeout(PATIENCE).writable(&skips);
                guest.command(&test.executable)
            }
            Err(_) => Command::new(&test.executable),
        };
        let place = if guests.is_ok() { " (in user-mode Linux)" } else { "" };
        run_binary(test, program, place, arguments, &skips, &mut tally)?;
    }
    tally.read_skips(&skips.join("skips"));
    drop(std::fs::remove_dir_all(&skips));
    tally.report(begin.elapsed());
    ran::write(&tally.ran())?;
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs what the tests use. Nothing here is fatal: a test that lacks something is skipped, with the reason.
fn install(arguments: &Arguments, has_ipvs: bool) {
    if arguments.no_install {
        return;
    }
    let mut programs = vec![
        packages::FRR,
        packages::IP,
        packages::IPVSADM,
        packages::KEEPALIVED,
        packages::NFT,
        packages::NGINX,
        packages::PING,
        packages::TSHARK,
    ];
    if !has_ipvs {
        programs.extend(packages::UML);
    }
    if let Err(why) = packages::ensure(&programs) {
        println!("{why}\n(tests that need them are skipped)");
    }
}

fn select(cargo: &mut Command, arguments: &Arguments) {
    if arguments.package.is_empty() {
        cargo.arg("--workspace");
    }
    for package in &arguments.package {
        cargo.args(["--package", package]);
    }
}

fn build(arguments: &Arguments) -> Result<Vec<Artifact>, String> {
    let mut cargo = host::cargo();
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    select(&mut cargo, arguments);
    let mut tests = host::artifacts(&mut cargo)?;
    tests.retain(|artifact| artifact.test);
    tests.sort_by(|a, b| (&a.package, &a.kind, &a.target).cmp(&(&b.package, &b.kind, &b.target)));
    Ok(tests)
}

/// A fresh directory for the skip log; guests can write to it as well.
fn tempfile() -> Result<std::path::PathBuf, String> {
    let directory = std::env::temp_dir().join(format!("xtask-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(directory)
}

fn run_binary(
    test: &Artifact,
    program: impl Fn() -> Command,
    place: &str,
    arguments: &Arguments,
    skips: &Path,
    tally: &mut Tally,
) -> Result<(), String> {
    // `Tally::ran` takes it apart again.
    let name = format!("{} {} {}{place}", test.package, test.kind, test.target);
    println!("\n== {name}");
    let in_its_folder = || {
        let mut program = program();
        program.current_dir(&test.folder).env("CARGO_MANIFEST_DIR", &test.folder);
        program
    };
    run_counted(&name, in_its_folder().args(&arguments.rest), skips, tally)?;
    for failed in tally.failed_tests(&name) {
        if tally.flaky() < MAX_FLAKY {
            println!("\n== once more, alone: {name}: {failed}");
            let mut alone = Tally::default();
            run_counted(&name, in_its_folder().args(["--exact", &failed]), skips, &mut alone)?;
            if alone.passed == 1 && alone.failed == 0 {
                tally.passed_alone(&name, &failed);
            }
        }
    }
    Ok(())
}

fn doc_tests(arguments: &Arguments, skips: &Path, tally: &mut Tally) -> Result<(), String> {
    println!("\n== documentation");
    let mut cargo = host::cargo();
    cargo.args(["test", "--doc", "--no-fail-fast"]);
    select(&mut cargo, arguments);
    cargo.arg("--").args(&arguments.rest);
    run_counted("documentation", &mut cargo, skips, tally)
}

/// Runs one program that prints libtest results, shows its output and adds up.
fn run_counted(
    name: &str,
    program: &mut Command,
    skips: &Path,
    tally: &mut Tally,
) -> Result<(), String> {
    program.env("LAB_SKIP_LOG", skips.join("skips")).env("RUST_BACKTRACE", "1");
    // Its own process group, so that a hang can be ended with everything it started.
    program.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = program.spawn().map_err(|error| format!("{name}: {error}"))?;
    let output = child.stdout.take().ok_or("no output to read")?;
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let group = child.id();
    let watchdog = std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            println!("xtask: still running after {PATIENCE:?}: killed");
            drop(Command::new("kill").args(["-9", "--", &format!("-{group}")]).status());
        }
    });
    let before = tally.results;
    read_results(name, output, tally);
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    drop(done);
    drop(watchdog.join());
    if tally.results == before || (!status.success() && tally.failures_of(name) == 0) {
        tally.fail(name, &format!("no test result ({status})"));
    }
    Ok(())
}

fn read_results(name: &str, output: impl Read, tally: &mut Tally) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        tally.line(name, &line);
        println!("{line}");
    }
}
