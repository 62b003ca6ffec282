//! `cargo xtask mutate`: whether anybody notices when a rule of the protocol is broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::host::{self, Outcome};

mod catcher;
mod mutations;

use self::catcher::{Catcher, Finding};
use self::mutations::{MUTATIONS, Mutation};

/// Break one rule of the protocol after the other, in a copy of the workspace; fails when the tests, the simulation and the model all let one pass
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ask every catcher, not only until the first finds something
    #[arg(long)]
    every: bool,
    /// Which mutations [default: all]
    #[arg(value_name = "MUTATION")]
    mutations: Vec<String>,
}

/// What the copy is made of: the pure crates, what steps them, and what their tests need.
const PARTS: [&str; 5] =
    ["crates/vrrp-proto", "crates/vrrp-fsm", "crates/vrrp-sim", "crates/lab", "model"];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mutations: Vec<&Mutation> = MUTATIONS
        .iter()
        .filter(|mutation| {
            arguments.mutations.is_empty()
                || arguments.mutations.iter().any(|name| name == mutation.name)
        })
        .collect();
    if mutations.is_empty() {
        let names = MUTATIONS.map(|mutation| mutation.name).join(", ");
        return Err(format!("no such mutation; there are {names}"));
    }
    // All of them first: a text that is no longer there is to be found out at once.
    let workspace = host::workspace();
    for mutation in &mutations {
        mutation.applied(&workspace)?;
    }
    let scratch = Scratch::new(&workspace)?;
    let begin = Instant::now();
    for catcher in Catcher::ALL {
        if let Finding::Caught(by) = scratch.ask(catcher)? {
            return Err(format!("without any mutation {} fails: {by}", catcher.name()));
        }
    }
    println!("without a mutation all pass ({} s)\n", begin.elapsed().as_secs());
    let width = mutations.iter().map(|mutation| mutation.name.len()).max().unwrap_or_default();
    let mut survivors = Vec::new();
    for mutation in mutations {
        let begin = Instant::now();
        scratch.write(mutation.file, &mutation.applied(&workspace)?)?;
        let mut caught = Vec::new();
        for catcher in Catcher::ALL {
            match scratch.ask(catcher)? {
                Finding::Caught(by) => caught.push(format!("{}: {by}", catcher.name())),
                Finding::Passed => continue,
            }
            if !arguments.every {
                break;
            }
        }
        let original = fs::read_to_string(workspace.join(mutation.file));
        scratch.write(mutation.file, &original.map_err(|error| error.to_string())?)?;
        if caught.is_empty() {
            survivors.push(mutation.name);
            caught.push("SURVIVED".to_owned());
        }
        let seconds = begin.elapsed().as_secs();
        println!("{:<width$}  {seconds:>4} s  {}", mutation.name, caught.join("; "));
    }
    if survivors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nnobody noticed: {}", survivors.join(", "));
    Ok(ExitCode::FAILURE)
}

/// A copy of a part of the workspace, with a target folder of its own that stays for the next time.
struct Scratch {
    root: PathBuf,
}

