//! `cargo xtask miri`: the tests of the pure crates in an interpreter that notices undefined behaviour.

use std::io::ErrorKind;
use std::process::{Command, ExitCode};
use std::thread;

use crate::host::{self, Outcome};

/// Run the tests of the pure crates in miri: our code is safe Rust, but some of what it calls is not
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many cases each property is tried with; natively it is hundreds
    #[arg(long, value_name = "N", default_value_t = 2)]
    cases: u32,
}

/// Tests that are run together.
struct Tests {
    /// Which of cargo's, without those about files and other programs.
    targets: &'static [&'static str],
    /// Which modules of them; all if there are none here.
    modules: &'static [&'static str],
}

const TESTS: [Tests; 3] = [
    Tests { targets: &["--package", "vrrp-proto", "--lib", "--test", "properties"], modules: &[] },
    Tests { targets: &["--package", "vrrp-fsm", "--lib"], modules: &[] },
    // What reads packets and what elects. The other modules take the same ways many more times.
    Tests {
        targets: &["--package", "vrrp-fsm", "--test", "suite"],
        modules: &["election::", "receive::"],
    },
];

/// Tests that the interpreter, hundreds of times slower than the processor, has no time for. What they run is also run by
/// others.
const TOO_LONG: [&str; 5] = [
    "any_number_of_routers_has_one_master",
    "a_changed_octet_is_noticed_unless_a_router_may_change_it",
    "every_bit_but_those_of_the_checksum_is_covered",
    "what_a_router_has_forwarded_to_the_group_is_discarded",
    "where_both_checksum_forms_agree_both_are_had",
];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    install()?;
    if !host::status(host::nightly("cargo").args(["miri", "setup"]))?.success() {
        return Err("miri could not be set up".to_owned());
    }
    // An interpreter is one thread.
    let outputs = thread::scope(|scope| {
        let runs =
            TESTS.map(|tests| scope.spawn(move || cargo_miri(&tests, arguments.cases).output()));
        runs.map(|run| run.join().unwrap_or_else(|_| Err(ErrorKind::Interrupted.into())))
    });
    let mut passed = true;
    for output in outputs {
        let output = output.map_err(|error| format!("cargo miri: {error}"))?;
        passed &= output.status.success();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo_miri(tests: &Tests, cases: u32) -> Command {
    let mut cargo = host::nightly("cargo");
    cargo.args(["miri", "test", "--quiet"]).args(tests.targets).arg("--").args(tests.modules);
    for test in TOO_LONG {
        cargo.args(["--skip", test]);
    }
    // Isolated from the environment they could not be told how many cases to try.
    cargo.env("PROPTEST_CASES", cases.to_string()).env("MIRIFLAGS", "-Zmiri-disable-isolation");
    cargo
}

/// The interpreter, and the source of the standard library that it is built from.
fn install() -> Result<(), String> {
    host::install_nightly()?;
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "--toolchain", "nightly", "miri", "rust-src"]);
    if host::succeeds(&mut rustup) {
        return Ok(());
    }
    Err("rustup could not install miri and the source of the standard library".to_owned())
}