impl Scratch {
    fn new(workspace: &Path) -> Result<Self, String> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
        let root = target.join("mutate");
        let scratch = Self { root };
        for part in PARTS {
            let copy = scratch.root.join(part);
            if copy.exists() {
                prune(&workspace.join(part), &copy)?;
            }
            copy_folder(&workspace.join(part), &copy)?;
        }
        for file in ["Cargo.lock", "clippy.toml"] {
            copy_file(&workspace.join(file), &scratch.root.join(file))?;
        }
        let manifest = fs::read_to_string(workspace.join("Cargo.toml"));
        let manifest = manifest.map_err(|error| format!("Cargo.toml: {error}"))?;
        let members = PARTS.map(|part| format!("{part:?}")).join(", ");
        let lines = manifest.lines().map(|line| {
            if line.starts_with("members = ") {
                format!("members = [{members}]")
            } else {
                line.to_owned()
            }
        });
        let mut manifest = lines.collect::<Vec<_>>().join("\n");
        manifest.push_str(PROFILE);
        if fs::read_to_string(scratch.root.join("Cargo.toml")).ok().as_ref() != Some(&manifest) {
            scratch.write("Cargo.toml", &manifest)?;
        }
        Ok(scratch)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        fs::write(self.root.join(file), text).map_err(|error| format!("{file}: {error}"))
    }

    fn ask(&self, catcher: Catcher) -> Result<Finding, String> {
        let log = self.root.join("log");
        let output =
            fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = host::cargo();
        command.args(catcher.arguments()).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", self.root.join("target")).env("CARGO_INCREMENTAL", "1");
        command.env("PROPTEST_CASES", "64").env_remove("CARGO_BUILD_TARGET_DIR");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut child = command.spawn().map_err(|error| format!("cargo: {error}"))?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                // The test that it runs, then itself.
                let parent = child.id().to_string();
                let _ = Command::new("pkill").args(["-KILL", "-P", &parent]).status();
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Finding::Caught(format!("no end within {} s", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let text = String::from_utf8_lossy(&text);
        if status.success() { Ok(Finding::Passed) } else { catcher.read(&text) }
    }
}

/// A mutation that runs in circles counts as noticed after this.
const PATIENCE: Duration = Duration::from_secs(600);

/// Quick to build, quick enough to run.
const PROFILE: &str = r#"

[profile.mutate]
inherits = "dev"
opt-level = 1
debug = false
incremental = true
"#;

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let error = |error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(error)?;
    for entry in fs::read_dir(from).map_err(error)? {
        let entry = entry.map_err(error)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(error)?.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            copy_file(&from, &to)?;
        }
    }
    Ok(())
}

/// Only what differs is written: cargo goes by the time of a file, and builds it again then.
fn copy_file(from: &Path, to: &Path) -> Result<(), String> {
    let text = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
    if fs::read(to).is_ok_and(|copy| copy == text) {
        return Ok(());
    }
    fs::write(to, text).map_err(|error| format!("{}: {error}", to.display()))
}

/// Deletes from a copy what the original no longer has.
fn prune(original: &Path, copy: &Path) -> Result<(), String> {
    let error = |error| format!("{}: {error}", copy.display());
    for entry in fs::read_dir(copy).map_err(error)? {
        let copy = entry.map_err(error)?.path();
        let Some(name) = copy.file_name() else { continue };
        let original = original.join(name);
        match (original.is_dir(), copy.is_dir()) {
            (true, true) => prune(&original, &copy)?,
            (_, true) => fs::remove_dir_all(&copy).map_err(error)?,
            (_, false) if !original.is_file() => fs::remove_file(&copy).map_err(error)?,
            (_, false) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_becomes_the_same_and_what_is_the_same_is_not_touched() {
        let folder = std::env::temp_dir().join(format!("xtask-mutate-{}", std::process::id()));
        let (original, copy) = (folder.join("original"), folder.join("copy"));
        fs::create_dir_all(original.join("src")).unwrap();
        fs::create_dir_all(copy.join("src/gone")).unwrap();
        for (file, text) in [("src/same", "1"), ("src/changed", "2")] {
            fs::write(original.join(file), text).unwrap();
        }
        for (file, text) in [("src/same", "1"), ("src/changed", "mutated"), ("src/gone/too", "")] {
            fs::write(copy.join(file), text).unwrap();
        }
        let time = |file| fs::metadata(copy.join(file)).unwrap().modified().unwrap();
        let before = time("src/same");
        prune(&original, &copy).unwrap();
        copy_folder(&original, &copy).unwrap();
        assert_eq!(fs::read_to_string(copy.join("src/changed")).unwrap(), "2");
        assert!(!copy.join("src/gone").exists());
        assert_eq!(time("src/same"), before);
        fs::remove_dir_all(folder).unwrap();
    }
}
